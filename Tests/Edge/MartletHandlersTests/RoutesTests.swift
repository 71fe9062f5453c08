import JSON
import MartletHandlers
import Testing

/// Brings a request and keeps what is answered.
private final class Recorder: RequestCarrier {
  var pieces: [[UInt8]] = []
  private(set) var head: AnswerHead?
  private(set) var body: [UInt8] = []
  private(set) var isOver = false

  func receive() async throws(HandlerFault) -> [UInt8]? {
    pieces.isEmpty ? nil : pieces.removeFirst()
  }
  func send(_ head: AnswerHead, _ body: [UInt8]) async throws(HandlerFault) {
    (self.head, self.body, isOver) = (head, body, true)
  }
  func begin(_ head: AnswerHead) async throws(HandlerFault) { self.head = head }
  func send(piece: [UInt8], isLast: Bool) async throws(HandlerFault) {
    body += piece
    isOver = isLast
  }
  func upgrade(_ fields: [(name: String, value: String)]) async throws(HandlerFault) {
    head = AnswerHead(status: 101, fields: fields, length: nil)
  }
  func read() async throws(HandlerFault) -> [UInt8]? { try await receive() ?? [] }
  func write(_ bytes: [UInt8]) async throws(HandlerFault) { body += bytes }

  var text: String { String(decoding: body, as: UTF8.self) }

  /// What a handler answers to a request.
  func ask(_ handler: some Handler, _ method: String, _ path: String) async throws -> UInt16? {
    var facts = Request.Facts()
    (facts.method, facts.rawPath) = (method, path)
    try await handler.handle(Request(facts, of: self), Response(to: self))
    return head?.status
  }
}

@Suite("Handlers")
struct RoutesTests {
  private let routes = Routes {
    $0.get("/") { _, response in try await response.send("root") }
    $0.get("/hello/:name") { request, response in
      try await response.send("Hello, \(request.parameters["name"] ?? "")")
    }
    $0.post("/hello/:name") { request, response in
      let value = try await request.json()
      try await response.send(json: .object(["got": value]))
    }
    $0.get("/files/*path") { request, response in
      for part in (request.parameters["path"] ?? "").split(separator: "/") {
        try await response.write("<\(part)>")
      }
      try await response.end()
    }
  }

  @Test(
    "the first pattern that fits is taken",
    arguments: [
      ("/", "root"), ("/hello/a%20b%2Fc+", "Hello, a b/c+"), ("/files/a/b", "<a><b>"),
    ]
  )
  func fits(path: String, text: String) async throws {
    let carrier = Recorder()
    #expect(try await carrier.ask(routes, "GET", path) == 200)
    #expect(carrier.text == text)
    #expect(carrier.isOver)
  }

  @Test("what fits nothing is refused", arguments: ["/hello", "/hello/", "/hello/a/b", "/x", "//"])
  func missing(path: String) async throws {
    let carrier = Recorder()
    do {
      _ = try await carrier.ask(routes, "GET", path)
      Issue.record("\(path) was answered")
    } catch let refusal as Refusal {
      #expect(refusal.status == 404)
    }
  }

  @Test("a path with other methods alone says which")
  func methods() async throws {
    let carrier = Recorder()
    #expect(try await carrier.ask(routes, "PUT", "/hello/a") == 405)
    #expect(carrier.head?.fields.first { $0.name == "Allow" }?.value == "GET, POST, HEAD")
    #expect(try await Recorder().ask(routes, "HEAD", "/hello/a") == 200)
  }

  @Test("a body is read as JSON, or refused")
  func json() async throws {
    let carrier = Recorder()
    carrier.pieces = [Array("{\"a\"".utf8), Array(":1}".utf8)]
    #expect(try await carrier.ask(routes, "POST", "/hello/x") == 200)
    #expect(carrier.text == "{\"got\":{\"a\":1}}")
    carrier.pieces = [Array("{".utf8)]
    do {
      _ = try await carrier.ask(routes, "POST", "/hello/x")
      Issue.record("half of an object was read")
    } catch let refusal as Refusal {
      #expect(refusal.status == 400)
    }
  }

  @Test(
    "fields that would break the answer are refused",
    arguments: [("a b", "x"), ("x", "a\r\nb: c"), ("Content-Length", "3"), ("", "x")]
  )
  func fields(name: String, value: String) async throws {
    let carrier = Recorder()
    let response = Response(to: carrier)
    response.set(name, value)
    do throws(HandlerFault) {
      try await response.send("x")
      Issue.record("\(name) was sent")
    } catch {
      #expect(carrier.head == nil)
    }
  }

  @Test("texts of forms have escapes for what is none of their letters")
  func forms() {
    #expect(FormText.encoded("a b&c=ü") == "a%20b%26c%3D%C3%BC")
    #expect(FormText.decoded("a+b%26c%3D%C3%BC%") == "a b&c=ü%")
    var facts = Request.Facts()
    facts.query = "a=1&b+c=%32&d"
    let request = Request(facts, of: Recorder())
    #expect(request.query("b c") == "2")
    #expect(request.query("d") == "")
    #expect(request.query("e") == nil)
  }
}
