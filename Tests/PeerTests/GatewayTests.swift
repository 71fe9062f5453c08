import Foundation
import TestCorpora
import TestPeers
import Testing

extension PeerTests {
  /// Martlet before applications that are no servers of HTTP.
  @Suite("Gateways", .timeLimit(.minutes(5 * slowness))) struct GatewayTests {
    /// Starts php-fpm with a few scripts below `www`.
    private func php(_ rig: Rig, children: Int = 4, more: String = "") throws -> Peer {
      try rig.write("<?php echo 'hello ' . ($_GET['name'] ?? 'nobody');", to: "www/hello.php")
      try rig.write("<?php echo json_encode($_SERVER);", to: "www/server.php")
      try rig.write(
        "<?php echo strlen(file_get_contents('php://input')), ' ', md5(file_get_contents('php://input'));",
        to: "www/body.php"
      )
      try rig.write("<?php echo 'front of ', $_SERVER['REQUEST_URI'];", to: "www/index.php")
      try rig.write(
        "<?php error_log('first line'); error_log('second line'); http_response_code(500); echo 'sorry';",
        to: "www/fails.php"
      )
      try rig.write("<?php header('Location: /elsewhere'); ", to: "www/moves.php")
      try rig.write("<?php echo 'this ran';", to: "www/picture.jpg")
      try rig.write("p { color: red }", to: "www/style.css")
      try rig.write("<?php secret();", to: "www/hello.php~")
      try rig.write(
        "<?php for ($i = 0; $i < 200; $i++) { echo str_repeat(chr(65 + $i % 26), 5000); }",
        to: "www/large.php"
      )
      return try rig.php(children: children, "catch_workers_output = no\n" + more)
    }

    private func text(
      _ rig: Rig,
      _ block: String = "",
      outside: String = "",
      route: String = ""
    ) -> String {
      """
      loops 1
      \(outside)
      server {
        listen LISTEN
        body_limit 20MB
        access_log stdout json
        route / {
          \(route)
          fastcgi unix:\(rig.path("php.sock")) {
            root \(rig.path("www"))
            \(block)
          }
        }
      }
      """
    }

    @Test("php-fpm serves with one directive")
    func hello() async throws {
      try await Rig.run { rig in
        _ = try php(rig)
        let martlet = try rig.martlet(configuration: text(rig))
        for version in ["--http1.1", "--http2-prior-knowledge"] {
          let url = martlet.endpoint.url("/hello.php?name=world")
          #expect(try rig.curl(version, url).text == "hello world")
          let head = try rig.curl(version, "-I", url).text.lowercased()
          #expect(head.contains("content-type: text/html") && head.contains("200"))
        }
        #expect(try rig.curl(martlet.endpoint.url("/")).text == "front of /")
        let moved = try rig.curl(
          "-o",
          "/dev/null",
          "-w",
          "%{http_code} %{redirect_url}",
          martlet.endpoint.url("/moves.php")
        ).text
        #expect(moved == "302 " + martlet.endpoint.url("/elsewhere"))
        let large = try rig.curl(martlet.endpoint.url("/large.php")).text
        #expect(large.utf8.count == 1_000_000 && large.hasPrefix("AAAA"))
        let line = try martlet.line(with: "\"/hello.php?name=world\"")
        #expect(line.contains("\"member\":\"unix:\(rig.path("php.sock"))\""))
      }
    }

    @Test("a script is told what CGI says, and nothing that a client could forge")
    func variables() async throws {
      try await Rig.run { rig in
        _ = try php(rig)
        let martlet = try rig.martlet(configuration: text(rig))
        let answer = try rig.curl(
          "-H",
          "Proxy: http://evil/",
          "-H",
          "X-A: 1",
          "-H",
          "x-a: 2",
          "-H",
          "X_Under_Score: 7",
          "-H",
          "Authorization: Basic eA==",
          "-H",
          "X-Forwarded-For: 9.9.9.9",
          "-b",
          "a=b",
          martlet.endpoint.url("/server.php/more%20of/it?q=a%20b")
        ).text
        let found = try JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [String: Any]
        let server = try #require(found)
        func value(_ name: String) -> String? { server[name].map { "\($0)" } }
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let expected = [
          "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET",
          "SCRIPT_NAME": "/server.php", "PATH_INFO": "/more of/it", "QUERY_STRING": "q=a%20b",
          "SCRIPT_FILENAME": rig.path("www/server.php"), "DOCUMENT_ROOT": rig.path("www"),
          "REQUEST_URI": "/server.php/more%20of/it?q=a%20b", "REMOTE_ADDR": "127.0.0.1",
          "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "\(port)", "REQUEST_SCHEME": "http",
          "HTTP_HOST": "127.0.0.1:\(port)", "HTTP_X_A": "1, 2", "HTTP_COOKIE": "a=b",
          "HTTP_AUTHORIZATION": "Basic eA==",
        ]
        for (name, text) in expected { #expect(value(name) == text, "\(name)") }
        for name in ["HTTP_PROXY", "HTTP_X_UNDER_SCORE", "HTTP_X_FORWARDED_FOR", "HTTPS"] {
          #expect(value(name) == nil, "\(name)")
        }
      }
    }

    @Test("bodies reach a script whole, with a length or without", arguments: ["off", "on"])
    func bodies(keep: String) async throws {
      try await Rig.run { rig in
        _ = try php(rig, more: "php_admin_value[post_max_size] = 100M")
        let block = "keep_connections \(keep)\nbody_buffer 6MB"
        let martlet = try rig.martlet(configuration: text(rig, block))
        for count in [0, 1, 7, 8192, 65_528, 65_529, 200_000, 5_000_000] {
          let bytes: [UInt8] = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 3) }
          let file = try rig.write(bytes, to: "body")
          let sum = try rig.outcome(of: ["md5sum", file]).lines.joined()
          let expected = "\(count) " + sum.prefix(32)
          for more in [[], ["-H", "Transfer-Encoding: chunked"], ["--http2-prior-knowledge"]] {
            let url = martlet.endpoint.url("/body.php")
            let type = ["-H", "Content-Type: application/octet-stream"]
            let words = ["curl", "-sS"] + more + type + ["--data-binary", "@\(file)", url]
            let got = try rig.outcome(of: words).lines
            #expect(got == [expected], "\(count) \(more)")
          }
        }
        let file = try rig.write([UInt8](repeating: 65, count: 7_000_000), to: "body")
        let status = try rig.curl(
          "-H",
          "Transfer-Encoding: chunked",
          "-o",
          "/dev/null",
          "-w",
          "%{http_code}",
          "--data-binary",
          "@\(file)",
          martlet.endpoint.url("/body.php")
        ).text
        #expect(status == "411")
      }
    }

