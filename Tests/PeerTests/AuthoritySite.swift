import Foundation
import TestPeers
import Testing

/// Martlet with a local authority that gives certificates to others, and tells what became of them.
struct AuthoritySite {
  var martlet: Peer
  /// Where certificates are given.
  var directory: String
  /// Where those are that were revoked, and who is asked about one of them.
  var list: String
  var responder: String
  /// The certificate of the authority.
  var root: String
  /// Where clients are asked for proofs.
  var proofs: UInt16
  /// Where TLS is spoken.
  var tls: Endpoint
}

extension Rig {
  private func number(_ endpoint: Endpoint) throws -> UInt16 {
    guard case .port(let port) = endpoint else { throw PeerError("not a port") }
    return port
  }

  /// Starts a server of these names with an authority; `words` stand behind `acme`, `more` behind the server.
  func authoritySite(
    names: String = "localhost",
    more words: String = "",
    also more: String = ""
  ) throws -> AuthoritySite {
    let (tls, plain, proofs) = (try freePort(), try freePort(), try freePort())
    let martlet = try martlet(
      configuration: """
        certificates { storage \(path("kept")) }
        server \(names) {
          listen \(tls) tls
          listen \(plain)
          tls auto
          route /acme/ { acme http_port \(try number(proofs)) \(words) }
          route / { respond 404 }
        }
        server { listen LISTEN
          route / { respond 404 } }
        \(more)
        """
    )
    return AuthoritySite(
      martlet: martlet,
      directory: "https://localhost:\(try number(tls))/acme/directory",
      list: "http://localhost:\(try number(plain))/acme/crl",
      responder: "http://localhost:\(try number(plain))/acme/ocsp",
      root: path("kept/local/root.pem"),
      proofs: try number(proofs),
      tls: tls
    )
  }

  /// What certbot says, with the folder of an account.
  func certbot(
    at site: AuthoritySite,
    _ words: String...,
    more: [String] = [],
    account: String = "one"
  ) throws -> [String] {
    try outcome(
      of: ["env", "REQUESTS_CA_BUNDLE=\(site.root)", "certbot"] + words + more + [
        "--non-interactive", "--server", site.directory, "--config-dir", path(account),
        "--work-dir", path("work"), "--logs-dir", path("logs"),
      ]
    ).lines
  }

  /// What certbot has written down.
  func certbotLog() throws -> String {
    String(decoding: try read("logs/letsencrypt.log"), as: UTF8.self)
  }

  /// Has certbot obtain a certificate; returns the folder where it is.
  func obtain(
    from site: AuthoritySite,
    _ words: String...,
    account: String = "one"
  ) throws -> String {
    let lines = try certbot(
      at: site,
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
      more: words,
      account: account
    )
    #expect(lines.contains { $0.contains("Successfully received certificate") }, "\(lines)")
    return path("\(account)/live/localhost")
  }

  /// What openssl says.
  func openssl(_ words: String...) throws -> (status: Int32, lines: [String]) {
    try outcome(of: ["openssl"] + words)
  }
}
