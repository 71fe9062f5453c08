import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Datagrams through Martlet.
  @Suite("Datagrams", .timeLimit(.minutes(5 * slowness))) struct DatagramTests {
    /// Martlet with a `udp` block; the port that it receives at.
    private func start(
      _ rig: Rig,
      to members: [UInt16],
      _ words: String = "",
      loops: Int = 1,
      host: String = "127.0.0.1"
    ) throws -> (martlet: Peer, port: UInt16) {
      let port = try DatagramWire().port
      let list = members.map { "127.0.0.1:\($0)" }.joined(separator: " ")
      let martlet = try rig.martlet(
        configuration: """
          loops \(loops)
          server {
              listen LISTEN
              route / { respond 204 }
          }
          udp {
              listen \(host):\(port)
              proxy \(list)
              \(words)
          }
          """
      )
      return (martlet, port)
    }

    private func metric(_ rig: Rig, _ line: String) throws -> Int {
      let text = try rig.curl("--unix-socket", rig.path("state/admin.sock"), "http://a/metrics")
        .text
      let found = text.split(separator: "\n").first { $0.hasPrefix(line) }
      return found.flatMap { $0.split(separator: " ").last }.flatMap { Int($0) } ?? 0
    }

    /// Waits until a metric has reached a number.
    private func reach(_ rig: Rig, _ line: String, atLeast number: Int) throws {
      let deadline = ContinuousClock.now + patience
      while try metric(rig, line) < number {
        guard ContinuousClock.now < deadline else {
          throw PeerError("\(line) is not \(number) but \(try metric(rig, line))")
        }
      }
    }

    private func text(_ reply: (bytes: [UInt8], port: UInt16)?) -> [String] {
      String(decoding: reply?.bytes ?? [], as: UTF8.self).split(separator: " ").map(String.init)
    }

    @Test(
      "come back as they were sent, whatever their size",
      arguments: [0, 1, 1472, 9000, 65_507]
    )
    func sizes(count: Int) async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember()
        let (_, port) = try start(rig, to: [member.port])
        let client = try DatagramWire(to: port)
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for _ in 0..<3 {
          try client.send(bytes)
          #expect(try client.receive()?.bytes == bytes)
        }
      }
    }

    @Test("no more flows begin than a limit says, and their datagrams are dropped")
    func flowLimit() async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember("m")
        let (martlet, port) = try start(rig, to: [member.port], "limit flows 2 name few", loops: 2)
        let clients = try (0..<5).map { _ in try DatagramWire(to: port) }
        for client in clients { try client.send([0x61]) }
        let key = "{listener=\"udp 127.0.0.1:\(port)\""
        try reach(rig, "martlet_datagrams_dropped_total\(key),cause=\"limited\"}", atLeast: 3)
        try reach(rig, "martlet_datagrams_total\(key),direction=\"sent\"}", atLeast: 2)
        #expect(try metric(rig, "martlet_connections_open\(key)}") == 2)
        #expect(try metric(rig, "martlet_limit_refused_total{limit=\"few\"}") == 3)
        try martlet.line(with: "a limit refuses flows")
      }
    }

    @Test("a flow that is over makes room for another under its limit")
    func flowLimitRoom() async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember("m")
        let (_, port) = try start(rig, to: [member.port], "replies 1\nlimit flows 1")
        for _ in 0..<5 {
          let client = try DatagramWire(to: port)
          try client.send([0x61])
          #expect(try client.receive() != nil)
        }
      }
    }

    @Test(
      "no more datagrams pass than a limit says, but all with `dry_run`",
      arguments: [false, true]
    )
    func datagramLimit(isDry: Bool) async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember("m")
        let dry = isDry ? "dry_run" : ""
        let (_, port) = try start(
          rig,
          to: [member.port],
          "limit datagrams 3/d by {client.address} name few \(dry)"
        )
        let client = try DatagramWire(to: port)
        for _ in 0..<10 { try client.send([0x61]) }
        let key = "{listener=\"udp 127.0.0.1:\(port)\""
        let name = isDry ? "martlet_limit_would_refuse_total" : "martlet_limit_refused_total"
        try reach(rig, "\(name){limit=\"few\"}", atLeast: 7)
        let passed = "martlet_datagrams_total\(key),direction=\"sent\"}"
        try reach(rig, passed, atLeast: isDry ? 10 : 3)
        #expect(try metric(rig, passed) == (isDry ? 10 : 3))
      }
    }

    @Test("each client gets its own replies, over one or two loops", arguments: [1, 2])
    func matching(loops: Int) async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember("m")
        let (_, port) = try start(rig, to: [member.port], loops: loops)
        let clients = try (0..<40).map { _ in try DatagramWire(to: port) }
        var ports: [Set<String>] = Array(repeating: [], count: clients.count)
        for round in 0..<20 {
          for (index, client) in clients.enumerated() {
            try client.send(Array("\(index)-\(round)".utf8))
          }
          for (index, client) in clients.enumerated() {
            let words = text(try client.receive())
            #expect(words.last == "\(index)-\(round)")
            ports[index].insert(words.count > 1 ? words[1] : "")
          }
        }
        // A flow keeps its socket to the member, and no two flows share one.
        #expect(ports.allSatisfy { $0.count == 1 })
        #expect(Set(ports.flatMap { $0 }).count == clients.count)
      }
    }

    @Test("a client stays with its member, and clients are spread over members")
    func stickiness() async throws {
      try await Rig.run { rig in
        let members = try ["a", "b", "c"].map { try rig.datagramMember($0) }
        let (_, port) = try start(rig, to: members.map(\.port))
        var marks: [String: Int] = [:]
        for _ in 0..<9 {
          let client = try DatagramWire(to: port)
          var seen: Set<String> = []
          for _ in 0..<5 {
            try client.send(Array("x".utf8))
            seen.insert(text(try client.receive()).first ?? "")
          }
          #expect(seen.count == 1)
          marks[seen.first ?? "", default: 0] += 1
        }
        #expect(marks == ["a": 3, "b": 3, "c": 3])
      }
    }

    @Test("a flow is over when its replies have come, and the log tells of it")
    func replies() async throws {
      try await Rig.run { rig in
        let members = try ["a", "b"].map { try rig.datagramMember($0) }
        let (martlet, port) = try start(
          rig,
          to: members.map(\.port),
          "replies 1\naccess_log stdout json"
        )
        let client = try DatagramWire(to: port)
        var marks: [String] = []
        for _ in 0..<4 {
          try client.send(Array("x".utf8))
          marks.append(text(try client.receive()).first ?? "")
        }
        #expect(marks == ["a", "b", "a", "b"])
        let line = try martlet.line(with: "\"listener\":\"udp 127.0.0.1:\(port)\"")
        #expect(line.contains("\"end\":\"complete\"") && line.contains("\"port\":\(client.port)"))
        #expect(line.contains("\"datagrams\":{\"received\":1,\"sent\":1}"), "\(line)")
      }
    }

    @Test("a flow without datagrams is over in time")
    func idle() async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember()
        let (martlet, port) = try start(
          rig,
          to: [member.port],
          "flow_timeout 200ms\naccess_log stdout"
        )
        let client = try DatagramWire(to: port)
        try client.send([1, 2, 3])
        #expect(try client.receive()?.bytes == [1, 2, 3])
        try martlet.line(with: "idle_timeout")
        try client.send([4])
        #expect(try client.receive()?.bytes == [4])
      }
    }

    @Test("a flow too many ends an old one, and nobody is turned away")
    func bound() async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember()
        let (_, port) = try start(rig, to: [member.port], "max_flows 10")
        let clients = try (0..<30).map { _ in try DatagramWire(to: port) }
        for client in clients {
          try client.send([1])
          #expect(try client.receive()?.bytes == [1])
        }
        let key = "{listener=\"udp 127.0.0.1:\(port)\""
        try reach(rig, "martlet_stream_ended_total\(key),reason=\"overloaded\"}", atLeast: 20)
        #expect(try metric(rig, "martlet_connections_open\(key)}") == 10)
        // One that was ended begins anew.
        try clients[0].send([2])
        #expect(try clients[0].receive()?.bytes == [2])
      }
    }

    @Test("where nobody is, the flow goes to another member")
    func unreachable() async throws {
      try await Rig.run { rig in
        let nobody = try DatagramWire().port
        let member = try rig.datagramMember()
        let (martlet, port) = try start(rig, to: [nobody, member.port])
        let client = try DatagramWire(to: port)
        try client.send([1])
        // The kernel tells it before the next datagram is sent.
        try martlet.line(with: "a member failed")
        try client.send([2])
        #expect(try client.receive()?.bytes == [2])
        try client.send([3])
        #expect(try client.receive()?.bytes == [3])
      }
    }

    @Test(
      "members where nobody is, or whose replies do not come, are ejected",
      arguments: [true, false]
    )
    func ejection(isThere: Bool) async throws {
      try await Rig.run { rig in
        // One that is there says nothing.
        let silent = try DatagramWire()
        let gone = try DatagramWire().port
        let member = try rig.datagramMember()
        let port = try DatagramWire().port
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN
                route / { respond 204 }
            }
            udp {
                listen 127.0.0.1:\(port)
                proxy back
                replies 1
                flow_timeout 100ms
            }
            upstream back {
                member 127.0.0.1:\(isThere ? silent.port : gone)
                member 127.0.0.1:\(member.port)
                eject { failures 3 }
            }
            """
        )
        let client = try DatagramWire(to: port)
        while martlet.count(of: "a member is ejected") == 0 {
          try client.send([1])
          _ = try client.receive(within: .milliseconds(200))
        }
        #expect(try rig.members().map { $0["ejected"] as? Bool } == [true, false])
        for _ in 0..<5 {
          try client.send([1])
          #expect(try client.receive()?.bytes == [1])
        }
        withExtendedLifetime(silent) {}
      }
    }

    @Test("flows are listed with the connections, and can be closed")
    func listed() async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember()
        let (martlet, port) = try start(rig, to: [member.port], "access_log stdout")
        let client = try DatagramWire(to: port)
        try client.send([1])
        #expect(try client.receive()?.bytes == [1])
        let list = try rig.martlet(command: "connection", "list")
        let line = list.lines.first { $0.contains("127.0.0.1:\(client.port)") } ?? ""
        #expect(
          line.contains("udp 127.0.0.1:\(port)") && line.contains(":\(member.port)"),
          "\(list.lines)"
        )
        let status = try rig.martlet(command: "status").lines.joined(separator: "\n")
        #expect(status.contains("udp 127.0.0.1:\(port)"), "\(status)")
        let closing = try rig.martlet(
          command: "connection",
          "close",
          "--listener",
          "udp 127.0.0.1:\(port)"
        )
        #expect(closing.status == 0, "\(closing.lines)")
        try martlet.line(with: " cut ")
        try client.send([2])
        #expect(try client.receive()?.bytes == [2])
      }
    }

    @Test("with nobody at any member a flow is over, and later ones may find somebody")
    func nobody() async throws {
      try await Rig.run { rig in
        let place = try DatagramWire().port
        let (martlet, port) = try start(rig, to: [place], "access_log stdout")
        let client = try DatagramWire(to: port)
        try client.send([1])
        try martlet.line(with: "upstream_connect_failed")
        let answers = try rig.curl(martlet.endpoint.url("/"))
        #expect(answers.status == 0)
      }
    }

    @Test("a reload keeps flows")
    func reload() async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember("m")
        let (_, port) = try start(rig, to: [member.port])
        let client = try DatagramWire(to: port)
        try client.send([0x61])
        let before = text(try client.receive())
        #expect(try rig.martlet(command: "reload").status == 0)
        try client.send([0x61])
        #expect(text(try client.receive()) == before)
      }
    }

    @Test("a reply that is awaited when Martlet stops still comes")
    func drain() async throws {
      try await Rig.run { rig in
        let member = try DatagramWire()
        let (martlet, port) = try start(rig, to: [member.port])
        let client = try DatagramWire(to: port)
        try client.send([1])
        let request = try #require(try member.receive())
        martlet.signal(SIGTERM)
        try member.send([2], to: request.port)
        #expect(try client.receive()?.bytes == [2])
        #expect(try martlet.status() == 0)
      }
    }

    @Test("a listener for all addresses answers from the one that was asked")
    func wildcard() async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember()
        let (_, port) = try start(rig, to: [member.port], host: "0.0.0.0")
        for host: UInt32 in [0x7F00_0001, 0x7F00_0002, 0x7F09_0909] {
          // A connected socket takes replies of nobody else.
          let client = try DatagramWire(to: port, at: host)
          try client.send([7])
          #expect(try client.receive()?.bytes == [7], "\(host)")
        }
      }
    }

    @Test("ten thousand datagrams of a thousand senders leave it as it was")
    func flood() async throws {
      try await Rig.run { rig in
        let member = try rig.datagramMember()
        let (martlet, port) = try start(rig, to: [member.port], "max_flows 200", loops: 2)
        let edges = martlet.children
        for _ in 0..<10 {
          let clients = try (0..<100).map { _ in try DatagramWire(to: port) }
          for index in 0..<10 {
            for client in clients { try client.send([UInt8](repeating: 0xFF, count: index * 50)) }
          }
        }
        let client = try DatagramWire(to: port)
        // What was lost under so many is sent again, as clients of UDP do; and the kernel may give it the
        // port of one of those senders, whose late replies are not the one that is awaited.
        var answer: [UInt8]?
        for _ in 0..<20 where answer != [42] {
          try client.send([42])
          answer = try client.receive(within: .seconds(1))?.bytes
        }
        #expect(answer == [42])
        #expect(martlet.children == edges)
      }
    }

    @Test("a name is asked for and found through dnsmasq")
    func names() async throws {
      try await Rig.run { rig in
        // dnsmasq listens for connections there too.
        guard case .port(let place) = try rig.freePort() else { return }
        let server = try rig.start([
          // dnsmasq closes what it inherits, and so what tells Foundation that it has ended.
          "sh", "-c", "\"$@\"; :", "sh", "dnsmasq", "--no-daemon", "--conf-file=/dev/null",
          "--no-resolv", "--no-hosts",
          "--listen-address=127.0.0.1", "--bind-interfaces", "--port=\(place)",
          "--address=/shop.test/192.0.2.7",
        ])
        try server.line(with: "started")
        let (_, port) = try start(rig, to: [place], "replies 1")
        let client = try DatagramWire(to: port)
        let question: [UInt8] =
          [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4] + Array("shop".utf8) + [4]
          + Array("test".utf8) + [0, 0, 1, 0, 1]
        for _ in 0..<10 {
          try client.send(question)
          let answer = try #require(try client.receive()).bytes
          #expect(answer.prefix(2) == [0x12, 0x34])
          #expect(answer.suffix(4) == [192, 0, 2, 7])
        }
      }
    }
  }
}
