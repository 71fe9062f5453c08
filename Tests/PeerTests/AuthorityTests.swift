import Foundation
import JSON
import TestPeers
import Testing

extension PeerTests {
  /// Debian's pebble, an authority that speaks ACME and is strict about it.
  @Suite("Certificates of an authority", .timeLimit(.minutes(5 * slowness)))
  struct AuthorityTests {
    /// What a test has around it.
    private struct Site {
      var authority: Peer
      var directory: String
      var trust: String
      var http: Endpoint
      var tls: Endpoint
      var management: Endpoint
      /// The name service.
      var names: Peer
    }

    /// Starts the authority and a name service for it, in which every name leads here.
    private func start(
      _ rig: Rig,
      externalAccounts: [String: String] = [:],
      nonceRefusals: Int = 10
    ) throws -> Site {
      let trust = try rig.certificate("authority", for: ["127.0.0.1"])
      let places = try (0..<6).map { _ in try rig.freePort() }
      func number(_ index: Int) throws -> UInt16 {
        guard case .port(let port) = places[index] else { throw PeerError("not a port") }
        return port
      }
      let (dns, manage) = (try number(0), try number(1))
      let names = try rig.start(
        [
          "pebble-challtestsrv", "-dns01", "127.0.0.1:\(dns)", "-management",
          "127.0.0.1:\(manage)", "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6",
          "",
        ],
        at: places[1]
      )
      let settings = JSONValue.object([
        "pebble": .object([
          "listenAddress": .text("127.0.0.1:\(try number(2))"),
          "managementListenAddress": .text("127.0.0.1:\(try number(3))"),
          "certificate": .text(trust.certificate), "privateKey": .text(trust.key),
          "httpPort": .number(Int(try number(4))), "tlsPort": .number(Int(try number(5))),
          "ocspResponderURL": .text(""),
          "externalAccountBindingRequired": .flag(!externalAccounts.isEmpty),
          "externalAccountMACKeys": .object(
            externalAccounts.map { JSONValue.Member($0.key, .text($0.value)) }
          ),
        ])
      ])
      let file = try rig.write(settings.formatted(), to: "pebble.json")
      let authority = try rig.start(
        [
          "env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0",
          "PEBBLE_WFE_NONCEREJECT=\(nonceRefusals)", "pebble", "-config", file, "-dnsserver",
          "127.0.0.1:\(dns)",
        ],
        at: places[2]
      )
      return Site(
        authority: authority,
        directory: "https://127.0.0.1:\(try number(2))/dir",
        trust: trust.certificate,
        http: places[4],
        tls: places[5],
        management: places[3],
        names: names
      )
    }

    /// Starts Martlet for `names`, with the ports that the authority asks at.
    private func martlet(
      _ rig: Rig,
      _ site: Site,
      _ names: String = "shop.example",
      more: String = "",
      authorities: String? = nil,
      plain: Bool = true
    ) throws -> Peer {
      let authority = authorities ?? "authority \(site.directory) { trust \(site.trust) }"
      return try rig.martlet(
        configuration: """
          certificates {
            storage \(rig.path("kept"))
            contact admin@shop.example
            \(authority)
            \(more)
          }
          server \(names) {
            \(plain ? "listen \(site.http)" : "")
            listen \(site.tls) tls
            tls auto
            route / { respond 200 "served" }
          }
          server { listen LISTEN
            route / { respond 404 } }
          """
      )
    }

    /// What curl says that believes the authority.
    private func curl(
      _ rig: Rig,
      _ site: Site,
      _ host: String
    ) throws -> (
      status: Int32, lines: [String]
    ) {
      let root = try rig.outcome(
        of: ["curl", "--silent", "--cacert", site.trust, "https://\(site.management)/roots/0"]
      ).lines
      let file = try rig.write(root.joined(separator: "\n") + "\n", to: "root.pem")
      guard case .port(let port) = site.tls else { throw PeerError("not a port") }
      return try rig.outcome(
        of: [
          "curl", "--silent", "--show-error", "--cacert", file, "--resolve",
          "\(host):\(port):127.0.0.1", "https://\(host):\(port)/",
        ]
      )
    }

    private func shown(_ rig: Rig, _ name: String = "shop.example") throws -> JSONValue {
      let lines = try rig.martlet(command: "certificate", "show", name, "--json").lines
      return try JSONValue(parsing: Array(lines.joined(separator: "\n").utf8))
    }

    /// Looks again and again until something is so.
    private func until(_ isSo: () throws -> Bool) throws {
      let end = ContinuousClock.now + patience
      while try !isSo() {
        guard ContinuousClock.now < end else { throw PeerError("it does not come to that") }
      }
    }

