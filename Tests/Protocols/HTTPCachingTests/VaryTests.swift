import HTTPCaching
import HTTPMessage
import Testing

@Suite("Selecting fields: RFC 9111, section 4.1")
struct VaryTests {
  private func rule(_ value: String) -> VaryRule? {
    let answer = Answered(200, "Vary: \(value)")
    guard
      case .names(let rule) = VaryRule.read(answer.head, in: answer.bytes.span, by: CachePolicy())
    else { return nil }
    return rule
  }

  private func key(_ vary: String, _ fields: [String]) -> [UInt8] {
    let request = Asked(fields: fields)
    var key: [UInt8] = []
    rule(vary)?.appendKey(of: request.head, in: request.bytes.span, to: &key)
    return key
  }

  @Test(
    "requests that mean the same have one key",
    arguments: [
      ("Foo", ["Foo: 1"], ["Foo: 1", "Bar: 2"]), ("Foo", ["Foo: 1"], ["foo:1"]),
      ("Foo", ["Foo: 1, 2"], ["Foo: 1", "Foo: 2"]), ("Foo", ["Foo: 1,2"], ["Foo: 1 ,\t2"]),
      ("Foo, Bar", ["Foo: 1", "Bar: 2"], ["Bar: 2", "Foo: 1"]), ("Foo", [], ["Bar: 1"]),
      ("Accept-Language", ["Accept-Language: en, de"], ["Accept-Language: de, en"]),
      ("Accept-Language", ["Accept-Language: en-US"], ["Accept-Language: EN-us"]),
      (
        "Accept-Language", ["Accept-Language: en ; q=0.5, de"],
        ["Accept-Language: de;q=1, en;q=0.500"]
      ),
      ("Accept-Encoding", ["Accept-Encoding: gzip, br"], ["Accept-Encoding: br;q=0.1, x-gzip"]),
      ("Accept-Encoding", ["Accept-Encoding: gzip"], ["Accept-Encoding: gzip, zstd;q=0"]),
      (
        "Accept-Encoding", ["Accept-Encoding: gzip, X"],
        ["Accept-Encoding: x;q=0.3", "Accept-Encoding: gzip"]
      ),
      ("Accept-Encoding", ["Accept-Encoding:"], ["Accept-Encoding: br;q=0"]),
    ]
  )
  func same(vary: String, left: [String], right: [String]) {
    #expect(key(vary, left) == key(vary, right))
  }

  @Test(
    "requests that may be answered differently have different keys",
    arguments: [
      ("Foo", ["Foo: 1"], ["Foo: 2"]), ("Foo", ["Foo: 1"], []), ("Foo", ["Foo:"], []),
      ("Foo", ["Foo: a"], ["Foo: A"]), ("Foo", ["Foo: 1, 2"], ["Foo: 2, 1"]),
      ("Foo, Bar", ["Foo: 1"], ["Bar: 1"]),
      ("Foo, Bar", ["Foo: 1", "Bar: 2"], ["Foo: 2", "Bar: 1"]),
      ("Foo", ["Foo: \"a, b\""], ["Foo: \"a,b\""]), ("Foo", ["Foo: a b"], ["Foo: a  b"]),
      ("Accept-Encoding", ["Accept-Encoding: gzip"], ["Accept-Encoding: br"]),
      ("Accept-Encoding", ["Accept-Encoding: gzip"], ["Accept-Encoding: gzip, deflate"]),
      ("Accept-Encoding", ["Accept-Encoding: gzip"], ["Accept-Encoding: gzip, identity;q=0"]),
      ("Accept-Encoding", ["Accept-Encoding: *"], ["Accept-Encoding: *, gzip;q=0"]),
      ("Accept-Encoding", ["Accept-Encoding: gzip"], ["Accept-Encoding: *;q=0, gzip"]),
      ("Accept-Encoding", ["Accept-Encoding: x1"], ["Accept-Encoding: x2"]),
      ("Accept-Encoding", [], ["Accept-Encoding: gzip"]),
      ("Accept-Encoding", [], ["Accept-Encoding:"]),
      ("Accept-Language", ["Accept-Language: en, de;q=0.5"], ["Accept-Language: de, en;q=0.5"]),
      ("Accept-Language", ["Accept-Language: en"], []),
    ]
  )
  func different(vary: String, left: [String], right: [String]) {
    #expect(key(vary, left) != key(vary, right))
  }

  @Test("a list of languages that is too long to be put in order is compared as it stands")
  func longLists() {
    let languages = (0..<20).map { "l\($0)" }
    let one = ["Accept-Language: " + languages.joined(separator: ",")]
    let other = ["Accept-Language: " + languages.reversed().joined(separator: ",")]
    #expect(key("Accept-Language", one) != key("Accept-Language", other))
    #expect(
      key("Accept-Language", one)
        == key("Accept-Language", ["Accept-Language: " + languages.joined(separator: " , ")])
    )
    #expect(
      key("Accept-Language", ["Accept-Language: en;q=x, de"])
        != key("Accept-Language", ["Accept-Language: de, en;q=x"])
    )
  }

  @Test("the order and the case of the names in Vary do not count")
  func names() {
    #expect(rule("Foo, Bar") == rule("bar,FOO , foo"))
    #expect(rule("Foo, Bar")?.encoded == Array("bar,foo".utf8))
    let answer = Answered(200, "Vary: Foo", "Vary: Bar")
    #expect(
      VaryRule.read(answer.head, in: answer.bytes.span, by: CachePolicy())
        == rule("foo, bar").map { .names($0) }
    )
  }

  @Test(
    "a rule is kept as text and read again",
    arguments: ["foo", "bar,foo", "accept-encoding,x"]
  )
  func encoded(text: String) {
    let bytes = Array(text.utf8)
    #expect(VaryRule(encoded: bytes.span)?.encoded == bytes)
  }

  @Test(
    "what no rule was kept as is not read",
    arguments: ["", "*", "foo,bar", "Foo", "foo,,x", "foo, x", "a b"]
  )
  func notEncoded(text: String) {
    let bytes = Array(text.utf8)
    #expect(VaryRule(encoded: bytes.span) == nil)
  }
}
