import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What layer 4 decides about clients and members: limits, ejection, stickiness.
  @Suite("Traffic at layer 4", .timeLimit(.minutes(5 * slowness))) struct StreamTrafficTests {
    /// A block on two loops with these lines, in front of an upstream with those.
    private func start(
      _ rig: Rig,
      listen: String = "",
      _ block: String,
      upstream: String,
      outside: String = "",
      loops: Int = 2
    ) throws -> Peer {
      try rig.martlet(
        configuration: """
          loops \(loops)
          \(outside)
          tcp {
              listen LISTEN \(listen)
              proxy back
              access_log stdout json
              \(block)
          }
          upstream back {
              \(upstream)
          }
          """
      )
    }

    private func metric(_ rig: Rig, _ line: String) throws -> Int {
      let text = try rig.curl("--unix-socket", rig.path("state/admin.sock"), "http://a/metrics")
        .text
      let found = text.split(separator: "\n").first { $0.hasPrefix(line) }
      return found.flatMap { $0.split(separator: " ").last }.flatMap { Int($0) } ?? 0
    }

    /// Whether a client that connects is served.
    private func isServed(_ martlet: Peer, saying first: String = "") throws -> Wire? {
      let wire = try Wire(to: martlet.endpoint)
      do {
        try wire.send(text: first)
        return try wire.echoes("hello") ? wire : nil
      } catch Wire.Failure.reset {
        return nil
      }
    }

    // MARK: Limits

    /// Whoever looks whether somebody listens sends no header, and so meets no limit.
    private static let proxied = "proxy_protocol required from 127.0.0.1"

    private static func header(_ host: Int) -> String {
      "PROXY TCP4 192.0.2.\(host) 198.51.100.1 4711 443\r\n"
    }

    @Test("no more connections of a client are open than `limit connections` says")
    func connections() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try start(
          rig,
          listen: Self.proxied,
          "limit connections 3 by {client.address}",
          upstream: "member \(member.endpoint)"
        )
        var open: [Wire] = []
        for _ in 0..<3 { open.append(try #require(try isServed(martlet, saying: Self.header(1)))) }
        for _ in 0..<5 { #expect(try isServed(martlet, saying: Self.header(1)) == nil) }
        let line = try martlet.line(with: "\"end\":\"limited\"")
        #expect(line.contains("\"tries\":0") && line.contains("connections\""), "\(line)")
        try martlet.line(with: "a limit refuses connections")
        let label = "{limit=\"tcp \(martlet.endpoint) connections\"}"
        #expect(try metric(rig, "martlet_limit_refused_total\(label)") == 5)
        #expect(try metric(rig, "martlet_limit_admitted_total\(label)") == 3)
        // One that ends makes room for another.
        let last = open.removeLast()
        last.finishSending()
        #expect(try last.receiveRest() == [])
        var next: Wire?
        try wait {
          next = try isServed(martlet, saying: Self.header(1))
          return next != nil
        }
        #expect(try isServed(martlet, saying: Self.header(1)) == nil)
      }
    }

    @Test("`new_connections` is a bucket, and a dry run refuses nothing", arguments: [true, false])
    func arrivals(isDry: Bool) async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try start(
          rig,
          listen: Self.proxied,
          "limit new_connections 1/d burst 4 by {client.address} \(isDry ? "dry_run" : "") name few",
          upstream: "member \(member.endpoint)"
        )
        var served = 0
        for _ in 0..<10 where try isServed(martlet, saying: Self.header(1)) != nil { served += 1 }
        #expect(served == (isDry ? 10 : 4))
        let name = isDry ? "martlet_limit_would_refuse_total" : "martlet_limit_refused_total"
        #expect(try metric(rig, "\(name){limit=\"few\"}") == 6)
      }
    }

    @Test("who a PROXY header names is who is limited, not who has sent it")
    func proxied() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try start(
          rig,
          listen: Self.proxied,
          "limit connections 1 by {client.address}",
          upstream: "member \(member.endpoint)"
        )
        let first = try isServed(martlet, saying: Self.header(1))
        let second = try isServed(martlet, saying: Self.header(2))
        #expect(first != nil && second != nil)
        #expect(try isServed(martlet, saying: Self.header(1)) == nil)
        let line = try martlet.line(with: "\"end\":\"limited\"")
        #expect(line.contains("\"client\":\"192.0.2.1\""), "\(line)")
      }
    }

    @Test(
      "bytes pass no faster than their limit, in its direction alone",
      arguments: ["bandwidth", "upload"]
    )
    func bandwidth(direction: String) async throws {
      try await Rig.run { rig in
        let bytes = (0..<300 << 10).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let member = try rig.member { wire in
          try wire.send(bytes)
          wire.finishSending()
          // The difference of two long texts is not worth the time that it takes.
          let received = try wire.receiveRest()
          let isWhole = received == bytes
          // Who only looks whether Martlet listens sends nothing.
          #expect(isWhole || received.isEmpty)
        }
        let martlet = try start(
          rig,
          "limit \(direction) 200KB/s after 100KB burst 50KB",
          upstream: "member \(member.endpoint)"
        )
        let wire = try Wire(to: martlet.endpoint)
        let start = ContinuousClock.now
        Thread {
          #expect(throws: Never.self) { try wire.send(bytes) }
          wire.finishSending()
        }.start()
        let isWhole = try wire.receiveRest() == bytes
        #expect(isWhole)
        try martlet.line(with: "\"received\":307200,\"sent\":307200")
        let time = ContinuousClock.now - start
        // 300 KB less the first 100 and the burst of 50, at 200 KB a second.
        #expect(time >= .milliseconds(745), "\(time)")
      }
    }

    @Test("connections of one client share its bandwidth")
    func sharedBandwidth() async throws {
      try await Rig.run { rig in
        let bytes = [UInt8](repeating: 0x78, count: 100 << 10)
        let member = try rig.member { wire in try wire.send(bytes) }
        let martlet = try start(
          rig,
          "limit bandwidth 200KB/s burst 50KB by {client.address}",
          upstream: "member \(member.endpoint)"
        )
        let start = ContinuousClock.now
        let wires = try (0..<3).map { _ in try Wire(to: martlet.endpoint) }
        for wire in wires { #expect(try wire.receiveRest() == bytes) }
        let time = ContinuousClock.now - start
        #expect(time >= .milliseconds(1245), "\(time)")
      }
    }

    @Test("a client that resets a slowed connection ends it before its time")
    func slowedReset() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          try wire.send([UInt8](repeating: 0x78, count: 64 << 10))
          try wire.receiveEnd()
        }
        let martlet = try start(
          rig,
          // A piece of 512 bytes waits for half a second behind the burst.
          "limit bandwidth 1KB/s burst 1KB",
          upstream: "member \(member.endpoint)"
        )
        do {
          let wire = try Wire(to: martlet.endpoint)
          _ = try wire.receive(exactly: 1024)
          wire.resetAtEnd()
        }
        try martlet.line(with: "\"end\":\"client_reset\"")
      }
    }

    @Test("a shared limit counts connections of blocks and of servers together")
    func shared() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let socket = rig.socket("http.sock")
        let martlet = try start(
          rig,
          listen: Self.proxied,
          "limit all",
          upstream: "member \(member.endpoint)",
          outside: """
            shared_limit all connections 2
            server {
                listen \(socket)
                limit all
                route / { respond 204 }
            }
            """
        )
        let wire = try Wire(to: socket)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 204)
        let held = try isServed(martlet, saying: Self.header(1))
        #expect(held != nil)
        #expect(try isServed(martlet, saying: Self.header(1)) == nil)
        wire.end()
        try wait { try isServed(martlet, saying: Self.header(1)) != nil }
      }
    }

    // MARK: Members that fail

    @Test("members that refuse, or reset before they say a word, are ejected")
    func ejection() async throws {
      try await Rig.run { rig in
        let rude = try rig.member { wire in
          _ = try wire.receive(exactly: 5)
          wire.resetAtEnd()
        }
        let good = try rig.echo()
        let martlet = try start(
          rig,
          "",
          upstream: """
            member \(rude.endpoint)
            member \(try rig.freePort())
            member \(good.endpoint)
            eject {
                failures 3
                max_ejected 70%
            }
            """
        )
        for _ in 0..<30 { _ = try isServed(martlet) }
        try martlet.lines(with: "a member is ejected", count: 2)
        #expect(try rig.members().map { $0["ejected"] as? Bool } == [true, true, false])
        for _ in 0..<10 { #expect(try isServed(martlet) != nil) }
      }
    }

    @Test("a member that says something ends its row of failures")
    func success() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try rig.member { wire in
          let number = count.withLock { count in
            count += 1
            return count
          }
          let part = try wire.receive()
          if number % 3 != 0 { return wire.resetAtEnd() }
          try wire.send(part)
          _ = try wire.receiveRest()
        }
        let other = try rig.echo()
        let martlet = try start(
          rig,
          "",
          upstream: """
            member \(member.endpoint)
            member \(other.endpoint)
            eject { failures 3 }
            """,
          // Which of two loops is first to tell what has come to it is not known.
          loops: 1
        )
        for _ in 0..<40 { _ = try isServed(martlet) }
        #expect(martlet.count(of: "a member is ejected") == 0)
      }
    }

    // MARK: Clients that stay

    /// Members that say their names, `a`, `b` and `c`, and the lines that an upstream has for them.
    private func named(_ rig: Rig) throws -> (members: [ScriptedMember], list: String) {
      let members = try ["a", "b", "c"].map { name in
        try rig.member { wire in
          try wire.send(text: name)
          _ = try wire.receiveRest()
        }
      }
      return (members, members.map { "member \($0.endpoint)" }.joined(separator: "\n"))
    }

    @Test("`sticky by {client.address}` keeps clients with their member, until it is gone")
    func sticky() async throws {
      try await Rig.run { rig in
        let (members, list) = try named(rig)
        let martlet = try start(
          rig,
          listen: "proxy_protocol required from 127.0.0.1",
          "",
          upstream: "\(list)\nsticky by {client.address}"
        )
        func member(of host: Int) throws -> String {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "PROXY TCP4 192.0.2.\(host) 198.51.100.1 4711 443\r\n")
          return String(decoding: try wire.receive(exactly: 1), as: UTF8.self)
        }
        let hosts = Array(1...12)
        let first = try hosts.map(member)
        #expect(Set(first) == ["a", "b", "c"])
        for _ in 0..<3 { #expect(try hosts.map(member) == first) }
        let gone = members[0].endpoint
        #expect(try rig.martlet(command: "member", "disable", "back", "\(gone)").status == 0)
        let moved = try hosts.map(member)
        #expect(!moved.contains("a"))
        #expect(try hosts.map(member) == moved)
        #expect(
          try metric(rig, "martlet_sticky_requests_total{upstream=\"back\",outcome=\"moved\"}") > 0
        )
      }
    }

    @Test("a client's member is known on a loop that has served nobody yet")
    func stickyOnEveryLoop() async throws {
      try await Rig.run { rig in
        let list = try named(rig).list
        let upstream = "\(list)\nsticky by {client.address}"
        let martlet = try start(rig, "", upstream: upstream, loops: 8)
        let first = try Wire(to: martlet.endpoint).receive(exactly: 1)
        // Many at a time, so that every loop has some.
        let wires = try (0..<64).map { _ in try Wire(to: martlet.endpoint) }
        for wire in wires { #expect(try wire.receive(exactly: 1) == first) }
      }
    }
  }
}
