import GatewayProtocols
import Testing

@Suite("Requests to gateways")
struct GatewayRequestTests {
  private func pass(_ name: String, _ value: String = "v") -> String? {
    var request = GatewayRequest(.scgi)
    guard request.add(field: Array(name.utf8).span, Array(value.utf8).span) else { return nil }
    let bytes = request.encoded(contentLength: 0, keepsConnection: false)
    let text = String(decoding: bytes, as: UTF8.self)
    return text.split(separator: "\0").dropFirst(4).first.map(String.init)
  }

  @Test(
    "name variables after fields",
    arguments: [("Accept-Encoding", "HTTP_ACCEPT_ENCODING"), ("x-9z", "HTTP_X_9Z")]
  )
  func names(field: String, variable: String) {
    #expect(pass(field) == variable)
  }

  @Test(
    "leave out fields that could be taken for others, or for what they must not be",
    arguments: [
      "Proxy", "PROXY", "X_Real_IP", "a.b", "a!b", "a'b", "a~", String(repeating: "a", count: 257),
    ]
  )
  func omits(field: String) {
    #expect(pass(field) == nil)
  }

  @Test("are a netstring in SCGI, with the length first")
  func scgi() {
    var request = GatewayRequest(.scgi)
    request.add("REQUEST_METHOD", "POST")
    request.add("REQUEST_URI", "/deepthought")
    // The example of the specification.
    let bytes = request.encoded(contentLength: 27, keepsConnection: false)
    let text =
      "70:CONTENT_LENGTH\0" + "27\0SCGI\0" + "1\0REQUEST_METHOD\0POST\0REQUEST_URI\0/deepthought\0,"
    #expect(String(decoding: bytes, as: UTF8.self) == text)
  }

  @Test("have lengths of two bytes in uwsgi, the lower one first")
  func uwsgi() {
    var request = GatewayRequest(.uwsgi)
    request.add("AB", [UInt8](repeating: 120, count: 260))
    let bytes = request.encoded(contentLength: 0, keepsConnection: false)
    #expect(bytes.prefix(10) == [0, 10, 1, 0, 2, 0, 65, 66, 4, 1])
    #expect(bytes.count == 4 + 266)
  }

  @Test("carry as many variables as the protocol can, and tell of more", arguments: [0, 1])
  func limit(more: Int) {
    var request = GatewayRequest(.uwsgi)
    request.add("A", [UInt8](repeating: 120, count: GatewayRequest.byteLimit - 5 + more))
    #expect(request.fits == (more == 0))
  }

  @Test("join the lines of a field")
  func lines() {
    var request = GatewayRequest(.scgi)
    let head = Array("a=1;b=2".utf8)
    request.add(field: Array("Cookie".utf8).span, in: head.span, [0..<3, 4..<7], separator: "; ")
    let text = String(
      decoding: request.encoded(contentLength: 0, keepsConnection: false),
      as: UTF8.self
    )
    #expect(text.contains("HTTP_COOKIE\0a=1; b=2\0"))
  }
}

@Suite("Paths of scripts")
struct ScriptPathTests {
  private func split(_ path: String) throws -> [String] {
    let found = try ScriptPath(
      Array(path.utf8).span,
      endings: [Array(".php".utf8)],
      index: Array("index.php".utf8)
    )
    return [found.script, found.rest].map { String(decoding: $0, as: UTF8.self) }
  }

  @Test(
    "have the script first, and what is left for it",
    arguments: [
      ("/index.php", "/index.php", ""), ("/a/b.php/c/d", "/a/b.php", "/c/d"),
      ("/", "/index.php", ""), ("/a/", "/a/index.php", ""),
      ("/a.php/", "/a.php", "/"), ("/a.php/b.php", "/a.php", "/b.php"),
      ("/a%2ephp/%20", "/a.php", "/ "), ("/x.phpx/y.php", "/x.phpx/y.php", ""),
      // Never the picture.
      ("/a.jpg/x.php", "/a.jpg/x.php", ""), ("/a.jpg%20.php", "/a.jpg .php", ""),
      ("/.php/a.php", "/.php/a.php", ""),
    ]
  )
  func splits(path: String, script: String, rest: String) throws {
    #expect(try split(path) == [script, rest])
  }

  @Test("name no script", arguments: ["/a", "/a.PHP", "/.php", "/a.phtml", "/a.php5"])
  func none(path: String) {
    #expect(throws: ScriptPath.Problem.noScript) { try split(path) }
  }

  @Test(
    "are refused where another reader sees other segments",
    arguments: [
      "", "a.php", "/a%2Fb.php", "/a%2fb.php", "/a.php%00.jpg", "/a\0.php", "/../a.php",
      "/a/./b.php",
      "/%2e%2e/a.php", "/a.php/..", "/a%2", "/a%zz.php",
    ]
  )
  func refuses(path: String) {
    #expect(throws: ScriptPath.Problem.ambiguous) { try split(path) }
  }

  @Test("tell copies of scripts from other files")
  func copies() {
    func isLike(_ name: String) -> Bool {
      ScriptPath.isLikeScript(Array(name.utf8).span, endings: [Array(".php".utf8)])
    }
    #expect(["/a.php", "/a.php~", "/a.PhP.bak", "/x.php5"].allSatisfy(isLike))
    #expect(!["/a.css", "/php", "/.ph"].contains(where: isLike))
  }
}
