import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// certbot before the local authority, and openssl as who believes it.
  @Suite("Certificates that are taken back", .timeLimit(.minutes(3 * slowness)))
  struct RevocationTests {
    /// What openssl says of a certificate, with the list as it is now.
    private func checked(
      _ rig: Rig,
      _ site: AuthoritySite,
      _ folder: String
    ) throws -> (status: Int32, lines: [String]) {
      let list = rig.path("list.der")
      let got = try rig.outcome(of: ["curl", "--silent", "--fail", "-o", list, site.list])
      #expect(got.status == 0)
      let pem = rig.path("list.pem")
      _ = try rig.openssl("crl", "-inform", "DER", "-in", list, "-out", pem)
      return try rig.openssl(
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
      _ site: AuthoritySite,
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
        let site = try rig.authoritySite()
        let folder = try rig.obtain(from: site)
        let good = try checked(rig, site, folder)
        #expect(good.status == 0, "\(good.lines)")
        // The certificate says where the list is.
        let told = try rig.openssl("x509", "-in", "\(folder)/cert.pem", "-noout", "-text")
        #expect(told.lines.contains { $0.contains("URI:\(site.list)") }, "\(told.lines)")
        _ = try rig.certbot(
          at: site,
          "register",
          "--agree-tos",
          "--register-unsafely-without-email",
          account: "other"
        )
        #expect(try !revoke(rig, site, folder, account: "other"))
        // What certbot makes of a refusal stands in its log.
        #expect(try rig.certbotLog().contains("nor an account that it was given to"))
        #expect(try checked(rig, site, folder).status == 0)
        #expect(try revoke(rig, site, folder, ["--reason", "superseded"]))
        let revoked = try checked(rig, site, folder)
        #expect(revoked.status != 0)
        #expect(revoked.lines.contains { $0.contains("certificate revoked") }, "\(revoked.lines)")
        #expect(try !revoke(rig, site, folder))
        #expect(try rig.certbotLog().contains("alreadyRevoked"))
      }
    }

    @Test(
      "are revoked by their key, and stand in a list that their authority has signed",
      arguments: ["secp256r1", "secp384r1"]
    )
    func byKey(curve: String) async throws {
      try await Rig.run { rig in
        let site = try rig.authoritySite()
        let folder = try rig.obtain(from: site, "--elliptic-curve", curve)
        let words = ["--reason", "keycompromise", "--key-path", "\(folder)/privkey.pem"]
        #expect(try revoke(rig, site, folder, words, account: "other"))
        #expect(try checked(rig, site, folder).status != 0)
        let file = rig.path("list.pem")
        let list = try rig.openssl("crl", "-in", file, "-noout", "-text").lines
        #expect(list.count { $0.contains("Serial Number:") } == 1)
        #expect(list.contains { $0.contains("Key Compromise") })
        #expect(list.contains { $0.contains("X509v3 CRL Number") })
        let signed = try rig.openssl("crl", "-in", file, "-noout", "-CAfile", site.root)
        #expect(signed.lines.contains { $0.contains("verify OK") }, "\(signed.lines)")
      }
    }

    @Test("are revoked by who runs the authority, also by their number, for good")
    func byCommand() async throws {
      try await Rig.run { rig in
        let site = try rig.authoritySite()
        let folder = try rig.obtain(from: site)
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

        let second = try rig.obtain(from: site, account: "two")
        let serial = try rig.openssl("x509", "-in", "\(second)/cert.pem", "-noout", "-serial")
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
        let site = try rig.authoritySite(names: "", more: "crl http://lists.internal/local.crl")
        let folder = try rig.obtain(from: site)
        let told = try rig.openssl("x509", "-in", "\(folder)/cert.pem", "-noout", "-text")
        #expect(told.lines.contains { $0.contains("URI:http://lists.internal/local.crl") })
        #expect(try checked(rig, site, folder).status == 0)
      }
    }
  }
}
