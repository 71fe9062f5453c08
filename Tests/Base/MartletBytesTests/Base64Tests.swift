import MartletBytes
import Testing

@Suite("Base64") struct Base64Tests {
  @Test(
    "bytes have the text of RFC 4648, section 10",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
      ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ]
  )
  func vectors(plain: String, text: String) {
    #expect(Base64.encoded(Array(plain.utf8).span) == Array(text.utf8))
    #expect(Base64.decoded(Array(text.utf8).span) == Array(plain.utf8))
    let bare = text.utf8.filter { $0 != 0x3D }
    #expect(Base64.decoded(bare.span) == Array(plain.utf8))
  }

  @Test("any bytes come back", arguments: 0..<200)
  func roundTrip(count: Int) {
    var random = SystemRandomNumberGenerator()
    let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    #expect(Base64.decoded(Base64.encoded(bytes.span).span) == bytes)
  }

  @Test(
    "other texts are refused",
    arguments: ["A", "Zg=", "Zh==", "Zm9=", "Zm9v Zg", "Zm9-", "Zm9_", "=", "====", "Zg==="]
  )
  func refused(text: String) {
    #expect(Base64.decoded(Array(text.utf8).span) == nil)
  }
}
