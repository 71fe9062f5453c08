import Foundation
import JSON
import TestPeers
import Testing

extension PeerTests {
  /// OpenSSL's responder behind Martlet, and its client before it.
  @Suite("What authorities say of certificates", .timeLimit(.minutes(1 * slowness)))
  struct StaplingTests {
    /// Martlet with a certificate whose authority is asked at a port.
    private func start(
      _ rig: Rig,
      _ vouched: Vouched,
      tls: String = ""
    ) throws -> Peer {
      try rig.martlet(
        configuration: """
          certificates { storage \(rig.path("kept")) }
          server shop.example {
            listen LISTEN tls
            certificate \(vouched.files.certificate) \(vouched.files.key)
            \(tls)
            route / { respond 200 }
          }
          """
      )
    }

    /// Starts OpenSSL's responder.
    private func responder(_ rig: Rig, _ vouched: Vouched, at place: Endpoint) throws -> Peer {
      guard case .port(let port) = place else { throw PeerError("not a port") }
      // It serves one connection at a time, and has no patience with one on which nothing is said.
      let responder = try rig.start(
        ["openssl", "ocsp", "-port", "\(port)", "-ndays", "1", "-ignore_err"] + vouched.options
      )
      try responder.line(with: "waiting for OCSP client connections")
      return responder
    }

    /// What a client is told that asks for what the authority says.
    private func asked(_ rig: Rig, _ martlet: Peer, _ options: String...) throws -> [String] {
      let words = options.map { "'\($0)'" }.joined(separator: " ")
      return try rig.outcome(
        of: [
          "sh", "-c",
          "openssl s_client -connect \(martlet.endpoint) -servername shop.example -status \(words) </dev/null 2>&1",
        ]
      ).lines
    }

    @Test(
      "is fetched and shown with a certificate, to clients of both versions, and outlives a restart"
    )
    func stapled() async throws {
      try await Rig.run { rig in
        let place = try rig.freePort()
        let vouched = try rig.vouched(responder: "http://\(place)/")
        let responder = try responder(rig, vouched, at: place)
        let first = try start(rig, vouched)
        try first.line(with: "a certificate is shown with what its authority says of it")
        for version in ["-tls1_2", "-tls1_3"] {
          let lines = try asked(rig, first, version)
          #expect(lines.contains { $0.contains("Cert Status: good") }, "\(version)")
        }
        let plain = try rig.openssl(to: first.endpoint, "-servername", "shop.example").lines
        #expect(!plain.contains { $0.contains("OCSP Response Status") })
        let metrics = try rig.outcome(
          of: [
            "curl", "--silent", "--unix-socket", rig.path("state/admin.sock"),
            "http://localhost/metrics",
          ]
        ).lines
        let label = "{certificate=\"\(vouched.files.certificate)\""
        #expect(metrics.contains("martlet_ocsp_fetches_total\(label),outcome=\"fetched\"} 1"))
        #expect(metrics.contains("martlet_ocsp_revoked\(label)} 0"))
        let status = try rig.martlet(command: "status", "--json").lines.joined()
        #expect(status.contains("\"ocsp\"") && status.contains("http://\(place)/"))
        responder.end()
        #expect(try rig.martlet(command: "stop").status == 0)
        _ = try first.status()
        let second = try start(rig, vouched)
        #expect(try asked(rig, second).contains { $0.contains("Cert Status: good") })
        #expect(second.count(of: "could not be asked") == 0)
      }
    }

    @Test("is shown from the next handshake on after a reload with a response of a file")
    func file() async throws {
      try await Rig.run { rig in
        let vouched = try rig.vouched()
        let martlet = try start(rig, vouched)
        #expect(try asked(rig, martlet).contains { $0.contains("no response sent") })
        let request = rig.path("request")
        _ = try rig.outcome(
          of: [
            "openssl", "ocsp", "-issuer", vouched.authority.certificate, "-cert",
            rig.path("vouched-own.pem"), "-no_nonce", "-reqout", request,
          ]
        )
        let response = try rig.response(about: vouched, request: rig.read("request"))
        try rig.write(response, to: "response")
        let file = rig.path("martlet.conf")
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        let changed = text.replacingOccurrences(
          of: "route /",
          with: "tls { ocsp_response \(rig.path("response")) }\nroute /"
        )
        try changed.write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(try asked(rig, martlet).contains { $0.contains("Cert Status: good") })
      }
    }

    @Test(
      "is told of where it was revoked or cannot be had, and the certificate is served all the same"
    )
    func revoked() async throws {
      try await Rig.run { rig in
        let place = try rig.freePort()
        let vouched = try rig.vouched(responder: "http://\(place)/", state: "R")
        _ = try responder(rig, vouched, at: place)
        let martlet = try start(rig, vouched)
        try martlet.line(with: "a certificate was revoked")
        #expect(try asked(rig, martlet).contains { $0.contains("no response sent") })
        let status = try rig.martlet(command: "status", "--json").lines.joined()
        #expect(status.contains("\"revoked\""))
      }
    }

    @Test("is not asked for with `ocsp off`")
    func off() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try rig.member { _ in count.withLock { $0 += 1 } }
        let vouched = try rig.vouched(responder: "http://\(member.endpoint)/")
        let martlet = try start(rig, vouched, tls: "tls { ocsp off }")
        #expect(try asked(rig, martlet).contains { $0.contains("no response sent") })
        #expect(count.withLock(\.self) == 0)
      }
    }
  }
}
