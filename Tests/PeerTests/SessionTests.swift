import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Sessions at the edge, for applications behind it.
  @Suite("Sessions of applications", .timeLimit(.minutes(5 * slowness))) struct SessionTests {
    /// A member that remembers what it is told to, and tells what it was told.
    private static let shop = """
      import sys
      from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
      class Shop(BaseHTTPRequestHandler):
          protocol_version = "HTTP/1.1"
          def do_GET(self):
              names = ("Martlet-Session", "Martlet-Session-User", "Martlet-Session-Values")
              text = "".join("%s=%s\\n" % (n, self.headers.get(n)) for n in names)
              body = text.encode()
              self.send_response(200)
              path = self.path.split("?")[0]
              if path == "/login": self.send_header("Martlet-Session-User", "alice%20b")
              if path == "/cart": self.send_header("Martlet-Session-Values", "cart=3&theme=d%26k")
              if path == "/clear": self.send_header("Martlet-Session-Values", "cart=")
              if path == "/logout": self.send_header("Martlet-Session-End", "1")
              if path == "/much": self.send_header("Martlet-Session-Values", "a=" + "x" * 5000)
              self.send_header("Content-Length", str(len(body)))
              self.end_headers()
              self.wfile.write(body)
          def log_message(self, *words): pass
      ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
      """

    /// A client with the cookies that it was given.
    private final class Browser {
      let endpoint: Endpoint
      var cookies: [String: String] = [:]
      private(set) var lastLine: String?

      init(at endpoint: Endpoint) { self.endpoint = endpoint }

      @discardableResult func ask(_ path: String, _ fields: String = "") throws -> Answer {
        let wire = try Wire(to: endpoint)
        let cookie = cookies.map { "\($0.key)=\($0.value)" }.joined(separator: "; ")
        try wire.send(
          text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)"
            + (cookie.isEmpty ? "\r\n" : "Cookie: \(cookie)\r\n\r\n")
        )
        let answer = try wire.receiveAnswer()
        lastLine = answer.fields["set-cookie"]
        if let pair = lastLine?.split(separator: ";").first?.split(
          separator: "=",
          maxSplits: 1,
          omittingEmptySubsequences: false
        ) {
          cookies[String(pair[0])] = pair[1].isEmpty ? nil : String(pair[1])
        }
        return answer
      }
    }

    private func start(
      _ rig: Rig,
      _ settings: String = "",
      member: Peer? = nil
    ) throws -> (edge: Peer, member: Peer) {
      let member = try member ?? rig.python(Self.shop)
      let edge = try rig.martlet(
        configuration: """
          sessions shop {
              \(settings)
          }
          server {
              listen LISTEN
              access_log stdout json
              route /open { proxy \(member.endpoint.description) }
              route / {
                  proxy \(member.endpoint.description)
                  sessions shop
              }
          }
          """
      )
      return (edge, member)
    }

    /// What becomes of a client from its first request to its last, whoever keeps its session.
    private func story(_ browser: Browser) throws {
      let first = try browser.ask("/")
      #expect(browser.lastLine == nil)
      #expect(first.text.contains("Martlet-Session-User=None"))
      let cart = try browser.ask("/cart")
      #expect(cart.fields["martlet-session-values"] == nil)
      let line = try #require(browser.lastLine)
      #expect(line.hasSuffix("; Path=/; HttpOnly; SameSite=Lax"))
      let old = try #require(browser.cookies["session"])
      let seen = try browser.ask("/")
      #expect(seen.text.contains("Martlet-Session-Values=cart=3&theme=d%26k"))
      #expect(browser.lastLine == nil)
      try browser.ask("/login")
      #expect(browser.cookies["session"] != old)
      let known = try browser.ask("/").text
      #expect(known.contains("Martlet-Session-User=alice%20b"))
      #expect(known.split(separator: "\n").first == seen.text.split(separator: "\n").first)
      let thief = Browser(at: browser.endpoint)
      thief.cookies["session"] = old
      #expect(try thief.ask("/").text.contains("Martlet-Session-User=None"))
      #expect(thief.lastLine?.hasPrefix("session=; Path=/; Max-Age=0") == true)
      try browser.ask("/clear")
      #expect(try browser.ask("/").text.contains("Martlet-Session-Values=theme=d%26k"))
      let last = browser.cookies["session"]
      try browser.ask("/logout")
      #expect(browser.cookies["session"] == nil)
      browser.cookies["session"] = last
      #expect(try browser.ask("/").text.contains("Martlet-Session-User=None"))
    }

    @Test("in memory: a client is remembered, signs in, and is forgotten")
    func memory() async throws {
      try await Rig.run { rig in
        let browser = Browser(at: try start(rig).edge.endpoint)
        try story(browser)
        try browser.ask("/login")
        // Another number for who has signed in is no other session.
        for path in ["metrics", "status"] {
          let told = try rig.curl("--unix-socket", rig.path("state/admin.sock"), "http://a/\(path)")
          let one = path == "status" ? "\"name\":\"shop\",\"kept\":1," : "{sessions=\"shop\"} 1"
          #expect(told.text.filter { $0 != " " }.contains(one.filter { $0 != " " }), "\(path)")
        }
      }
    }

    @Test("in files: the same, and sessions outlive the edge")
    func files() async throws {
      try await Rig.run { rig in
        let settings = "files \(rig.path("sessions"))\nkeys \"a secret of the tests\""
        let (edge, member) = try start(rig, settings)
        let browser = Browser(at: edge.endpoint)
        try story(browser)
        try browser.ask("/login")
        edge.signal(SIGTERM)
        _ = try edge.status()
        let again = Browser(at: try start(rig, settings, member: member).edge.endpoint)
        again.cookies = browser.cookies
        #expect(try again.ask("/").text.contains("Martlet-Session-User=alice%20b"))
      }
    }

    @Test(
      "in Redis: the same, sessions outlive the edge, with a password; without it the answer is 503"
    )
    func redis() async throws {
      try await Rig.run { rig in
        let endpoint = try rig.freePort()
        guard case .port(let port) = endpoint else { throw PeerError("no port") }
        let redis = try rig.start(
          [
            "redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--save", "",
            "--requirepass", "opensesame",
          ],
          at: endpoint
        )
        let settings =
          "redis 127.0.0.1:\(port) database 3 password opensesame\nkeys \"a secret of the tests\""
        let (edge, member) = try start(rig, settings)
        let browser = Browser(at: edge.endpoint)
        try story(browser)
        try browser.ask("/login")
        edge.signal(SIGTERM)
        _ = try edge.status()
        let second = try start(rig, settings, member: member).edge
        let other = Browser(at: second.endpoint)
        other.cookies = browser.cookies
        #expect(try other.ask("/").text.contains("Martlet-Session-User=alice%20b"))
        func cli(_ words: String...) throws -> [String] {
          try rig.outcome(
            of: ["redis-cli", "--no-auth-warning", "-a", "opensesame", "-p", "\(port)", "-n", "3"]
              + words
          ).lines
        }
        let key = try #require(try cli("keys", "martlet:session:*").first)
        let seconds = try #require(Int(try cli("ttl", key).first ?? ""))
        #expect((1700...1800).contains(seconds))
        redis.end()
        _ = try redis.status()
        #expect(try other.ask("/").status == 503)
        try second.line(with: "\"end\":\"session_failed\"")
        #expect(try Browser(at: second.endpoint).ask("/").status == 200)
      }
    }

    @Test("nobody but the edge says whose session it is, on any route")
    func forged() async throws {
      try await Rig.run { rig in
        let (edge, _) = try start(rig)
        let browser = Browser(at: edge.endpoint)
        let fields =
          "Martlet-Session: 1\r\nMartlet-Session-User: root\r\nMartlet-Session-Values: a=b\r\n"
        for path in ["/", "/open/"] {
          let text = try browser.ask(path, fields).text
          #expect(text.contains("Martlet-Session-User=None"))
          #expect(text.contains("Martlet-Session-Values=None"))
        }
        #expect(try !browser.ask("/", fields).text.contains("Martlet-Session=1\n"))
        browser.cookies["session"] = "AAAA"
        #expect(try browser.ask("/").text.contains("Martlet-Session-User=None"))
      }
    }

    @Test("what is too much to remember is refused, and said")
    func bounded() async throws {
      try await Rig.run { rig in
        let (edge, _) = try start(rig)
        let browser = Browser(at: edge.endpoint)
        #expect(try browser.ask("/much").status == 500)
        try edge.line(with: "a session would remember too much")
      }
    }

    @Test("an application in Python has them as fields of its environment")
    func application() async throws {
      try await Rig.run { rig in
        try rig.write(
          """
          def app(environ, start_response):
              user = environ.get("HTTP_MARTLET_SESSION_USER", "nobody")
              fields = [("Content-Type", "text/plain")]
              if environ["PATH_INFO"] == "/login":
                  fields.append(("Martlet-Session-User", "bob"))
              start_response("200 OK", fields)
              return [user.encode()]
          """,
          to: "site/shop.py"
        )
        let edge = try rig.martlet(
          configuration: """
            sessions shop { cookie __Secure-shop secure same_site strict persistent }
            server {
                listen LISTEN
                route / {
                    app shop
                    sessions shop
                }
            }
            app shop { wsgi shop:app
              folder \(rig.path("site")) }
            """
        )
        let browser = Browser(at: edge.endpoint)
        #expect(try browser.ask("/").text == "nobody")
        try browser.ask("/login")
        let line = try #require(browser.lastLine)
        #expect(line.hasSuffix("; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict"))
        #expect(try browser.ask("/").text == "bob")
      }
    }
  }
}
