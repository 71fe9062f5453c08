import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Answers of applications that name what answers in their place.
  @Suite("Diversions", .timeLimit(.minutes(5 * slowness))) struct DiversionTests {
    // MARK: Files

    /// Starts php-fpm with a script that names the file that it is asked for, and Martlet before it.
    static func php(_ rig: Rig, _ directive: String) throws -> Peer {
      try rig.write(
        """
        <?php
        foreach ($_GET as $name => $value) { header(strtr($name, '_', '-') . ': ' . $value); }
        if (isset($_GET['status'])) { http_response_code((int) $_GET['status']); }
        echo isset($_GET['long']) ? str_repeat('x', 300000) : 'the script';
        """,
        to: "www/index.php"
      )
      _ = try rig.php(children: 2, "php_admin_value[default_mimetype] =")
      return try rig.martlet(
        configuration: """
          loops 1
          server {
            listen LISTEN
            access_log stdout json
            route / {
              response header set X-Edge yes
              \(directive)
              fastcgi unix:\(rig.path("php.sock")) {
                root \(rig.path("www"))
                keep_connections on
              }
            }
          }
          """
      )
    }

    private func ask(
      _ wire: Wire,
      _ target: String,
      method: String = "GET",
      _ fields: String = ""
    ) throws -> Answer {
      try wire.send(text: "\(method) \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
      return try wire.receiveAnswer(isToHead: method == "HEAD")
    }

    private static let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }

    @Test(
      "a file that php names is sent as files are, with the fields of the script",
      arguments: ["", "&long=1"]
    )
    func sent(more: String) async throws {
      try await Rig.run { rig in
        try rig.write(Self.content, to: "private/a b/big.bin")
        let root = rig.path("private")
        let martlet = try Self.php(rig, "send_file X-Accel-Redirect \(root) prefix /private/")
        let wire = try Wire(to: martlet.endpoint)
        let target =
          "/?X-Accel-Redirect=/private/a%2520b/big.bin?x&Set-Cookie=a=b&ETag=none&Content-Type=image/x"
          + "&Content-Disposition=attachment\(more)"
        let whole = try ask(wire, target)
        #expect(whole.status == 200 && whole.body.elementsEqual(Self.content))
        #expect(whole.fields["content-type"] == "image/x")
        #expect(whole.fields["set-cookie"] == "a=b" && whole.fields["x-edge"] == "yes")
        #expect(whole.fields["content-disposition"] == "attachment")
        #expect(whole.fields["x-accel-redirect"] == nil)
        let tag = try #require(whole.fields["etag"])
        #expect(tag != "none")
        let part = try ask(wire, target, "Range: bytes=10-19\r\n")
        #expect(part.status == 206 && part.body.elementsEqual(Self.content[10..<20]))
        #expect(part.fields["content-range"] == "bytes 10-19/200000")
        let same = try ask(wire, target, "If-None-Match: \(tag)\r\n")
        #expect(same.status == 304 && same.body.isEmpty && same.fields["content-type"] == nil)
        let head = try ask(wire, target, method: "HEAD")
        #expect(head.status == 200 && head.fields["content-length"] == "200000")
        let post = try ask(wire, target, method: "POST", "Content-Length: 0\r\n")
        #expect(post.status == 200 && post.body.elementsEqual(Self.content))
        let several = try ask(wire, target, "Range: bytes=0-1,5-6\r\n")
        #expect(several.status == 206)
        #expect(several.fields["content-type"]?.hasPrefix("multipart/byteranges") == true)
        #expect(String(decoding: several.body, as: UTF8.self).contains("Content-Type: image/x"))
        let later = try Wire(to: martlet.endpoint)
        #expect(try ask(later, "/").body.elementsEqual("the script".utf8))
      }
    }

    @Test("the type of a file is its own where the script tells none")
    func type() async throws {
      try await Rig.run { rig in
        try rig.write("p { }", to: "private/a.css")
        let root = rig.path("private")
        let martlet = try Self.php(rig, "send_file X-Sendfile \(root) prefix \(root)")
        let answer = try ask(Wire(to: martlet.endpoint), "/?X-Sendfile=\(root)/a.css")
        #expect(answer.fields["content-type"]?.hasPrefix("text/css") == true)
        #expect(answer.body.elementsEqual("p { }".utf8) && answer.fields["x-sendfile"] == nil)
      }
    }

    @Test("what may not be named is 404, and clients never see the field")
    func refused() async throws {
      try await Rig.run { rig in
        try rig.write("secret", to: "other/secret")
        try rig.write("hidden", to: "private/.env")
        try rig.write("file", to: "private/folder/file")
        let root = rig.path("private")
        let martlet = try Self.php(rig, "send_file X-Accel-Redirect \(root) prefix /private")
        let wire = try Wire(to: martlet.endpoint)
        for value in [
          "/private/../other/secret", "/private/%252e%252e/other/secret", "/other/secret",
          "/private", "/private/", "/private/folder", "/private/folder/", "/private/.env",
          "/private/none", "/privateer/folder/file", "folder/file", "\(root)/folder/file", "",
          "/private/folder%252Ffile",
        ] {
          let answer = try ask(wire, "/?X-Accel-Redirect=\(value)")
          let text = String(decoding: answer.body, as: UTF8.self)
          #expect(answer.fields["x-accel-redirect"] == nil, "\(value)")
          for word in ["secret", "hidden", "file"] { #expect(!text.contains(word), "\(value)") }
          #expect([403, 404].contains(answer.status), "\(value)")
        }
        #expect(try martlet.line(with: "named_outside").contains("\"status\":404"))
        let other = try ask(wire, "/?X-Accel-Redirect=/private/folder/file&status=403")
        #expect(other.status == 403 && other.fields["x-accel-redirect"] == nil)
        #expect(other.body.elementsEqual("the script".utf8))
      }
    }

    @Test("without the directive the field is one like others")
    func unsaid() async throws {
      try await Rig.run { rig in
        try rig.write("file", to: "private/file")
        let martlet = try Self.php(rig, "")
        let answer = try ask(Wire(to: martlet.endpoint), "/?X-Accel-Redirect=/private/file")
        #expect(answer.fields["x-accel-redirect"] == "/private/file")
        #expect(answer.body.elementsEqual("the script".utf8))
      }
    }

    @Test("a member of HTTP names files too, and its connection is used again")
    func http() async throws {
      try await Rig.run { rig in
        try rig.write("the file", to: "private/file")
        let count = Guarded(0)
        let member = try rig.member { wire in
          count.withLock { $0 += 1 }
          while try wire.receiveRequest() != nil {
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nX-File: /file\r\nContent-Length: 4\r\n\r\nlong"
            )
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            loops 1
            server {
              listen LISTEN
              route / {
                proxy \(member.endpoint)
                send_file X-File \(rig.path("private"))
              }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<3 { #expect(try ask(wire, "/").body.elementsEqual("the file".utf8)) }
        #expect(count.withLock { $0 } == 1)
      }
    }

    // MARK: Places

    /// Starts Martlet before these scripts of CGI, with files and a fixed answer beside them.
    static func scripts(
      _ rig: Rig,
      _ scripts: [String: String],
      server directives: String = ""
    ) throws -> Peer {
      for (name, text) in scripts {
        let path = try rig.write("#!/bin/sh\n" + text, to: "cgi/" + name)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
      }
      try rig.write("p { color: red }", to: "www/style.css")
      let socket = rig.path("cgi.sock")
      _ = try rig.start(
        [Rig.martletPath, "cgi", "--listen", "unix:\(socket)", "--root", rig.path("cgi")],
        at: .unix(socket)
      )
      return try rig.martlet(
        configuration: """
          loops 1
          server {
            listen LISTEN
            access_log stdout json
            limit concurrency 1
            \(directives)
            route /style.css { files \(rig.path("www")) }
            route /fixed/* {
              respond 200 "{request.method} {request.target}"
            }
            route / {
              fastcgi unix:\(socket) {
                root \(rig.path("cgi"))
                endings .sh
                keep_connections on
              }
            }
          }
          """
      )
    }

    @Test("a script leads to another place of this host, which answers as if it had been asked for")
    func places() async throws {
      try await Rig.run { rig in
        let martlet = try Self.scripts(
          rig,
          [
            "file.sh": "echo 'Location: /style.css'; echo",
            "fixed.sh": "cat > /dev/null; echo 'Location: /fixed/a?b=c'; echo",
            "other.sh": "echo 'Location: /last.sh/rest?q=1'; echo",
            "last.sh":
              "echo 'A: b'; echo; echo \"$REQUEST_METHOD $PATH_INFO $QUERY_STRING $HTTP_X_A|$(cat)\"",
            "client.sh": "echo 'Location: /style.css'; echo 'Set-Cookie: a=b'; echo",
            "body.sh": "echo 'Location: /style.css'; echo; echo 'some text'",
            "broken.sh": "echo 'Location: /a b'; echo",
          ]
        )
        let wire = try Wire(to: martlet.endpoint)
        let file = try ask(wire, "/file.sh")
        #expect(file.status == 200 && file.body.elementsEqual("p { color: red }".utf8))
        #expect(file.fields["location"] == nil)
        let tag = try #require(file.fields["etag"])
        #expect(try ask(wire, "/file.sh", "If-None-Match: \(tag)\r\n").status == 304)
        #expect(try ask(wire, "/file.sh", method: "HEAD").fields["content-length"] == "16")
        for _ in 0..<3 {
          try wire.send(
            text: "POST /fixed.sh HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
              + "GET /fixed/next HTTP/1.1\r\nHost: a\r\n\r\n"
          )
          #expect(try wire.receiveAnswer().body.elementsEqual("GET /fixed/a?b=c".utf8))
          #expect(try wire.receiveAnswer().body.elementsEqual("GET /fixed/next".utf8))
        }
        let chunked = "Transfer-Encoding: chunked\r\nX-A: kept\r\n"
        let other = try ask(wire, "/other.sh", method: "POST", "\(chunked)\r\n3\r\nabc\r\n0\r\n")
        #expect(other.body.elementsEqual("GET /rest q=1 kept|\n".utf8))
        for name in ["client", "body"] {
          let moved = try ask(wire, "/\(name).sh")
          #expect(moved.status == 302 && moved.fields["location"] == "/style.css")
        }
        #expect(try ask(wire, "/broken.sh").status == 502)
        let two = ["--http2-prior-knowledge", martlet.endpoint.url("/file.sh")]
        #expect(try rig.outcome(of: ["curl", "-sS"] + two).lines == ["p { color: red }"])
        let metrics = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://a/metrics"
        ).text
        #expect(metrics.contains("martlet_gateway_redirects_total{protocol=\"fastcgi\"} 9\n"))
        #expect(metrics.contains("martlet_gateway_requests_total{protocol=\"fastcgi\",connection="))
      }
    }

    @Test("a circle of places ends with 502, and a client that closes is told so")
    func circle() async throws {
      try await Rig.run { rig in
        let martlet = try Self.scripts(
          rig,
          [
            "a.sh": "echo 'Location: /b.sh'; echo", "b.sh": "echo 'Location: /a.sh'; echo",
            "ok.sh": "echo 'Location: /fixed/a'; echo",
          ]
        )
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "/a.sh").status == 502)
        #expect(try martlet.line(with: "\"detail\":\"local_redirects\"").contains("502"))
        let last = try ask(wire, "/ok.sh", "Connection: close\r\n")
        #expect(last.status == 200 && last.fields["connection"] == "close")
        try wire.receiveEnd()
      }
    }
  }
}
