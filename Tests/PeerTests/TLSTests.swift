import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// curl, openssl and Python before Martlet, which ends their TLS.
  @Suite("TLS with clients", .timeLimit(.minutes(5 * slowness))) struct TLSTests {
    /// A member that tells what it was sent, Martlet with a certificate for `shop.example`, and both.
    private func start(
      _ rig: Rig,
      tls: String = "",
      listen: String = "",
      more: String = ""
    ) throws -> (martlet: Peer, files: Rig.CertificateFiles) {
      let files = try rig.certificate("shop", for: ["shop.example", "*.shop.example"])
      try rig.write(Self.large, to: "files/large.bin")
      let nginx = try rig.nginx(
        """
        root \(rig.path("files"));
        location /put/ { dav_methods PUT; create_full_put_path on; }
        location /echo { return 200 "$http_x_forwarded_proto $http_x_tls"; }
        """
      )
      let martlet = try rig.martlet(
        configuration: """
          server shop.example {
            listen LISTEN tls \(listen)
            certificate \(files.certificate) \(files.key)
            access_log stdout json
            \(tls)
            route / {
              request header set X-TLS "{request.scheme} {tls.version} {tls.server_name} {tls.alpn}"
              proxy \(nginx.endpoint)
            }
          }
          \(more)
          """
      )
      return (martlet, files)
    }

    private static let large: [UInt8] = (0..<3_000_000).map {
      UInt8(truncatingIfNeeded: $0 &* 13 >> 3)
    }

    /// Runs curl against a host of the test.
    private func curl(
      _ rig: Rig,
      _ martlet: Peer,
      _ files: Rig.CertificateFiles,
      _ path: String,
      host: String = "shop.example",
      _ arguments: [String] = []
    ) throws -> (status: Int32, text: String) {
      guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
      let outcome = try rig.outcome(
        of: [
          "curl", "--silent", "--show-error", "--cacert", files.certificate, "--resolve",
          "\(host):\(port):127.0.0.1",
        ] + arguments + ["https://\(host):\(port)\(path)"]
      )
      return (outcome.status, outcome.lines.joined(separator: "\n"))
    }

    @Test(
      "get what the member sends, and it is told of them",
      arguments: [("--tls-max", "1.2"), ("--tlsv1.3", "--no-sessionid")]
    )
    func answers(options: (String, String)) async throws {
      try await Rig.run { rig in
        let (martlet, files) = try start(rig)
        let echo = try curl(rig, martlet, files, "/echo", [options.0, options.1])
        let version = options.1 == "1.2" ? "TLSv1.2" : "TLSv1.3"
        #expect(echo.text == "https https \(version) shop.example h2")
        let large = try curl(
          rig,
          martlet,
          files,
          "/large.bin",
          [options.0, options.1, "-o", rig.path("got"), "-w", "%{http_code} %{num_connects}"]
        )
        #expect(large.text == "200 1")
        #expect(try rig.read("got") == Self.large)
        try martlet.line(with: "\"tls\":\"\(version)\"")
        try martlet.line(with: "\"server_name\":\"shop.example\"")
      }
    }

    @Test(
      "send what they like, however its length is told",
      arguments: ["", "Transfer-Encoding: chunked"]
    )
    func uploads(field: String) async throws {
      try await Rig.run { rig in
        let (martlet, files) = try start(rig, tls: "body_limit 10MB")
        let body = try rig.write(Self.large, to: "body")
        let put = try curl(
          rig,
          martlet,
          files,
          "/put/file",
          ["-T", body, "-w", "%{http_code}"] + (field.isEmpty ? [] : ["-H", field])
        )
        #expect(put.text.hasSuffix("201"))
        #expect(try rig.read("files/put/file") == Self.large)
      }
    }

    @Test("carry many requests on one connection")
    func keepAlive() async throws {
      try await Rig.run { rig in
        let (martlet, files) = try start(rig)
        let result = try curl(
          rig,
          martlet,
          files,
          "/echo?[1-50]",
          ["-w", "|%{num_connects}\\n", "--no-progress-meter"]
        )
        let counts = result.text.split(separator: "\n").compactMap { $0.split(separator: "|").last }
        #expect(counts.count == 50)
        #expect(counts.filter { $0 == "1" }.count == 1)
      }
    }

    @Test("are answered in the middle of a slow body, record by record")
    func pieces() async throws {
      try await Rig.run { rig in
        let (martlet, files) = try start(rig)
        // Each piece of the request is a record of its own.
        let program = """
          import socket, ssl, sys
          context = ssl.create_default_context(cafile=sys.argv[2])
          raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
          tls = context.wrap_socket(raw, server_hostname="shop.example")
          text = b"PUT /put/x HTTP/1.1\\r\\nHost: shop.example\\r\\nContent-Length: 300\\r\\n\\r\\n" + b"a" * 300
          for start in range(0, len(text), 7):
              tls.sendall(text[start:start + 7])
          print(tls.recv(4096).split(b"\\r\\n")[0].decode())
          text = b"GET /echo HTTP/1.1\\r\\nHost: shop.example\\r\\n\\r\\n" * 3
          tls.sendall(text)
          got = b""
          while got.count(b"https TLSv1.3") < 3:
              got += tls.recv(4096)
          print("pipelined")
          tls.sendall(b"GET /echo HTTP/1.1\\r\\nHost: shop.example\\r\\nConnection: close\\r\\n\\r\\n")
          while True:
              part = tls.recv(4096)
              if not part:
                  break
          print("closed in order")
          """
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let file = try rig.write(program, to: "pieces.py")
        let outcome = try rig.outcome(of: ["/usr/bin/python3", file, "\(port)", files.certificate])
        #expect(outcome.lines == ["HTTP/1.1 201 Created", "pipelined", "closed in order"])
      }
    }

    @Test(
      "are told in plain words when they speak without it",
      arguments: ["GET", "POST", "OPTIONS"]
    )
    func plain(method: String) async throws {
      try await Rig.run { rig in
        let (martlet, _) = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "\(method) / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        let answer = try wire.receiveAnswer()
        #expect(answer.status == 400)
        #expect(answer.text.contains("This port speaks TLS"))
        wire.finishSending()
        #expect(try wire.receiveRest().isEmpty)
        try martlet.line(with: "plain_http")
      }
    }

    // MARK: Certificates

    @Test(
      "get the certificate of the host that they ask for",
      arguments: [
        ("shop.example", "shop"), ("a.shop.example", "shop"), ("a.b.shop.example", "shop"),
        ("news.example", "news"), ("www.news.example", "news"), ("one.other.example", "others"),
        ("two.other.example", "others"), ("nobody.example", "shop"), ("", "shop"),
        ("NEWS.Example", "news"),
      ]
    )
    func names(host: String, expected: String) async throws {
      try await Rig.run { rig in
        let news = try rig.certificate("news", for: ["news.example", "www.news.example"])
        let others = try rig.certificate("others", for: ["*.other.example"])
        let (martlet, _) = try start(
          rig,
          more: """
            server news.example www.news.example *.other.example {
              listen LISTEN tls
              certificate \(news.certificate) \(news.key)
              certificate \(others.certificate) \(others.key)
              route / { respond 200 }
            }
            """
        )
        let name = host.isEmpty ? "-noservername" : "-servername"
        let words = host.isEmpty ? [name] : [name, host]
        let outcome = try rig.outcome(
          of: [
            "sh", "-c",
            "openssl s_client -connect \(martlet.endpoint) \(words.joined(separator: " "))"
              + " </dev/null 2>&1",
          ]
        )
        #expect(outcome.lines.contains("subject=CN = \(expected)"))
      }
    }

    @Test(
      "get the kind of key that they can check",
      arguments: [("ECDSA+SHA256", "ECDSA"), ("RSA-PSS+SHA256", "RSA-PSS")]
    )
    func kinds(algorithm: String, expected: String) async throws {
      try await Rig.run { rig in
        let rsa = try rig.certificate("both", for: ["shop.example"], kind: "rsa")
        let (martlet, _) = try start(rig, tls: "certificate \(rsa.certificate) \(rsa.key)")
        for version in ["-tls1_2", "-tls1_3"] {
          let outcome = try rig.openssl(
            to: martlet.endpoint,
            version,
            "-servername",
            "shop.example",
            "-sigalgs",
            algorithm
          )
          #expect(outcome.lines.contains("Peer signature type: \(expected)"), "\(version)")
        }
      }
    }

    @Test("show certificates where they must, and to whom they must")
    func clientCertificates() async throws {
      try await Rig.run { rig in
        let authority = try rig.certificate("authority", for: [])
        let client = try rig.certificate("client", for: [], authority: authority)
        let stranger = try rig.certificate("stranger", for: [])
        let admin = try rig.certificate("admin", for: ["admin.example"])
        let (martlet, files) = try start(
          rig,
          more: """
            server admin.example {
              listen LISTEN tls
              certificate \(admin.certificate) \(admin.key)
              tls {
                client_certificate required
                client_authorities \(authority.certificate)
              }
              route / { respond 200 "{tls.client_common_name} {tls.client_issuer}" }
            }
            server part.example {
              listen LISTEN tls
              certificate \(admin.certificate) \(admin.key)
              tls {
                client_certificate optional
                client_authorities \(authority.certificate)
              }
              route /admin {
                client_certificate required
                respond 200 "in"
              }
              route / { respond 200 "out" }
            }
            """
        )
        func ask(_ host: String, _ more: [String]) throws -> (status: Int32, text: String) {
          let own = host == "admin.example" ? admin : files
          return try curl(rig, martlet, own, "/", host: host, more)
        }
        let shown = ["--cert", client.certificate, "--key", client.key]
        #expect(try ask("admin.example", shown).text == "client CN=authority")
        #expect(try ask("admin.example", []).status != 0)
        let other = ["--cert", stranger.certificate, "--key", stranger.key]
        #expect(try ask("admin.example", other).status != 0)
        try martlet.line(with: "reason=certificate")
        // Where a route alone wants one, the rest goes without.
        func status(_ path: String, _ more: [String]) throws -> String {
          let options = ["--insecure", "--write-out", " %{http_code}"] + more
          return try curl(rig, martlet, admin, path, host: "part.example", options).text
        }
        #expect(try status("/", []) == "out 200")
        #expect(try status("/admin", shown) == "in 200")
        #expect(try status("/admin", []).hasSuffix(" 403"))
        // What was begun with a server that asks for nothing is no way to the one that does.
        let aside = try ask("shop.example", ["-H", "Host: admin.example", "-w", "%{http_code}"])
        #expect(aside.text.hasSuffix("421"))
      }
    }

    @Test("find their secrets in the key log that is asked for, and nobody else does")
    func keyLog() async throws {
      try await Rig.run { rig in
        let (martlet, _) = try start(rig, tls: "tls { key_log \(rig.path("server.keys")) }")
        let own = rig.path("client.keys")
        _ = try rig.openssl(to: martlet.endpoint, "-servername", "shop.example", "-keylogfile", own)
        func secrets(_ path: String) throws -> Set<Substring> {
          let text = try String(contentsOfFile: path, encoding: .utf8)
          return Set(text.split(separator: "\n").filter { !$0.hasPrefix("#") })
        }
        let written = try secrets(rig.path("server.keys"))
        #expect(written.count >= 5)
        #expect(try written.isSuperset(of: secrets(own)))
        let attributes = try FileManager.default.attributesOfItem(atPath: rig.path("server.keys"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
      }
    }

    @Test("may change their keys now and then, but not for ever", arguments: [20, 5_000])
    func newKeys(count: Int) async throws {
      try await Rig.run { rig in
        let (martlet, _) = try start(rig)
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let file = try rig.write(Self.keyChanger, to: "keys.py")
        let outcome = try rig.outcome(of: ["/usr/bin/python3", file, "\(port)", "\(count)"])
        #expect(outcome.status == 0, "\(outcome.lines)")
        #expect(outcome.lines.last == (count > 1_000 ? "cut" : "HTTP/1.1 200 OK"))
      }
    }

    /// A client that asks for new keys so many times, and then for `/`.
    private static let keyChanger = """
      import ctypes, socket, sys
      tls = ctypes.CDLL("libssl.so.3")
      for name in ("SSL_CTX_new", "TLS_client_method", "SSL_new"):
          getattr(tls, name).restype = ctypes.c_void_p
      pointer = ctypes.c_void_p
      context = pointer(tls.SSL_CTX_new(pointer(tls.TLS_client_method())))
      session = pointer(tls.SSL_new(context))
      connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
      connection.settimeout(None)
      tls.SSL_set_fd(session, connection.fileno())
      assert tls.SSL_connect(session) == 1
      request = b"GET /echo HTTP/1.1\\r\\nHost: shop.example\\r\\nConnection: close\\r\\n\\r\\n"
      for _ in range(int(sys.argv[2])):
          # 1: the other side is asked to change its own as well.
          if tls.SSL_key_update(session, 1) != 1 or tls.SSL_do_handshake(session) != 1:
              print("cut")
              sys.exit()
      answer = ctypes.create_string_buffer(4096)
      sent = tls.SSL_write(session, request, len(request))
      count = tls.SSL_read(session, answer, 4096) if sent > 0 else 0
      print(answer.raw[:count].split(b"\\r\\n")[0].decode() if count > 0 else "cut")
      """

    @Test("keep their connections over a reload, and new ones get the new certificate")
    func reload() async throws {
      try await Rig.run { rig in
        let (martlet, files) = try start(rig)
        let session = rig.path("session")
        let before = try rig.openssl(
          to: martlet.endpoint,
          "-servername",
          "shop.example",
          "-ign_eof",
          "-sess_out",
          session,
          input: "GET /echo HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"
        )
        #expect(before.lines.contains { $0.hasPrefix("New, TLSv1.3") })
        let new = try rig.certificate("new", for: ["shop.example"])
        for (from, to) in [(new.certificate, files.certificate), (new.key, files.key)] {
          try rig.write(
            Array(try Data(contentsOf: URL(fileURLWithPath: from))),
            to: URL(fileURLWithPath: to).lastPathComponent
          )
        }
        #expect(try rig.martlet(command: "reload").status == 0)
        let after = try rig.openssl(to: martlet.endpoint, "-servername", "shop.example")
        #expect(after.lines.contains("subject=CN = new"))
        let again = try rig.openssl(
          to: martlet.endpoint,
          "-servername",
          "shop.example",
          "-sess_in",
          session
        )
        #expect(again.lines.contains { $0.hasPrefix("Reused, TLSv1.3") })
        try rig.write("no certificate", to: "shop.pem")
        let refused = try rig.martlet(command: "reload")
        #expect(refused.status != 0)
        #expect(refused.lines.contains { $0.contains("the certificate cannot be used") })
        let still = try rig.openssl(to: martlet.endpoint, "-servername", "shop.example")
        #expect(still.lines.contains("subject=CN = new"))
      }
    }
  }
}
