import Configuration
import Directives
import Testing

@Suite("Certificates that are obtained")
struct IssuanceTests {
  private func load(_ text: String) throws -> EdgeConfiguration {
    let loaded = ConfigurationLoader.load(name: "edge.conf", text: text)
    #expect(loaded.rendered() == "")
    return try #require(loaded.configuration)
  }

  @Test(
    "come from the authority of this machine where no other one can vouch for a name",
    arguments: [
      ("localhost", true), ("shop", true), ("a.localhost", true), ("db.local", true),
      ("x.internal", true), ("a.b.test", true), ("nas.home.arpa", true), ("*.shop.test", true),
      ("10.0.0.1", true), ("172.16.0.1", true), ("172.32.0.1", false), ("192.168.1.1", true),
      ("127.9.9.9", true), ("169.254.1.1", true), ("100.64.0.1", true), ("100.128.0.1", false),
      ("192.0.2.1", false), ("::1", true), ("fd12::1", true), ("fe80::1", true),
      ("2001:db8::1", false), ("shop.example", false), ("*.shop.example", false),
      ("local.example", false), ("mylocalhost.example", false), ("example.local.org", false),
    ]
  )
  func local(name: String, isLocal: Bool) {
    #expect(CertificateNeed.isLocal(name) == isLocal)
  }

  @Test("are looked up in a list where clients need no other certificate for that")
  func revocations() throws {
    func place(_ text: String) throws -> String? {
      try load(text).authorityService?.revocations
    }
    let authority = "route /ca/ { acme }\nroute / { respond 404 }"
    #expect(
      try place("server ca.internal {\ntls auto\n\(authority)\n}")
        == "http://ca.internal/ca/crl"
    )
    #expect(
      try place("server ca.internal {\nlisten :443 tls\nlisten :8080\ntls auto\n\(authority)\n}")
        == "http://ca.internal:8080/ca/crl"
    )
    // Another server of the name has the port.
    #expect(
      try place(
        """
        server ca.internal {
        listen :443 tls
        tls auto
        \(authority)
        }
        server ca.internal {
        listen :80
        route / { respond 404 }
        }
        """
      ) == "http://ca.internal/ca/crl"
    )
    #expect(try place("server ca.internal {\nlisten :443 tls\ntls auto\n\(authority)\n}") == nil)
    // What a client calls a server without a name is not taken for it.
    #expect(try place("server {\ntls auto\n\(authority)\n}") == nil)
    #expect(
      try place(
        "server {\ntls auto\nroute /ca/ { acme crl http://a.test/x }\nroute / { respond 404 }\n}"
      ) == "http://a.test/x"
    )
    #expect(try place("server a.test {\ntls auto\nroute / { respond 404 }\n}") == nil)
  }

  @Test("are one for each name, and one for all addresses of a server without a name")
  func needs() throws {
    let configuration = try load(
      """
      certificates { dns_command /bin/records }
      server shop.example *.shop.example a.test 192.0.2.1 {
          tls auto
          route / { respond 200 }
      }
      server {
          listen 127.0.0.1:8443 tls
          listen 10.1.1.1:8443 tls
          listen 192.0.2.9:8443 tls
          listen [2001:db8::5]:8443 tls
          listen :8080
          tls auto { policy modern }
          route / { respond 200 }
      }
      """
    )
    #expect(
      configuration.certificateNeeds == [
        CertificateNeed(names: ["shop.example"], isLocal: false),
        CertificateNeed(names: ["*.shop.example"], isLocal: false),
        CertificateNeed(names: ["a.test"], isLocal: true),
        CertificateNeed(names: ["192.0.2.1"], isLocal: false),
        CertificateNeed(names: ["localhost", "127.0.0.1", "::1", "10.1.1.1"], isLocal: true),
        CertificateNeed(names: ["192.0.2.9"], isLocal: false),
        CertificateNeed(names: ["2001:db8::5"], isLocal: false),
      ]
    )
    #expect(configuration.servers[1].tls.preset == .modern)
    #expect(configuration.certificateNeeds[3].addresses == ["192.0.2.1"])
    #expect(configuration.proofs(of: configuration.certificateNeeds[1]) == [.dns])
    #expect(configuration.proofs(of: configuration.certificateNeeds[0]) == [.http, .tls, .dns])
  }

  @Test(
    "are all that a server needs to say: it listens at the usual ports, and sends clients there"
  )
  func usual() throws {
    let configuration = try load(
      """
      server shop.example {
          tls auto
          route / { respond 200 }
      }
      """
    )
    #expect(configuration.servers.count == 2)
    #expect(configuration.servers[0].listeners.map(\.address) == [.any(port: 443)])
    #expect(configuration.servers[0].listeners.map(\.isTLS) == [true])
    #expect(configuration.servers[1].names == configuration.servers[0].names)
    #expect(configuration.servers[1].listeners.map(\.address) == [.any(port: 80)])
    guard case .redirect(308, let target)? = configuration.servers[1].routes.first?.handler else {
      Issue.record("clients are not sent on")
      return
    }
    #expect(target.description == "https://{request.host}{request.target}")
    #expect(configuration.answersProofs == [true, true])
  }

  @Test("leave what a server says about port 80 as it is")
  func plain() throws {
    let configuration = try load(
      """
      server shop.example {
          tls auto
          route / { respond 200 }
      }
      server shop.example {
          listen :80
          route / { respond 404 }
      }
      server other.example {
          listen :80
          route / { respond 200 }
      }
      """
    )
    #expect(configuration.servers.count == 3)
    #expect(configuration.answersProofs == [true, true, false])
  }

  @Test("have authorities with what is said of each")
  func authorities() throws {
    let configuration = try load(
      """
      certificates {
          storage /srv/certificates
          contact a@shop.example b@shop.example
          authority https://one.example/dir
          authority https://two.example:14000/dir {
              trust two.pem
              key_id me
              key c2VjcmV0LWtleQ
          }
          proofs tls http
          dns_delay 5s
      }
      server shop.example {
          tls auto
          route / { respond 200 }
      }
      """
    )
    let issuance = configuration.issuance
    #expect(issuance.storage == "/srv/certificates")
    #expect(issuance.contacts == ["a@shop.example", "b@shop.example"])
    #expect(
      issuance.authorities == [
        AuthoritySettings(directory: "https://one.example/dir"),
        AuthoritySettings(
          directory: "https://two.example:14000/dir",
          trust: "two.pem",
          keyID: "me",
          key: "c2VjcmV0LWtleQ"
        ),
      ]
    )
    #expect(issuance.proofs == [.tls, .http])
    #expect(issuance.dnsDelay == .seconds(5))
  }

  @Test("never show the key of an account in what is in force")
  func secret() throws {
    let loaded = ConfigurationLoader.load(
      name: "a.conf",
      text: """
        certificates {
            authority https://a.example/d {
                key_id me
                key c2VjcmV0LWtleQ
            }
        }
        server shop.example {
            tls auto
            route / { respond 200 }
        }
        """
    )
    let shown = loaded.json.formatted()
    #expect(shown.contains("https://a.example/d"))
    #expect(!shown.contains("c2VjcmV0LWtleQ"))
  }
}
