import TestPeers
import Testing

extension PeerTests {
  /// Limits and times that a configuration sets: each with its own answer.
  @Suite("Limits", .timeLimit(.minutes(5 * slowness))) struct LimitTests {
    private func member(_ rig: Rig) throws -> ScriptedMember {
      try rig.member { wire in
        while try wire.receiveRequest() != nil {
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
      }
    }

    private func martlet(_ rig: Rig, _ lines: String, to member: ScriptedMember) throws -> Peer {
      try rig.martlet(
        configuration: """
          server {
              listen LISTEN
              \(lines)
              route / { proxy back }
          }
          upstream back { member \(member.endpoint) }
          """
      )
    }

    private static func x(_ count: Int) -> String { String(repeating: "x", count: count) }

    /// Requests of `count`, the largest that passes, and what answers one more.
    struct Case: Sendable, CustomTestStringConvertible {
      var line: String
      var most: Int
      var status: Int
      var request: @Sendable (Int) -> String
      var testDescription: String { line }
    }

    static let cases = [
      Case(line: "target_limit 100B", most: 100, status: 414) {
        "GET /\(x($0 - 1)) HTTP/1.1\r\nHost: a\r\n\r\n"
      },
      Case(line: "line_limit 300B", most: 300, status: 431) {
        "GET / HTTP/1.1\r\nHost: a\r\nX: \(x($0 - 3))\r\n\r\n"
      },
      Case(line: "field_limit 10", most: 10, status: 431) {
        "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: $0 - 1) + "\r\n"
      },
      Case(line: "head_limit 2KB", most: 2048, status: 431) {
        "GET / HTTP/1.1\r\nHost: a\r\nX: \(x(500))\r\nY: \(x($0 - 537))\r\n\r\n"
      },
      Case(line: "body_limit 100B", most: 100, status: 413) {
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \($0)\r\n\r\n\(x($0))"
      },
      Case(line: "body_limit 90B", most: 90, status: 413) {
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
          + "\(String($0 - 10, radix: 16))\r\n\(x($0 - 10))\r\na\r\n\(x(10))\r\n0\r\n\r\n"
      },
    ]

    @Test("what is as long as it may be passes, and one more is refused", arguments: cases)
    func limit(limited: Case) async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try martlet(rig, limited.line, to: member)
        let good = try Wire(to: martlet.endpoint)
        try good.send(text: limited.request(limited.most))
        #expect(try good.receiveAnswer().status == 200)
        let received = member.received.count
        let bad = try Wire(to: martlet.endpoint)
        try bad.send(text: limited.request(limited.most + 1))
        let answer = try bad.receiveAnswer()
        #expect(answer.status == limited.status)
        #expect(answer.fields["connection"] == "close")
        #expect(member.received.count == received, "the member saw it")
      }
    }

    @Test("a connection ends after as many requests as it may carry")
    func requests() async throws {
      try await Rig.run { rig in
        let martlet = try martlet(rig, "request_limit 3", to: try member(rig))
        let wire = try Wire(to: martlet.endpoint)
        for number in 1...3 {
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try wire.receiveAnswer()
          #expect((answer.fields["connection"] == "close") == (number == 3))
        }
        #expect(try wire.receiveRest().isEmpty)
      }
    }

    @Test(
      "a client that takes too long for its head or its body is told so",
      arguments: ["GET / HTT", "GET / HTTP/1.1\r\nHost: a\r\n", ""]
    )
    func head(part: String) async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try martlet(rig, "head_timeout 200ms\n body_timeout 200ms", to: member)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: part)
        if part.isEmpty {
          #expect(try wire.receiveRest().isEmpty)
        } else {
          #expect(try wire.receiveAnswer().status == 408)
        }
        #expect(member.connectionCount == 0)
      }
    }

    @Test("a client that stops within its body is told so, and the member is left")
    func body() async throws {
      try await Rig.run { rig in
        let left = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try wire.receiveEnd()
          left.open()
        }
        let martlet = try martlet(rig, "body_timeout 200ms", to: member)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        #expect(try wire.receiveAnswer().status == 408)
        try left.pass()
      }
    }

    @Test("an idle connection is closed without a word")
    func idle() async throws {
      try await Rig.run { rig in
        let martlet = try martlet(rig, "idle_timeout 200ms", to: try member(rig))
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 200)
        #expect(try wire.receiveRest().isEmpty)
      }
    }

    @Test("more connections than may be open wait or get 503, and are served when others end")
    func connections() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(
          configuration: """
            max_connections 10
            server {
                listen LISTEN
                route / { proxy back }
            }
            upstream back { member \(member.endpoint) }
            """
        )
        let wires = try (0..<30).map { _ in
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          return wire
        }
        var served = 0
        for wire in wires where wire.isReadable(within: .milliseconds(100)) {
          let status = try wire.receiveAnswer().status
          #expect([200, 503].contains(status))
          if status == 200 { served += 1 }
        }
        #expect((1..<30).contains(served), "\(served) were served")
        for wire in wires { wire.end() }
        // Those that have left are noticed one after the other.
        let load = Load(to: martlet.endpoint, clientCount: 2) { [200, 503].contains($0.status) }
        try load.wait(forMore: 20)
        #expect(try load.stop().failures == [:])
      }
    }
  }
}
