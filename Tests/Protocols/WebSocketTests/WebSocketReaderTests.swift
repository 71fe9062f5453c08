import MartletBytes
import Testing
import WebSocket

@Suite("WebSocket messages, RFC 6455")
struct WebSocketReaderTests {
  /// What is read of `bytes` when they come as these pieces.
  private func read(
    _ pieces: [[UInt8]],
    limit: Int = 1 << 16,
    isServer: Bool = true
  ) throws -> [WebSocketReader.Event] {
    var reader = WebSocketReader(messageByteLimit: limit, isServer: isServer)
    var events: [WebSocketReader.Event] = []
    for piece in pieces {
      reader.receive(piece.span)
      while let event = try reader.next() { events.append(event) }
    }
    return events
  }

  private func masked(_ kind: WebSocketKind, _ text: String, isLast: Bool = true) -> [UInt8] {
    var bytes = WebSocketFrame.bytes(kind, Array(text.utf8).span, mask: 0x1234_5678)
    if !isLast { bytes[0] &= 0x7F }
    return bytes
  }

  @Test("a message in frames with a ping between them comes whole, however its bytes are cut")
  func splits() throws {
    let bytes =
      masked(.text, "grüß", isLast: false) + masked(.ping, "?") + masked(.continuation, "e")
      + WebSocketFrame.close(1000, "done", mask: 7)
    let expected: [WebSocketReader.Event] = [
      .ping(Array("?".utf8)), .text("grüße"), .close(code: 1000, reason: "done"),
    ]
    for cut in 0...bytes.count {
      let events = try read([Array(bytes[..<cut]), Array(bytes[cut...])])
      #expect(events == expected, "cut at \(cut)")
    }
  }

  @Test(
    "lengths are written in the form that each needs",
    arguments: [0, 125, 126, 65_535, 65_536]
  )
  func lengths(count: Int) throws {
    let content = [UInt8](repeating: 0x61, count: count)
    for mask in [nil, 0xA1B2_C3D4] as [UInt32?] {
      let bytes = WebSocketFrame.bytes(.binary, content.span, mask: mask)
      let events = try read([bytes], limit: 1 << 17, isServer: mask != nil)
      let isSame = events == [.binary(content)]
      #expect(isSame)
    }
  }

  @Test("a message may be as long as the limit, and not one byte longer")
  func limit() throws {
    #expect(try read([masked(.text, "12345678")], limit: 8) == [.text("12345678")])
    #expect(throws: WebSocketFault.tooLong) { try read([masked(.text, "123456789")], limit: 8) }
    #expect(throws: WebSocketFault.tooLong) {
      try read([masked(.text, "12345", isLast: false), masked(.continuation, "6789")], limit: 8)
    }
  }

  @Test(
    "what breaks the protocol is refused",
    arguments: [
      [0x81, 0x00], [0xC1, 0x80, 0, 0, 0, 0], [0x83, 0x80, 0, 0, 0, 0], [0x09, 0x80, 0, 0, 0, 0],
      [0x89, 0xFE, 0, 126], [0x80, 0x80, 0, 0, 0, 0], [0x81, 0xFE, 0, 125, 0, 0, 0, 0],
      [0x88, 0x81, 0, 0, 0, 0, 3], [0x88, 0x82, 0, 0, 0, 0, 3, 0xED],
      [0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0],
    ] as [[UInt8]]
  )
  func malformed(bytes: [UInt8]) throws {
    do {
      _ = try read([bytes])
      Issue.record("\(bytes) was read")
    } catch let fault as WebSocketFault {
      #expect(fault.code == 1002)
    }
  }

  @Test("a text that is not UTF-8 is refused")
  func notText() {
    #expect(throws: WebSocketFault.notText) {
      try read([[0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28]])
    }
  }

  @Test("behind the end nothing is read, and a reason is cut between characters")
  func end() throws {
    let bytes = WebSocketFrame.close(1001, String(repeating: "ü", count: 100), mask: 1)
    let events = try read([bytes + masked(.text, "late")])
    #expect(events == [.close(code: 1001, reason: String(repeating: "ü", count: 61))])
  }
}
