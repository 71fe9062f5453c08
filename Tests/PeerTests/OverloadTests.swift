import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What is refused when the process runs short of something.
  @Suite("Overload", .timeLimit(.minutes(5 * slowness))) struct OverloadTests {
    private func text(_ overload: String) -> String {
      """
      loops 2
      \(overload.isEmpty ? "" : "overload {\n\(overload)\n}")
      server {
          listen LISTEN
          access_log stdout json
          route /high {
              priority 9
              respond 200 high
          }
          route /asked {
              priority "{request.header.x-priority}"
              respond 200 asked
          }
          route / { respond 200 usual }
      }
      """
    }

    private func request(_ target: String, _ fields: String = "") -> String {
      "GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
    }

    private func ask(_ wire: Wire, _ target: String, _ fields: String = "") throws -> Answer {
      try wire.send(text: request(target, fields))
      return try wire.receiveAnswer()
    }

    /// Asks until the answer has a status: each loop hears of a change at its next tick.
    private func ask(_ wire: Wire, _ target: String, until status: Int) throws -> Answer {
      let deadline = ContinuousClock.now + patience
      while true {
        let answer = try ask(wire, target)
        if answer.status == status || ContinuousClock.now > deadline { return answer }
      }
    }

    private func reload(_ rig: Rig, _ martlet: Peer, _ overload: String) throws {
      let text = text(overload).replacingOccurrences(of: "LISTEN", with: "\(martlet.endpoint)")
      try rig.write(text, to: "martlet.conf")
      let outcome = try rig.martlet(command: "reload")
      #expect(outcome.status == 0, "\(outcome.lines)")
    }

    private func metrics(_ rig: Rig) throws -> String {
      try rig.curl(
        "--unix-socket",
        rig.path("state/admin.sock"),
        "http://localhost/metrics"
      ).text
    }

    @Test("short of memory the least important requests are refused, and are told so")
    func memory() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(configuration: text(""))
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "/").status == 200)
        // So that 91 percent are held: the second level, or the third if it changes meanwhile.
        let limit = try martlet.memory().now * 100 / 91
        try reload(rig, martlet, "memory \(limit)B\nloop_lag off\ndescriptors off\nretry_after 7s")
        let line = try martlet.line(with: "the process is overloaded")
        #expect(line.contains("memory_percent=9"))
        let refused = try ask(wire, "/", until: 503)
        #expect(refused.status == 503)
        #expect(refused.fields["retry-after"] == "7")
        #expect(refused.fields["martlet-overload"]?.hasPrefix("memory;level=") == true)
        #expect(try ask(wire, "/high").status == 200)
        #expect(try ask(wire, "/asked", "X-Priority: 9\r\n").status == 200)
        for priority in ["0", "5", "", "99", "x"] {
          #expect(try ask(wire, "/asked", "X-Priority: \(priority)\r\n").status == 503)
        }
        let logged = try martlet.line(with: "\"end\":\"overloaded\"")
        #expect(logged.contains("\"detail\":\"memory;level="))
        let metrics = try metrics(rig)
        #expect(!metrics.contains("martlet_overload_level 0\n"))
        #expect(metrics.contains("martlet_overload_shed_total{priority=\"0\"} 1\n"))
        #expect(metrics.contains("martlet_overload_shed_total{priority=\"5\"} 5\n"))
        #expect(metrics.contains("martlet_overload_ratio{cause=\"memory\"} 0.9"))
        let status = try rig.martlet(command: "status", "--json").lines.joined()
        #expect(status.contains("\"cause\":\"memory\""))
        try reload(rig, martlet, "")
        #expect(try ask(wire, "/").status == 200)
      }
    }

    @Test(
      "at the worst no connection is accepted, those that are open are served, and later all are"
    )
    func closed() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(configuration: text(""))
        let open = try Wire(to: martlet.endpoint)
        #expect(try ask(open, "/").status == 200)
        try reload(rig, martlet, "memory 1MB\nloop_lag off\ndescriptors off")
        try martlet.line(with: "the process is overloaded level=4 before=0")
        #expect(try ask(open, "/high").status == 200)
        // Those that a loop had begun to wait for before are accepted still, one for each loop.
        let waiting = try (0..<6).map { _ in
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: request("/"))
          return wire
        }
        let late = waiting.filter { !$0.isReadable(within: .milliseconds(300)) }
        #expect(late.count >= 4)
        let refused = try ask(open, "/", until: 503)
        #expect(refused.status == 503)
        #expect(refused.fields["connection"] == "close")
        try reload(rig, martlet, "")
        for wire in late { #expect(try wire.receiveAnswer().status == 200) }
      }
    }

    @Test(
      "short of descriptors requests are refused, until connections have ended",
      .disabled(if: isSanitized, "a sanitizer opens files of its own")
    )
    func descriptors() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(configuration: text("loop_lag off\nmemory off"))
        let edge = try #require(martlet.children.last)
        let limited = try rig.outcome(of: ["prlimit", "--pid", "\(edge)", "--nofile=400:400"])
        #expect(limited.status == 0)
        let base = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(edge)/fd").count
        // 90 percent of 400.
        let wires = try (base..<360).map { _ in
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: request("/high"))
          return wire
        }
        for wire in wires { #expect(try wire.receiveAnswer().status == 200) }
        try martlet.line(with: "the process is overloaded")
        let refused = try ask(wires[0], "/", until: 503)
        #expect(refused.status == 503)
        #expect(refused.fields["martlet-overload"]?.hasPrefix("descriptors;level=") == true)
        #expect(try ask(wires[0], "/high").status == 200)
        for wire in wires.dropFirst() { wire.end() }
        try martlet.line(with: "the process is no longer overloaded")
        #expect(try ask(wires[0], "/", until: 200).status == 200)
        // Each change of the level is told once: up in at most two steps, and down one by one.
        let lines = martlet.lines.filter { $0.contains("overloaded level=") }
        #expect((2...5).contains(lines.count), "\(lines)")
      }
    }
  }
}
