import Foundation
import JSON
import TestPeers
import Testing

extension PeerTests {
  /// certbot before the local authority.
  @Suite("Certificates for others", .timeLimit(.minutes(2 * slowness)))
  struct AuthorityServiceTests {
    /// What is around a test.
    private struct Site {
      var martlet: Peer
      var port: Endpoint
      var root: String
    }

    private func start(_ rig: Rig, _ more: String = "") throws -> Site {
      let tls = try rig.freePort()
      let port = try rig.freePort()
      let proofs = try rig.freePort()
      guard case .port(let number) = port, case .port(let proofNumber) = proofs else {
        throw PeerError("not a port")
      }
      let martlet = try rig.martlet(
        configuration: """
          certificates { storage \(rig.path("kept")) }
          server {
            listen \(tls) tls
            tls auto
            route /acme/ { acme http_port \(number) tls_port \(proofNumber) \(more) }
          }
          server { listen LISTEN
            route / { respond 404 } }
          """
      )
      return Site(martlet: martlet, port: tls, root: rig.path("kept/local/root.pem"))
    }

    private func number(_ endpoint: Endpoint) throws -> UInt16 {
      guard case .port(let port) = endpoint else { throw PeerError("not a port") }
      return port
    }

    private func curl(
      _ rig: Rig,
      _ site: Site,
      _ path: String,
      _ options: String...
    ) throws -> [String] {
      let url = "https://localhost:\(try number(site.port))\(path)"
      return try rig.outcome(
        of: ["curl", "--silent", "--show-error", "--cacert", site.root] + options + [url]
      ).lines
    }

