import Foundation
import HTTP2
import TestPeers
import Testing

extension PeerTests {
  /// What `http2` of a server says, as clients feel it.
  @Suite("What clients of HTTP/2 may do", .timeLimit(.minutes(1 * slowness)))
  struct HTTP2LimitTests {
    private func martlet(_ rig: Rig, _ http2: String, to member: Endpoint? = nil) throws -> Peer {
      try rig.martlet(
        configuration: """
          server {
            listen LISTEN
            \(http2)
            route /fixed { respond 200 "fixed" }
            \(member.map { "route / { proxy \($0) }" } ?? "")
          }
          """
      )
    }

    @Test("have so many streams at a time, and no more")
    func streams() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in try wire.receiveEnd() }
        let martlet = try martlet(rig, "http2 on streams 2", to: member.endpoint)
        let client = try HTTP2Client(to: martlet.endpoint)
        _ = try client.open("GET /a HTTP/1.1\nHost: a")
        let second = try client.open("GET /b HTTP/1.1\nHost: a")
        #expect(throws: PeerError.self) { try client.open("GET /c HTTP/1.1\nHost: a") }
        try client.reset(second)
      }
    }

    @Test("are told after so many requests to open another connection, and all are answered")
    func requests() async throws {
      try await Rig.run { rig in
        let martlet = try martlet(rig, "http2 on requests 3")
        let client = try HTTP2Client(to: martlet.endpoint)
        let streams = try (0..<3).map { _ in try client.open("GET /fixed HTTP/1.1\nHost: a") }
        for stream in streams { try client.finish(stream) }
        for stream in streams { #expect(client.bodies[stream] == Array("fixed".utf8)) }
        try client.receiveEnd()
        #expect(client.goAway == .noError)
        let load = try rig.outcome(
          of: ["h2load", "-n", "200", "-c", "2", "-m", "1", martlet.endpoint.url("/fixed")]
        )
        #expect(load.lines.contains { $0.contains("requests:") && $0.contains(" 0 timeout") })
      }
    }

    @Test("are asked whether they live while they wait, and those that do not answer are gone")
    func pings() async throws {
      try await Rig.run { rig in
        let ended = Gate()
        let member = try rig.member { wire in
          guard let request = try wire.receiveRequestHead() else { return }
          if request.target == "/late" {
            _ = poll(nil, 0, 2500)
            return try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
          }
          try wire.receiveEnd()
          ended.open()
        }
        let martlet = try martlet(rig, "http2 on ping 1s", to: member.endpoint)
        let silent = try Wire(to: martlet.endpoint)
        var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        bytes += [0, 0, 0, 4, 0, 0, 0, 0, 0] as [UInt8]
        // GET / with the fields of the static table, and `a` as the host.
        bytes += [0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x86, 0x41, 1, 0x61] as [UInt8]
        try silent.send(bytes)
        _ = try silent.receive(through: "liveness")
        let client = try HTTP2Client(to: martlet.endpoint)
        let late = try client.open("GET /late HTTP/1.1\nHost: a")
        try silent.receiveEnd()
        try ended.pass()
        // The other one has answered.
        try client.finish(late)
        #expect(client.bodies[late] == Array("late".utf8))
      }
    }

    @Test("send as much of a body ahead as the window allows")
    func windows() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in try wire.receiveEnd() }
        let martlet = try martlet(rig, "http2 on connection_window 4MB", to: member.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8))
        try wire.send([0, 0, 0, 4, 0, 0, 0, 0, 0] as [UInt8])
        // WINDOW_UPDATE of the connection: 4 MB less what each begins with.
        let increment = (4 << 20) - 65_535
        let expected: [UInt8] =
          [0, 0, 4, 8, 0, 0, 0, 0, 0]
          + (0..<4).map { UInt8(truncatingIfNeeded: increment >> (24 - $0 * 8)) }
        let settings = try wire.receive(exactly: 9)
        _ = try wire.receive(exactly: Int(settings[2]))
        #expect(try wire.receive(exactly: expected.count) == expected)
      }
    }
  }
}
