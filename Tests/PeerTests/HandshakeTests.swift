import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Handshakes that come to nothing, each with a line of the log that says why.
  @Suite("Handshakes that fail", .timeLimit(.minutes(3 * slowness))) struct HandshakeTests {
    /// What is made of the first message of a client, and what is told of it.
    struct Torture: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var reason: String
      var detail: String
      var make: @Sendable ([UInt8]) -> [UInt8]

      init(
        _ name: String,
        _ reason: String,
        _ detail: String,
        _ make: @escaping @Sendable ([UInt8]) -> [UInt8]
      ) {
        (testDescription, self.reason, self.detail, self.make) = (name, reason, detail, make)
      }
    }

    /// A record, of a handshake unless another kind is said.
    private static func record(
      _ bytes: some Collection<UInt8>,
      kind: UInt8 = 0x16,
      version: [UInt8] = [3, 1]
    ) -> [UInt8] {
      [kind] + version + [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
    }

    /// The first of `names` in a hello, made into something else; what is behind it stays.
    private static func changed(_ hello: [UInt8], _ from: [UInt8], _ to: [UInt8]) -> [UInt8] {
      guard let range = hello.firstRange(of: from) else { return [] }
      return Array(hello[..<range.lowerBound]) + to + Array(hello[range.upperBound...])
    }

    /// A hello whose list of versions is made into something else of its length.
    private static func withVersions(
      _ hello: [UInt8],
      _ make: (ArraySlice<UInt8>) -> ArraySlice<UInt8>
    ) -> [UInt8] {
      // RFC 8446, section 4.2.1: 43 is its number; the first version is 1.3.
      let start = hello.indices.dropLast(8).first {
        hello[$0] == 0 && hello[$0 + 1] == 43 && hello[$0 + 2] == 0
          && hello[$0 + 3] == hello[$0 + 4] + 1 && hello[$0 + 5] == 3 && hello[$0 + 6] == 4
      }
      guard let start else { return [] }
      let end = start + 4 + Int(hello[start + 3])
      return Array(hello[..<start]) + make(hello[start..<end]) + hello[end...]
    }

    static let tortures = [
      Torture("half a hello", "closed", "") { Array($0.prefix($0.count / 2)) },
      Torture("one byte", "closed", "") { Array($0.prefix(1)) },
      Torture("a hello cut in a whole record", "closed", "") { Self.record($0[5..<105]) },
      Torture("a record longer than any may be", "malformed", "packet length too long") {
        [0x16, 3, 1, 0xFF, 0xFF] + $0
      },
      Torture("a message longer than any may be", "malformed", "excessive message size") { _ in
        Self.record([1, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 1000))
      },
      Torture("records of nothing without end", "malformed", "record too small") { hello in
        Array((0..<100).map { _ in Self.record([]) }.joined()) + hello
      },
      Torture("a record of version 5.0", "malformed", "wrong version number") {
        Self.record($0[5...], version: [5, 0])
      },
      Torture("SSL 3.0 alone", "version", "version too low") { hello in
        // Without what says the versions, that of the message counts.
        var bytes = Self.withVersions(hello) { [0x7A, 0x7A] + $0.dropFirst(2) }
        if bytes.count > 11 { bytes.replaceSubrange(9..<11, with: [3, 0]) }
        return bytes
      },
      Torture("versions that nobody knows", "version", "unsupported protocol") { hello in
        Self.withVersions(hello) { $0.prefix(5) + [UInt8](repeating: 9, count: $0.count - 5) }
      },
      Torture("a host of no length", "malformed", "bad extension") {
        Self.changed(
          $0,
          Array("\u{0}\u{0c}shop.example".utf8),
          Array("\u{0}\u{00}shop.example".utf8)
        )
      },
      Torture("a length that says another", "malformed", "length mismatch") { hello in
        var bytes = hello
        // Of the session's identifier.
        if bytes.count > 43 { bytes[43] = 0xFF }
        return bytes
      },
      Torture("another message first", "malformed", "unexpected message") { hello in
        Self.record([20] + hello[6...])
      },
      Torture("content first", "malformed", "unexpected message") { _ in
        Self.record(Array("GET / HTTP/1.1\r\n\r\n".utf8), kind: 0x17, version: [3, 3])
      },
      Torture("an alert first", "malformed", "unexpected message") { _ in
        Self.record([2, 40], kind: 0x15)
      },
      Torture("HTTP", "plain_http", "http request") { _ in Array("GET / HTTP/1.1\r\n\r\n".utf8) },
      Torture("another protocol", "malformed", "wrong version number") { _ in
        Array("SSH-2.0-client\r\n".utf8)
      },
    ]

    private func start(_ rig: Rig, _ tls: String = "") throws -> Peer {
      let files = try rig.certificate("shop", for: ["shop.example"])
      return try rig.martlet(
        configuration: """
          server shop.example {
            listen LISTEN tls
            certificate \(files.certificate) \(files.key)
            \(tls)
            route / { respond 200 "ok" }
          }
          """
      )
    }

    /// The first message of openssl.
    private static func hello(_ rig: Rig) throws -> [UInt8] {
      let seen = Guarded<[UInt8]>([])
      let member = try rig.member { wire in
        let bytes = try wire.receive()
        seen.withLock { $0 = bytes }
      }
      _ = try rig.openssl(to: member.endpoint, "-servername", "shop.example")
      return seen.withLock { $0 }
    }

    private func send(_ bytes: [UInt8], to martlet: Peer) throws {
      let wire = try Wire(to: martlet.endpoint)
      do {
        try wire.send(bytes)
        wire.finishSending()
        _ = try wire.receiveRest()
      } catch Wire.Failure.reset {
        // It was refused before all of it was read.
      }
    }

    /// The line of the log that tells of a handshake.
    private func told(_ martlet: Peer, _ reason: String, _ detail: String) throws {
      let line = try martlet.line(with: "a TLS handshake has failed")
      #expect(line.contains("reason=\(reason)"), "\(line)")
      #expect(detail.isEmpty || line.contains(detail), "\(line)")
      #expect(line.contains("listener=") && line.contains("peer="), "\(line)")
    }

    @Test("say in the log what the client has sent", arguments: tortures)
    func torture(_ torture: Torture) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let bytes = torture.make(try Self.hello(rig))
        #expect(!bytes.isEmpty)
        try send(bytes, to: martlet)
        try told(martlet, torture.reason, torture.detail)
        #expect(
          try rig.openssl(to: martlet.endpoint).lines.contains { $0.hasPrefix("New, TLSv1.3") }
        )
      }
    }

    @Test("do not fail for the pieces that they come in", arguments: [1, 7, 100])
    func fragments(size: Int) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let hello = try Self.hello(rig)[5...]
        let pieces = stride(from: hello.startIndex, to: hello.endIndex, by: size).map {
          Self.record(hello[$0..<min($0 + size, hello.endIndex)])
        }
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(Array(pieces.joined()))
        // The hello of the server.
        #expect(try wire.receive().first == 0x16)
      }
    }

    // MARK: Certificates

    /// Times that are over, and that are to come.
    private static let past = (from: "20200101000000Z", until: "20200201000000Z")
    private static let future = (from: "20490101000000Z", until: "20491201000000Z")

    @Test(
      "say in the log what is wrong with the certificate of a client",
      arguments: [
        ("past", "certificate verify failed: certificate has expired"),
        ("future", "certificate verify failed: certificate is not yet valid"),
        ("stranger", "certificate verify failed: self-signed certificate"),
        ("foreign", "certificate verify failed: unable to get local issuer certificate"),
        ("server", "certificate verify failed: unsuitable certificate purpose"),
        ("revoked", "certificate verify failed: certificate revoked"),
        ("none", "peer did not return a certificate"),
      ]
    )
    func client(kind: String, detail: String) async throws {
      try await Rig.run { rig in
        let authority = try rig.certificate("authority", for: [])
        let revoked = try rig.certificate("revoked", for: [], authority: authority)
        let list = try rig.revocationList("list", of: [revoked], by: authority)
        let martlet = try start(
          rig,
          """
          tls {
            client_certificate required
            client_authorities \(authority.certificate)
            client_revoked \(list)
          }
          """
        )
        func made(_ times: (from: String, until: String)) throws -> Rig.CertificateFiles {
          try rig.certificate(
            "client",
            for: [],
            from: times.from,
            until: times.until,
            authority: authority
          )
        }
        let files: Rig.CertificateFiles? =
          switch kind {
          case "past": try made(Self.past)
          case "future": try made(Self.future)
          case "revoked": revoked
          case "stranger": try rig.certificate("client", for: [])
          case "foreign":
            try rig.certificate("client", for: [], authority: rig.certificate("other", for: []))
          case "server":
            try rig.certificate(
              "client",
              for: ["client.example"],
              authority: authority,
              extensions: ["extendedKeyUsage=serverAuth"]
            )
          default: nil
          }
        let shown = files.map { ["-cert", $0.certificate, "-key", $0.key] } ?? []
        let words = ["openssl", "s_client", "-connect", "\(martlet.endpoint)", "-ign_eof"] + shown
        _ = try rig.outcome(of: [
          "sh", "-c", "exec \(words.joined(separator: " ")) </dev/null 2>&1",
        ])
        try told(martlet, "certificate", detail)
      }
    }

    @Test(
      "say in the log what is wrong with the certificate of a member",
      arguments: [
        ("past", "certificate has expired"), ("future", "certificate is not yet valid"),
        ("name", "hostname mismatch"), ("address", "IP address mismatch"),
        ("stranger", "self-signed certificate"), ("revoked", "certificate revoked"),
      ]
    )
    func member(kind: String, detail: String) async throws {
      try await Rig.run { rig in
        let authority = try rig.certificate("authority", for: [])
        func made(
          _ names: [String],
          _ times: (from: String, until: String) = ("20200101000000Z", "20491201000000Z")
        ) throws -> Rig.CertificateFiles {
          try rig.certificate(
            "member",
            for: names,
            from: times.from,
            until: times.until,
            authority: authority
          )
        }
        let right = ["app.internal", "127.0.0.1"]
        let files =
          switch kind {
          case "revoked": try rig.certificate("member", for: right, authority: authority)
          case "past": try made(right, Self.past)
          case "future": try made(right, Self.future)
          case "name": try made(["other.internal", "127.0.0.1"])
          case "address": try made(["app.internal", "127.0.0.2"])
          default: try rig.certificate("member", for: right)
          }
        let list =
          kind == "revoked" ? try rig.revocationList("list", of: [files], by: authority) : ""
        let nginx = try rig.nginx(
          """
          ssl_certificate \(files.certificate);
          ssl_certificate_key \(files.key);
          location / { return 200 "no"; }
          """,
          listen: "ssl"
        )
        let martlet = try rig.martlet(
          configuration: """
            upstream api {
              member \(nginx.endpoint)
              tls {
                authorities \(authority.certificate)
                \(kind == "name" ? "server_name app.internal" : "")
                \(kind == "revoked" ? "revoked \(list)" : "")
              }
            }
            server { listen LISTEN
              route / { proxy api }
            }
            """
        )
        #expect(try rig.ask(martlet).status == 502)
        let line = try martlet.line(with: "a member failed")
        #expect(line.contains("tls certificate, certificate verify failed: \(detail)"), "\(line)")
        #expect(line.contains("upstream=api") && line.contains("\(nginx.endpoint)"), "\(line)")
      }
    }

    @Test(
      "are foreseen: certificates of our own that others do not believe are told of",
      arguments: [
        ("past", "a certificate is not good at this time", "it has expired at 2020-02-01 00:00"),
        ("future", "a certificate is not good at this time", "it is good from 2049-01-01 00:00 on"),
        ("soon", "a certificate ends soon", "replace it"),
        ("name", "a certificate is not good for a host", "it is not good for `shop.example`"),
      ]
    )
    func own(kind: String, message: String, detail: String) async throws {
      try await Rig.run { rig in
        let name = kind == "name" ? "other.example" : "shop.example"
        let times =
          switch kind {
          case "past": Self.past
          case "future": Self.future
          case "soon": (Self.past.from, Self.time(inDays: 5))
          default: (Self.past.from, Self.future.until)
          }
        let files = try rig.certificate("own", for: [name], from: times.0, until: times.1)
        let martlet = try rig.martlet(
          configuration: """
            server shop.example {
              listen LISTEN tls
              certificate \(files.certificate) \(files.key)
              route / { respond 200 }
            }
            """
        )
        let line = try martlet.line(with: message)
        #expect(line.contains(detail) && line.contains("own.pem"), "\(line)")
        let check = try rig.outcome(
          of: [Rig.martletPath, "check", "--config", rig.path("martlet.conf")]
        )
        #expect(check.status == 0)
        #expect(check.lines.contains { $0.contains(detail) }, "\(check.lines)")
        // It is served all the same, and a client that does not believe it says so.
        guard kind == "past" || kind == "name" else { return }
        let words = [
          "openssl", "s_client", "-connect", "\(martlet.endpoint)", "-servername", "shop.example",
          "-CAfile", files.certificate, "-verify_return_error", "-verify_hostname", "shop.example",
        ]
        let told = try rig.outcome(of: words)
        #expect(told.status != 0)
        let refusal = try martlet.line(with: "reason=refused")
        let alert = kind == "past" ? "certificate expired" : "alert"
        #expect(refusal.contains(alert), "\(refusal)")
      }
    }

    /// The time in so many days, as certificates write it.
    private static func time(inDays count: Double) -> String {
      let form = DateFormatter()
      form.locale = Locale(identifier: "en_US_POSIX")
      form.timeZone = TimeZone(identifier: "UTC")
      form.dateFormat = "yyyyMMddHHmmss'Z'"
      return form.string(from: Date(timeIntervalSinceNow: count * 86_400))
    }

    // MARK: Behind the handshake

    @Test("are over when a client wants to begin another one, and that is told")
    func renegotiation() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let program = """
          import subprocess, sys
          client = subprocess.Popen(
              ["openssl", "s_client", "-connect", sys.argv[1], "-tls1_2"],
              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
          client.stdin.write(b"R\\n")
          client.stdin.flush()
          output, _ = client.communicate(b"GET / HTTP/1.1\\r\\nHost: shop.example\\r\\n\\r\\n")
          print(b"no renegotiation" in output)
          """
        let file = try rig.write(program, to: "renegotiate.py")
        let outcome = try rig.outcome(of: ["/usr/bin/python3", file, "\(martlet.endpoint)"])
        #expect(outcome.lines.last == "True")
        let line = try martlet.line(with: "a client has broken the rules of TLS")
        #expect(line.contains("reason=renegotiation"), "\(line)")
        let metrics = try rig.outcome(
          of: [
            "curl", "--silent", "--unix-socket", rig.path("state/admin.sock"),
            "http://localhost/metrics",
          ]
        ).lines
        let sample = metrics.first {
          $0.hasPrefix("martlet_tls_faults_total{") && $0.contains("reason=\"renegotiation\"")
        }
        #expect(sample?.hasSuffix(" 1") == true, "\(sample ?? "none")")
      }
    }

    @Test("are of no use to who sends behind them what cannot be decrypted")
    func broken() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let program = """
          import socket, ssl, sys
          context = ssl._create_unverified_context()
          raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
          tls = context.wrap_socket(raw, server_hostname="shop.example")
          plain = socket.socket(fileno=tls.detach())
          plain.sendall(b"\\x17\\x03\\x03\\x00\\x40" + b"a" * 64)
          while plain.recv(4096):
              pass
          """
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let file = try rig.write(program, to: "broken.py")
        _ = try rig.outcome(of: ["/usr/bin/python3", file, "\(port)"])
        let line = try martlet.line(with: "a client has broken the rules of TLS")
        #expect(line.contains("reason=malformed"), "\(line)")
        #expect(line.contains("decryption failed or bad record mac"), "\(line)")
      }
    }
  }
}