    @Test(
      "are obtained and renewed by certbot, with keys of both kinds",
      arguments: ["ecdsa", "rsa"]
    )
    func certbot(kind: String) async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        let port = try #require(text.split(separator: "http_port ").last?.prefix { $0.isNumber })
        func ask(_ words: String...) throws -> [String] {
          try rig.outcome(
            of: [
              "env", "REQUESTS_CA_BUNDLE=\(site.root)", "certbot", "certonly", "--standalone",
              "--non-interactive", "--agree-tos", "--register-unsafely-without-email",
              "--http-01-port", String(port), "--http-01-address", "127.0.0.1", "--key-type", kind,
              "--server", "https://localhost:\(try number(site.port))/acme/directory", "-d",
              "localhost", "--config-dir", rig.path("config"), "--work-dir", rig.path("work"),
              "--logs-dir", rig.path("logs"),
            ] + words
          ).lines
        }
        let first = try ask()
        #expect(first.contains { $0.contains("Successfully received certificate") }, "\(first)")
        let chain = rig.path("config/live/localhost/fullchain.pem")
        let checked = try rig.outcome(
          of: [
            "openssl", "verify", "-CAfile", site.root, "-verify_hostname", "localhost", chain,
          ]
        )
        #expect(checked.status == 0)
        let again = try ask("--force-renewal")
        #expect(again.contains { $0.contains("Successfully received certificate") }, "\(again)")
      }
    }

    /// A client of the library below certbot, which proves a name over TLS; with a third word it proves another one.
    private static let prover = """
      import datetime, hashlib, sys, threading
      import josepy as jose
      from acme import challenges, client, crypto_util, errors, messages, standalone
      from cryptography import x509
      from cryptography.hazmat.primitives import hashes
      from cryptography.hazmat.primitives.asymmetric import rsa
      from OpenSSL import crypto
      key = jose.JWKRSA(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
      net = client.ClientNetwork(key)
      ca = client.ClientV2(client.ClientV2.get_directory(sys.argv[1], net), net)
      ca.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
      own = crypto.PKey()
      own.generate_key(crypto.TYPE_RSA, 2048)
      pem = crypto.dump_privatekey(crypto.FILETYPE_PEM, own)
      order = ca.new_order(crypto_util.make_csr(pem, ["localhost"]))
      body = next(item for item in order.authorizations[0].body.challenges
                  if isinstance(item.chall, challenges.TLSALPN01))
      response = body.chall.response(key)
      # RFC 8737, section 3; the library's own is that of an early draft.
      name = sys.argv[3] if len(sys.argv) > 3 else "localhost"
      secret = rsa.generate_private_key(public_exponent=65537, key_size=2048)
      digest = hashlib.sha256(response.key_authorization.encode()).digest()
      title = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "proof")])
      now = datetime.datetime.utcnow()
      made = (x509.CertificateBuilder().subject_name(title).issuer_name(title)
          .public_key(secret.public_key()).serial_number(7)
          .not_valid_before(now - datetime.timedelta(days=1))
          .not_valid_after(now + datetime.timedelta(days=1))
          .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
          .add_extension(x509.UnrecognizedExtension(
              x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"), b"\\x04\\x20" + digest), critical=True)
          .sign(secret, hashes.SHA256()))
      proof = (crypto.PKey.from_cryptography_key(secret), crypto.X509.from_cryptography(made))
      server = standalone.TLSALPN01Server(
          ("127.0.0.1", int(sys.argv[2])), [proof], {b"localhost": proof})
      threading.Thread(target=server.serve_forever, daemon=True).start()
      ca.answer_challenge(body, response)
      try:
          print(ca.poll_and_finalize(order).fullchain_pem, flush=True)
      except errors.ValidationError as error:
          print("refused", [str(item.body.challenges[0].error) for item in error.failed_authzrs])
      """

    @Test("are given to who proves a name over TLS, and not to who proves another one")
    func overTLS() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        let port = try #require(text.split(separator: "tls_port ").last?.prefix { $0.isNumber })
        let program = try rig.write(Self.prover, to: "prover.py")
        func ask(_ words: String...) throws -> [String] {
          try rig.outcome(
            of: [
              "env", "REQUESTS_CA_BUNDLE=\(site.root)", "/usr/bin/python3", program,
              "https://localhost:\(try number(site.port))/acme/directory", String(port),
            ] + words
          ).lines
        }
        let given = try ask()
        let chain = try rig.write(given.joined(separator: "\n") + "\n", to: "chain.pem")
        let checked = try rig.outcome(
          of: ["openssl", "verify", "-CAfile", site.root, "-verify_hostname", "localhost", chain]
        )
        #expect(checked.status == 0, "\(given)")
        let refused = try ask("other.test")
        #expect(refused.contains { $0.hasPrefix("refused") }, "\(refused)")
        #expect(refused.contains { $0.contains("another certificate") }, "\(refused)")
      }
    }

    /// certbot, which has a program make records.
    private func ask(_ rig: Rig, _ site: Site, hook: String, _ names: String...) throws -> [String]
    {
      try rig.outcome(
        of: [
          "env", "REQUESTS_CA_BUNDLE=\(site.root)", "certbot", "certonly", "--manual",
          "--preferred-challenges", "dns", "--manual-auth-hook", hook, "--non-interactive",
          "--agree-tos", "--register-unsafely-without-email", "--cert-name", "records", "--server",
          "https://localhost:\(try number(site.port))/acme/directory", "--config-dir",
          rig.path("config"), "--work-dir", rig.path("work"), "--logs-dir", rig.path("logs"),
        ] + names.flatMap { ["-d", $0] }
      ).lines
    }

    @Test("are given to who makes records of a name, also for all names below it")
    func records() async throws {
      try await Rig.run { rig in
        let (dns, manage) = (try rig.freePort(), try rig.freePort())
        _ = try rig.start(
          [
            "pebble-challtestsrv", "-dns01", "\(dns)", "-management", "\(manage)", "-http01", "",
            "-https01", "", "-tlsalpn01", "",
          ],
          at: manage
        )
        let site = try start(rig, "resolver \(dns)")
        // The name service adds what it is told to what it has.
        let hook = """
          curl --silent --data '{"host":"_acme-challenge.'$CERTBOT_DOMAIN'.","value":"'$CERTBOT_VALIDATION'"}' \
          http://\(manage)/set-txt
          """
        let lines = try ask(rig, site, hook: hook, "*.shop.test", "shop.test")
        #expect(lines.contains { $0.contains("Successfully received certificate") }, "\(lines)")
        let chain = rig.path("config/live/records/fullchain.pem")
        for name in ["shop.test", "a.shop.test"] {
          let checked = try rig.outcome(
            of: ["openssl", "verify", "-CAfile", site.root, "-verify_hostname", name, chain]
          )
          #expect(checked.status == 0, "\(name) \(checked.lines)")
        }
        let unproven = try ask(rig, site, hook: "true", "*.other.test")
        #expect(!unproven.contains { $0.contains("Successfully received") })
        #expect(unproven.contains { $0.contains("has no text") }, "\(unproven)")
      }
    }

    /// A name service that answers in datagrams with another number first, and then that there is more than
    /// they hold; over TCP it tells what stands in a file.
    private static let service = """
      import socket, struct, sys, threading
      place = ("127.0.0.1", int(sys.argv[1]))
      def end(question):
          place = 12
          while question[place]: place += question[place] + 1
          return place + 5
      udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      udp.bind(place)
      def serve():
          while True:
              asked, client = udp.recvfrom(512)
              rest = asked[12:end(asked)]
              number = struct.unpack("!H", asked[:2])[0]
              head = struct.pack("!HHHHHH", number ^ 1, 0x8180, 1, 0, 0, 0)
              udp.sendto(head + rest, client)
              head = struct.pack("!HHHHHH", number, 0x8380, 1, 0, 0, 0)
              udp.sendto(head + rest, client)
      threading.Thread(target=serve, daemon=True).start()
      tcp = socket.create_server(place)
      while True:
          peer, _ = tcp.accept()
          asked = peer.recv(512)[2:]
          if asked:
              texts = open(sys.argv[2]).read().split()
              texts = ["x" * 250] * 40 + texts
              answer = struct.pack("!HHHHHH", struct.unpack("!H", asked[:2])[0], 0x8180, 1, len(texts), 0, 0)
              answer += asked[12:end(asked)]
              for text in texts:
                  answer += struct.pack("!HHHIHB", 0xC00C, 16, 1, 60, len(text) + 1, len(text)) + text.encode()
              # The length and what follows come in pieces.
              whole = struct.pack("!H", len(answer)) + answer
              peer.sendall(whole[:1])
              peer.sendall(whole[1:4000])
              peer.sendall(whole[4000:])
          peer.close()
      """

    @Test("are given by a name service that tells over TCP what no datagram holds")
    func longAnswers() async throws {
      try await Rig.run { rig in
        let dns = try rig.freePort()
        let texts = try rig.write("", to: "texts")
        let program = try rig.write(Self.service, to: "names.py")
        _ = try rig.start(["/usr/bin/python3", program, String(try number(dns)), texts], at: dns)
        let site = try start(rig, "resolver \(dns)")
        let hook = "echo $CERTBOT_VALIDATION >> \(texts)"
        let lines = try ask(rig, site, hook: hook, "*.shop.test")
        #expect(lines.contains { $0.contains("Successfully received certificate") }, "\(lines)")
      }
    }

    @Test("are refused for names of everybody, and to who does not answer for a name")
    func refused() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        func ask(_ name: String) throws -> [String] {
          try rig.outcome(
            of: [
              "env", "REQUESTS_CA_BUNDLE=\(site.root)", "certbot", "certonly", "--manual",
              "--manual-auth-hook", "/bin/true", "--non-interactive", "--agree-tos",
              "--register-unsafely-without-email", "--server",
              "https://localhost:\(try number(site.port))/acme/directory", "-d", name,
              "--config-dir", rig.path("config"), "--work-dir", rig.path("work"), "--logs-dir",
              rig.path("logs"),
            ]
          ).lines
        }
        // What certbot makes of a refusal stands in its log.
        let foreign = try ask("shop.example")
        #expect(!foreign.contains { $0.contains("Successfully received") })
        let log = String(decoding: try rig.read("logs/letsencrypt.log"), as: UTF8.self)
        #expect(log.contains("rejectedIdentifier") && log.contains("names of this network alone"))
        let unproven = try ask("localhost")
        #expect(
          unproven.contains { $0.contains("localhost") && $0.contains("http") },
          "\(unproven)"
        )
        #expect(!unproven.contains { $0.contains("Successfully received") })
      }
    }

    @Test("are offered at the directory, and everything else is refused in form")
    func directory() async throws {
      try await Rig.run { rig in
        let site = try start(rig)
        let lines = try curl(rig, site, "/acme/directory")
        let json = try JSONValue(parsing: Array(lines.joined().utf8))
        let base = "https://localhost:\(try number(site.port))/acme"
        #expect(json["newOrder"]?.text == "\(base)/new-order")
        let nonce = try curl(rig, site, "/acme/new-nonce", "--head")
        #expect(nonce.contains { $0.lowercased().hasPrefix("replay-nonce: ") })
        let plain = try curl(rig, site, "/acme/new-order", "--data", "x", "-w", "\n%{http_code}")
        #expect(plain.last == "415")
        let long = try curl(
          rig,
          site,
          "/acme/new-order",
          "--data",
          String(repeating: "x", count: 70_000),
          "-w",
          "\n%{http_code}"
        )
        #expect(long.last == "413")
        let other = try curl(rig, site, "/acme/x", "-w", "\n%{http_code}")
        #expect(other.last == "405")
      }
    }

    @Test("are not given where no route says so")
    func off() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(
          configuration: "server {\nlisten LISTEN\nroute / { respond 404 }\n}\n"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET /acme/directory HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 404)
      }
    }
  }
}
