import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Limits on requests, connections and bytes.
  @Suite("Traffic limits", .timeLimit(.minutes(5 * slowness))) struct TrafficLimitTests {
    private func member(_ rig: Rig) throws -> ScriptedMember {
      try rig.member { wire in
        while try wire.receiveRequest() != nil {
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
      }
    }

    /// A server on two loops with these lines, and a route to `member` with those.
    private func text(_ server: String, _ route: String = "", to member: ScriptedMember) -> String {
      """
      loops 2
      server a {
          listen LISTEN
          trusted_proxies 127.0.0.1
          \(server)
          route /own/* {
              proxy back
              \(route)
          }
          route / { proxy back }
      }
      upstream back { member \(member.endpoint) }
      """
    }

    private func request(_ target: String = "/", _ fields: String = "") -> String {
      "GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
    }

    private func ask(
      _ martlet: Peer,
      _ target: String = "/",
      _ fields: String = ""
    ) throws -> Answer {
      let wire = try Wire(to: martlet.endpoint)
      try wire.send(text: request(target, fields))
      return try wire.receiveAnswer()
    }

    /// What several clients at once, each with connections of its own, are answered.
    private func statuses(
      _ martlet: Peer,
      clientCount: Int,
      requestCount: Int
    ) -> [Int: Int] {
      let statuses = Guarded<[Int: Int]>([:])
      let group = DispatchGroup()
      for _ in 0..<clientCount {
        group.enter()
        Thread {
          defer { group.leave() }
          do {
            var wire = try Wire(to: martlet.endpoint)
            for number in 1...requestCount {
              // Half of the way on another connection, perhaps of the other loop.
              if number == requestCount / 2 { wire = try Wire(to: martlet.endpoint) }
              try wire.send(text: request())
              let status = try wire.receiveAnswer().status
              statuses.withLock { $0[status, default: 0] += 1 }
            }
          } catch {
            statuses.withLock { $0[0, default: 0] += 1 }
          }
        }.start()
      }
      group.wait()
      return statuses.withLock { $0 }
    }

    private func metrics(_ rig: Rig) throws -> String {
      try rig.curl(
        "--unix-socket",
        rig.path("state/admin.sock"),
        "http://localhost/metrics"
      ).text
    }

    @Test("who a PROXY header names is who is limited, not who has sent it")
    func proxied() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN proxy_protocol required from 127.0.0.1
                limit requests 1/d by {client.address}
                route / { respond 204 }
            }
            """
        )
        func status(of host: Int) throws -> Int {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "PROXY TCP4 192.0.2.\(host) 198.51.100.1 4711 443\r\n" + request())
          return Int(try wire.receiveAnswer().status)
        }
        #expect(try [1, 2, 1, 2, 3].map(status) == [204, 204, 429, 429, 204])
      }
    }

    @Test("as many requests pass as the bucket holds, exactly, whichever loop they come to")
    func exact() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(
          configuration: text("limit requests 10/h burst 137 name busy", to: member)
        )
        let statuses = statuses(martlet, clientCount: 8, requestCount: 50)
        #expect(statuses == [200: 137, 429: 263])
        let seen = String(decoding: member.received, as: UTF8.self).split(separator: "GET /").count
        #expect(seen == 137)
        let metrics = try metrics(rig)
        #expect(metrics.contains("martlet_limit_admitted_total{limit=\"busy\"} 137\n"))
        #expect(metrics.contains("martlet_limit_refused_total{limit=\"busy\"} 263\n"))
        #expect(metrics.contains("martlet_limit_keys{limit=\"busy\"} 1\n"))
        #expect(metrics.contains("martlet_requests_ended_total{reason=\"limited\"} 263\n"))
        let status = try rig.martlet(command: "status", "--json").lines.joined()
        #expect(status.contains("\"name\":\"busy\",\"dry_run\":false,\"keys\":1,\"admitted\":137"))
      }
    }

    @Test("who is refused is told when to come again, and is answered then")
    func retryAfter() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(
          configuration: text(
            "limit requests 6/m burst 1",
            "limit requests 1/s burst 1",
            to: member(rig)
          )
        )
        #expect(try ask(martlet, "/").status == 200)
        let refused = try ask(martlet, "/")
        #expect(refused.status == 429)
        // The tokens come every ten seconds, and a part of the first ten may have passed.
        let wait = try #require(refused.fields["retry-after"].flatMap { Int($0) })
        #expect((8...10).contains(wait))
        #expect(refused.text == "429 Too Many Requests\n")
      }
    }

    @Test("who waits as long as it was told is let in")
    func comesAgain() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(
          configuration: text("limit requests 1/s burst 1", to: member(rig))
        )
        #expect(try ask(martlet).status == 200)
        let refused = try ask(martlet)
        #expect(refused.fields["retry-after"] == "1")
        _ = poll(nil, 0, 1000)
        #expect(try ask(martlet).status == 200)
      }
    }

    @Test("each key has a limit of its own")
    func keys() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(
          configuration: text(
            "limit requests 1/h burst 2 by {client.address}",
            "limit requests 1/h burst 1 by {request.header.x-key}-{request.method}",
            to: member(rig)
          )
        )
        func status(of client: String, _ target: String = "/", _ key: String = "") throws -> Int {
          let fields = "X-Forwarded-For: \(client)\r\nX-Key: \(key)\r\n"
          return try ask(martlet, target, fields).status
        }
        #expect(try (0..<3).map { _ in try status(of: "192.0.2.1") } == [200, 200, 429])
        #expect(try status(of: "192.0.2.2") == 200)
        // A client has a network of 64 bits, and as many addresses as it likes.
        let addresses = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"]
        #expect(try addresses.map { try status(of: $0) } == [200, 200, 429, 200])
        // The route's limit comes behind the server's.
        #expect(try status(of: "192.0.2.3", "/own/x", "one") == 200)
        #expect(try status(of: "192.0.2.4", "/own/x", "two") == 200)
        #expect(try status(of: "192.0.2.3", "/own/x", "two") == 429)
        #expect(try status(of: "192.0.2.3") == 429)
      }
    }

    @Test("a dry run refuses nothing, and counts and logs what it would")
    func dryRun() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(
          configuration: text(
            """
            limit requests 1/h burst 3 dry_run name tried
                limit concurrency 1 by {client.address} dry_run name many
            """,
            to: member(rig)
          )
        )
        for _ in 0..<10 { #expect(try ask(martlet).status == 200) }
        let metrics = try metrics(rig)
        #expect(metrics.contains("martlet_limit_admitted_total{limit=\"tried\"} 3\n"))
        #expect(metrics.contains("martlet_limit_would_refuse_total{limit=\"tried\"} 7\n"))
        #expect(metrics.contains("martlet_limit_refused_total{limit=\"tried\"} 0\n"))
        #expect(metrics.contains("martlet_limit_keys{limit=\"many\"} 0\n"))
        try martlet.line(with: "a limit would refuse requests limit=tried")
      }
    }

    @Test("as many requests are under way as may be, and one more when one has ended")
    func concurrency() async throws {
      try await Rig.run { rig in
        let gates = Guarded<[Gate]>([])
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            let gate = Gate()
            gates.withLock { $0.append(gate) }
            try gate.pass()
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
          }
        }
        let martlet = try rig.martlet(
          configuration: text("limit concurrency 3 by {client.address} status 503", to: member)
        )
        let wires = try (0..<3).map { _ in
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: request())
          return wire
        }
        while gates.withLock({ $0.count }) < 3 { _ = poll(nil, 0, 2) }
        for _ in 0..<5 { #expect(try ask(martlet).status == 503) }
        gates.withLock { $0[0] }.open()
        // Which of them came first to the member is not known.
        while !wires.contains(where: { $0.isReadable(within: .milliseconds(2)) }) {}
        let next = try Wire(to: martlet.endpoint)
        try next.send(text: request())
        while gates.withLock({ $0.count }) < 4 { _ = poll(nil, 0, 2) }
        #expect(try ask(martlet).status == 503)
        // A client that leaves gives its place back too.
        next.end()
        var status = 503
        while status == 503 {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: request())
          if gates.withLock({ $0.count }) > 4 { break }
          if wire.isReadable(within: .milliseconds(50)) { status = try wire.receiveAnswer().status }
        }
        for gate in gates.withLock({ $0 }) { gate.open() }
        for wire in wires { #expect(try wire.receiveAnswer().status == 200) }
      }
    }

    @Test("a client has as many connections as it may, and another one when one has ended")
    func connections() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(
          configuration: text("limit connections 2 by {client.address}", to: member(rig))
        )
        let kept = try (0..<2).map { _ in try Wire(to: martlet.endpoint) }
        for _ in 0..<3 {
          for wire in kept {
            try wire.send(text: request())
            #expect(try wire.receiveAnswer().status == 200)
          }
        }
        let third = try Wire(to: martlet.endpoint)
        try third.send(text: request())
        let answer = try third.receiveAnswer()
        #expect(answer.status == 429)
        #expect(answer.fields["connection"] == "close")
        // Another client is not concerned.
        #expect(try ask(martlet, "/", "X-Forwarded-For: 192.0.2.9\r\n").status == 200)
        kept[0].end()
        var status = 429
        while status == 429 { status = try ask(martlet).status }
        #expect(status == 200)
      }
    }

    @Test(
      "an answer comes no faster than its bandwidth, and its first bytes at once",
      arguments: [true, false]
    )
    func bandwidth(isChunked: Bool) async throws {
      try await Rig.run { rig in
        let size = 300 << 10
        let body = String(repeating: "x", count: size)
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            if isChunked {
              try wire.send(
                text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  + "\(String(size, radix: 16))\r\n\(body)\r\n0\r\n\r\n"
              )
            } else {
              try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n\(body)")
            }
          }
        }
        let martlet = try rig.martlet(
          configuration: text("limit bandwidth 200KB/s after 100KB burst 50KB", to: member)
        )
        let start = ContinuousClock.now
        let answer = try ask(martlet)
        let time = ContinuousClock.now - start
        #expect(answer.body.count == size)
        #expect(answer.ending == .complete)
        // 300 KB less the first 100 and the burst of 50, at 200 KB a second.
        #expect(time >= .milliseconds(745), "\(time)")
        #expect(time < .seconds(10 * slowness), "\(time)")
        // Small answers are not slowed.
        let short = ContinuousClock.now
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/2.0\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 505)
        #expect(ContinuousClock.now - short < .seconds(5))
      }
    }

    @Test("answers to one key share its bandwidth")
    func sharedBandwidth() async throws {
      try await Rig.run { rig in
        let body = String(repeating: "x", count: 100 << 10)
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            )
          }
        }
        let martlet = try rig.martlet(
          configuration: text(
            "limit bandwidth 200KB/s burst 50KB by {client.address}",
            to: member
          )
        )
        let start = ContinuousClock.now
        let wires = try (0..<3).map { _ in
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: request())
          return wire
        }
        for wire in wires { #expect(try wire.receiveAnswer().body.count == 100 << 10) }
        let time = ContinuousClock.now - start
        #expect(time >= .milliseconds(1245), "\(time)")
        #expect(time < .seconds(10 * slowness), "\(time)")
      }
    }

    @Test("a shared limit is one for all that name it, and an error page answers for it")
    func shared() async throws {
      try await Rig.run { rig in
        let configuration = """
          shared_limit login requests 1/h burst 2
          server {
              listen LISTEN
              access_log stdout json
              error_page 429 "slow down"
              route /a {
                  limit login
                  respond 200 a
              }
              route /b {
                  limit login
                  respond 200 b
              }
              route / { respond 200 other }
          }
          """
        let martlet = try rig.martlet(configuration: configuration)
        #expect(try ask(martlet, "/a").status == 200)
        #expect(try ask(martlet, "/b").status == 200)
        for target in ["/a", "/b"] {
          let answer = try ask(martlet, target)
          #expect(answer.status == 429)
          #expect(answer.text == "slow down")
        }
        #expect(try ask(martlet, "/").status == 200)
        let line = try martlet.line(with: "\"end\":\"limited\"")
        #expect(line.contains("\"detail\":\"login\""))
        try martlet.line(with: "a limit refuses requests limit=login")
      }
    }

    @Test("a reload that keeps a limit keeps what was counted, and one that changes it does not")
    func reload() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        func configuration(_ limit: String, _ other: String) -> String {
          text("\(limit)\n    \(other)", to: member)
        }
        let martlet = try rig.martlet(
          configuration: configuration("limit requests 1/h burst 2", "")
        )
        func reload(_ limit: String, _ other: String) throws {
          let text = configuration(limit, other)
            .replacingOccurrences(of: "LISTEN", with: "\(martlet.endpoint)")
          try rig.write(text, to: "martlet.conf")
          let outcome = try rig.martlet(command: "reload")
          #expect(outcome.status == 0, "\(outcome.lines)")
        }
        for status in [200, 200, 429] { #expect(try ask(martlet).status == status) }
        try reload("limit requests 1/h burst 2", "via other")
        #expect(try ask(martlet).status == 429)
        // What becomes of a refusal may change.
        try reload("limit requests 1/h burst 2 status 403", "via other")
        #expect(try ask(martlet).status == 403)
        try reload("limit requests 1/h burst 1", "")
        for status in [200, 429] { #expect(try ask(martlet).status == status) }
        try reload("", "")
        #expect(try ask(martlet).status == 200)
      }
    }
  }
}
