import Foundation
import TestPeers
import Testing

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/// Intervals that let a test see a change within a second, and the counts that it counts.
private let quick = "interval 100ms\njitter 0%\nrise 2\nfall 3\ntimeout 500ms"

extension PeerTests {
  /// Checks of members, against the servers that they are for.
  @Suite("Health of members", .timeLimit(.minutes(5 * slowness))) struct HealthTests {
    // MARK: Kinds

    @Test(
      "a member goes up and down with the server behind it",
      arguments: [
        "tcp", "http", "kept http", "redis", "locked redis", "mysql", "tls", "udp", "banner",
        "icmp",
      ]
    )
    func kinds(kind: String) async throws {
      try await Rig.run { rig in
        let server = try Self.server(kind, rig)
        let check: String =
          switch kind {
          case "http": "check http {\npath /healthz\nbody ready\nhost a.example\n\(quick)\n}"
          case "kept http": "check http {\nkeep_alive on\n\(quick)\n}"
          case "redis", "locked redis": "check redis {\nkeep_alive on\n\(quick)\n}"
          case "tls": "check tls {\nserver_name a.example\n\(quick)\n}"
          case "udp": "check udp {\nsend ping\nexpect pong\n\(quick)\n}"
          case "banner": "check tcp {\nsend \"HELO\\r\\n\"\nexpect \"250 *ready\"\n\(quick)\n}"
          default: "check \(kind) {\n\(quick)\n}"
          }
        let martlet = try rig.checking([server.endpoint], check)
        try martlet.line(with: "a member is up")
        #expect(try rig.health() == ["up"])
        if kind == "icmp" { return }
        server.end()
        try martlet.line(with: "a member is down")
        #expect(try rig.health() == ["down"])
      }
    }

    private static func server(_ kind: String, _ rig: Rig) throws -> Peer {
      switch kind {
      case "http", "kept http":
        return try rig.nginx("location / { return 200 \"all is ready\"; }")
      case "redis", "locked redis":
        let endpoint = try rig.freePort()
        let words = ["redis-server", "--port", port(endpoint), "--save", "", "--dir", rig.path("")]
        let password = kind == "redis" ? [] : ["--requirepass", "secret"]
        return try rig.start(words + password, at: endpoint)
      case "mysql":
        let endpoint = try rig.freePort()
        try rig.write("", to: "data/here")
        return try rig.start(
          [
            "/usr/sbin/mariadbd", "--no-defaults", "--user=root", "--skip-grant-tables",
            "--datadir=\(rig.path("data"))", "--socket=\(rig.path("mysql.sock"))",
            "--port=\(port(endpoint))", "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=8M", "--pid-file=\(rig.path("mysql.pid"))",
          ],
          at: endpoint
        )
      case "tls":
        let endpoint = try rig.freePort()
        _ = try rig.outcome(of: [
          "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a.example",
          "-keyout", rig.path("key.pem"), "-out", rig.path("certificate.pem"),
        ])
        return try rig.start(
          [
            "openssl", "s_server", "-quiet", "-accept", "\(endpoint)", "-key", rig.path("key.pem"),
            "-cert", rig.path("certificate.pem"),
          ],
          at: endpoint
        )
      case "udp":
        return try rig.python(Self.udpEcho)
      case "banner": return try rig.python(Self.banner)
      default: return try rig.nginx("")
      }
    }

    // It listens on TCP too, so that the test sees when it is there.
    private static let udpEcho = """
      import socket, sys
      port = int(sys.argv[1])
      datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      datagrams.bind(("127.0.0.1", port))
      listener = socket.create_server(("127.0.0.1", port))
      while True:
          text, peer = datagrams.recvfrom(2048)
          datagrams.sendto(b"pong" if text == b"ping" else b"what", peer)
      """

    private static let banner = """
      import socket, sys
      listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
      while True:
          connection, _ = listener.accept()
          if connection.recv(100):
              connection.sendall(b"220 hello\\r\\n25")
              connection.sendall(b"0 all ready\\r\\n")
          connection.close()
      """

    private static func port(_ endpoint: Endpoint) -> String {
      String("\(endpoint)".split(separator: ":").last ?? "")
    }

    @Test("a PostgreSQL server is up while it asks for names, and down while it recovers")
    func postgresql() async throws {
      try await Rig.run { rig in
        let programs = "/usr/lib/postgresql/15/bin/"
        try FileManager.default.setAttributes(
          [.posixPermissions: 0o777],
          ofItemAtPath: rig.path("")
        )
        let isRoot = getuid() == 0
        let user =
          isRoot ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] : []
        let folder = rig.path("database")
        let made = try rig.outcome(
          of: user + [programs + "initdb", "-D", folder, "-A", "md5", "--no-sync", "-U", "owner"]
            + ["--pwfile", try rig.write("secret\n", to: "password")]
        )
        try #require(made.status == 0, "\(made.lines)")
        let endpoint = try rig.freePort()
        let server = try rig.start(
          user + [
            programs + "postgres", "-D", folder, "-p", Self.port(endpoint), "-k", folder,
            "-c", "fsync=off",
          ],
          at: endpoint
        )
        let martlet = try rig.checking([endpoint], "check postgresql {\n\(quick)\n}")
        try martlet.line(with: "a member is up")
        server.end()
        try martlet.line(with: "a member is down")
      }
    }

