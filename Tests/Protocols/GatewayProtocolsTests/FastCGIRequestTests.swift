import GatewayProtocols
import Testing

@Suite("Requests by FastCGI, as an application reads them")
struct FastCGIRequestTests {
  private func asked(_ content: String, keeps: Bool = true) -> [UInt8] {
    var request = GatewayRequest(.fastCGI)
    request.add("REQUEST_METHOD", "POST")
    request.add("LONG", [UInt8](repeating: 120, count: 300))
    request.add("EMPTY", "")
    let length = UInt64(content.utf8.count)
    var bytes = request.encoded(contentLength: length, keepsConnection: keeps)
    for piece in content.split(separator: "|") {
      bytes += Records.record(.standardInput, Array(piece.utf8), padding: 5)
    }
    return bytes + Records.record(.standardInput, [])
  }

  private func read(_ pieces: [[UInt8]]) throws -> [String] {
    var request = FastCGIRequest()
    var found: [String] = []
    var content: [UInt8] = []
    for piece in pieces {
      var offset = 0
      reading: while true {
        switch try request.next(in: piece.span, at: &offset) {
        case .needsBytes: break reading
        case .head:
          found.append("\(request.number) \(request.keepsConnection)")
          found += request.variables.map { "\($0.name)=\($0.value)" }
        case .content(let range): content += piece[range]
        case .end:
          found.append(String(decoding: content, as: UTF8.self))
          content = []
        case .abort: found.append("abort")
        }
      }
      #expect(offset == piece.count)
    }
    return found
  }

  @Test("mean the same however they are split")
  func splits() throws {
    let bytes = asked("first|second") + asked("", keeps: false)
    let whole = try read([bytes])
    #expect(whole.count == 10 && whole[4] == "firstsecond" && whole[5] == "1 false")
    #expect(whole[1] == "REQUEST_METHOD=POST" && whole[3] == "EMPTY=")
    for cut in 0...bytes.count {
      #expect(try read([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole, "cut at \(cut)")
    }
    #expect(try read(bytes.map { [$0] }) == whole, "byte by byte")
  }

  @Test("are given up where that is said")
  func aborts() throws {
    let begun = asked("").dropLast(8)
    let found = try read([Array(begun) + Records.record(.abortRequest, [])])
    #expect(found.last == "abort")
  }

  private static let begin = Records.record(.beginRequest, [0, 1, 0, 0, 0, 0, 0, 0])

  @Test(
    "are refused where they are not what FastCGI says",
    arguments: [
      (Records.record(.params, [1, 1, 65, 66]), GatewayFault.recordType),
      (Records.record(.standardOutput, [65]), .recordType),
      (Records.record(.beginRequest, [0, 2, 0, 0, 0, 0, 0, 0]), .roleUnknown),
      (Records.record(.beginRequest, [0, 1, 0]), .endLength),
      (Records.record(.beginRequest, [0, 1, 0, 0, 0, 0, 0, 0], request: 0), .recordRequest),
      (begin + begin, .recordType),
      (begin + Records.record(.params, [], request: 2), .recordRequest),
      (begin + Records.record(.standardInput, [65]), .recordType),
      (begin + Records.record(.params, [1, 9, 65]) + Records.record(.params, []), .fieldLine),
      (begin + Records.record(.params, [0, 1, 65]) + Records.record(.params, []), .fieldLine),
      (begin + Records.record(.params, [0x80, 0]) + Records.record(.params, []), .fieldLine),
      (begin + Records.record(.params, [1, 0, 0x3D]) + Records.record(.params, []), .fieldByte),
      (begin + Records.record(.params, [1, 1, 65, 0]) + Records.record(.params, []), .fieldByte),
      (
        begin + Records.record(.params, [1, 0, 65, 1, 0, 65]) + Records.record(.params, []),
        .fieldLine
      ),
    ] as [([UInt8], GatewayFault)]
  )
  func refuses(bytes: [UInt8], fault: GatewayFault) {
    #expect(throws: fault) { try read([bytes]) }
    #expect(throws: fault) { try read(bytes.map { [$0] }) }
  }

  @Test("have variables up to the limit", arguments: [0, 1])
  func limit(more: Int) throws {
    let pair = [1, 98 + UInt8(more), 65] + [UInt8](repeating: 120, count: 98 + more)
    let bytes = Self.begin + Records.record(.params, pair) + Records.record(.params, [])
    var request = FastCGIRequest(byteLimit: 101)
    var offset = 0
    if more == 0 {
      #expect(try request.next(in: bytes.span, at: &offset) == .head)
    } else {
      #expect(throws: GatewayFault.headTooLong) { try request.next(in: bytes.span, at: &offset) }
    }
  }
}
