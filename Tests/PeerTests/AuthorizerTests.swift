import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications of FastCGI that say whether requests may pass.
  @Suite("Authorizers", .timeLimit(.minutes(5 * slowness))) struct AuthorizerTests {
    /// php-fpm with a script that lets through who has the right password.
    static func php(_ rig: Rig) throws {
      try rig.write(
        """
        <?php
        header('X-Role: ' . $_SERVER['FCGI_ROLE']);
        foreach (['SCRIPT_NAME', 'PATH_INFO', 'CONTENT_LENGTH', 'PATH_TRANSLATED'] as $name) {
          if (isset($_SERVER[$name]) && $name != 'SCRIPT_NAME') { error_log("told of $name"); }
        }
        error_log('asked ' . $_SERVER['REQUEST_METHOD'] . ' ' . $_SERVER['REQUEST_URI']
          . ' ' . strlen(file_get_contents('php://input')));
        if (($_SERVER['HTTP_X_PASSWORD'] ?? '') == 'right') {
          header('Variable-REMOTE_USER: joe');
          header('Variable-OTHER: nobody asks for this');
        } else {
          http_response_code(401);
          header('WWW-Authenticate: Basic');
          echo 'who are you?';
        }
        """,
        to: "auth/check.php"
      )
      try rig.write(
        "<?php echo ($_SERVER['REMOTE_USER'] ?? '-'), ' ', ($_SERVER['HTTP_REMOTE_USER'] ?? '-'), "
          + "' ', file_get_contents('php://input');",
        to: "www/who.php"
      )
      _ = try rig.php(children: 4)
    }

    /// The directive that asks it.
    static func authorize(_ rig: Rig, passing: String = "pass REMOTE_USER") -> String {
      """
      authorize unix:\(rig.path("php.sock")) {
        script \(rig.path("auth/check.php"))
        \(passing)
        keep_connections on
      }
      """
    }

    private func martlet(_ rig: Rig, _ member: Endpoint) throws -> Peer {
      try rig.write("p { }", to: "files/a.css")
      return try rig.martlet(
        configuration: """
          loops 1
          server {
            listen LISTEN
            access_log stdout json
            body_limit 10MB
            route /files/* {
              \(Self.authorize(rig))
              strip_prefix /files
              files \(rig.path("files"))
            }
            route /php/* {
              \(Self.authorize(rig))
              strip_prefix /php
              fastcgi unix:\(rig.path("php.sock")) {
                root \(rig.path("www"))
                keep_connections on
              }
            }
            route / {
              \(Self.authorize(rig))
              response header set X-Edge yes
              proxy \(member)
            }
          }
          """
      )
    }

    /// A member that tells who it was told the client is, and what it was sent.
    private func member(_ rig: Rig) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          let user = request.fields["remote-user"] ?? "-"
          let text = "\(request.method) \(user) \(request.body.count)"
          try wire.send(
            text: "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
          )
        }
      }
    }

    private func ask(
      _ wire: Wire,
      _ target: String,
      _ fields: String,
      method: String = "GET",
      body: String = ""
    ) throws -> Answer {
      try wire.send(text: "\(method) \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\(body)")
      return try wire.receiveAnswer()
    }

    @Test("who may pass does, and what answers is told who it is, by nobody else")
    func passes() async throws {
      try await Rig.run { rig in
        try Self.php(rig)
        let martlet = try martlet(rig, try member(rig).endpoint)
        let wire = try Wire(to: martlet.endpoint)
        let right = "X-Password: right\r\nRemote-User: root\r\n"
        for _ in 0..<3 { #expect(try ask(wire, "/a", right).text == "GET joe 0") }
        let body = String(repeating: "x", count: 5000)
        let length = "Content-Length: 5000\r\n"
        #expect(
          try ask(wire, "/b?c", right + length, method: "POST", body: body).text == "POST joe 5000"
        )
        let chunked = "Transfer-Encoding: chunked\r\n"
        let chunks = "3\r\nabc\r\n0\r\n\r\n"
        #expect(
          try ask(wire, "/", right + chunked, method: "POST", body: chunks).text == "POST joe 3"
        )
        #expect(
          try ask(wire, "/php/who.php", right + length, method: "POST", body: body).text
            == "joe - \(body)"
        )
        #expect(try ask(wire, "/files/a.css", right).text == "p { }")
        #expect(try martlet.line(with: "asked POST /b?c 0").contains("an application says"))
        #expect(
          try rig.curl(
            "--http2-prior-knowledge",
            "-H",
            "X-Password: right",
            martlet.endpoint.url("/")
          ).text == "GET joe 0"
        )
      }
    }

    @Test("who may not gets the authorizer's answer, and nothing else is asked")
    func refused() async throws {
      try await Rig.run { rig in
        try Self.php(rig)
        let count = Guarded(0)
        let member = try rig.member { wire in
          count.withLock { $0 += 1 }
          _ = try wire.receiveRequest()
        }
        let martlet = try martlet(rig, member.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        for target in ["/", "/php/who.php", "/files/a.css", "/files/none"] {
          let answer = try ask(wire, target, "")
          #expect(answer.status == 401 && answer.text == "who are you?", "\(target)")
          #expect(answer.fields["www-authenticate"] == "Basic")
          #expect(answer.fields["x-role"] == "AUTHORIZER")
        }
        let short = try ask(
          wire,
          "/",
          "Content-Length: 5\r\n",
          method: "POST",
          body: "abcde"
        )
        #expect(short.status == 401 && short.fields["x-edge"] == "yes")
        #expect(try ask(wire, "/", "").status == 401)
        let long = try ask(wire, "/", "Content-Length: 5000000\r\n", method: "POST", body: "abc")
        #expect(long.status == 401 && long.fields["connection"] == "close")
        #expect(count.withLock { $0 } == 0)
      }
    }

    @Test("where no authorizer answers, nobody passes")
    func broken() async throws {
      try await Rig.run { rig in
        let silent = try rig.freePort()
        let martlet = try rig.martlet(
          configuration: """
            server {
              listen LISTEN
              route / {
                authorize \(silent)
                respond 200 "passed"
              }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        let answer = try ask(wire, "/", "")
        #expect(answer.status == 502 && !answer.text.contains("passed"))
      }
    }
  }
}
