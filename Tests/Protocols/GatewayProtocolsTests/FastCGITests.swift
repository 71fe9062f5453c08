import GatewayProtocols
import Testing

@Suite("FastCGI records")
struct FastCGITests {
  private func events(_ pieces: [[UInt8]]) throws -> [String] {
    var decoder = FastCGIDecoder()
    var output: [UInt8] = []
    var error: [UInt8] = []
    var others: [String] = []
    for piece in pieces {
      var offset = 0
      while true {
        let event = try decoder.next(in: piece.span, at: &offset)
        switch event {
        case .needsBytes: break
        case .output(let range, _): output += piece[range]
        case .errorOutput(let range, _): error += piece[range]
        case .end(let request, let end): others.append("\(request) \(end)")
        case .values(let range, let isLast):
          others += piece[range].map { "\($0)" }
          if isLast { others.append("last") }
        case .unknownKind(let kind): others.append("unknown \(kind)")
        }
        if event == .needsBytes { break }
      }
      #expect(offset == piece.count)
    }
    return [String(decoding: output, as: UTF8.self), String(decoding: error, as: UTF8.self)]
      + others
  }

  @Test(
    "mean the same however they are split",
    arguments: [
      Records.plain, Records.split, Records.end(status: 3),
      Records.record(.getValuesResult, [1, 1, 65, 66], request: 0, padding: 3) + Records.plain,
      Records.record(.getValuesResult, [], request: 0) + Records.plain,
      Records.record(.getValuesResult, [], request: 0, padding: 1) + Records.plain,
      Records.record(.unknownType, [9, 0, 0, 0, 0, 0, 0, 0], request: 0) + Records.plain,
    ]
  )
  func splits(bytes: [UInt8]) throws {
    let whole = try events([bytes])
    for cut in 0...bytes.count {
      #expect(try events([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole, "cut at \(cut)")
    }
    #expect(try events(bytes.map { [$0] }) == whole, "byte by byte")
  }

  @Test(
    "are refused where no application sends them so",
    arguments: [
      ([2, 6, 0, 1, 0, 0, 0, 0], GatewayFault.recordVersion),
      ([1, 0, 0, 1, 0, 0, 0, 0], .recordType),
      ([1, 12, 0, 1, 0, 0, 0, 0], .recordType),
      ([1, 1, 0, 1, 0, 8, 0, 0], .recordType),
      ([1, 5, 0, 1, 0, 0, 0, 0], .recordType),
      ([1, 6, 0, 0, 0, 1, 0, 0], .recordRequest),
      ([1, 3, 0, 0, 0, 8, 0, 0], .recordRequest),
      ([1, 3, 0, 1, 0, 7, 0, 0], .endLength),
      ([1, 3, 0, 1, 1, 8, 0, 0], .endLength),
      ([1, 10, 0, 1, 0, 0, 0, 0], .recordRequest),
      ([1, 11, 0, 0, 0, 9, 0, 0], .endLength),
    ] as [([UInt8], GatewayFault)]
  )
  func refuses(bytes: [UInt8], fault: GatewayFault) {
    #expect(throws: fault) { try events([bytes]) }
    #expect(throws: fault) { try events(bytes.map { [$0] }) }
  }

  @Test("have as much content as their length says, and no more than that can say")
  func lengths() throws {
    let most = [UInt8](repeating: 65, count: FastCGIRecord.contentByteLimit)
    let bytes = Records.record(.standardOutput, most, padding: 255) + Records.end()
    #expect(try events([bytes])[0].utf8.count == 65_535)
  }

  @Test("are written as the specification draws them")
  func written() {
    var bytes: [UInt8] = []
    FastCGIRecord(.standardInput, request: 258, contentCount: 772, paddingCount: 5)
      .append(to: &bytes)
    #expect(bytes == [1, 5, 1, 2, 3, 4, 5, 0])
    var request = GatewayRequest(.fastCGI)
    request.add("A", "b")
    request.add("LONG", [UInt8](repeating: 120, count: 200))
    let sent = request.encoded(contentLength: 0, keepsConnection: true)
    #expect(
      sent.prefix(29) == [
        1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 4, 0, 1, 0, 213, 0, 0, 1, 1, 65, 98, 4,
      ]
    )
    #expect(sent[29..<37] == [128, 0, 0, 200, 76, 79, 78, 71])
    #expect(sent.suffix(8) == [1, 4, 0, 1, 0, 0, 0, 0])
    #expect(sent.count == 16 + 8 + 213 + 8)
  }

  @Test("have one byte for a length of 127, and four for one of 128", arguments: [127, 128])
  func prefixes(count: Int) {
    var request = GatewayRequest(.fastCGI)
    request.add("A", [UInt8](repeating: 120, count: count))
    #expect(request.byteCount == count + 1 + 1 + (count < 128 ? 1 : 4))
  }
}
