import MartletBytes
import Testing

@Suite("base64url") struct Base64URLTests {
  @Test(
    "bytes have the text of RFC 4648, section 10, without padding",
    arguments: [
      ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"),
      ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
    ]
  )
  func vectors(plain: String, text: String) {
    #expect(Base64URL.encoded(Array(plain.utf8).span) == Array(text.utf8))
    #expect(Base64URL.decoded(Array(text.utf8).span) == Array(plain.utf8))
  }

  @Test("any bytes come back, in as many characters as are foretold", arguments: 0..<200)
  func roundTrip(count: Int) {
    var random = SystemRandomNumberGenerator()
    let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    let text = Base64URL.encoded(bytes.span)
    #expect(text.count == Base64URL.encodedCount(count))
    #expect(Base64URL.decoded(text.span) == bytes)
  }

  @Test(
    "other texts are refused",
    arguments: ["A", "Zg==", "Zh", "Zm9=", "Zm9v Zg", "Zm9/", "Zm9+", "AAAAA", "Zm8\u{0}"]
  )
  func refused(text: String) {
    #expect(Base64URL.decoded(Array(text.utf8).span) == nil)
  }
}
