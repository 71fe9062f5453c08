import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What goes wrong at layer 4, and what is limited.
  @Suite("Layer 4 in trouble", .timeLimit(.minutes(5 * slowness))) struct StreamFailureTests {
    /// A program whose queue of connections is full, so that further ones get no answer.
    private static let blackHole = """
      import socket, sys, time
      listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=0)
      # Whoever looked whether somebody listens has its connection.
      fill = [listener.accept()[0]]
      for _ in range(4):
          wire = socket.socket()
          wire.setblocking(False)
          wire.connect_ex(("127.0.0.1", int(sys.argv[1])))
          fill.append(wire)
      print("full", flush=True)
      time.sleep(3600)
      """

    @Test("a member that refuses has seen nothing, and the next one is tried")
    func refused() async throws {
      try await Rig.run { rig in
        let member = try rig.mirror()
        let closed = [try rig.freePort(), try rig.freePort()]
        let martlet = try rig.stream(to: closed + [member.endpoint])
        for number in 0..<6 {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "call \(number)")
          wire.finishSending()
          #expect(try wire.receiveRest() == Array("call \(number)".utf8))
        }
        try martlet.line(with: "\"tries\":3,\"end\":\"complete\"")
      }
    }

    @Test("when all refuse, the client is reset and the log says why")
    func allRefuse() async throws {
      try await Rig.run { rig in
        let martlet = try rig.stream(to: [try rig.freePort(), try rig.freePort()])
        let wire = try Wire(to: martlet.endpoint)
        #expect(throws: Wire.Failure.reset) { try wire.receive() }
        let line = try martlet.line(with: "\"end\":\"upstream_connect_failed\"")
        #expect(line.contains("\"tries\":2") && line.contains("Connection refused"), "\(line)")
      }
    }

    @Test("a member that does not answer is given up after `connect_timeout`; early bytes are kept")
    func blackHole() async throws {
      try await Rig.run { rig in
        let hole = try rig.python(Self.blackHole)
        try hole.line(with: "full")
        let member = try rig.mirror()
        let martlet = try rig.stream(
          to: [hole.endpoint, member.endpoint],
          "connect_timeout 200ms"
        )
        for _ in 0..<2 {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "said early")
          wire.finishSending()
          #expect(try wire.receiveRest() == Array("said early".utf8))
        }
        try martlet.line(with: "upstream_connect_timeout")
        try martlet.line(with: "\"tries\":2,\"end\":\"complete\"")
      }
    }

    @Test("a client that resets while its member is awaited ends the wait")
    func clientLeavesEarly() async throws {
      try await Rig.run { rig in
        let hole = try rig.python(Self.blackHole)
        try hole.line(with: "full")
        let martlet = try rig.stream(to: [hole.endpoint], "connect_timeout 60s")
        do {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "said early")
          wire.resetAtEnd()
        }
        try martlet.line(with: "\"end\":\"client_reset\"")
      }
    }

    @Test("a reset in the middle is passed on as a reset", arguments: [true, false])
    func reset(isClient: Bool) async throws {
      try await Rig.run { rig in
        let seen = Gate()
        let member = try rig.member { wire in
          _ = try wire.receive(exactly: 5)
          try wire.send(text: "hello")
          if !isClient {
            _ = try wire.receive(exactly: 2)
            wire.resetAtEnd()
            return
          }
          do { while try !wire.receive().isEmpty {} } catch Wire.Failure.reset { seen.open() }
        }
        let martlet = try rig.stream(to: [member.endpoint])
        do {
          let wire = try Wire(to: martlet.endpoint)
          #expect(try wire.echoes("hello"))
          if isClient {
            wire.resetAtEnd()
          } else {
            try wire.send(text: "go")
            #expect(throws: Wire.Failure.reset) { try wire.receive() }
          }
        }
        if isClient { try seen.pass() }
        let reason = isClient ? "client_reset" : "upstream_reset"
        let line = try martlet.line(with: "\"end\":\"\(reason)\"")
        #expect(line.contains("\"sent\":5"), "\(line)")
      }
    }

    @Test("a client that resets while its member takes nothing is noticed")
    func resetWhileBlocked() async throws {
      try await Rig.run { rig in
        let hold = Gate()
        let member = try rig.member { _ in try hold.pass() }
        let martlet = try rig.stream(to: [member.endpoint])
        do {
          let wire = try Wire(to: martlet.endpoint)
          let bytes = pattern(1 << 16)
          while wire.isWritable(within: .milliseconds(300)) { _ = try wire.sendNow(bytes) }
          wire.resetAtEnd()
        }
        try martlet.line(with: "\"end\":\"client_reset\"")
        hold.open()
      }
    }

    @Test("what a member said before it closed reaches a client that is still sending")
    func earlyAnswer() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          _ = try wire.receive(exactly: 1)
          try wire.send(text: "enough")
          wire.finishSending()
          _ = try wire.receive(exactly: 100_000)
        }
        let wire = try Wire(to: try rig.stream(to: [member.endpoint]).endpoint)
        try wire.send(pattern(100_000))
        #expect(try wire.receive(exactly: 6) == Array("enough".utf8))
      }
    }

    @Test("a connection on which nothing happens ends after `idle_timeout`, a busy one does not")
    func idleTimeout() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try rig.stream(to: [member.endpoint], "idle_timeout 500ms")
        let idle = try Wire(to: martlet.endpoint)
        let busy = try Wire(to: martlet.endpoint)
        let start = ContinuousClock.now
        while !idle.isReadable(within: .milliseconds(50)) { #expect(try busy.echoes("busy")) }
        #expect(ContinuousClock.now - start > .milliseconds(400))
        #expect(try idle.receive() == [])
        #expect(try busy.echoes("still there"))
        try martlet.line(with: "\"end\":\"idle_timeout\"")
      }
    }

    @Test("a connection is reset after `total_timeout`, however busy it is")
    func totalTimeout() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try rig.stream(to: [member.endpoint], "total_timeout 500ms")
        let wire = try Wire(to: martlet.endpoint)
        #expect(throws: Wire.Failure.self) { while try wire.echoes("busy") {} }
        try martlet.line(with: "\"end\":\"total_timeout\"")
      }
    }

    @Test("more than `max_connections` of a block wait until one ends")
    func limit() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try rig.stream(to: [member.endpoint], "max_connections 2", outside: "loops 1")
        let first = try Wire(to: martlet.endpoint)
        let second = try Wire(to: martlet.endpoint)
        #expect(try first.echoes("one") && second.echoes("two"))
        let third = try Wire(to: martlet.endpoint)
        try third.send(text: "three")
        #expect(!third.isReadable(within: .milliseconds(300)))
        first.finishSending()
        #expect(try third.receive(exactly: 5) == Array("three".utf8))
      }
    }

    @Test("a member takes no more than its `max_connections`; with all full there is no member")
    func memberLimit() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try rig.martlet(
          configuration: """
            loops 1
            tcp {
                listen LISTEN
                proxy back
                access_log stdout json
            }
            upstream back { member \(member.endpoint) max_connections 1 }

            """
        )
        // The connection that looked whether Martlet listens has ended.
        try martlet.line(with: "\"end\"")
        let first = try Wire(to: martlet.endpoint)
        #expect(try first.echoes("one"))
        let second = try Wire(to: martlet.endpoint)
        #expect(throws: Wire.Failure.reset) { try second.receive() }
        try martlet.line(with: "\"end\":\"no_member\"")
        #expect(try first.echoes("still"))
      }
    }

    @Test("`source transparent` without the right is refused with the mend")
    func noRight() async throws {
      try await Rig.run { rig in
        let text = Rig.streamConfiguration(to: [try rig.freePort()], "source transparent")
          .replacingOccurrences(of: "LISTEN", with: "\(try rig.freePort())")
        let file = try rig.write(text, to: "transparent.conf")
        let outcome = try rig.outcome(
          of: [
            "setpriv", "--bounding-set", "-net_admin,-net_raw", Rig.martletPath, "edge",
            "--standalone", "--config", file, "--state-directory", rig.path("state"),
          ]
        )
        #expect(outcome.status != 0)
        let said = outcome.lines.joined()
        #expect(said.contains("CAP_NET_ADMIN") && said.contains("start as root"), "\(said)")
      }
    }
  }
}