    @Test("a script says by its code whether a member serves, and is ended when it takes too long")
    func script() async throws {
      try await Rig.run { rig in
        let program = try rig.write(
          """
          #!/bin/sh
          echo "$MARTLET_ADDRESS $MARTLET_HOST $MARTLET_PORT $MARTLET_UPSTREAM $1" >> calls
          case "$(cat mood)" in
            sick) exit 3;;
            slow) sleep 30 & echo $! > sleeper; wait;;
          esac
          """,
          to: "check.sh"
        )
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        try rig.write("well", to: "mood")
        let port = try rig.freePort()
        let martlet = try rig.checking(
          [port],
          "check script {\ncommand \(program) --quick\n\(quick)\n}"
        )
        try martlet.line(with: "a member is up")
        let calls = String(decoding: try rig.read("calls"), as: UTF8.self).split(separator: "\n")
        #expect(calls.first == "\(port) 127.0.0.1 \(Self.port(port)) u0 --quick")
        try rig.write("sick", to: "mood")
        let down = try martlet.line(with: "a member is down")
        #expect(down.contains("reason=command"))
        try rig.write("well", to: "mood")
        try martlet.lines(with: "a member is up", count: 2)
        try rig.write("slow", to: "mood")
        try martlet.lines(with: "a member is down", count: 2)
        #expect(
          martlet.lines.contains { $0.contains("a member is down") && $0.contains("timeout") }
        )
        let sleeper = String(decoding: try rig.read("sleeper"), as: UTF8.self)
          .trimmingCharacters(in: .whitespacesAndNewlines)
        try rig.write("well", to: "mood")
        try martlet.lines(with: "a member is up", count: 3)
        // What the program had started ended with it; nobody may have asked how yet.
        let state = try? String(contentsOfFile: "/proc/\(sleeper)/stat", encoding: .utf8)
        #expect(state?.contains(") Z ") ?? true, "\(state ?? "")")
      }
    }

    // MARK: Failures

    @Test(
      "what a member does wrong is told by its name",
      arguments: [
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "status"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsick", "content"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "malformed"), ("HTTP/1.1 200 O", "closed"), ("", "closed"),
        ("silence", "timeout"), ("half", "timeout"),
      ]
    )
    func reasons(answer: String, reason: String) async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          switch answer {
          case "silence": try wire.receiveEnd()
          case "half":
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nre")
            try wire.receiveEnd()
          default: try wire.send(text: answer)
          }
        }
        let martlet = try rig.checking(
          [member.endpoint],
          "check http {\nbody ready\n\(quick)\n}"
        )
        let line = try martlet.line(with: "a member is down")
        #expect(line.contains("reason=\(reason)"), "\(line)")
      }
    }

    @Test("a socket whose queue is full is a member that is down")
    func blackhole() async throws {
      try await Rig.run { rig in
        let endpoint = try rig.freePort()
        let program = try rig.write(
          """
          import socket, sys, time
          listener = socket.socket()
          listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
          listener.bind(("127.0.0.1", int(sys.argv[1])))
          listener.listen(0)
          waiting = []
          for _ in range(4):
              one = socket.socket()
              one.setblocking(False)
              one.connect_ex(listener.getsockname())
              waiting.append(one)
          print("full", flush=True)
          if sys.stdin.read() == "":
              while True:
                  time.sleep(60)
          """,
          to: "full.py"
        )
        let member = try rig.start(["/usr/bin/python3", "-u", program, Self.port(endpoint)])
        try member.line(with: "full")
        let martlet = try rig.checking([endpoint], "check tcp {\n\(quick)\n}")
        let line = try martlet.line(with: "a member is down")
        #expect(line.contains("reason=timeout"), "\(line)")
      }
    }

    @Test("a kept connection that the member closes between two checks says nothing about it")
    func stale() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try rig.member { wire in
          // The answer says nothing of a close.
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: ok)
          count.withLock { $0 += 1 }
        }
        let martlet = try rig.checking(
          [member.endpoint],
          "check http {\nkeep_alive on\n\(quick)\nfall 1\n}".replacing("fall 3\n", with: "")
        )
        try martlet.line(with: "a member is up")
        while count.withLock({ $0 }) < 10 { _ = poll(nil, 0, 5) }
        #expect(martlet.count(of: "a member is down") == 0)
      }
    }

    @Test("a kept connection on which nothing is answered any more is a member that is down")
    func halfOpen() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          for _ in 0..<3 {
            guard try wire.receiveRequest() != nil else { return }
            try wire.send(text: ok)
          }
          while try !wire.receive().isEmpty {}
        }
        let martlet = try rig.checking(
          [member.endpoint],
          "check http {\nkeep_alive on\n\(quick)\nfall 1\n}".replacing("fall 3\n", with: "")
        )
        let line = try martlet.line(with: "a member is down")
        #expect(line.contains("reason=timeout"), "\(line)")
        // The next connection is another one.
        try martlet.lines(with: "a member is up", count: 2)
      }
    }

    @Test("two hundred members that die at once are told of once each, and requests go on")
    func storm() async throws {
      try await Rig.run { rig in
        let program = """
          import socket, sys
          listener = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=1024)
          while True:
              connection, _ = listener.accept()
              connection.close()
          """
        let server = try rig.python(program)
        let well = try rig.member { wire in
          while try wire.receiveRequest() != nil { try wire.send(text: ok) }
        }
        let list = (1...200).map { "member 127.0.1.\($0):\(Self.port(server.endpoint))" }
        let martlet = try rig.martlet(
          configuration: """
            upstream u0 {
                \(list.joined(separator: "\n"))
                member \(well.endpoint)
                check tcp {
                    \(quick)
                }
            }
            server {
                listen LISTEN
                route / { proxy u0 }
            }
            """
        )
        try martlet.lines(with: "a member is up", count: 201)
        server.end()
        try martlet.lines(with: "a member is down", count: 200)
        for _ in 0..<10 { #expect(try rig.ask(martlet).status == 200) }
        #expect(try rig.health().count { $0 == "down" } == 200)
        #expect(martlet.count(of: "a member is down") == 200)
      }
    }

    // MARK: What requests see

    @Test(
      "a member that dies gets no requests until it is back, and rise and fall are counted exactly"
    )
    func deathAndReturn() async throws {
      try await Rig.run { rig in
        let state = Guarded((isSick: false, checks: 0, sickChecks: 0))
        let one = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            guard request.target == "/healthz" else {
              try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")
              continue
            }
            let isSick = state.withLock { state in
              state.checks += 1
              if state.isSick { state.sickChecks += 1 }
              return state.isSick
            }
            try wire.send(
              text: isSick ? "HTTP/1.1 503 a\r\nContent-Length: 0\r\n\r\n" : ok
            )
          }
        }
        let two = try rig.member { wire in
          while try wire.receiveRequest() != nil { try wire.send(text: ok) }
        }
        let martlet = try rig.checking(
          [one.endpoint, two.endpoint],
          "check http {\npath /healthz\n\(quick)\n}"
        )
        try martlet.lines(with: "a member is up", count: 2)
        let before = try (0..<8).map { _ in try rig.ask(martlet).text }
        #expect(before.count { $0 == "one" } == 4)
        state.withLock { $0.isSick = true }
        try martlet.line(with: "a member is down")
        #expect(state.withLock { $0.sickChecks } == 3)
        let during = try (0..<8).map { _ in try rig.ask(martlet).text }
        #expect(during.allSatisfy { $0 == "ok" })
        let well = state.withLock { state in
          state.isSick = false
          return state.checks
        }
        try martlet.lines(with: "a member is up", count: 3)
        #expect(state.withLock { $0.checks } - well == 2)
        let after = try (0..<8).map { _ in try rig.ask(martlet).text }
        #expect(after.count { $0 == "one" } == 4)
      }
    }

    @Test("members that flap stay what they were")
    func flapping() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            let number = count.withLock { count in
              count += 1
              return count
            }
            // Two of three fail, and three in a row would be needed.
            let isWell = number % 3 == 1
            try wire.send(text: isWell ? ok : "HTTP/1.1 500 a\r\nContent-Length: 0\r\n\r\n")
          }
        }
        let martlet = try rig.checking([member.endpoint], "check http {\n\(quick)\n}")
        try martlet.line(with: "a member is up")
        while count.withLock({ $0 }) < 20 { _ = poll(nil, 0, 5) }
        #expect(martlet.count(of: "a member is down") == 0)
        #expect(try rig.health() == ["up"])
      }
    }

    @Test("when all are down no request is sent, and when all are back each gets its share")
    func allDownAllBack() async throws {
      try await Rig.run { rig in
        let isSick = Guarded(false)
        let members = try (0..<4).map { number in
          try rig.member { wire in
            while let request = try wire.receiveRequest() {
              if request.target == "/healthz", isSick.withLock({ $0 }) {
                try wire.send(text: "HTTP/1.1 500 a\r\nContent-Length: 0\r\n\r\n")
              } else {
                try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(number)")
              }
            }
          }
        }
        let martlet = try rig.checking(
          members.map(\.endpoint),
          "check http {\npath /healthz\n\(quick)\n}"
        )
        try martlet.lines(with: "a member is up", count: 4)
        isSick.withLock { $0 = true }
        try martlet.lines(with: "a member is down", count: 4)
        #expect(try rig.ask(martlet).status == 503)
        isSick.withLock { $0 = false }
        try martlet.lines(with: "a member is up", count: 8)
        let answers = try (0..<16).map { _ in try rig.ask(martlet).text }
        #expect(Set(answers).count == 4)
      }
    }

    @Test("a member of two upstreams is asked once an interval")
    func shared() async throws {
      try await Rig.run { rig in
        let asked = Guarded(0)
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            asked.withLock { $0 += 1 }
            try wire.send(text: ok)
          }
        }
        let martlet = try rig.checking(
          [member.endpoint],
          "check http {\ninterval 200ms\njitter 0%\n}",
          upstreams: 3
        )
        try martlet.lines(with: "a member is up", count: 3)
        let (before, start) = (asked.withLock { $0 }, ContinuousClock.now)
        while asked.withLock({ $0 }) < before + 10 { _ = poll(nil, 0, 2) }
        #expect(ContinuousClock.now - start > .milliseconds(1700))
      }
    }

    // MARK: What stays

    @Test("what is known stays known over a reload and an upgrade, and a crash")
    func kept() async throws {
      try await Rig.run { rig in
        let well = try rig.member { wire in
          while try wire.receiveRequest() != nil { try wire.send(text: ok) }
        }
        let dead = try rig.freePort()
        // After the first check the next ones are far away: nobody finds anything out anew.
        let check = "check http {\ninterval 1m\nfall 5\n}"
        let martlet = try rig.checking([dead, well.endpoint], check)
        try martlet.line(with: "a member is down")
        try martlet.line(with: "a member is up")
        for command in ["reload", "upgrade"] {
          let outcome = try rig.martlet(command: command)
          #expect(outcome.status == 0, "\(outcome.lines)")
          #expect(try rig.health() == ["down", "up"], "\(command)")
          for _ in 0..<4 { #expect(try rig.ask(martlet).status == 200) }
        }
        let edge = try #require(martlet.children.last)
        kill(edge, SIGKILL)
        try martlet.lines(with: "serves", count: 2)
        #expect(try rig.health() == ["down", "up"])
      }
    }

    @Test("a program is told of each change")
    func command() async throws {
      try await Rig.run { rig in
        let program = try rig.write(
          """
          #!/bin/sh
          echo "$1 $MARTLET_EVENT $MARTLET_UPSTREAM $MARTLET_MEMBER $MARTLET_REASON" >> told
          """,
          to: "tell.sh"
        )
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        let server = try rig.nginx("location / { return 200; }")
        let martlet = try rig.checking(
          [server.endpoint],
          "check http {\n\(quick)\n}\non_change \(program) hear"
        )
        try martlet.line(with: "a member is up")
        server.end()
        try martlet.line(with: "a member is down")
        let expected = [
          "hear up u0 \(server.endpoint) passed", "hear down u0 \(server.endpoint) unreachable",
        ]
        let deadline = ContinuousClock.now + patience
        var told: [String] = []
        while told != expected, ContinuousClock.now < deadline {
          let text = (try? rig.read("told")) ?? []
          told = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
          _ = poll(nil, 0, 5)
        }
        #expect(told == expected)
      }
    }

    @Test("metrics count checks and changes")
    func metrics() async throws {
      try await Rig.run { rig in
        let server = try rig.nginx("location / { return 200; }")
        let martlet = try rig.checking([server.endpoint], "check http {\n\(quick)\n}\neject")
        try martlet.line(with: "a member is up")
        server.end()
        try martlet.line(with: "a member is down")
        let text = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://localhost/metrics"
        ).text
        let labels = "upstream=\"u0\",member=\"\(server.endpoint)\""
        for line in [
          "martlet_upstream_member_up{\(labels)} 0",
          "martlet_upstream_checks_total{\(labels),result=\"failed\"} 3",
          "martlet_upstream_health_changes_total{\(labels),to=\"down\"} 1",
          "martlet_upstream_health_changes_total{\(labels),to=\"up\"} 1",
          "martlet_upstream_member_ejected{\(labels)} 0",
        ] { #expect(text.contains(line), "\(line)") }
      }
    }
  }
}