    @Test("are obtained in each way, and served without a reload", arguments: ["http", "tls"])
    func ways(proof: String) async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let martlet = try martlet(
          rig,
          site,
          "shop.example www.shop.example",
          more: "proofs \(proof)"
        )
        try martlet.line(with: "a certificate was obtained certificate=shop.example")
        try martlet.line(with: "a certificate was obtained certificate=www.shop.example")
        for host in ["shop.example", "www.shop.example"] {
          #expect(try curl(rig, site, host).lines == ["served"])
        }
        #expect(try shown(rig)["state"]?.text == "good")
        #expect(try shown(rig)["issuer"]?.text?.contains("Pebble") == true)
      }
    }

    @Test("are obtained by records that a program makes, for names with `*` too")
    func records() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let program = try rig.write(
          """
          #!/bin/sh
          echo "$MARTLET_ACTION $MARTLET_NAME" >> \(rig.path("calls"))
          if [ "$MARTLET_ACTION" = add ]; then
            exec curl --silent --fail -d "{\\"host\\":\\"$MARTLET_RECORD.\\",\\"value\\":\\"$MARTLET_TEXT\\"}" \
              http://\(site.names.endpoint)/set-txt
          fi
          exec curl --silent --fail -d "{\\"host\\":\\"$MARTLET_RECORD.\\"}" http://\(site.names.endpoint)/clear-txt
          """,
          to: "records"
        )
        let martlet = try martlet(
          rig,
          site,
          "*.shop.example",
          more: "dns_command /bin/sh \(program)\ndns_delay 0s"
        )
        try martlet.line(with: "a certificate was obtained")
        #expect(try curl(rig, site, "any.shop.example").lines == ["served"])
        let calls = String(decoding: try rig.read("calls"), as: UTF8.self)
        #expect(calls == "add shop.example\nremove shop.example\n")
      }
    }

    @Test("outlive a restart, after which nobody is asked")
    func restart() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let first = try martlet(rig, site)
        try first.line(with: "a certificate was obtained")
        let before = try shown(rig)["fingerprint"]?.text
        #expect(try rig.martlet(command: "stop").status == 0)
        _ = try first.status()
        _ = try martlet(rig, site, authorities: "authority https://127.0.0.1:1/dir")
        #expect(try shown(rig)["fingerprint"]?.text == before)
        #expect(try shown(rig)["state"]?.text == "good")
        #expect(try curl(rig, site, "shop.example").lines == ["served"])
        for name in ["account.key", "certificates/shop.example.pem"] {
          let file = rig.path("kept/\(name)")
          let attributes = try FileManager.default.attributesOfItem(atPath: file)
          #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
        }
      }
    }

    @Test("are another one after `certificate renew`, and the old one is served until then")
    func renewal() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let martlet = try martlet(rig, site)
        try martlet.line(with: "a certificate was obtained")
        let before = try shown(rig)["fingerprint"]?.text
        #expect(try rig.martlet(command: "certificate", "renew", "shop.example").status == 0)
        #expect(try curl(rig, site, "shop.example").lines == ["served"])
        try until { try shown(rig)["fingerprint"]?.text != before }
        #expect(try curl(rig, site, "shop.example").lines == ["served"])
      }
    }

    @Test("come from the next authority where one gives none, and in another way where one fails")
    func others() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let martlet = try martlet(
          rig,
          site,
          // Nothing listens where the authority asks over HTTP.
          more: "proofs http tls",
          authorities: """
            authority https://127.0.0.1:1/dir
            authority \(site.directory) { trust \(site.trust) }
            """,
          plain: false
        )
        try martlet.line(with: "a certificate is tried for in another way")
        try martlet.line(with: "http-01")
        try martlet.line(with: "a certificate was obtained")
        #expect(try curl(rig, site, "shop.example").lines == ["served"])
      }
    }

    @Test("stop nothing when nobody gives them: it is told everywhere, and a stand-in is served")
    func nobody() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let martlet = try martlet(rig, site, authorities: "authority https://127.0.0.1:1/dir")
        try martlet.line(with: "a certificate could not be obtained")
        #expect(try curl(rig, site, "shop.example").status == 60)
        #expect(try shown(rig)["state"]?.text == "failing")
        #expect(try shown(rig)["problem"]?.text?.contains("unreachable") == true)
        let metrics = try rig.outcome(
          of: [
            "curl", "--silent", "--unix-socket", rig.path("state/admin.sock"),
            "http://localhost/metrics",
          ]
        ).lines
        #expect(metrics.contains("martlet_certificate_failing{certificate=\"shop.example\"} 1"))
      }
    }

    @Test("can be tried for, without getting one")
    func trial() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let martlet = try martlet(rig, site)
        try martlet.line(with: "a certificate was obtained")
        let before = try shown(rig)["fingerprint"]?.text
        let good = try rig.martlet(command: "certificate", "test", "shop.example")
        #expect(good.status == 0)
        #expect(good.lines.last?.contains("yes") == true)
        site.names.end()
        let bad = try rig.martlet(command: "certificate", "test", "shop.example", "--json")
        #expect(bad.status == 1)
        #expect(bad.lines.joined().contains("unproven"))
        #expect(try shown(rig)["fingerprint"]?.text == before)
        #expect(try shown(rig)["state"]?.text == "good")
      }
    }

    /// The directory of an authority, with a place that tells when to renew.
    private static let renewalProgram = """
      import http.server, json, os, ssl, sys, time, urllib.request
      port, upstream, trust, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
      client = ssl.create_default_context(cafile=trust)
      def text(seconds):
          return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
      class Handler(http.server.BaseHTTPRequestHandler):
          def do_GET(self):
              if self.path == "/dir":
                  directory = json.load(urllib.request.urlopen(upstream, context=client))
                  directory["renewalInfo"] = "https://127.0.0.1:%d/renewal" % port
                  body = directory
              else:
                  # Once the file is there the time is over.
                  now = int(time.time()) - (90000 if os.path.exists("over") else 0)
                  print("asked", self.path, flush=True)
                  body = {"suggestedWindow": {"start": text(now + 7200), "end": text(now + 7260)}}
              body = json.dumps(body).encode()
              self.send_response(200)
              self.send_header("Content-Length", str(len(body)))
              self.end_headers()
              self.wfile.write(body)
      server = http.server.HTTPServer(("127.0.0.1", port), Handler)
      context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
      context.load_cert_chain(trust, key)
      server.socket = context.wrap_socket(server.socket, server_side=True)
      server.serve_forever()
      """

    @Test("are renewed when their authority would like that, and it is told what is replaced")
    func suggested() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let place = try rig.freePort()
        guard case .port(let port) = place else { throw PeerError("not a port") }
        let program = try rig.write(Self.renewalProgram, to: "renewal.py")
        let information = try rig.start(
          [
            "/usr/bin/python3", program, "\(port)", site.directory, site.trust,
            rig.path("authority.key"),
          ],
          at: place
        )
        let martlet = try martlet(
          rig,
          site,
          authorities: "authority https://127.0.0.1:\(port)/dir { trust \(site.trust) }"
        )
        try martlet.line(with: "a certificate was obtained")
        try information.line(with: "asked /renewal/")
        let now = Int(Date().timeIntervalSince1970)
        try until {
          let next = try shown(rig)["next"]?.number ?? 0
          return (now + 7000...now + 7400).contains(next)
        }
        let before = try shown(rig)["fingerprint"]?.text
        #expect(try rig.martlet(command: "certificate", "renew", "shop.example").status == 0)
        try until { try shown(rig)["fingerprint"]?.text != before }
        // A window that has passed while nobody looked means now.
        let third = try shown(rig)["fingerprint"]?.text
        #expect(try rig.martlet(command: "stop").status == 0)
        _ = try martlet.status()
        try rig.write("", to: "over")
        let later = try self.martlet(
          rig,
          site,
          authorities: "authority https://127.0.0.1:\(port)/dir { trust \(site.trust) }"
        )
        try later.line(with: "a certificate was obtained")
        try until { try shown(rig)["fingerprint"]?.text != third }
      }
    }

    @Test("are shared by instances that name one storage: one obtains them, the other finds them")
    func shared() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let first = try martlet(rig, site)
        try first.line(with: "a certificate was obtained")
        let before = try shown(rig)["fingerprint"]?.text
        // The second one has no authority that it could ask.
        let place = try rig.freePort()
        let file = try rig.write(
          """
          certificates {
            storage \(rig.path("kept"))
            authority https://127.0.0.1:1/dir
          }
          server shop.example {
            listen \(place) tls
            tls auto
            route / { respond 200 "served by the second" }
          }
          """,
          to: "second.conf"
        )
        let second = try rig.start(
          [Rig.martletPath, "run", "--config", file, "--state-directory", rig.path("second")],
          at: place
        )
        try second.line(with: "listens on")
        func ofSecond(_ arguments: String...) throws -> JSONValue {
          let command = [Rig.martletPath, "certificate"] + arguments
          let lines = try rig.outcome(
            of: command + ["shop.example", "--json", "--state-directory", rig.path("second")]
          ).lines
          return try JSONValue(parsing: Array(lines.joined(separator: "\n").utf8))
        }
        #expect(try ofSecond("show")["fingerprint"]?.text == before)
        // What the first one obtains the second finds when it looks.
        #expect(try rig.martlet(command: "certificate", "renew", "shop.example").status == 0)
        try until { try shown(rig)["fingerprint"]?.text != before }
        let next = try shown(rig)["fingerprint"]?.text
        _ = try ofSecond("renew")
        try second.line(with: "a certificate was found")
        try until { try ofSecond("show")["fingerprint"]?.text == next }
      }
    }

    @Test("are given to accounts that were made by other means")
    func externalAccount() async throws {
      try await Rig.run { rig in
        let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
        let site = try start(rig, externalAccounts: ["kid-1": key])
        let martlet = try martlet(
          rig,
          site,
          authorities: """
            authority \(site.directory) {
              trust \(site.trust)
              key_id kid-1
              key \(key)
            }
            """
        )
        try martlet.line(with: "a certificate was obtained")
        #expect(try curl(rig, site, "shop.example").lines == ["served"])
      }
    }

    @Test("are taken over from elsewhere, if they are for the name")
    func imported() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let martlet = try martlet(rig, site, authorities: "authority https://127.0.0.1:1/dir")
        try martlet.line(with: "could not be obtained")
        let own = try rig.certificate("own", for: ["shop.example"])
        let other = try rig.certificate("other", for: ["other.example"])
        let refused = try rig.martlet(
          command: "certificate",
          "import",
          other.certificate,
          other.key
        )
        #expect(refused.status == 1)
        let taken = try rig.martlet(command: "certificate", "import", own.certificate, own.key)
        #expect(taken.status == 0)
        guard case .port(let port) = site.tls else { throw PeerError("not a port") }
        let answer = try rig.outcome(
          of: [
            "curl", "--silent", "--cacert", own.certificate, "--resolve",
            "shop.example:\(port):127.0.0.1", "https://shop.example:\(port)/",
          ]
        )
        #expect(answer.lines == ["served"])
        #expect(try shown(rig)["issuer"]?.text == "CN=own")
      }
    }

    @Test("are asked for over HTTP before all routes, and nothing else is there")
    func tokens() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let martlet = try martlet(rig, site)
        try martlet.line(with: "a certificate was obtained")
        func answer(to path: String) throws -> [String] {
          try rig.outcome(
            of: ["curl", "--silent", "-H", "Host: shop.example", "http://\(site.http)\(path)"]
          ).lines
        }
        let place = "/.well-known/acme-challenge/"
        let proof = try answer(to: "\(place)abc-_9").first ?? ""
        #expect(proof.hasPrefix("abc-_9."))
        #expect(proof.utf8.count == 7 + 43)
        for path in ["", "a.b", "a/b", String(repeating: "a", count: 200)] {
          #expect(try answer(to: place + path) == ["404 Not Found"], "\(path)")
        }
        #expect(try answer(to: "/other") == ["served"])
      }
    }

    @Test("are taken back by their authority when somebody says so, and obtained anew at once")
    func revoked() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let martlet = try martlet(rig, site)
        try martlet.line(with: "a certificate was obtained")
        /// What the authority says of the certificate with a number.
        func standing(_ number: String) throws -> String {
          let url = "https://\(site.management)/cert-status-by-serial/\(number)"
          return try rig.outcome(of: ["curl", "--silent", "--cacert", site.trust, url])
            .lines.joined()
        }
        func first() throws -> (text: String, number: String) {
          let text = String(
            decoding: try rig.read("kept/certificates/shop.example.pem"),
            as: UTF8.self
          )
          let file = try rig.write(text, to: "first.pem")
          let told = try rig.openssl("x509", "-in", file, "-noout", "-serial").lines
          return (text, try #require(told.first?.split(separator: "=").last.map(String.init)))
        }
        let (before, number) = try first()
        #expect(try standing(number).contains("Valid"))
        let told = try rig.martlet(
          command: "certificate",
          "revoke",
          "shop.example",
          "--reason",
          "superseded"
        )
        #expect(told.status == 0, "\(told.lines)")
        #expect(try standing(number).contains("Revoked"))
        try martlet.line(with: "has revoked it, as it was asked to")
        try until { try first().text != before }
        #expect(try standing(first().number).contains("Valid"))
        // It is known by its file as well, and is not taken back twice.
        let file = try rig.write(before, to: "before.pem")
        let again = try rig.martlet(command: "certificate", "revoke", file)
        #expect(again.status != 0)
        #expect(again.lines.contains { $0.contains("alreadyRevoked") }, "\(again.lines)")
        let foreign = try rig.certificate("foreign", for: ["foreign.example"])
        let refused = try rig.martlet(command: "certificate", "revoke", foreign.certificate)
        #expect(refused.status != 0)
        let unknown = try rig.martlet(command: "certificate", "revoke", "news.example")
        #expect(unknown.lines.contains { $0.contains("no certificate is served for") })
      }
    }
  }
}
