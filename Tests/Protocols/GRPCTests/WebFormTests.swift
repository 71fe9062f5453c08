import GRPC
import Testing

@Suite("Calls of gRPC from browsers")
struct WebFormTests {
  @Test(
    "the form is known by the content type",
    arguments: [
      ("application/grpc-web", .binary), ("application/grpc-web+proto", .binary),
      ("APPLICATION/GRPC-WEB-TEXT;x", .text), ("application/grpc-web-text+proto", .text),
      ("application/grpc", nil), ("application/grpc-webx", nil),
      ("application/grpc-web-texts", nil), ("", nil),
    ] as [(String, WebForm?)]
  )
  func form(text: String, expected: WebForm?) {
    #expect(WebForm(contentType: text.utf8.span) == expected)
  }

  @Test("types are translated both ways")
  func types() {
    func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    #expect(
      WebForm.text.callType(of: bytes("application/grpc-web-text+proto"))
        == bytes("application/grpc+proto")
    )
    #expect(WebForm.binary.callType(of: bytes("application/grpc-web")) == bytes("application/grpc"))
    #expect(
      WebForm.text.webType(of: bytes("application/grpc+proto"))
        == bytes("application/grpc-web-text+proto")
    )
    #expect(WebForm.binary.webType(of: bytes("text/html")) == bytes("text/html"))
  }

  @Test("trailers are a message with the mark of the last one")
  func trailers() {
    #expect(
      WebForm.message(of: Array("a: b\r\n".utf8)) == [0x80, 0, 0, 0, 6] + Array("a: b\r\n".utf8)
    )
  }

  @Test("base64 comes back, in whatever parts it is encoded and however it is split")
  func roundTrip() {
    for count in 0..<40 {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255) }
      let cut = Int.random(in: 0...count)
      let text =
        WebForm.text.encoded(Array(bytes[..<cut])) + WebForm.text.encoded(Array(bytes[cut...]))
      for split in 0...text.count {
        var decoder = WebTextDecoder()
        var result: [UInt8] = []
        let (first, second) = (Array(text[..<split]), Array(text[split...]))
        let isFine = decoder.decode(first.span, into: &result)
        let isStillFine = decoder.decode(second.span, into: &result)
        #expect(isFine && isStillFine && decoder.isWhole)
        #expect(result == bytes)
      }
    }
  }

  @Test("other texts are refused", arguments: ["A===", "AB=C", "=", "A B C", "AB-_", "ABC\u{0}"])
  func refused(text: String) {
    var decoder = WebTextDecoder()
    var result: [UInt8] = []
    let isFine = decoder.decode(text.utf8.span, into: &result)
    #expect(!isFine)
  }
}
