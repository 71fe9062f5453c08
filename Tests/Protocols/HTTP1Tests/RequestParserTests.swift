import HTTP1
import HTTPMessage
import MartletBytes
import Testing

@Suite("Request parser, RFC 9112 sections 2 to 6")
struct RequestParserTests {
  private func parsed(
    _ text: String,
    limits: HeadLimits = HeadLimits()
  ) throws -> (head: RequestHead, bytes: [UInt8]) {
    let bytes = Array(text.utf8)
    var parser = RequestParser(limits: limits)
    var head = RequestHead()
    let isComplete = try parser.parse(bytes.span, into: &head)
    try #require(isComplete, "incomplete: \(text)")
    return (head, bytes)
  }

  @Test("tells the parts of a request")
  func parts() throws {
    let (head, bytes) = try parsed(
      "POST /a/b?c=d HTTP/1.1\r\nHost: a.example:8080\r\nX-Y: \t1, 2 \r\nContent-Length: 5\r\n\r\n"
        + "hello"
    )
    #expect(head.method == .post)
    #expect(head.form == .origin)
    #expect(head.version == .http11)
    #expect(text(head.target, in: bytes) == "/a/b?c=d")
    #expect(text(head.path, in: bytes) == "/a/b")
    #expect(text(head.query, in: bytes) == "c=d")
    #expect(text(head.authority, in: bytes) == "a.example:8080")
    #expect(text(head.host, in: bytes) == "a.example")
    #expect(head.bodyLength == .fixed(5))
    #expect(head.byteCount == bytes.count - 5)
    #expect(head.fields.map { text($0.valueRange, in: bytes) } == ["a.example:8080", "1, 2", "5"])
    #expect(head.fields.map(\.name) == [.host, .other, .contentLength])
    #expect(head.keepsAlive)
  }

  @Test(
    "tells whether the name of a field has an underscore",
    arguments: [
      ("X-Y: a_b", false), ("X_Y: a", true), ("_: a", true), ("a: _", false),
      ("X-Forwarded-For-And-More_: a", true), ("User-Agent: a_b\r\nX-Y: 1\r\nx-y_: 2", true),
    ]
  )
  func underscores(lines: String, hasUnderscore: Bool) throws {
    let text = "GET / HTTP/1.1\r\nHost: a_b\r\n\(lines)\r\n\r\n"
    #expect(try parsed(text).head.hasUnderscore == hasUnderscore)
    // The next request on the connection has none.
    var parser = RequestParser(limits: HeadLimits())
    var head = RequestHead()
    #expect(try parser.parse(Array(text.utf8).span, into: &head))
    #expect(try parser.parse(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8).span, into: &head))
    #expect(!head.hasUnderscore)
  }

  @Test("stands before the next request when one is complete")
  func pipelined() throws {
    var rest = Array(
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\nTE: trailers\r\n\r\n".utf8
    )
    var parser = RequestParser(limits: HeadLimits())
    var head = RequestHead()
    for (path, host) in [("/1", "a"), ("/2", "b")] {
      let isComplete = try parser.parse(rest.span, into: &head)
      try #require(isComplete)
      #expect(text(head.path, in: rest) == path)
      #expect(text(head.host, in: rest) == host)
      rest.removeFirst(head.byteCount)
    }
    #expect(rest.isEmpty)
    #expect(head.acceptsTrailers)
  }

  @Test(
    "decides where the body ends",
    arguments: [
      ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", BodyLength.none),
      ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", .none),
      ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", .fixed(0)),
      (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
        .fixed(9_223_372_036_854_775_807)
      ),
      ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", .chunked),
    ]
  )
  func bodies(message: String, length: BodyLength) throws {
    #expect(try parsed(message).head.bodyLength == length)
  }

