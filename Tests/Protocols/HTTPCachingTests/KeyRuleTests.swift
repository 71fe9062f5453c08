import HTTPCaching
import MartletBytes
import Testing

@Suite("What tells answers apart")
struct KeyRuleTests {
  private func query(_ rule: KeyRule.Query, _ text: String) -> String {
    var key = KeyRule()
    key.query = rule
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    key.appendQuery(bytes.span, to: &result)
    return String(decoding: result.span)
  }

  @Test(
    "is what is left of a query",
    arguments: [
      (KeyRule.Query.all, "a=1&b&c=", "?a=1&b&c="), (.none, "a=1&b", ""),
      (.only([.init("a"), .init("b")]), "a=1&x=2&b&ab=1", "?a=1&b"),
      (.only([.init("a")]), "x=1", ""), (.only([.init("a*")]), "ab=1&ba=1&a", "?ab=1&a"),
      (
        .except([.init("utm_*"), .init("gclid")]), "utm_a=1&gclid=2&gclids=3&q=4&utm=5",
        "?gclids=3&q=4&utm=5"
      ),
      (.except([.init("a")]), "a=1", ""), (.except([.init("a")]), "a&b&a=", "?b"),
      // Who reads these differently gets no other answer than who does not.
      (.only([.init("a")]), "%61=1&+a=2&x;a=3&b=1;a=4", "?%61=1&+a=2&x;a=3&b=1;a=4"),
      (.except([.init("a")]), "a=1;b=2&%61=3&a=%61+b", "?a=1;b=2&%61=3"),
    ]
  )
  func queries(rule: KeyRule.Query, text: String, left: String) {
    #expect(query(rule, text) == left)
  }

  @Test("are fields by what they mean, and cookies by their values")
  func fields() throws {
    var rule = KeyRule()
    let names = Array("accept-encoding,x-tenant".utf8)
    rule.fields = VaryRule(encoded: names.span)
    rule.cookies = [Array("lang".utf8), Array("b".utf8)]
    func key(_ fields: String...) -> [UInt8] {
      let asked = Asked(fields: fields)
      var key: [UInt8] = []
      rule.appendFields(of: asked.head, in: asked.bytes.span, to: &key)
      return key
    }
    #expect(key("Accept-Encoding: br, gzip") == key("Accept-Encoding: gzip,br"))
    #expect(key("X-Tenant: a") != key("X-Tenant: b") && key("X-Tenant: ") != key())
    #expect(key("Cookie: lang=de") == key("Cookie: x=1; lang=de;y=2"))
    #expect(key("Cookie: lang=de") != key("Cookie: lang=en"))
    #expect(key("Cookie: lang=de") != key("Cookie: xlang=de") && key("Cookie: lang=") != key())
    #expect(key("Cookie: lang=de; lang=en") != key("Cookie: lang=de"))
    #expect(key("Cookie: lang=1; b=2") != key("Cookie: lang=2; b=1"))
    #expect(key().first == 0x0A)
    rule = KeyRule()
    #expect(key().isEmpty)
  }
}