    @Test("what is no script does not run, whatever stands behind it")
    func holes() async throws {
      try await Rig.run { rig in
        _ = try php(rig, more: "security.limit_extensions =\nphp_admin_value[cgi.fix_pathinfo] = 1")
        let martlet = try rig.martlet(configuration: text(rig, "static on"))
        func status(_ path: String) throws -> String {
          try rig.curl(
            "--path-as-is",
            "-o",
            rig.path("got"),
            "-w",
            "%{http_code}",
            martlet.endpoint.url(path)
          ).text
        }
        for path in [
          "/picture.jpg/x.php", "/picture.jpg/.php", "/picture.jpg%00.php", "/picture.jpg%2Fx.php",
          "/none.php", "/hello.php~", "/HELLO.PHP", "/style.css/x.php", "/.env", "/%2e%2e/x.php",
        ] {
          let answer = try status(path)
          #expect(["404", "400"].contains(answer), "\(path)")
          let got = String(decoding: try rig.read("got"), as: UTF8.self)
          #expect(!got.contains("this ran") && !got.contains("secret"), "\(path)")
        }
        #expect(try status("/picture.jpg") == "200")
        #expect(try String(decoding: rig.read("got"), as: UTF8.self) == "<?php echo 'this ran';")
        #expect(try rig.curl("-i", martlet.endpoint.url("/style.css")).text.contains("text/css"))
      }
    }

