import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What becomes of tickets with the time, as openssl sees it.
  @Suite("Tickets of TLS", .timeLimit(.minutes(2 * slowness))) struct TLSTicketTests {
    private static let request = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"

    private func start(_ rig: Rig, _ first: String, second: String = "") throws -> Peer {
      let files = try rig.certificate("a", for: ["a.example", "b.example"])
      func server(_ name: String, _ tls: String) -> String {
        """
        server \(name) {
          listen LISTEN tls
          certificate \(files.certificate) \(files.key)
          \(tls.isEmpty ? "" : "tls { \(tls) }")
          route / { respond 200 "{tls.resumed}" }
        }
        """
      }
      return try rig.martlet(
        configuration: server("a.example", first) + "\n" + server("b.example", second)
      )
    }

    /// Connects with further words, and tells what openssl has written.
    private func connect(_ rig: Rig, _ martlet: Peer, _ options: String...) throws -> [String] {
      var words = ["openssl", "s_client", "-ign_eof", "-connect", "\(martlet.endpoint)"]
      words += ["-servername", "a.example"] + options
      let file = try rig.write(Self.request, to: "request")
      return try rig.outcome(
        of: ["sh", "-c", "\(words.joined(separator: " ")) <\(file) 2>&1"]
      ).lines
    }

    /// The name of the key that the ticket of a new session is sealed by: its first sixteen bytes.
    private func key(_ rig: Rig, _ martlet: Peer, _ version: String) throws -> String {
      let file = rig.path("another")
      _ = try connect(rig, martlet, version, "-sess_out", file)
      let text = try rig.outcome(of: ["openssl", "sess_id", "-noout", "-text", "-in", file]).lines
      return try #require(text.first { $0.contains("0000 - ") })
    }

    @Test(
      "are sealed by one key after the other, each of which opens them for two spans more, and no longer",
      arguments: ["-tls1_2", "-tls1_3"]
    )
    func rotation(version: String) async throws {
      try await Rig.run { rig in
        let span = Duration.seconds(2)
        let martlet = try start(rig, "ticket_rotation 2s")
        let begun = ContinuousClock.now
        let session = rig.path("session")
        _ = try connect(rig, martlet, version, "-sess_out", session)
        let given = ContinuousClock.now
        var keys: Set<String> = []
        var reuseCount = 0
        while given.duration(to: .now) < patience {
          keys.insert(try key(rig, martlet, version))
          let asked = ContinuousClock.now
          let told = try connect(rig, martlet, version, "-sess_in", session)
          guard told.contains(where: { $0.hasPrefix("Reused") }) else { break }
          reuseCount += 1
          #expect(given.duration(to: asked) < span * 3)
        }
        #expect(begun.duration(to: .now) >= span * 2)
        #expect(reuseCount > 0)
        #expect(keys.count > 1, "\(keys)")
      }
    }

    @Test("of TLS 1.3 are followed by another one on each connection that they are used for")
    func renewal() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "policy modern")
        var session = rig.path("session-0")
        _ = try connect(rig, martlet, "-sess_out", session)
        for number in 1...3 {
          let next = rig.path("session-\(number)")
          let told = try connect(rig, martlet, "-sess_in", session, "-sess_out", next)
          #expect(told.contains { $0.hasPrefix("Reused") }, "\(told)")
          #expect(FileManager.default.fileExists(atPath: next))
          session = next
        }
      }
    }

    @Test(
      "are of use for as long as the server says that is asked for",
      arguments: ["-tls1_2", "-tls1_3"]
    )
    func lifetime(version: String) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "session_time 2h", second: "session_time 10m")
        for (name, seconds) in [("a.example", 7200), ("b.example", 600)] {
          let told = try rig.openssl(
            to: martlet.endpoint,
            version,
            "-servername",
            name,
            "-ign_eof",
            input: Self.request
          ).lines
          let hint = "TLS session ticket lifetime hint: \(seconds) (seconds)"
          #expect(told.contains { $0.contains(hint) }, "\(told)")
        }
      }
    }
  }
}
