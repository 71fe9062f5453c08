import HTTP1
import HTTPMessage
import MartletBytes
import Testing

@Suite("Response parser, RFC 9112 sections 4 to 6")
struct ResponseParserTests {
  private func parsed(
    _ text: String,
    answering method: Method = .get
  ) throws -> (head: ResponseHead, bytes: [UInt8]) {
    let bytes = Array(text.utf8)
    var parser = ResponseParser(limits: HeadLimits())
    var head = ResponseHead()
    let isComplete = try parser.parse(bytes.span, answering: method, into: &head)
    try #require(isComplete, "incomplete: \(text)")
    return (head, bytes)
  }

  @Test("tells the parts of a response")
  func parts() throws {
    let (head, bytes) = try parsed("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nX: y\r\n\r\nabc")
    #expect(head.status == 404)
    #expect(text(head.reason, in: bytes) == "Not Found")
    #expect(head.bodyLength == .fixed(3))
    #expect(head.byteCount == bytes.count - 3)
    #expect(head.fields.map(\.name) == [.contentLength, .other])
    #expect(head.keepsAlive)
    #expect(!head.isInformational)
  }

  @Test("takes a status line without a reason", arguments: ["200", "200 ", "200 OK", "200 \u{E9}"])
  func reasons(status: String) throws {
    #expect(try parsed("HTTP/1.1 \(status)\r\n\r\n").head.status == 200)
  }

  @Test(
    "decides where the body ends by status, method and fields",
    arguments: [
      ("HTTP/1.1 200\r\n\r\n", Method.get, BodyLength.untilClose),
      ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", .get, .fixed(0)),
      ("HTTP/1.1 200\r\nContent-Length: 7\r\n\r\n", .head, .none),
      ("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", .get, .chunked),
      ("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", .head, .none),
      ("HTTP/1.1 304\r\nContent-Length: 7\r\n\r\n", .get, .none),
      ("HTTP/1.1 204\r\n\r\n", .get, .none),
      ("HTTP/1.1 204\r\nContent-Length: 0\r\n\r\n", .get, .none),
      ("HTTP/1.1 100\r\n\r\n", .post, .none),
      ("HTTP/1.1 101\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", .get, .none),
      ("HTTP/1.1 200\r\nContent-Length: 7\r\n\r\n", .connect, .none),
      ("HTTP/1.1 400\r\nContent-Length: 7\r\n\r\n", .connect, .fixed(7)),
      ("HTTP/1.0 200\r\n\r\n", .get, .untilClose),
    ]
  )
  func bodies(message: String, method: Method, length: BodyLength) throws {
    #expect(try parsed(message, answering: method).head.bodyLength == length)
  }

  @Test("reads a 103 and then the final response with the same parser")
  func informational() throws {
    let early = Array("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".utf8)
    let final = Array("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n".utf8)
    var parser = ResponseParser(limits: HeadLimits())
    var head = ResponseHead()
    let hasEarly = try parser.parse(early.span, answering: .get, into: &head)
    #expect(hasEarly)
    #expect(head.isInformational)
    let hasFinal = try parser.parse(final.span, answering: .get, into: &head)
    #expect(hasFinal)
    #expect(head.status == 200)
    #expect(head.fields.map(\.name) == [.contentLength])
  }

  @Test(
    "keeps the connection only where the body's end is known",
    arguments: [
      ("HTTP/1.1 200\r\n\r\n", false), ("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n", true),
      ("HTTP/1.0 200\r\nContent-Length: 1\r\n\r\n", false),
      ("HTTP/1.0 200\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", true),
      ("HTTP/1.1 200\r\nContent-Length: 1\r\nConnection: close\r\n\r\n", false),
    ]
  )
  func persistence(message: String, keeps: Bool) throws {
    #expect(try parsed(message).head.keepsAlive == keeps)
  }

  @Test("leaves nothing of a response in a head that is made empty")
  func reset() throws {
    var head = try parsed(
      "HTTP/1.0 404 Not Found\r\nConnection: close\r\nContent-Length: 1\r\n\r\n"
    ).head
    #expect(head != ResponseHead())
    head.reset()
    #expect(head == ResponseHead())
  }

  @Test("gives its errors the status 502")
  func badGateway() {
    let error = MessageError(.bareLineFeed).fromUpstream
    #expect(error.status == 502)
    #expect(throws: error) { try parsed("HTTP/1.1 200 OK\n\n") }
  }
}