  @Test(
    "knows the four forms of a target",
    arguments: [
      ("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm.origin, "h|/a|b"),
      ("GET http://H:80/a?b HTTP/1.1\r\nHost: h\r\n\r\n", .absolute, "H:80|/a|b"),
      ("GET https://h HTTP/1.1\r\nHost: h:443\r\n\r\n", .absolute, "h||"),
      ("GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", .absolute, "h||q"),
      ("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", .authority, "[::1]:443||"),
      ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", .asterisk, "h||"),
    ]
  )
  func forms(message: String, form: TargetForm, parts: String) throws {
    let (head, bytes) = try parsed(message)
    #expect(head.form == form)
    let found = [head.authority, head.path, head.query].map { text($0, in: bytes) }
    #expect(found.joined(separator: "|") == parts)
  }

  @Test(
    "keeps the connection when both versions' rules say so",
    arguments: [
      ("HTTP/1.1", "X: y", true), ("HTTP/1.1", "Connection: close", false),
      ("HTTP/1.1", "Connection: x, Close", false), ("HTTP/1.0", "X: y", false),
      ("HTTP/1.0", "Connection: keep-alive", true), ("HTTP/1.9", "X: y", true),
      ("HTTP/1.0", "Connection: keep-alive, close", false),
    ]
  )
  func persistence(version: String, field: String, keeps: Bool) throws {
    let head = try parsed("GET / \(version)\r\nHost: a\r\n\(field)\r\n\r\n").head
    #expect(head.keepsAlive == keeps)
  }

  @Test("marks what belongs to this connection alone")
  func hopByHop() throws {
    let (head, bytes) = try parsed(
      "GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nConnection: x-one, Accept, upgrade\r\n"
        + "Keep-Alive: 5\r\nUpgrade: websocket\r\nAccept: */*\r\nx-two: 2\r\nHTTP2-Settings: a\r\n\r\n"
    )
    let marked = head.fields.filter(\.isHopByHop).map { text($0.nameRange, in: bytes) }
    #expect(
      marked == ["X-One", "Connection", "Keep-Alive", "Upgrade", "Accept", "HTTP2-Settings"]
    )
    #expect(head.wantsUpgrade)
  }

  @Test(
    "takes an upgrade only to a protocol that carries no HTTP",
    arguments: [
      ("Connection: upgrade\r\nUpgrade: websocket", true),
      ("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket, x/2", true),
      ("Upgrade: websocket", false), ("Connection: upgrade", false),
      ("Connection: upgrade\r\nUpgrade:", false),
      ("Connection: upgrade\r\nUpgrade: h2c", false),
      ("Connection: upgrade\r\nUpgrade: websocket, H2C", false),
      ("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: HTTP/2.0", false),
      ("Connection: upgrade\r\nUpgrade: TLS/1.3", false),
      ("Connection: upgrade\r\nUpgrade: web socket", false),
      ("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1", false),
    ]
  )
  func upgrades(fields: String, wants: Bool) throws {
    let head = try parsed("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n").head
    #expect(head.wantsUpgrade == wants)
    for line in head.fields where line.name == .upgrade { #expect(line.isHopByHop) }
  }

  @Test("waits for 100 (Continue) only where content follows")
  func expectations() throws {
    let start = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
    #expect(try parsed(start + "Content-Length: 1\r\n\r\n").head.expectsContinue)
    #expect(try !parsed(start + "Content-Length: 0\r\n\r\n").head.expectsContinue)
    #expect(try !parsed(start + "\r\n").head.expectsContinue)
  }

  @Test("leaves nothing of a request in a head that is made empty")
  func reset() throws {
    var head = try parsed(
      "PUT http://a/b?c HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nTE: trailers\r\n"
        + "Connection: close\r\n\r\n"
    ).head
    #expect(head != RequestHead())
    head.reset()
    #expect(head == RequestHead())
    head = try parsed(
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ).head
    head.expectsContinue = true
    head.reset()
    #expect(head == RequestHead())
  }

  @Test("lets a request without Host pass in HTTP/1.0 alone")
  func hostless() throws {
    let head = try parsed("GET / HTTP/1.0\r\n\r\n").head
    #expect(head.authority.isEmpty)
    #expect(throws: MessageError(.missingHost)) { try parsed("GET / HTTP/1.1\r\n\r\n") }
  }
}
