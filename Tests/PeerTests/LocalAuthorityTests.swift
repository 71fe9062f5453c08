import Foundation
import JSON
import TestPeers
import Testing

extension PeerTests {
  /// Servers with private names, and curl, which believes the authority of this machine or not.
  @Suite("Certificates for private names", .timeLimit(.minutes(5 * slowness)))
  struct LocalAuthorityTests {
    private func start(
      _ rig: Rig,
      _ names: String = "shop.test",
      more: String = ""
    ) throws -> (martlet: Peer, port: UInt16) {
      let martlet = try rig.martlet(
        configuration: """
          certificates { storage \(rig.path("kept")) }
          server \(names) {
            listen LISTEN tls
            tls auto
            route / { respond 200 "you speak {tls.version}" }
          }
          \(more)
          """
      )
      guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
      return (martlet, port)
    }

    private func curl(
      _ rig: Rig,
      _ port: UInt16,
      _ host: String,
      _ arguments: [String] = []
    ) throws -> (status: Int32, lines: [String]) {
      try rig.outcome(
        of: [
          "curl", "--silent", "--show-error", "--cacert", rig.path("kept/local/root.pem"),
          "--connect-to", "\(host):\(port):127.0.0.1:\(port)",
        ] + arguments + ["https://\(host):\(port)/"]
      )
    }

    @Test(
      "are there from the start, for all that no other authority can vouch for",
      arguments: [
        ("", "localhost"), ("", "127.0.0.1"), ("localhost", "localhost"),
        ("a.localhost", "a.localhost"),
        ("shop.test", "shop.test"), ("*.shop.internal", "a.shop.internal"),
        ("db.local", "db.local"),
        ("shop", "shop"), ("10.1.2.3", "10.1.2.3"), ("[fd00::7]", "[fd00::7]"),
      ]
    )
    func served(names: String, host: String) async throws {
      try await Rig.run { rig in
        let (_, port) = try start(rig, names)
        let answer = try curl(rig, port, host)
        #expect(answer.lines == ["you speak TLSv1.3"])
        #expect(answer.status == 0)
        // Whoever does not know the authority believes nobody.
        let stranger = try rig.outcome(
          of: [
            "curl", "--silent", "--connect-to", "\(host):\(port):127.0.0.1:\(port)",
            "https://\(host):\(port)/",
          ]
        )
        #expect(stranger.status == 60)
      }
    }

    @Test("are from the same authority after a restart, and nobody else may read its key")
    func restart() async throws {
      try await Rig.run { rig in
        let (martlet, port) = try start(rig)
        #expect(try curl(rig, port, "shop.test").status == 0)
        let root = try rig.read("kept/local/root.pem")
        for name in ["", "/local", "/local/root.key", "/local/root.pem"] {
          let attributes = try FileManager.default.attributesOfItem(atPath: rig.path("kept") + name)
          let rights = try #require(attributes[.posixPermissions] as? Int)
          #expect(rights & 0o077 == 0, "\(name)")
        }
        #expect(try rig.martlet(command: "stop").status == 0)
        _ = try martlet.status()
        let (_, next) = try start(rig)
        #expect(try rig.read("kept/local/root.pem") == root)
        #expect(try curl(rig, next, "shop.test").status == 0)
      }
    }

    @Test("come by reload, for names without a dot from an authority that is made anew")
    func reload() async throws {
      try await Rig.run { rig in
        let (_, port) = try start(rig)
        let root = try rig.read("kept/local/root.pem")
        let path = rig.path("martlet.conf")
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        try text.replacingOccurrences(of: "server shop.test", with: "server shop.test news shop")
          .write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try rig.martlet(command: "reload").status == 0)
        for host in ["shop.test", "news", "shop"] {
          #expect(try curl(rig, port, host).status == 0, "\(host)")
        }
        #expect(try rig.read("kept/local/root.pem") != root)
        let kept = try FileManager.default.contentsOfDirectory(atPath: rig.path("kept/local"))
        #expect(kept.count { $0.hasPrefix("root-") } == 1)
      }
    }

