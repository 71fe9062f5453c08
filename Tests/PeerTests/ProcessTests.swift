import Foundation
import TestPeers
import Testing

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

extension PeerTests {
  /// Processes that are replaced, killed and ended while they have work to do.
  @Suite("Processes under load", .timeLimit(.minutes(5 * slowness))) struct ProcessTests {
    private func member(_ rig: Rig) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          if request.fields["upgrade"] != nil {
            try wire.send(
              text:
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
            )
            while true {
              let part = try wire.receive()
              if part.isEmpty { return }
              try wire.send(part)
            }
          }
          try wire.send(text: ok)
        }
      }
    }

    private func configuration(_ member: ScriptedMember, _ word: String) -> String {
      """
      server {
          listen LISTEN
          route /word { respond 200 "\(word)" }
          route / { proxy back }
      }
      upstream back { member \(member.endpoint) }
      """
    }

    private func tunnel(_ martlet: Peer) throws -> Wire {
      let wire = try Wire(to: martlet.endpoint)
      try wire.send(
        text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
      )
      #expect(try wire.receiveAnswer().status == 101)
      return wire
    }

    private func echoes(_ wire: Wire, _ text: String) throws -> Bool {
      try wire.send(text: text)
      return try wire.receive(exactly: text.utf8.count) == Array(text.utf8)
    }

    @Test("a hundred reloads fail no request, and each puts its configuration in force")
    func reload() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(configuration: configuration(member, "0"))
        let tunnel = try tunnel(martlet)
        let load = Load(to: martlet.endpoint)
        try load.wait(forMore: 100)
        for number in 1...100 {
          let text = configuration(member, "\(number)")
            .replacingOccurrences(of: "LISTEN", with: "\(martlet.endpoint)")
          try rig.write(text, to: "martlet.conf")
          let outcome = try rig.martlet(command: "reload")
          #expect(outcome.status == 0, "\(outcome.lines)")
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "GET /word HTTP/1.1\r\nHost: a\r\n\r\n")
          #expect(try wire.receiveAnswer().text == "\(number)")
          #expect(try echoes(tunnel, "still here after \(number)"))
        }
        try load.wait(forMore: 100)
        let totals = try load.stop()
        #expect(totals.failures == [:] && totals.broken == 0, "\(totals)")
      }
    }

    @Test("a configuration with errors changes nothing, and says where it is wrong")
    func wrongReload() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(configuration: configuration(member, "right"))
        let load = Load(to: martlet.endpoint, clientCount: 4)
        for text in ["server { listn :80 }", "server {", "upstream back { }"] {
          try rig.write(text, to: "martlet.conf")
          let outcome = try rig.martlet(command: "reload")
          #expect(outcome.status == 3, "\(outcome.lines)")
          #expect(outcome.lines.joined().contains("martlet.conf"))
        }
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET /word HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "right")
        let totals = try load.stop()
        #expect(totals.failures == [:] && totals.broken == 0, "\(totals)")
      }
    }

    @Test("upgrades of the binary fail no request, and a tunnel lives on")
    func upgrade() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(configuration: configuration(member, "0"))
        let tunnel = try tunnel(martlet)
        let load = Load(to: martlet.endpoint)
        for _ in 0..<5 {
          try load.wait(forMore: 200)
          let edges = martlet.children
          let outcome = try rig.martlet(command: "upgrade")
          #expect(outcome.status == 0, "\(outcome.lines)")
          #expect(martlet.children != edges, "no process was replaced")
        }
        try load.wait(forMore: 200)
        let totals = try load.stop()
        #expect(totals.failures == [:] && totals.broken == 0, "\(totals)")
        #expect(try echoes(tunnel, "still here"))
      }
    }

    @Test(
      "an edge process that is killed breaks what it had, refuses no connection, and is replaced"
    )
    func killedEdge() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(configuration: configuration(member, "0"))
        let load = Load(to: martlet.endpoint)
        for _ in 0..<3 {
          try load.wait(forMore: 200)
          let edge = try #require(martlet.children.last)
          kill(edge, SIGKILL)
          try load.wait(forMore: 200)
          #expect(!martlet.children.contains(edge))
        }
        let totals = try load.stop()
        // Each of eight clients may lose what was under way, and what waited to be accepted.
        #expect(totals.failures == [:] && totals.broken <= 3 * 16, "\(totals)")
      }
    }

    @Test("an edge process that stands still is replaced, and refuses no connection")
    func stoppedEdge() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let limited = "hang_limit 2s\n" + configuration(member, "0")
        let martlet = try rig.martlet(configuration: limited)
        let load = Load(to: martlet.endpoint)
        try load.wait(forMore: 200)
        let edge = try #require(martlet.children.last)
        kill(edge, SIGSTOP)
        try martlet.line(with: "edge process \(edge) has stood still for 2 s")
        try load.wait(forMore: 200)
        #expect(!martlet.children.contains(edge))
        let totals = try load.stop()
        // Each of eight clients may lose what was under way, and what waited to be accepted.
        #expect(totals.failures == [:] && totals.broken <= 16, "\(totals)")
      }
    }

    @Test("stop lets what is under way end, and refuses what comes")
    func stop() async throws {
      try await Rig.run { rig in
        let asked = Gate()
        let gate = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
          asked.open()
          try gate.pass()
          try wire.send(text: " done")
          try wire.receiveEnd()
        }
        let martlet = try rig.martlet(configuration: configuration(member, "0"))
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try asked.pass()
        let stopping = try rig.start(
          [Rig.martletPath, "stop", "--state-directory", rig.path("state")]
        )
        // Refused as soon as the command has arrived.
        var isRefused = false
        let limit = ContinuousClock.now + patience
        while !isRefused, ContinuousClock.now < limit {
          do {
            let other = try Wire(to: martlet.endpoint)
            _ = other.isReadable(within: .milliseconds(5))
          } catch Wire.Failure.refused {
            isRefused = true
          }
        }
        #expect(isRefused)
        gate.open()
        #expect(try wire.receiveAnswer().text == "half done")
        #expect(try stopping.status() == 0)
        #expect(try martlet.status() == 0)
      }
    }

    @Test("an edge process does not outlive its supervisor")
    func killedSupervisor() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(configuration: configuration(member, "0"))
        let edges = martlet.children
        #expect(!edges.isEmpty)
        martlet.signal(SIGKILL)
        let limit = ContinuousClock.now + patience
        var isGone = false
        while !isGone, ContinuousClock.now < limit {
          isGone = edges.allSatisfy { kill($0, 0) != 0 }
          if !isGone { _ = poll(nil, 0, 10) }
        }
        #expect(isGone)
      }
    }
  }
}
