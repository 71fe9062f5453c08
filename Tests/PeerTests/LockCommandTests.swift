import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// `martlet lock` among its like.
  @Suite("The command lock", .timeLimit(.minutes(2 * slowness))) struct LockCommandTests {
    @Test("runs a command with a token that grows, and not while another one runs")
    func folder() async throws {
      try await Rig.run { rig in
        func lock(_ words: String...) throws -> (status: Int32, lines: [String]) {
          try rig.outcome(
            of: [Rig.martletPath, "lock", "report", "--folder", rig.path("")] + words
          )
        }
        for token in 1...2 {
          let done = try lock("--", "/bin/sh", "-c", "echo $MARTLET_LOCK_TOKEN; exit 3")
          #expect(done.status == 3 && done.lines == ["\(token)"])
        }
        let inner = "\(Rig.martletPath) lock report --folder \(rig.path("")) -- /bin/true"
        let done = try lock("--", "/bin/sh", "-c", inner)
        #expect(done.status == 1)
        #expect(done.lines.last?.contains("another one has the lock report") == true)
        #expect(try lock("--", "/bin/sh", "-c", "kill -9 $$").status == 137)
        #expect(try lock("--", "true").status == 2)
      }
    }

    @Test("kills the command when the lock is lost")
    func loss() async throws {
      try await Rig.run { rig in
        let endpoint = try rig.freePort()
        guard case .port(let port) = endpoint else { throw PeerError("not a port") }
        let server = try rig.start(
          ["redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--save", ""],
          at: endpoint
        )
        let place = "127.0.0.1:\(port)"
        let command = try rig.start([
          Rig.martletPath, "lock", "report", "--redis", place, "--lease", "1", "--", "/bin/sh",
          "-c",
          "echo begun; sleep 1000",
        ])
        try command.line(with: "begun")
        server.end()
        #expect(try command.status() == 1)
        try command.line(with: "the lock report was lost")
      }
    }
  }
}