    @Test("are listed and shown, in columns and as JSON, in the status and the metrics")
    func views() async throws {
      try await Rig.run { rig in
        _ = try start(rig, "shop.test news.test")
        let list = try rig.martlet(command: "certificate", "list").lines
        #expect(list.count == 3)
        #expect(list[1].hasPrefix("shop.test"))
        #expect(list[1].contains("good"))
        let shown = try rig.martlet(command: "certificate", "show", "news.test", "--json")
        let json = try JSONValue(parsing: Array(shown.lines.joined(separator: "\n").utf8))
        #expect(json["certificate"]?.text == "news.test")
        #expect(json["state"]?.text == "good")
        #expect(json["local"]?.flag == true)
        let (from, until) = (json["from"]?.number ?? 0, json["until"]?.number ?? 0)
        #expect(until - from == 90 * 86_400 + 3600)
        let next = try #require(json["next"]?.number)
        #expect((from + (until - from) / 2..<until).contains(next))
        let nobody = try rig.martlet(command: "certificate", "show", "new.test")
        #expect(nobody.status != 0)
        #expect(nobody.lines.joined().contains("did you mean `news.test`?"))
        let status = try rig.martlet(command: "status").lines.joined(separator: "\n")
        #expect(status.contains("name news.test, state good"))
        let metrics = try rig.outcome(
          of: [
            "curl", "--silent", "--unix-socket", rig.path("state/admin.sock"),
            "http://localhost/metrics",
          ]
        ).lines
        #expect(metrics.contains("martlet_certificate_failing{certificate=\"shop.test\"} 0"))
      }
    }

    @Test("are another one after `certificate renew`, with no connection refused")
    func renewal() async throws {
      try await Rig.run { rig in
        let (martlet, port) = try start(rig)
        func fingerprint() throws -> String? {
          let shown = try rig.martlet(command: "certificate", "show", "shop.test", "--json")
          return try JSONValue(parsing: Array(shown.lines.joined().utf8))["fingerprint"]?.text
        }
        let first = try fingerprint()
        #expect(try rig.martlet(command: "certificate", "renew", "shop.test").status == 0)
        try martlet.line(with: "a certificate was obtained")
        #expect(try fingerprint() != first)
        #expect(try curl(rig, port, "shop.test").status == 0)
      }
    }

    @Test("stop nothing when they cannot be had: a stand-in is served, and the reason is told")
    func noStorage() async throws {
      try await Rig.run { rig in
        try rig.write("in the way", to: "kept")
        let (martlet, port) = try start(rig)
        try martlet.line(with: "a certificate could not be obtained")
        let answer = try rig.outcome(
          of: [
            "curl", "--silent", "--insecure", "--resolve", "shop.test:\(port):127.0.0.1",
            "https://shop.test:\(port)/",
          ]
        )
        #expect(answer.lines == ["you speak TLSv1.3"])
        let list = try rig.martlet(command: "certificate", "list").lines
        #expect(list[1].contains("failing"))
      }
    }

    // MARK: Trust

    @Test("are believed by this machine after `martlet trust`, until `martlet trust --remove`")
    func trust() async throws {
      guard geteuid() == 0 else { return }
      try await Rig.run { rig in
        let (_, port) = try start(rig)
        func trust(_ arguments: String...) throws -> (status: Int32, lines: [String]) {
          try rig.outcome(
            of: [Rig.martletPath, "trust", "--storage", rig.path("kept")] + arguments
          )
        }
        func isBelieved() throws -> Bool {
          let host = "shop.test:\(port)"
          return try rig.outcome(
            of: [
              "curl", "--silent", "--connect-to", "\(host):127.0.0.1:\(port)", "https://\(host)/",
            ]
          ).status == 0
        }
        let printed = try trust("--print")
        #expect(
          Array((printed.lines.joined(separator: "\n") + "\n").utf8)
            == (try rig.read("kept/local/root.pem"))
        )
        #expect(try !isBelieved())
        let installed = try trust()
        #expect(installed.status == 0)
        #expect(
          installed.lines.contains { $0.hasPrefix("/usr/local/share/ca-certificates/martlet-") }
        )
        #expect(try isBelieved())
        let removed = try trust("--remove")
        #expect(removed.status == 0)
        #expect(try !isBelieved())
        #expect(try trust("--remove").lines.joined().contains("nothing of Martlet"))
      }
    }

    @Test("say what to do where there is no authority yet")
    func noAuthority() async throws {
      try await Rig.run { rig in
        let outcome = try rig.outcome(
          of: [Rig.martletPath, "trust", "--storage", rig.path("nowhere")]
        )
        #expect(outcome.status == 1)
        #expect(outcome.lines.joined().contains("there is no local authority"))
      }
    }
  }
}
