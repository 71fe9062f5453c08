import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// openssl, curl and Martlet itself, who ask the local authority what became of certificates.
  @Suite("What became of certificates", .timeLimit(.minutes(3 * slowness)))
  struct ResponderTests {
    /// What openssl is told of a certificate.
    private func asked(
      _ rig: Rig,
      _ site: AuthoritySite,
      _ words: [String]
    ) throws -> [String] {
      let all =
        ["openssl", "ocsp", "-issuer", site.root, "-CAfile", site.root, "-url", site.responder]
        + words
      return try rig.outcome(of: ["sh", "-c", "\(all.joined(separator: " ")) 2>&1"]).lines
    }

    private func metrics(_ rig: Rig) throws -> [String] {
      try rig.outcome(
        of: [
          "curl", "--silent", "--unix-socket", rig.path("state/admin.sock"),
          "http://localhost/metrics",
        ]
      ).lines
    }

    @Test("is told to who asks, with and without a nonce, from the moment of a revocation on")
    func answers() async throws {
      try await Rig.run { rig in
        let site = try rig.authoritySite()
        let folder = try rig.obtain(from: site)
        let own = "\(folder)/cert.pem"
        // The certificate says who is asked.
        let told = try rig.openssl("x509", "-in", own, "-noout", "-ocsp_uri")
        #expect(told.lines == [site.responder])
        for words in [[], ["-no_nonce"], ["-no_nonce"], ["-sha256"]] {
          let good = try asked(rig, site, words + ["-cert", own])
          #expect(good.contains("Response verify OK"), "\(good)")
          #expect(good.contains("\(own): good"), "\(good)")
          #expect(!good.contains { $0.contains("WARNING: no nonce") } || !words.isEmpty)
        }
        let unknown = try asked(rig, site, ["-serial", "0x1234567890ABCDEF"])
        #expect(unknown.contains { $0.hasSuffix(": unknown") }, "\(unknown)")
        let revoked = try rig.martlet(
          command: "certificate",
          "revoke",
          own,
          "--reason",
          "superseded"
        )
        #expect(revoked.status == 0, "\(revoked.lines)")
        for words in [["-no_nonce"], []] {
          let lines = try asked(rig, site, ["-cert", own] + words)
          #expect(lines.contains("\(own): revoked"), "\(lines)")
          #expect(lines.contains { $0.contains("Reason: superseded") })
        }
        let metrics = try metrics(rig)
        for (name, label, count) in [
          ("certificates", "outcome=\"given\"", 1), ("certificates", "outcome=\"revoked\"", 1),
          ("answers", "answer=\"good\"", 3), ("answers", "answer=\"kept\"", 1),
          ("answers", "answer=\"unknown\"", 1), ("answers", "answer=\"revoked\"", 2),
          ("answers", "answer=\"malformed\"", 0),
        ] {
          let line = "martlet_authority_\(name)_total{\(label)} \(count)"
          // Our own certificate was asked about as well.
          let isThere = metrics.contains { $0.hasPrefix(line) } || label.contains("good")
          #expect(isThere, "\(line): \(metrics.filter { $0.contains("authority") })")
        }
        let status = try rig.martlet(command: "status", "--json").lines.joined()
        #expect(status.contains("\"authority\""))
      }
    }

    @Test("is told to who asks with GET, so that others may keep it")
    func byPath() async throws {
      try await Rig.run { rig in
        let site = try rig.authoritySite()
        let folder = try rig.obtain(from: site)
        let own = "\(folder)/cert.pem"
        let (request, response) = (rig.path("request"), rig.path("response"))
        _ = try rig.openssl(
          "ocsp",
          "-issuer",
          site.root,
          "-cert",
          own,
          "-no_nonce",
          "-reqout",
          request
        )
        let text = Data(try rig.read("request")).base64EncodedString()
        let escaped = text.replacingOccurrences(of: "/", with: "%2F")
          .replacingOccurrences(of: "+", with: "%2B").replacingOccurrences(of: "=", with: "%3D")
        for path in [escaped, text] {
          let got = try rig.outcome(
            of: ["curl", "--silent", "-D", "-", "-o", response, "\(site.responder)/\(path)"]
          ).lines
          #expect(got.first?.contains(" 200") == true, "\(got)")
          #expect(got.contains { $0.hasPrefix("Content-Type: application/ocsp-response") })
          #expect(got.contains { $0.hasPrefix("Cache-Control: max-age=60") }, "\(got)")
          let read = try rig.outcome(
            of: [
              "sh", "-c",
              "openssl ocsp -issuer \(site.root) -CAfile \(site.root) -cert \(own) -respin \(response) 2>&1",
            ]
          )
          #expect(read.lines.contains("\(own): good"), "\(read.lines)")
        }
        // What is no question is told to be none, in the words of OCSP or of HTTP.
        func status(_ words: String...) throws -> [String] {
          try rig.outcome(
            of: ["curl", "--silent", "-o", response, "-w", "%{http_code}"] + words
          ).lines
        }
        #expect(try status("\(site.responder)/AAAA") == ["200"])
        #expect(try rig.read("response") == [0x30, 3, 0x0A, 1, 1])
        #expect(try status("\(site.responder)/*") == ["400"])
        #expect(try status("-d", "a", site.responder) == ["415"])
        #expect(try status("-X", "PUT", "-d", "a", site.responder) == ["405"])
      }
    }

    @Test("is shown by Martlet with its own certificates, and with those that others have obtained")
    func stapled() async throws {
      try await Rig.run { rig in
        let site = try rig.authoritySite()
        try site.martlet.line(with: "a certificate is shown with what its authority says of it")
        func shown(_ endpoint: Endpoint) throws -> [String] {
          try rig.outcome(
            of: [
              "sh", "-c",
              "openssl s_client -connect \(endpoint) -servername localhost -status -CAfile \(site.root)"
                + " </dev/null 2>&1",
            ]
          ).lines
        }
        let own = try shown(site.tls)
        #expect(own.contains { $0.contains("Cert Status: good") }, "\(own)")
        #expect(own.contains { $0.contains("Verify return code: 0") })
        // The certificate of the authority is not sent on every handshake.
        let chain = try rig.openssl(to: site.tls, "-servername", "localhost", "-showcerts").lines
        #expect(chain.count { $0.contains("-----BEGIN CERTIFICATE-----") } == 1)
        let folder = try rig.obtain(from: site)
        func another(_ name: String) throws -> Peer {
          let place = try rig.freePort()
          let file = try rig.write(
            """
            certificates { storage \(rig.path("kept-\(name)")) }
            server localhost {
              listen \(place) tls
              certificate \(folder)/fullchain.pem \(folder)/privkey.pem
              route / { respond 200 }
            }
            """,
            to: "\(name).conf"
          )
          let state = rig.path("state-\(name)")
          let peer = try rig.start(
            [Rig.martletPath, "run", "--config", file, "--state-directory", state],
            at: place
          )
          try peer.line(with: "listens on")
          return peer
        }
        let second = try another("second")
        try second.line(with: "a certificate is shown with what its authority says of it")
        #expect(try shown(second.endpoint).contains { $0.contains("Cert Status: good") })
        let revoked = try rig.martlet(command: "certificate", "revoke", "\(folder)/cert.pem")
        #expect(revoked.status == 0)
        let third = try another("third")
        try third.line(with: "a certificate was revoked")
        #expect(try shown(third.endpoint).contains { $0.contains("no response sent") })
      }
    }

    @Test("is asked for where the configuration says, and nowhere where nobody is reached")
    func places() async throws {
      try await Rig.run { rig in
        let site = try rig.authoritySite(names: "", more: "ocsp http://ca.internal/status")
        let folder = try rig.obtain(from: site)
        let told = try rig.openssl("x509", "-in", "\(folder)/cert.pem", "-noout", "-ocsp_uri")
        #expect(told.lines == ["http://ca.internal/status"])
        let lines = try asked(rig, site, ["-cert", "\(folder)/cert.pem"])
        #expect(lines.contains("\(folder)/cert.pem: good"), "\(lines)")
      }
    }
  }
}
