import HTTP1
import HTTPMessage
import MartletBytes
import Testing

@Suite("Chunked decoder, RFC 9112 section 7.1")
struct ChunkedDecoderTests {
  static let bodies = [
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\nGET / HTTP/1.1\r\n",
    "1;a=b\r\nx\r\n0;last\r\n\r\n",
    "1;a=\"b;c\"; d\r\nx\r\n2;\t\r\n\r\n\r\n0\r\n\r\n",
    "3\r\n0\r\n\r\n0\r\nX-Sum: \t12 3\t\r\nEtag:\r\n\r\nrest",
    "0\r\nDate: x\r\nX-A: 1\r\nSet-Cookie: a\r\nX-B: 2\r\nVary: *\r\n\r\n",
    "00000000000000f\r\n123456789012345\r\n0;e\r\nX-A: 1\r\n\r\n",
  ]

  @Test("tells content and trailers apart")
  func parts() throws {
    let body = try readBody(Array(Self.bodies[5].utf8))
    #expect(body.content == Array("0\r\n".utf8))
    #expect(body.trailers == ["X-Sum=12 3", "Etag="])
    #expect(body.isOver)
    #expect(body.byteCount == Self.bodies[5].utf8.count - 4)
  }

  @Test("gives the same however the bytes are split", arguments: bodies)
  func splits(text: String) throws {
    let bytes = Array(text.utf8)
    let whole = try readBody(bytes)
    #expect(whole.isOver)
    #expect(try readBody(bytes, cuts: Array(0..<bytes.count)) == whole)
    for first in 0..<bytes.count {
      for second in first..<bytes.count {
        let split = try readBody(bytes, cuts: [first, second])
        #expect(split == whole, "cut at \(first) and \(second)")
      }
    }
  }

  @Test("passes on, however the bytes are split, what has the same content", arguments: bodies)
  func passes(text: String) throws {
    let bytes = Array(text.utf8)
    let whole = try readBody(bytes)
    let passed = try passBody(bytes)
    for first in 0..<bytes.count {
      for second in first..<bytes.count {
        let split = try passBody(bytes, cuts: [first, second])
        #expect(split.passed == passed.passed, "cut at \(first) and \(second)")
        #expect(split.body == passed.body)
        #expect(split.contentCount == whole.content.count)
      }
    }
    #expect(passed.body.trailers == whole.trailers)
    #expect(passed.body.byteCount == whole.byteCount)
    #expect(!passed.passed.contains(0x3B))
    let again = try readBody(passed.passed)
    #expect(again.content == whole.content)
    #expect(again.isOver)
    #expect(again.byteCount == passed.passed.count)
  }

  @Test("passes on a buffer of chunks in one range")
  func coalesces() throws {
    let bytes = Array("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".utf8)
    var decoder = ChunkedDecoder(limits: HeadLimits())
    var offset = 0
    let first = try decoder.pass(in: bytes.span, at: &offset)
    #expect(first == .bytes(0..<bytes.count, content: 3))
    let second = try decoder.pass(in: bytes.span, at: &offset)
    #expect(second == .end)
    #expect(decoder.isOver)
  }

  @Test(
    "leaves out trailers that only a head may hold",
    arguments: ["Authorization", "Set-Cookie", "content-type", "X-Forwarded-For", "TRAILER"]
  )
  func leavesOut(name: String) throws {
    let body = try readBody(Array("0\r\n\(name): x\r\nX-A: 1\r\n\r\n".utf8))
    #expect(body.trailers == ["X-A=1"])
  }

  @Test(
    "refuses what a second reader could read otherwise",
    arguments: [
      ("\r\n", MessageError.Reason.malformedChunkSize),
      ("\n", .malformedChunkSize),
      (";a\r\n", .malformedChunkSize),
      (" 1\r\nx\r\n", .malformedChunkSize),
      ("1 \r\nx\r\n", .malformedChunkSize),
      ("1\t;a\r\nx\r\n", .malformedChunkSize),
      ("0x1\r\nx\r\n", .malformedChunkSize),
      ("+1\r\nx\r\n", .malformedChunkSize),
      ("-1\r\nx\r\n", .malformedChunkSize),
      ("1_0\r\n", .malformedChunkSize),
      ("g\r\n", .malformedChunkSize),
      ("1\u{0}\r\nx\r\n", .malformedChunkSize),
      ("0000000000000001\r\nx\r\n", .chunkSizeOverflow),
      ("ffffffffffffffff1\r\n", .chunkSizeOverflow),
      ("1\nx\r\n0\r\n\r\n", .bareLineFeed),
      ("1\r\r\nx", .bareCarriageReturn),
      ("1\rx", .bareCarriageReturn),
      ("1;a\nx\r\n", .bareLineFeed),
      ("1;a\rx\r\n", .bareCarriageReturn),
      ("1;\u{0}\r\nx\r\n", .chunkExtensionByte),
      ("1;\u{7F}\r\nx\r\n", .chunkExtensionByte),
      ("1\r\nxy\r\n", .missingChunkEnd),
      ("1\r\nx\n", .missingChunkEnd),
      ("1\r\nx\r0", .missingChunkEnd),
      ("1\r\nx0\r\n\r\n", .missingChunkEnd),
      ("0\r\n\n", .bareLineFeed),
      ("0\r\n\rx", .bareCarriageReturn),
      ("0\r\nX: a\n\r\n", .bareLineFeed),
      ("0\r\nX: a\r\n b\r\n\r\n", .foldedLine),
      ("0\r\n X: a\r\n\r\n", .whitespaceBeforeFields),
      ("0\r\nX : a\r\n\r\n", .spaceBeforeColon),
      ("0\r\n: a\r\n\r\n", .emptyFieldName),
      ("0\r\nX\r\n\r\n", .missingColon),
      ("0\r\nX: a\u{0}\r\n\r\n", .nulByte),
      ("0\r\nX: \u{1}\r\n\r\n", .controlByte),
      ("0\r\nContent-Length: 5\r\n\r\n", .forbiddenTrailer),
      ("0\r\ntransfer-encoding: chunked\r\n\r\n", .forbiddenTrailer),
      ("0\r\nHost: a\r\n\r\n", .forbiddenTrailer),
      ("0\r\nConnection: close\r\n\r\n", .forbiddenTrailer),
    ]
  )
  func refuses(text: String, reason: MessageError.Reason) {
    let bytes = Array(text.utf8)
    #expect(throws: MessageError(reason)) { try readBody(bytes) }
    #expect(throws: MessageError(reason)) { try passBody(bytes) }
    for cut in 0..<bytes.count {
      #expect(throws: MessageError(reason), "cut at \(cut)") { try readBody(bytes, cuts: [cut]) }
      #expect(throws: MessageError(reason), "cut at \(cut)") { try passBody(bytes, cuts: [cut]) }
    }
  }

