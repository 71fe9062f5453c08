import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications in Python behind what else a route says.
  @Suite("Applications in routes", .timeLimit(.minutes(5 * slowness))) struct ApplicationRouteTests
  {
    private static func start(
      _ rig: Rig,
      _ program: String,
      _ interface: String = "wsgi",
      outside: String = "",
      route: String
    ) throws -> Peer {
      let imports = "import os\nfrom wsgiref.validate import validator\n"
      try rig.write(imports + program, to: "site/shop.py")
      return try rig.martlet(
        outside: """
          app shop {
              \(interface) shop:app
              folder \(rig.path("site"))
          }
          \(outside)
          """,
        route: "app shop\n" + route
      )
    }

    @Test("are asked once for what is kept, and each client has it in the coding that it likes")
    func keptAndCompressed() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          count = 0

          @validator
          def app(environ, start_response):
              global count
              count += 1
              fields = [("Content-Type", "text/html"), ("Cache-Control", "max-age=60"), ("ETag", '"v"')]
              if environ["QUERY_STRING"]:
                  fields[1] = ("Cache-Control", "private")
              start_response("200 OK", fields)
              return [b"%d %d " % (os.getpid(), count), b"<p>hello</p>" * 1000]
          """,
          outside: "cache main {\nmemory 32MB\n}",
          route: "cache main\ncompress"
        )
        let wire = try Wire(to: martlet.endpoint)
        var texts: Set<String> = []
        for coding in ["gzip", "br", "zstd", "gzip"] {
          let answer = try wire.ask("/", "GET", "Accept-Encoding: \(coding)")
          #expect(answer.status == 200 && answer.fields["content-encoding"] == coding)
          let text = String(decoding: try Coding.plain(answer.body, coding), as: UTF8.self)
          #expect(text.hasSuffix("<p>hello</p>"))
          texts.insert(text)
        }
        let plain = try wire.ask("/")
        #expect(plain.fields["content-encoding"] == nil)
        texts.insert(plain.text)
        #expect(texts.count == 1, "the application was asked \(texts.count) times")
        let known = try wire.ask("/", "GET", "If-None-Match: \"v\"")
        #expect(known.status == 304 && known.body.isEmpty)
        // What is for one client is made for each, and compressed too.
        for _ in 0..<2 {
          let own = try wire.ask("/?me", "GET", "Accept-Encoding: br")
          #expect(own.fields["content-encoding"] == "br")
          texts.insert(String(decoding: try Coding.plain(own.body, "br"), as: UTF8.self))
        }
        #expect(texts.count == 3)
      }
    }

    @Test("open WebSockets for whom the authorizer lets pass, and are told who that is")
    func authorizedWebSocket() async throws {
      try await Rig.run { rig in
        try rig.write(
          """
          <?php
          if (($_SERVER['HTTP_X_PASSWORD'] ?? '') == 'right') { header('Variable-REMOTE_USER: joe'); }
          else { http_response_code(401); echo 'who are you?'; }
          """,
          to: "check.php"
        )
        _ = try rig.php(children: 2)
        let martlet = try Self.start(
          rig,
          """
          async def app(scope, receive, send):
              if scope["type"] != "websocket":
                  raise ValueError("not for this")
              print("asked by", dict(scope["headers"]).get(b"x-password"))
              await receive()
              await send({"type": "websocket.accept"})
              await send({"type": "websocket.send", "bytes": dict(scope["headers"])[b"remote-user"]})
              await receive()
          """,
          "asgi",
          route: """
            authorize unix:\(rig.path("php.sock")) {
              script \(rig.path("check.php"))
              pass REMOTE_USER
            }
            """
        )
        func open(_ password: String) throws -> Wire {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(
            text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              + "X-Password: \(password)\r\nRemote-User: root\r\n\r\n"
          )
          return wire
        }
        let refused = try open("wrong").receiveAnswer()
        #expect(refused.status == 401 && refused.text == "who are you?")
        let wire = try open("right")
        let head = String(decoding: try wire.receive(through: "\r\n\r\n"), as: UTF8.self)
        #expect(head.hasPrefix("HTTP/1.1 101 "), "\(head)")
        #expect(try wire.receive(exactly: 5) == [0x82, 3] + Array("joe".utf8))
        // It is the first that the application was asked.
        #expect(try martlet.line(with: "asked by").contains("right"))
      }
    }

    /// Answers with what a request says of itself.
    private static let mirror = """
      def words(get, query, path):
          return "%s %s %s %s %s" % (get("a"), get("cookie"), get("content-length"), query, path)

      @validator
      def plain(environ, start_response):
          def get(name):
              word = name.upper().replace("-", "_")
              return environ.get(word if word == "CONTENT_LENGTH" else "HTTP_" + word, "-")
          body = words(get, environ["QUERY_STRING"], environ["PATH_INFO"])
          environ["HTTP_A"] = environ["HTTP_COOKIE"] = "another's"
          start_response("200 OK", [("Content-Type", "text/plain")])
          return [body.encode()]

      async def events(scope, receive, send):
          fields = dict(scope["headers"])
          get = lambda name: fields.get(name.encode(), b"-").decode()
          body = words(get, scope["query_string"].decode(), scope["path"])
          scope["headers"].append((b"a", b"another's"))
          await send({"type": "http.response.start", "status": 200})
          await send({"type": "http.response.body", "body": body.encode()})

      """

    @Test("are told what each request says, whatever others said", arguments: ["wsgi", "asgi"])
    func ownFields(interface: String) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          Self.mirror + "app = " + (interface == "wsgi" ? "plain" : "events"),
          interface,
          route: ""
        )
        let wire = try Wire(to: martlet.endpoint)
        /// Asks as the client of a number, and says how often what it was told was right.
        func isRight(_ client: Int, _ number: Int) throws -> Bool {
          // One says more than a process keeps in mind.
          let cookie = String(repeating: "c", count: client == 7 ? 3000 : client % 3)
          let body = String(repeating: "b", count: number % 4)
          let fields = cookie.isEmpty ? "" : "Cookie: \(cookie)\r\n"
          let method = body.isEmpty ? "GET" : "POST"
          let length = body.isEmpty ? "" : "Content-Length: \(body.count)\r\n"
          try wire.send(
            text: "\(method) /p\(number)?q\(client) HTTP/1.1\r\nHost: a\r\nA: \(client)\r\n"
              + "\(fields)\(length)\r\n\(body)"
          )
          let words = [
            "\(client)", cookie.isEmpty ? "-" : cookie, body.isEmpty ? "-" : "\(body.count)",
            "q\(client)", "/p\(number)",
          ]
          return try wire.receiveAnswer().text == words.joined(separator: " ")
        }
        // More clients than a process keeps in mind, each several times.
        for number in 0..<900 {
          let client = number < 300 ? number % 10 : number % 300
          let answer = try isRight(client, number)
          #expect(answer, "request \(number) of client \(client)")
        }
      }
    }
  }
}
