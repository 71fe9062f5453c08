import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// certbot before the local authority, and openssl as who believes it.
  @Suite("Certificates that are taken back", .timeLimit(.minutes(3 * slowness)))
  struct RevocationTests {
    /// What is around a test.
    private struct Site {
      var directory: String
      var list: String
      var root: String
      var proofs: UInt16
    }

    private func number(_ endpoint: Endpoint) throws -> UInt16 {
      guard case .port(let port) = endpoint else { throw PeerError("not a port") }
      return port
    }

    private func start(_ rig: Rig, names: String = "localhost", more: String = "") throws -> Site {
      let (tls, plain, proofs) = (try rig.freePort(), try rig.freePort(), try rig.freePort())
      _ = try rig.martlet(
        configuration: """
          certificates { storage \(rig.path("kept")) }
          server \(names) {
            listen \(tls) tls
            listen \(plain)
            tls auto
            route /acme/ { acme http_port \(try number(proofs)) \(more) }
            route / { respond 404 }
          }
          server { listen LISTEN
            route / { respond 404 } }
          """
      )
      return Site(
        directory: "https://localhost:\(try number(tls))/acme/directory",
        list: "http://localhost:\(try number(plain))/acme/crl",
        root: rig.path("kept/local/root.pem"),
        proofs: try number(proofs)
      )
    }

    private func certbot(
      _ rig: Rig,
      _ site: Site,
      _ words: String...,
      account: String = "one"
    ) throws -> [String] {
      try rig.outcome(
        of: ["env", "REQUESTS_CA_BUNDLE=\(site.root)", "certbot"] + words + [
          "--non-interactive", "--server", site.directory, "--config-dir", rig.path(account),
          "--work-dir", rig.path("work"), "--logs-dir", rig.path("logs"),
        ]
      ).lines
    }

    private func logged(_ rig: Rig) throws -> String {
      String(decoding: try rig.read("logs/letsencrypt.log"), as: UTF8.self)
    }

    /// Has certbot obtain a certificate; returns the folder where it is.
    private func obtain(_ rig: Rig, _ site: Site, account: String = "one") throws -> String {
      let lines = try certbot(
        rig,
        site,
        "certonly",
        "--standalone",
        "--agree-tos",
        "--register-unsafely-without-email",
        "--http-01-port",
        String(site.proofs),
        "--http-01-address",
        "127.0.0.1",
        "-d",
        "localhost",
        account: account
      )
      #expect(lines.contains { $0.contains("Successfully received certificate") }, "\(lines)")
      return rig.path("\(account)/live/localhost")
    }

    private func openssl(_ rig: Rig, _ words: String...) throws -> (status: Int32, lines: [String])
    {
      try rig.outcome(of: ["openssl"] + words)
    }

    /// What openssl says of a certificate, with the list as it is now.
    private func checked(
      _ rig: Rig,
      _ site: Site,
      _ folder: String
    ) throws -> (status: Int32, lines: [String]) {
      let list = rig.path("list.der")
      let got = try rig.outcome(of: ["curl", "--silent", "--fail", "-o", list, site.list])
      #expect(got.status == 0)
      let pem = rig.path("list.pem")
      _ = try openssl(rig, "crl", "-inform", "DER", "-in", list, "-out", pem)
      return try openssl(
        rig,
        "verify",
        "-crl_check",
        "-CAfile",
        site.root,
        "-CRLfile",
        pem,
        "\(folder)/cert.pem"
      )
    }

    /// Has certbot revoke a certificate of the folder of an account.
    private func revoke(
      _ rig: Rig,
      _ site: Site,
      _ folder: String,
      _ more: [String] = [],
      account: String = "one"
    ) throws -> Bool {
      let lines = try rig.outcome(
        of: [
          "env", "REQUESTS_CA_BUNDLE=\(site.root)", "certbot", "revoke", "--no-delete-after-revoke",
          "--cert-path", "\(folder)/cert.pem", "--non-interactive", "--server", site.directory,
          "--config-dir", rig.path(account), "--work-dir", rig.path("work"), "--logs-dir",
          rig.path("logs"),
        ] + more
      ).lines
      return lines.contains { $0.contains("Congratulations") }
    }

    @Test("are revoked by the account that has them, once, and by no other one")
    func byAccount() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let folder = try obtain(rig, site)
        let good = try checked(rig, site, folder)
        #expect(good.status == 0, "\(good.lines)")
        // The certificate says where the list is.
        let told = try openssl(rig, "x509", "-in", "\(folder)/cert.pem", "-noout", "-text")
        #expect(told.lines.contains { $0.contains("URI:\(site.list)") }, "\(told.lines)")
        _ = try certbot(
          rig,
          site,
          "register",
          "--agree-tos",
          "--register-unsafely-without-email",
          account: "other"
        )
        #expect(try !revoke(rig, site, folder, account: "other"))
        // What certbot makes of a refusal stands in its log.
        #expect(try logged(rig).contains("nor an account that it was given to"))
        #expect(try checked(rig, site, folder).status == 0)
        #expect(try revoke(rig, site, folder, ["--reason", "superseded"]))
        let revoked = try checked(rig, site, folder)
        #expect(revoked.status != 0)
        #expect(revoked.lines.contains { $0.contains("certificate revoked") }, "\(revoked.lines)")
        #expect(try !revoke(rig, site, folder))
        #expect(try logged(rig).contains("alreadyRevoked"))
      }
    }

    @Test("are revoked by their key, and stand in a list that their authority has signed")
    func byKey() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let folder = try obtain(rig, site)
        let words = ["--reason", "keycompromise", "--key-path", "\(folder)/privkey.pem"]
        #expect(try revoke(rig, site, folder, words, account: "other"))
        #expect(try checked(rig, site, folder).status != 0)
        let file = rig.path("list.pem")
        let list = try openssl(rig, "crl", "-in", file, "-noout", "-text").lines
        #expect(list.count { $0.contains("Serial Number:") } == 1)
        #expect(list.contains { $0.contains("Key Compromise") })
        #expect(list.contains { $0.contains("X509v3 CRL Number") })
        let signed = try openssl(rig, "crl", "-in", file, "-noout", "-CAfile", site.root)
        #expect(signed.lines.contains { $0.contains("verify OK") }, "\(signed.lines)")
      }
    }

    @Test("are revoked by who runs the authority, also by their number, for good")
    func byCommand() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let folder = try obtain(rig, site)
        let told = try rig.martlet(command: "certificate", "revoke", "\(folder)/cert.pem")
        #expect(told.status == 0, "\(told.lines)")
        #expect(try checked(rig, site, folder).status != 0)
        let again = try rig.martlet(command: "certificate", "revoke", "\(folder)/cert.pem")
        #expect(again.status != 0)
        #expect(again.lines.contains { $0.contains("was revoked before") }, "\(again.lines)")
        let foreign = try rig.certificate("foreign", for: ["localhost"])
        let refused = try rig.martlet(command: "certificate", "revoke", foreign.certificate)
        #expect(
          refused.lines.contains { $0.contains("not from the authority") },
          "\(refused.lines)"
        )

        let second = try obtain(rig, site, account: "two")
        let serial = try openssl(rig, "x509", "-in", "\(second)/cert.pem", "-noout", "-serial")
          .lines
        let hex = try #require(serial.first?.split(separator: "=").last.map(String.init))
        #expect(try rig.martlet(command: "certificate", "revoke", "--number", hex).status == 0)
        #expect(try checked(rig, site, second).status != 0)
        // It stands where the authority is kept.
        let kept = String(decoding: try rig.read("kept/local/revoked"), as: UTF8.self)
        #expect(kept.split(separator: "\n").count == 2)
        #expect(kept.contains(hex.lowercased()))
      }
    }

    @Test("are looked up where the configuration says, when the server has no name")
    func named() async throws {
      try await Rig.run { rig in
        let site = try start(rig, names: "", more: "crl http://lists.internal/local.crl")
        let folder = try obtain(rig, site)
        let told = try openssl(rig, "x509", "-in", "\(folder)/cert.pem", "-noout", "-text")
        #expect(told.lines.contains { $0.contains("URI:http://lists.internal/local.crl") })
        #expect(try checked(rig, site, folder).status == 0)
      }
    }
  }
}