    @Test("paths without a script go to the front one, files to nobody")
    func front() async throws {
      try await Rig.run { rig in
        _ = try php(rig)
        let block = "static on\nfront /index.php"
        let martlet = try rig.martlet(configuration: text(rig, block))
        #expect(try rig.curl(martlet.endpoint.url("/a/b?c")).text == "front of /a/b?c")
        #expect(try rig.curl(martlet.endpoint.url("/none.php")).text == "front of /none.php")
        #expect(try rig.curl(martlet.endpoint.url("/style.css")).text == "p { color: red }")
      }
    }

    @Test("what a script says besides is in the log, a line at a time, by the request")
    func said() async throws {
      try await Rig.run { rig in
        _ = try php(rig)
        let martlet = try rig.martlet(configuration: text(rig))
        let answer = try rig.curl("-w", " %{http_code}", martlet.endpoint.url("/fails.php")).text
        #expect(answer == "sorry 500")
        let first = try martlet.line(with: "first line")
        // PHP puts what it says of one request into one line.
        #expect(first.contains("an application says") && first.contains("second line"))
        let record = try martlet.line(with: "\"/fails.php\"")
        let id = try #require(first.components(separatedBy: "request_id=").last?.prefix(32))
        #expect(record.contains(id))
      }
    }

    @Test("lines of an application are lines of the log, and a last one without an end is too")
    func lines() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          _ = try wire.receive()
          let said = Array("one\r\ntwo\nthr".utf8)
          try wire.send([1, 7, 0, 1, 0, UInt8(said.count), 3, 0] + said + [9, 9, 9])
          try wire.send([1, 7, 0, 1, 0, 2, 0, 0] + Array("ee".utf8))
          try wire.send(Corpus.gateways.bytes(of: "plain.fastcgi"))
        }
        let martlet = try rig.martlet(
          configuration: "server { listen LISTEN\n route / { fastcgi \(member.endpoint) } }"
        )
        #expect(try rig.curl(martlet.endpoint.url("/")).text == "hello")
        for word in ["one", "two", "three"] {
          #expect(try martlet.line(with: "said=\(word)").contains("request_id="))
        }
      }
    }

    @Test("a client that leaves ends the request")
    func leaves() async throws {
      try await Rig.run { rig in
        let (begun, ended) = (Gate(), Gate())
        let member = try rig.member { wire in
          _ = try wire.receive()
          begun.open()
          // Nothing more comes until the client has left.
          try wire.receiveEnd()
          ended.open()
        }
        let martlet = try rig.martlet(
          configuration: "server { listen LISTEN\n route / { fastcgi \(member.endpoint) } }"
        )
        let client = try Wire(to: martlet.endpoint)
        try client.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try begun.pass()
        client.end()
        try ended.pass()
      }
    }

    @Test("connections are kept where that is said")
    func kept() async throws {
      try await Rig.run { rig in
        _ = try php(rig)
        let martlet = try rig.martlet(configuration: text(rig, "keep_connections on"))
        for _ in 0..<20 {
          #expect(try rig.curl(martlet.endpoint.url("/hello.php")).text == "hello nobody")
        }
        let metrics = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://a/metrics"
        ).text
        let opened = metrics.split(separator: "\n").first {
          $0.hasPrefix("martlet_upstream_connections_opened_total")
        }
        #expect(opened?.hasSuffix(" 1") == true)
      }
    }

    @Test(
      "an answer that is none is 502, and the log says why",
      arguments: [
        ("too-long", "content_too_long"), ("version", "record_version"), ("fold", "field_line"),
        ("nothing", "no_field"), ("overloaded", "refused"),
      ]
    )
    func faults(name: String, reason: String) async throws {
      try await Rig.run { rig in
        let answer = try Corpus.gateways.bytes(of: name + ".fastcgi")
        let member = try rig.member { wire in
          _ = try wire.receive()
          try wire.send(answer)
        }
        let martlet = try rig.martlet(
          configuration: """
            loops 1
            server {
              listen LISTEN
              access_log stdout json
              route / { fastcgi \(member.endpoint) }
            }
            """
        )
        let status = try rig.curl(
          "-o",
          "/dev/null",
          "-w",
          "%{http_code}",
          martlet.endpoint.url("/")
        ).text
        #expect(status == "502")
        #expect(try martlet.line(with: "a member failed").contains(reason))
      }
    }
  }
}
