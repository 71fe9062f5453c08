import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What applications of FastCGI are asked for, together with what else a route does.
  @Suite("Gateways combined", .timeLimit(.minutes(5 * slowness))) struct GatewayCombinationTests {
    private static let right = "X-Password: right\r\n"
    private static let page = String(repeating: "p { color: red } ", count: 2000)

    private func ask(
      _ wire: Wire,
      _ target: String,
      _ fields: String = "",
      method: String = "GET"
    ) throws -> Answer {
      try wire.send(text: "\(method) \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
      return try wire.receiveAnswer(isToHead: method == "HEAD")
    }

    /// What curl makes of an answer over HTTP/2: fields, and the content without its coding.
    private func fetch(_ rig: Rig, _ words: [String]) throws -> String {
      let options = ["--http2-prior-knowledge", "--compressed", "-sS", "-i"]
      return try rig.outcome(of: ["curl"] + options + words).lines.joined(separator: "\n")
    }

    // MARK: Authorizers

    private func guarded(_ rig: Rig, _ routes: String) throws -> Peer {
      try AuthorizerTests.php(rig)
      return try rig.martlet(
        configuration: """
          loops 1
          cache main
          server {
            listen LISTEN
            body_limit 20MB
            \(routes)
          }
          """
      )
    }

    /// A member that takes an upgrade, and gives so many bytes back in the other order.
    private func reverser(
      _ rig: Rig,
      of count: Int,
      saying early: String = ""
    ) throws -> ScriptedMember {
      try rig.member { wire in
        guard let request = try wire.receiveRequestHead() else { return }
        let user = request.fields["remote-user"] ?? "-"
        try wire.send(
          text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Accept: x\r\nX-User: \(user)\r\n\r\n\(early)"
        )
        try wire.send(try wire.receive(exactly: count).reversed())
        wire.finishSending()
        try wire.receiveEnd()
      }
    }

    @Test("an upgrade passes only when it may, and whoever may not can ask again")
    func webSocket() async throws {
      try await Rig.run { rig in
        let member = try reverser(rig, of: 9, saying: "early")
        let martlet = try guarded(
          rig,
          "route / {\n\(AuthorizerTests.authorize(rig))\nproxy \(member.endpoint)\n}"
        )
        let wire = try Wire(to: martlet.endpoint)
        let upgrade =
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
          + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        for _ in 0..<2 {
          let refused = try ask(wire, "/chat", upgrade)
          #expect(refused.status == 401 && refused.text == "who are you?")
        }
        #expect(member.connectionCount == 0)
        try wire.send(
          text: "GET /chat HTTP/1.1\r\nHost: a\r\n\(upgrade)\(Self.right)\r\nabcd"
        )
        let passed = try wire.receiveAnswer()
        #expect(passed.status == 101 && passed.fields["x-user"] == "joe")
        #expect(try wire.receive(exactly: 5) == Array("early".utf8))
        try wire.send(text: "efghi")
        #expect(try wire.receive(exactly: 9) == Array("ihgfedcba".utf8))
      }
    }

    @Test("an upgrade over HTTP/2 passes only when it may")
    func webSocketOfHTTP2() async throws {
      try await Rig.run { rig in
        let member = try reverser(rig, of: 4)
        let martlet = try guarded(
          rig,
          "route / {\n\(AuthorizerTests.authorize(rig))\nproxy \(member.endpoint)\n}"
        )
        let stranger = try Wire(to: martlet.endpoint)
        try stranger.send(HTTP2Tests.webSocket())
        // What it is refused with is content of its stream; of the fields `www-authenticate` is coded.
        #expect(try stranger.receive(through: "who are you?").count > 12)
        #expect(member.connectionCount == 0)
        let friend = try Wire(to: martlet.endpoint)
        try friend.send(HTTP2Tests.webSocket(with: [("x-password", "right")]))
        #expect(try friend.receive(through: "gnip").suffix(4) == Array("gnip".utf8))
      }
    }

    @Test("what passes is compressed, and so that it can be read is what does not")
    func compressed() async throws {
      try await Rig.run { rig in
        try rig.write(Self.page, to: "files/a.css")
        let martlet = try guarded(
          rig,
          """
          compress br gzip
          route / {
            \(AuthorizerTests.authorize(rig))
            files \(rig.path("files"))
          }
          """
        )
        let wire = try Wire(to: martlet.endpoint)
        let coded = try ask(wire, "/a.css", Self.right + "Accept-Encoding: gzip\r\n")
        #expect(coded.status == 200 && coded.fields["content-encoding"] == "gzip")
        #expect(coded.body.count < 2000)
        let tag = try #require(coded.fields["etag"])
        let again = "Accept-Encoding: gzip\r\nIf-None-Match: \(tag)\r\n"
        #expect(try ask(wire, "/a.css", Self.right + again).status == 304)
        #expect(try ask(wire, "/a.css", again).status == 401)
        let head = try ask(
          wire,
          "/a.css",
          Self.right + "Accept-Encoding: gzip\r\n",
          method: "HEAD"
        )
        #expect(head.status == 200 && head.body.isEmpty)
        #expect(try ask(wire, "/a.css", "", method: "HEAD").status == 401)
        let plain = try ask(wire, "/a.css", Self.right)
        #expect(plain.text == Self.page && plain.fields["content-encoding"] == nil)
        let url = martlet.endpoint.url("/a.css")
        #expect(try fetch(rig, ["-H", "X-Password: right", url]).hasSuffix(Self.page))
        #expect(try fetch(rig, [url]).hasSuffix("who are you?"))
      }
    }

    @Test("what a cache keeps is for those who may have it", arguments: ["", "compress gzip"])
    func cached(compress: String) async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let page = Self.page
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            count.withLock { $0 += 1 }
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/css\r\n"
                + "ETag: \"a\"\r\nContent-Length: \(page.utf8.count)\r\n\r\n\(page)"
            )
          }
        }
        let martlet = try guarded(
          rig,
          """
          \(compress)
          route / {
            \(AuthorizerTests.authorize(rig, passing: ""))
            cache main
            proxy \(member.endpoint)
          }
          """
        )
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "/").status == 401)
        for _ in 0..<3 { #expect(try ask(wire, "/", Self.right).text == page) }
        for fields in [
          "", "If-None-Match: \"a\"\r\n", "Range: bytes=0-3\r\n", "Accept-Encoding: gzip\r\n",
          "Cache-Control: only-if-cached\r\n", "X-Password: wrong\r\n",
        ] {
          for method in ["GET", "HEAD"] {
            #expect(try ask(wire, "/", fields, method: method).status == 401, "\(fields)")
          }
        }
        #expect(try ask(wire, "/", Self.right + "If-None-Match: \"a\"\r\n").status == 304)
        let part = try ask(wire, "/", Self.right + "Range: bytes=0-3\r\n")
        #expect(part.status == 206 && part.text == "p { ")
        #expect(try ask(wire, "/", Self.right, method: "HEAD").status == 200)
        let words = ["-H", "Host: a", martlet.endpoint.url("/")]
        #expect(try fetch(rig, ["-H", "X-Password: right"] + words).hasSuffix(page))
        #expect(try fetch(rig, words).hasSuffix("who are you?"))
        #expect(count.withLock { $0 } == 1)
      }
    }

    @Test("content of HTTP/2 reaches whoever answers when it may, and nobody when it may not")
    func bodies() async throws {
      try await Rig.run { rig in
        let seen = Guarded<[Int]>([])
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            seen.withLock { $0.append(request.body.count) }
            let text = "\(request.fields["remote-user"] ?? "-") \(request.body.count)"
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
            )
          }
        }
        let martlet = try guarded(
          rig,
          "route / {\n\(AuthorizerTests.authorize(rig))\nproxy \(member.endpoint)\n}"
        )
        let file = try rig.write([UInt8](repeating: 65, count: 3_000_000), to: "body")
        let url = martlet.endpoint.url("/")
        // As many at once as php-fpm has processes, over one connection that goes on where content was left behind.
        for (fields, status) in [([], "401"), (["-H", "x-password: right"], "200")] {
          let words = ["nghttp", "-v", "-n", "-m", "4", "-d", file] + fields + [url]
          let lines = try rig.outcome(of: words).lines
          #expect(lines.count { $0.contains(":status: \(status)") } == 4)
          #expect(!lines.contains { $0.contains("recv GOAWAY") })
        }
        #expect(seen.withLock { $0 } == [Int](repeating: 3_000_000, count: 4))
        let text = try rig.curl(
          "--http2-prior-knowledge",
          "-H",
          "X-Password: right",
          "-d",
          "abc",
          url
        )
        #expect(text.text == "joe 3")
      }
    }

    @Test("a client that waits to be told so sends nothing that does not pass")
    func expects() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            let text = request.body.count.description
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
            )
          }
        }
        let martlet = try guarded(
          rig,
          "route / {\n\(AuthorizerTests.authorize(rig))\nproxy \(member.endpoint)\n}"
        )
        let fields = "Expect: 100-continue\r\nContent-Length: 5\r\n"
        let refused = try Wire(to: martlet.endpoint)
        let answer = try ask(refused, "/", fields, method: "POST")
        #expect(answer.status == 401 && answer.interim.isEmpty)
        let passes = try Wire(to: martlet.endpoint)
        try passes.send(text: "POST / HTTP/1.1\r\nHost: a\r\n\(fields)\(Self.right)\r\n")
        #expect(try passes.receive(through: "\r\n\r\n").starts(with: Array("HTTP/1.1 100".utf8)))
        try passes.send(text: "abcde")
        #expect(try passes.receiveAnswer().text == "5")
      }
    }

    // MARK: Files in the place of answers

    @Test("a file that is named is compressed, and ranges and conditions are those of the file")
    func sentFile() async throws {
      try await Rig.run { rig in
        try rig.write(Self.page, to: "private/a.css")
        let root = rig.path("private")
        let martlet = try DiversionTests.php(
          rig,
          "compress gzip\nsend_file X-Accel-Redirect \(root) prefix /private"
        )
        let target = "/?X-Accel-Redirect=/private/a.css&Set-Cookie=a=b"
        let wire = try Wire(to: martlet.endpoint)
        let gzip = "Accept-Encoding: gzip\r\n"
        let coded = try ask(wire, target, gzip)
        #expect(coded.status == 200 && coded.fields["content-encoding"] == "gzip")
        #expect(coded.body.count < 2000 && coded.fields["set-cookie"] == "a=b")
        #expect(coded.fields["vary"]?.lowercased().contains("accept-encoding") == true)
        let tag = try #require(coded.fields["etag"])
        let same = try ask(wire, target, gzip + "If-None-Match: \(tag)\r\n")
        #expect(same.status == 304 && same.body.isEmpty)
        let head = try ask(wire, target, gzip, method: "HEAD")
        #expect(head.status == 200 && head.fields["etag"] == tag)
        let plain = try ask(wire, target)
        #expect(plain.text == Self.page && plain.fields["content-encoding"] == nil)
        let part = try ask(wire, target, gzip + "Range: bytes=2-6\r\n")
        #expect(part.status == 206 && part.text == "{ col")
        #expect(part.fields["content-encoding"] == nil && part.fields["set-cookie"] == "a=b")
        let beyond = try ask(wire, target, "Range: bytes=99999-\r\n")
        #expect(beyond.status == 416)
        let date = try #require(plain.fields["last-modified"])
        #expect(try ask(wire, target, "If-Modified-Since: \(date)\r\n").status == 304)
        let none = "/?X-Accel-Redirect=/private/none.css"
        #expect(try ask(wire, none, gzip, method: "HEAD").status == 404)
        #expect(try ask(wire, target).text == Self.page)
      }
    }

    @Test("a file that is named goes over HTTP/2, in parts as well, and to HEAD without content")
    func sentFileOfHTTP2() async throws {
      try await Rig.run { rig in
        try rig.write(Self.page, to: "private/a.css")
        let root = rig.path("private")
        let martlet = try DiversionTests.php(
          rig,
          "compress gzip\nsend_file X-Accel-Redirect \(root) prefix /private"
        )
        let url = martlet.endpoint.url("/?X-Accel-Redirect=/private/a.css")
        let whole = try fetch(rig, [url])
        #expect(whole.contains("content-encoding: gzip") && whole.hasSuffix(Self.page))
        #expect(!whole.lowercased().contains("x-accel-redirect"))
        let part = try fetch(rig, ["-r", "2-6", url])
        #expect(part.hasPrefix("HTTP/2 206") && part.hasSuffix("{ col"))
        let head = try fetch(rig, ["-I", url])
        #expect(head.hasPrefix("HTTP/2 200") && !head.contains("color"))
        let post = try fetch(rig, ["-d", String(repeating: "x", count: 100_000), url])
        #expect(post.hasPrefix("HTTP/2 200") && post.hasSuffix(Self.page))
        let tag = whole.split(whereSeparator: \.isNewline).first { $0.hasPrefix("etag: ") }?
          .dropFirst(6)
        let field =
          "If-None-Match: \(String(tag ?? "").trimmingCharacters(in: .whitespacesAndNewlines))"
        #expect(try fetch(rig, ["-H", field, url]).hasPrefix("HTTP/2 304"))
      }
    }

    // MARK: Filters

    @Test("a filter answers HEAD without content, and goes on; over HTTP/2 too")
    func filtered() async throws {
      try await Rig.run { rig in
        let member = try rig.python(FilterTests.program)
        try rig.write(Self.page, to: "files/page.html")
        let martlet = try rig.martlet(
          configuration: """
            loops 1
            server {
              listen LISTEN
              compress gzip { min_size 1B }
              route / {
                fastcgi \(member.endpoint) {
                  root \(rig.path("files"))
                  filter 1MB
                  keep_connections on
                }
              }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<3 {
          let head = try ask(wire, "/page.html", method: "HEAD")
          #expect(head.status == 200 && head.fields["content-type"] == "text/plain")
          let whole = try ask(wire, "/page.html")
          #expect(whole.text.hasPrefix("3\n[4, 5, 8]\n"))
        }
        #expect(try ask(wire, "/none", method: "HEAD").status == 404)
        let coded = try ask(wire, "/page.html", "Accept-Encoding: gzip\r\n")
        #expect(coded.fields["content-encoding"] == "gzip")
        let url = martlet.endpoint.url("/page.html")
        #expect(try fetch(rig, [url]).contains("\n3\n[4, 5, 8]\n"))
        let head = try fetch(rig, ["-I", url])
        #expect(head.hasPrefix("HTTP/2 200") && !head.contains("[4, 5, 8]"))
        let post = try fetch(rig, ["-d", String(repeating: "x", count: 100_000), url])
        #expect(post.contains("\n100000\n"))
      }
    }

    // MARK: Places

    @Test("a place that a script leads to asks its own authorizer, whoever was asked before")
    func guardedPlaces() async throws {
      try await Rig.run { rig in
        try AuthorizerTests.php(rig)
        try rig.write("secret", to: "www/secret")
        let martlet = try DiversionTests.scripts(
          rig,
          ["lead.sh": "echo 'Location: /guarded/secret'; echo"],
          server: """
            route /guarded/* {
              strip_prefix /guarded
              \(AuthorizerTests.authorize(rig))
              files \(rig.path("www"))
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<2 {
          #expect(try ask(wire, "/lead.sh").status == 401)
          #expect(try ask(wire, "/lead.sh", Self.right).text == "secret")
        }
        let url = martlet.endpoint.url("/lead.sh")
        #expect(try fetch(rig, [url]).hasSuffix("who are you?"))
        #expect(try fetch(rig, ["-H", "X-Password: right", url]).hasSuffix("secret"))
      }
    }

    @Test("a place that a script leads to is compressed as if it had been asked for")
    func places() async throws {
      try await Rig.run { rig in
        let martlet = try DiversionTests.scripts(
          rig,
          [
            "file.sh": "cat > /dev/null; echo 'Location: /style.css'; echo",
            "other.sh": "echo 'Location: /last.sh'; echo",
            "last.sh": "echo 'Content-Type: text/plain'; echo; echo \"last $HTTP_ACCEPT_ENCODING\"",
          ],
          server: "compress gzip { min_size 1B }"
        )
        let wire = try Wire(to: martlet.endpoint)
        let gzip = "Accept-Encoding: gzip\r\n"
        for _ in 0..<2 {
          let file = try ask(wire, "/file.sh", gzip)
          #expect(file.status == 200 && file.fields["content-encoding"] == "gzip")
          let tag = try #require(file.fields["etag"])
          #expect(try ask(wire, "/file.sh", gzip + "If-None-Match: \(tag)\r\n").status == 304)
          #expect(try ask(wire, "/file.sh").text == "p { color: red }")
          let part = try ask(wire, "/file.sh", gzip + "Range: bytes=0-2\r\n")
          #expect(part.status == 206 && part.text == "p {")
        }
        #expect(try ask(wire, "/other.sh").text == "last \n")
        let (file, other) = (martlet.endpoint.url("/file.sh"), martlet.endpoint.url("/other.sh"))
        #expect(try fetch(rig, [file]).hasSuffix("p { color: red }"))
        #expect(try fetch(rig, ["-I", file]).hasPrefix("HTTP/2 200"))
        #expect(try fetch(rig, [other]).contains("\nlast "))
        // Content is of the first request alone, and the connection goes on.
        let client = try HTTP2Client(to: martlet.endpoint)
        for _ in 0..<3 {
          let post = try client.open(
            "POST /file.sh HTTP/1.1\nHost: a\nContent-Length: 9000",
            isLast: false
          )
          try client.send(String(repeating: "x", count: 9000), on: post, isLast: true)
          try client.finish(post)
          #expect(client.bodies[post] == Array("p { color: red }".utf8))
          let get = try client.open("GET /other.sh HTTP/1.1\nHost: a")
          try client.finish(get)
          #expect(client.bodies[get] == Array("last \n".utf8))
        }
      }
    }
  }
}
