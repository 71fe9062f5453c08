import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Requests that wait for a place at a member.
  @Suite("Queues", .timeLimit(.minutes(5 * slowness))) struct QueueTests {
    /// A member that notes the targets it is asked for, and answers each when it may.
    private final class Gated: Sendable {
      private let state = Guarded<(targets: [String], gates: [Gate])>(([], []))
      private let change = NSCondition()

      var targets: [String] { state.withLock { $0.targets } }

      func serve(_ wire: Wire) throws {
        while let request = try wire.receiveRequest() {
          let gate = Gate()
          state.withLock {
            $0.targets.append(request.target)
            $0.gates.append(gate)
          }
          change.lock()
          change.broadcast()
          change.unlock()
          try gate.pass()
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
      }

      /// Lets the request of this number be answered, once it has come.
      func answer(_ number: Int) throws {
        try wait(for: number + 1)
        state.withLock { $0.gates[number] }.open()
      }

      /// Waits until so many requests have come.
      func wait(for count: Int) throws {
        let deadline = Date(timeIntervalSinceNow: Double(patience.components.seconds))
        change.lock()
        defer { change.unlock() }
        while state.withLock({ $0.targets.count }) < count {
          guard change.wait(until: deadline) else { throw PeerError("only \(targets) came") }
        }
      }
    }

    private func start(
      _ rig: Rig,
      _ queue: String,
      most: Int = 1
    ) throws -> (martlet: Peer, member: Gated) {
      let gated = Gated()
      let member = try rig.member { try gated.serve($0) }
      let martlet = try rig.martlet(
        configuration: text(queue, "max_connections \(most)", member.endpoint)
      )
      return (martlet, gated)
    }

    private func text(_ queue: String, _ options: String, _ member: Endpoint) -> String {
      """
      loops 2
      server a {
          listen LISTEN
          access_log stdout json
          trusted_proxies 127.0.0.1
          route /high/* {
              priority 9
              proxy back
          }
          route /low/* {
              priority 0
              proxy back
          }
          route / { proxy back }
      }
      upstream back {
          member \(member) \(options)
          queue {
              \(queue)
          }
      }
      """
    }

    private func ask(_ martlet: Peer, _ target: String, _ fields: String = "") throws -> Wire {
      let wire = try Wire(to: martlet.endpoint)
      try wire.send(text: "GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
      return wire
    }

    private func metrics(_ rig: Rig) throws -> String {
      try rig.curl(
        "--unix-socket",
        rig.path("state/admin.sock"),
        "http://localhost/metrics"
      ).text
    }

    /// Waits until so many requests wait.
    private func wait(_ rig: Rig, for count: Int) throws {
      let deadline = ContinuousClock.now + patience
      while try !metrics(rig).contains("martlet_queue_waiting{upstream=\"back\"} \(count)\n") {
        guard ContinuousClock.now < deadline else { throw PeerError("\(count) do not wait") }
      }
    }

    /// Asks for targets one after the other, each of which waits.
    private func line(
      _ rig: Rig,
      _ martlet: Peer,
      _ targets: [(String, String)]
    ) throws -> [Wire] {
      try targets.enumerated().map { number, target in
        let wire = try ask(martlet, target.0, target.1)
        try wait(rig, for: number + 1)
        return wire
      }
    }

    @Test("a request waits for a place, and gets it whichever loop it is on")
    func waits() async throws {
      try await Rig.run { rig in
        let (martlet, member) = try start(rig, "length 100\ntimeout 60s")
        let first = try ask(martlet, "/0")
        try member.wait(for: 1)
        let targets = (1...20).map { ("/\($0)", "") }
        let waiting = try line(rig, martlet, targets)
        for number in 0...20 { try member.answer(number) }
        for wire in [first] + waiting { #expect(try wire.receiveAnswer().status == 200) }
        #expect(member.targets == (0...20).map { "/\($0)" })
        let metrics = try metrics(rig)
        #expect(metrics.contains("martlet_queue_waiting{upstream=\"back\"} 0\n"))
        #expect(
          metrics.contains("martlet_queue_ended_total{upstream=\"back\",outcome=\"served\"} 20\n")
        )
        let logged = try martlet.line(with: "\"target\":\"/20\"")
        #expect(logged.contains("\"queued\":"))
        #expect(!(try martlet.line(with: "\"target\":\"/0\"")).contains("\"queued\":"))
      }
    }

    @Test("under load no member has more than it may, and no place is lost")
    func load() async throws {
      try await Rig.run { rig in
        let active = Guarded<(now: Int, most: Int)>((0, 0))
        @Sendable func serve(_ wire: Wire) throws {
          while try wire.receiveRequest() != nil {
            active.withLock {
              $0.now += 1
              $0.most = max($0.most, $0.now)
            }
            _ = poll(nil, 0, 1)
            active.withLock { $0.now -= 1 }
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
          }
        }
        let member = try rig.member { try serve($0) }
        let martlet = try rig.martlet(
          configuration: text("timeout 60s", "max_connections 3", member.endpoint)
        )
        let load = Load(to: martlet.endpoint, clientCount: 24)
        try load.wait(forMore: 3000)
        let totals = try load.stop()
        #expect(totals.failures == [:] && totals.broken == 0, "\(totals)")
        #expect(active.withLock { $0.most } == 3)
        #expect(try metrics(rig).contains("martlet_queue_waiting{upstream=\"back\"} 0\n"))
      }
    }

    @Test("a line that is full refuses at once")
    func full() async throws {
      try await Rig.run { rig in
        let (martlet, member) = try start(rig, "length 2\ntimeout 60s")
        let first = try ask(martlet, "/0")
        try member.wait(for: 1)
        let waiting = try line(rig, martlet, [("/1", ""), ("/2", "")])
        let refused = try ask(martlet, "/3").receiveAnswer()
        #expect(refused.status == 503)
        #expect(refused.fields["retry-after"] == "1")
        let logged = try martlet.line(with: "\"target\":\"/3\"")
        #expect(logged.contains("\"end\":\"queue_full\",\"detail\":\"back\""))
        for number in 0...2 { try member.answer(number) }
        for wire in [first] + waiting { #expect(try wire.receiveAnswer().status == 200) }
        #expect(member.targets == ["/0", "/1", "/2"])
      }
    }

    @Test("who waits longer than it may gets 503")
    func timeout() async throws {
      try await Rig.run { rig in
        let (martlet, member) = try start(rig, "timeout 200ms")
        let first = try ask(martlet, "/0")
        try member.wait(for: 1)
        let start = ContinuousClock.now
        #expect(try ask(martlet, "/1").receiveAnswer().status == 503)
        #expect(ContinuousClock.now - start >= .milliseconds(200))
        try martlet.line(with: "\"end\":\"queue_timeout\"")
        try member.answer(0)
        #expect(try first.receiveAnswer().status == 200)
        let next = try ask(martlet, "/2")
        try member.answer(1)
        #expect(try next.receiveAnswer().status == 200)
        #expect(member.targets == ["/0", "/2"])
      }
    }

    @Test("the highest priority is first")
    func priorities() async throws {
      try await Rig.run { rig in
        let (martlet, member) = try start(rig, "timeout 60s")
        let first = try ask(martlet, "/0")
        try member.wait(for: 1)
        let waiting = try line(
          rig,
          martlet,
          ["/low/1", "/1", "/high/1", "/low/2", "/2", "/high/2"].map { ($0, "") }
        )
        for number in 0...6 { try member.answer(number) }
        for wire in [first] + waiting { #expect(try wire.receiveAnswer().status == 200) }
        #expect(
          member.targets == ["/0", "/high/1", "/high/2", "/1", "/2", "/low/1", "/low/2"]
        )
      }
    }

    @Test("a line that is full makes place for a higher priority")
    func displaced() async throws {
      try await Rig.run { rig in
        let (martlet, member) = try start(rig, "length 2\ntimeout 60s")
        let first = try ask(martlet, "/0")
        try member.wait(for: 1)
        let waiting = try line(rig, martlet, [("/low/1", ""), ("/low/2", "")])
        let high = try ask(martlet, "/high/1")
        #expect(try waiting[1].receiveAnswer().status == 503)
        for number in 0...2 { try member.answer(number) }
        for wire in [first, waiting[0], high] {
          #expect(try wire.receiveAnswer().status == 200)
        }
        #expect(member.targets == ["/0", "/high/1", "/low/1"])
      }
    }

    @Test("clients have equal shares, however much each asks for")
    func fairness() async throws {
      try await Rig.run { rig in
        let (martlet, member) = try start(rig, "timeout 60s\nby {client.address}")
        let first = try ask(martlet, "/0")
        try member.wait(for: 1)
        func client(_ number: Int) -> String { "X-Forwarded-For: 192.0.2.\(number)\r\n" }
        let waiting = try line(
          rig,
          martlet,
          [
            ("/a1", client(1)), ("/a2", client(1)), ("/a3", client(1)), ("/b1", client(2)),
            ("/b2", client(2)), ("/c1", client(3)),
          ]
        )
        for number in 0...6 { try member.answer(number) }
        for wire in [first] + waiting { #expect(try wire.receiveAnswer().status == 200) }
        #expect(member.targets == ["/0", "/a1", "/b1", "/c1", "/a2", "/b2", "/a3"])
      }
    }

    @Test("when the first has waited for long, the newest is served")
    func newest() async throws {
      try await Rig.run { rig in
        let (martlet, member) = try start(rig, "timeout 60s\nnewest_after 100ms")
        let first = try ask(martlet, "/0")
        try member.wait(for: 1)
        let waiting = try line(rig, martlet, (1...3).map { ("/\($0)", "") })
        _ = poll(nil, 0, 150)
        for number in 0...3 { try member.answer(number) }
        for wire in [first] + waiting { #expect(try wire.receiveAnswer().status == 200) }
        #expect(member.targets == ["/0", "/3", "/2", "/1"])
      }
    }

    @Test("a client that leaves leaves the line")
    func leaves() async throws {
      try await Rig.run { rig in
        let (martlet, member) = try start(rig, "timeout 60s")
        let first = try ask(martlet, "/0")
        try member.wait(for: 1)
        let waiting = try line(rig, martlet, (1...3).map { ("/\($0)", "") })
        waiting[1].end()
        try wait(rig, for: 2)
        let logged = try martlet.line(with: "\"target\":\"/2\"")
        #expect(logged.contains("\"end\":\"client_closed\""))
        for number in 0...2 { try member.answer(number) }
        for wire in [first, waiting[0], waiting[2]] {
          #expect(try wire.receiveAnswer().status == 200)
        }
        #expect(member.targets == ["/0", "/1", "/3"])
      }
    }

    @Test("who waits over a reload is served, and more places serve more at once")
    func reload() async throws {
      try await Rig.run { rig in
        let gated = Gated()
        let member = try rig.member { try gated.serve($0) }
        func text(_ most: Int) -> String {
          self.text("timeout 60s", "max_connections \(most)", member.endpoint)
        }
        let martlet = try rig.martlet(configuration: text(1))
        let first = try ask(martlet, "/0")
        try gated.wait(for: 1)
        let waiting = try line(rig, martlet, (1...3).map { ("/\($0)", "") })
        let next = text(3).replacingOccurrences(of: "LISTEN", with: "\(martlet.endpoint)")
        try rig.write(next, to: "martlet.conf")
        #expect(try rig.martlet(command: "reload").status == 0)
        // The first is still under way; two more have a place now.
        try gated.wait(for: 3)
        for number in 0...3 { try gated.answer(number) }
        for wire in [first] + waiting { #expect(try wire.receiveAnswer().status == 200) }
        #expect(gated.targets.sorted() == ["/0", "/1", "/2", "/3"])
      }
    }

    @Test("who waits when the process ends is told so")
    func drained() async throws {
      try await Rig.run { rig in
        let gated = Gated()
        let member = try rig.member { try gated.serve($0) }
        let configuration =
          "drain_limit 1s\n" + text("timeout 60s", "max_connections 1", member.endpoint)
        let martlet = try rig.martlet(configuration: configuration)
        let first = try ask(martlet, "/0")
        try gated.wait(for: 1)
        let waiting = try line(rig, martlet, [("/1", "")])
        martlet.signal(SIGTERM)
        for wire in waiting + [first] { #expect(try wire.receiveAnswer().status == 503) }
        #expect(try martlet.status() == 0)
      }
    }
  }
}