  @Test("keeps each limit to the byte")
  func limits() throws {
    var limits = HeadLimits()
    limits.chunkExtensionBytes = 4
    limits.chunkExtensionTotalBytes = 6
    limits.trailerBytes = 12
    limits.trailerCount = 2
    limits.fieldNameBytes = 3
    func read(_ text: String) throws -> ReadBody { try readBody(Array(text.utf8), limits: limits) }
    #expect(try read("1;abc\r\nx\r\n0;\r\n\r\n").isOver)
    #expect(throws: MessageError(.chunkExtensionTooLong)) { try read("1;abcd\r\n") }
    #expect(throws: MessageError(.chunkExtensionsTooLong)) { try read("1;abc\r\nx\r\n0;ab\r\n") }
    #expect(try read("0\r\nA: 12345\r\n\r\n").isOver)
    #expect(throws: MessageError(.trailersTooLarge)) { try read("0\r\nA: 123456\r\n\r\n") }
    #expect(throws: MessageError(.trailersTooLarge)) { try read("0\r\nA: 123456789") }
    limits.trailerBytes = 100
    #expect(try read("0\r\nA:\r\nB:\r\n\r\n").isOver)
    #expect(throws: MessageError(.tooManyTrailers)) { try read("0\r\nA:\r\nB:\r\nC:\r\n\r\n") }
    #expect(throws: MessageError(.fieldNameTooLong)) { try read("0\r\nABCD:\r\n\r\n") }
    limits.lineBytes = 5
    #expect(try read("0\r\nA: 12\r\n\r\n").isOver)
    #expect(throws: MessageError(.fieldLineTooLong)) { try read("0\r\nA: 123\r\n\r\n") }
  }

  @Test("reads trailers far behind the beginning of a large buffer")
  func large() throws {
    let count = 200_000
    let size = String(count, radix: 16)
    let text = "\(size)\r\n\(String(repeating: "x", count: count))\r\n0\r\nX-A: 1\r\n\r\n"
    let body = try readBody(Array(text.utf8))
    #expect(body.content.count == count)
    #expect(body.trailers == ["X-A=1"])
  }
}

@Suite("Chunked encoder, RFC 9112 section 7.1")
struct ChunkedEncoderTests {
  private func text(_ size: ChunkSize) -> String { String(decoding: size.bytes) }

  @Test(
    "writes a size as the decoder reads it",
    arguments: [1, 9, 10, 15, 16, 255, 256, 0xABC_DEF0, 1 << 59]
  )
  func sizes(count: Int) {
    #expect(text(ChunkSize(count)) == String(count, radix: 16) + "\r\n")
  }

  @Test("keeps the room that was asked for", arguments: [(1, 1), (1, 4), (0xFFFF, 4), (16, 15)])
  func room(count: Int, digits: Int) {
    let line = text(ChunkSize(count, digits: digits))
    #expect(line.utf8.count == digits + 2)
    #expect(Int(line.dropLast(), radix: 16) == count)
  }

  @Test("makes bodies that the decoder reads")
  func roundTrip() throws {
    var body: [UInt8] = []
    for piece in ["a", String(repeating: "b", count: 300)] {
      body.append(copying: ChunkSize(piece.utf8.count).bytes)
      body += Array(piece.utf8)
      body += Array(ChunkedEncoder.dataEnd.description.utf8)
    }
    body += Array(ChunkedEncoder.lastChunk.description.utf8)
    #expect(append("X-Sum", "1 2", to: &body))
    body += Array(ChunkedEncoder.end.description.utf8)
    let read = try readBody(body)
    #expect(read.content.count == 301)
    #expect(read.trailers == ["X-Sum=1 2"])
    #expect(read.isOver)
    let empty = try readBody(Array(ChunkedEncoder.endWithoutTrailers.description.utf8))
    #expect(empty.isOver)
  }

  @Test(
    "writes no trailer that would be read otherwise",
    arguments: [
      ("X Y", "a"), ("", "a"), ("X", "a\r\nHost: b"), ("Content-Length", "1"), ("X:", ""),
    ]
  )
  func refuses(name: String, value: String) {
    var line: [UInt8] = []
    #expect(!append(name, value, to: &line))
    #expect(line.isEmpty)
  }

  private func append(_ name: String, _ value: String, to line: inout [UInt8]) -> Bool {
    let (name, value) = (Array(name.utf8), Array(value.utf8))
    return ChunkedEncoder.append(trailer: name.span, value: value.span, to: &line)
  }
}
