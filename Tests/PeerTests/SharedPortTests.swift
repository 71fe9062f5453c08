import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// `reuse_port`: several processes at one address.
  @Suite("Shared ports", .timeLimit(.minutes(5 * slowness))) struct SharedPortTests {
    private func text(_ word: String, _ option: String, at place: String = "LISTEN") -> String {
      """
      server {
          listen \(place) \(option)
          route / { respond 200 \(word) }
      }
      """
    }

    /// Starts a second Martlet beside the first one.
    private func second(_ rig: Rig, _ text: String) throws -> Peer {
      let file = try rig.write(text, to: "second.conf")
      return try rig.start([
        Rig.martletPath, "run", "--config", file, "--state-directory", rig.path("second"),
      ])
    }

    @Test("with `reuse_port` on both sides two processes share the connections")
    func shared() async throws {
      try await Rig.run { rig in
        let first = try rig.martlet(configuration: text("first", "reuse_port"))
        let place = "\(first.endpoint)"
        let other = try second(rig, text("second", "reuse_port", at: place))
        try other.line(with: "listens on")
        var seen: Set<String> = []
        try wait {
          seen.insert(try rig.curl(first.endpoint.url("/")).text)
          return seen == ["first", "second"]
        }
        // A reload takes the leave away: those that share already go on, further ones may not.
        let file = try rig.write(text("first", "", at: place), to: "martlet.conf")
        #expect(FileManager.default.fileExists(atPath: file))
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(["first", "second"].contains(try rig.curl(first.endpoint.url("/")).text))
      }
    }

    @Test("blocks of layer 4 share their ports likewise")
    func streams() async throws {
      try await Rig.run { rig in
        let members = try ["1", "2"].map { word in try rig.member { try $0.send(text: word) } }
        func text(_ place: String, _ member: Int) -> String {
          "tcp {\n listen \(place) reuse_port\n proxy \(members[member].endpoint)\n}"
        }
        let first = try rig.martlet(configuration: text("LISTEN", 0))
        let other = try second(rig, text("\(first.endpoint)", 1))
        try other.line(with: "listens on")
        var seen: Set<[UInt8]> = []
        try wait {
          seen.insert(try Wire(to: first.endpoint).receiveRest())
          return seen == [Array("1".utf8), Array("2".utf8)]
        }
      }
    }

    @Test("without it the address belongs to one process alone")
    func alone() async throws {
      try await Rig.run { rig in
        let first = try rig.martlet(configuration: text("first", ""))
        let other = try second(rig, text("second", "reuse_port", at: "\(first.endpoint)"))
        #expect(try other.status() != 0)
        #expect(other.lines.contains { $0.contains("cannot listen") }, "\(other.lines)")
        #expect(try rig.curl(first.endpoint.url("/")).text == "first")
      }
    }
  }
}
