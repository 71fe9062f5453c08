import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Answers that come bit by bit: events, and long polling.
  @Suite("Events", .timeLimit(.minutes(5 * slowness))) struct EventTests {
    /// A member that sends one event each time the test lets it.
    private static func member(
      _ rig: Rig,
      _ gate: Guarded<Int>,
      sees isGone: Gate
    ) throws
      -> ScriptedMember
    {
      try rig.member { wire in
        guard try wire.receiveRequestHead() != nil else { return }
        try wire.send(
          text: "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n"
        )
        var sent = 0
        while !wire.isReadable(within: .milliseconds(2)) {
          guard sent < gate.withLock({ $0 }) else { continue }
          sent += 1
          let event = "data: \(sent)\n\n"
          try wire.send(text: String(event.utf8.count, radix: 16) + "\r\n\(event)\r\n")
        }
        try wire.receiveEnd()
        isGone.open()
      }
    }

    @Test(
      "reach the client one by one, and its end reaches the member",
      arguments: ["--http1.1", "--http2-prior-knowledge"],
      ["", "tls"]
    )
    func events(version: String, tls: String) async throws {
      try await Rig.run { rig in
        let gate = Guarded(0)
        let isGone = Gate()
        let member = try Self.member(rig, gate, sees: isGone)
        let files = try rig.certificate("localhost", for: ["localhost"])
        let certificate = tls.isEmpty ? "" : "certificate \(files.certificate) \(files.key)"
        let martlet = try rig.martlet(
          configuration: """
            server localhost {
              listen LISTEN \(tls)
              \(certificate)
              route / { proxy \(member.endpoint) }
            }
            """
        )
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let scheme = tls.isEmpty ? "http" : "https"
        let option = tls.isEmpty || version == "--http1.1" ? version : "--http2"
        let curl = try rig.start([
          "curl", "--silent", "--show-error", "--no-buffer", "--cacert", files.certificate, option,
          "\(scheme)://localhost:\(port)/events",
        ])
        for number in 1...3 {
          gate.withLock { $0 = number }
          try curl.line(with: "data: \(number)")
        }
        curl.signal(SIGKILL)
        try isGone.pass()
      }
    }

    @Test("a poll is answered when there is something to say, and not before")
    func polling() async throws {
      try await Rig.run { rig in
        let mayAnswer = Gate()
        let hasAsked = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          hasAsked.open()
          try mayAnswer.pass()
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnow")
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: "GET /poll HTTP/1.1\r\nHost: a\r\n\r\n")
        try hasAsked.pass()
        #expect(!wire.isReadable(within: .milliseconds(50)))
        mayAnswer.open()
        #expect(try wire.receiveAnswer().text == "now")
      }
    }
  }
}
