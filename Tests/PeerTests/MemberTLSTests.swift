import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Martlet before members that speak TLS: nginx and HAProxy.
  @Suite("TLS with members", .timeLimit(.minutes(5 * slowness))) struct MemberTLSTests {
    /// nginx with a certificate for `app.internal` that an authority has signed.
    private func member(_ rig: Rig, _ more: String = "") throws -> Peer {
      let authority = try rig.certificate("authority", for: [])
      let own = try rig.certificate(
        "member",
        for: ["app.internal", "127.0.0.1"],
        authority: authority
      )
      return try rig.nginx(
        """
        ssl_certificate \(own.certificate);
        ssl_certificate_key \(own.key);
        ssl_protocols TLSv1.2 TLSv1.3;
        \(more)
        location / {
          return 200 "$ssl_protocol $ssl_server_name $ssl_session_reused $ssl_client_s_dn $connection";
        }
        location /large { root \(rig.path("files")); }
        """,
        listen: "ssl"
      )
    }

    private func martlet(
      _ rig: Rig,
      to nginx: Peer,
      _ tls: String,
      _ more: String = ""
    ) throws -> Peer {
      try rig.martlet(
        configuration: """
          loops 1
          upstream api {
            member \(nginx.endpoint)
            \(more)
            tls { \(tls) }
          }
          server { listen LISTEN
            route / { proxy api }
          }
          """
      )
    }

    @Test(
      "believes those that the authority vouches for, by name or by address",
      arguments: ["", "server_name app.internal"]
    )
    func verified(name: String) async throws {
      try await Rig.run { rig in
        let nginx = try member(rig)
        let martlet = try martlet(rig, to: nginx, "authorities authority.pem\n\(name)")
        let first = try rig.ask(martlet)
        #expect(first.status == 200)
        #expect(first.text.hasPrefix("TLSv1.3 \(name.isEmpty ? "" : "app.internal") . "))
        // The connection was kept, though the member has sent tickets over it.
        let second = try rig.ask(martlet)
        #expect(first.text == second.text)
      }
    }

    @Test(
      "believes nobody else, and says why",
      arguments: [
        ("", "unable to get local issuer certificate"),
        ("authorities authority.pem\nserver_name other.internal", "hostname mismatch"),
      ]
    )
    func refused(block: String, reason: String) async throws {
      try await Rig.run { rig in
        let nginx = try member(rig)
        let martlet = try martlet(rig, to: nginx, block)
        #expect(try rig.ask(martlet).status == 502)
        try martlet.line(with: reason)
      }
    }

    @Test("does without verification where that is said, and says so")
    func unverified() async throws {
      try await Rig.run { rig in
        let nginx = try member(rig)
        let martlet = try martlet(rig, to: nginx, "verify off")
        #expect(try rig.ask(martlet).status == 200)
        #expect(martlet.lines.contains { $0.contains("can read and change everything") })
      }
    }

    @Test("shows its certificate, continues sessions, and passes large bodies")
    func certificate() async throws {
      try await Rig.run { rig in
        let own = try rig.certificate("client", for: [])
        let bytes = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 2) }
        try rig.write(bytes, to: "files/large")
        let nginx = try member(
          rig,
          "ssl_client_certificate \(own.certificate); ssl_verify_client on;"
        )
        let martlet = try martlet(
          rig,
          to: nginx,
          "authorities authority.pem\ncertificate client.pem client.key",
          "max_requests 1"
        )
        let first = try rig.ask(martlet)
        #expect(first.text.contains(" . CN=client"), "\(first.text)")
        // Another connection, and no other key exchange.
        #expect(try rig.ask(martlet).text.contains(" r CN=client"))
        _ = try rig.curl("-o", rig.path("got"), martlet.endpoint.url("/large"))
        #expect(try rig.read("got") == bytes)
      }
    }

    @Test("checks members over TLS")
    func checks() async throws {
      try await Rig.run { rig in
        let nginx = try member(rig)
        let martlet = try martlet(
          rig,
          to: nginx,
          "authorities authority.pem",
          "check http { interval 100ms }"
        )
        let deadline = ContinuousClock.now + patience
        while try rig.health() != ["up"] {
          guard ContinuousClock.now < deadline else { throw PeerError("\(martlet.lines)") }
        }
      }
    }
  }
}
