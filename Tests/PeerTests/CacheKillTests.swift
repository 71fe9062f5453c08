import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// A process that the kernel ends at one call after the other of those that write to the disk of a cache.
  @Suite("A cache's disk when its process is killed", .timeLimit(.minutes(10 * slowness)))
  struct CacheKillTests {
    private static let paths = ["/0", "/1", "/2", "/3", "/4"]

    /// What a member says of a path for the so-manieth time; the last ones have no room in memory.
    private static func body(_ path: String, _ version: Int) -> [UInt8] {
      let number = Int(path.dropFirst()) ?? 0
      let length = [10, 3000, 70_000, 300_000, 700_000][number]
      return (0..<length).map {
        UInt8(truncatingIfNeeded: $0 &* (number + 3) ^ $0 >> 9 &+ version &* 31)
      }
    }

    private func origin(_ rig: Rig, _ versions: Guarded<[String: Int]>) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          let isChange = request.method == "POST"
          let version = versions.withLock { versions in
            if isChange { versions[request.target, default: 1] += 1 }
            return versions[request.target] ?? 1
          }
          let body = isChange ? [] : Self.body(request.target, version)
          try wire.send(
            text: "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n"
              + "Content-Length: \(body.count)\r\n\r\n"
          )
          try wire.send(body)
        }
      }
    }

    private func start(
      _ rig: Rig,
      _ member: Endpoint,
      _ folder: String,
      startedBy prefix: [String] = []
    ) throws -> Peer {
      let endpoint = try rig.freePort()
      let file = try rig.write(
        """
        cache main {
            memory 2MB
            disk \(rig.path(folder)) 16MB
        }
        server {
            listen \(endpoint)
            route / {
                proxy \(member)
                cache main
            }
        }
        """,
        to: "\(folder).conf"
      )
      let peer = try rig.start(
        prefix + [
          Rig.martletPath, "edge", "--standalone", "--config", file, "--state-directory",
          rig.path("state-\(folder)"),
        ],
        at: endpoint
      )
      try peer.line(with: "the disk of a cache can be used")
      return peer
    }

    private func ask(_ wire: Wire, _ method: String, _ path: String) throws -> Answer {
      let length = method == "POST" ? "Content-Length: 0\r\n" : ""
      try wire.send(text: "\(method) \(path) HTTP/1.1\r\nHost: a\r\n\(length)\r\n")
      return try wire.receiveAnswer()
    }

    /// Asks for all paths, and changes some between; what was answered is noted.
    ///
    /// - Returns: Whether the process was there to the end.
    private func work(_ peer: Peer, _ known: inout [String: Int]) throws -> Bool {
      var steps = Self.paths.map { ("GET", $0) }
      for path in ["/1", "/4", "/3"] { steps += [("POST", path), ("GET", path)] }
      steps += Self.paths.map { ("GET", $0) }
      do {
        let wire = try Wire(to: peer.endpoint)
        for (method, path) in steps {
          let answer = try ask(wire, method, path)
          guard answer.ending == .complete, answer.status == 200 else { return false }
          if method == "POST" { known[path, default: 1] += 1 }
        }
        return true
      } catch is Wire.Failure {
        return false
      }
    }

    @Test("has nothing wrong, whichever of its writes that comes before")
    func killed() async throws {
      try await Rig.run { rig in
        var killCount = 0
        // Each thread has its own count of calls.
        for number in 1...200 {
          let versions = Guarded<[String: Int]>([:])
          let member = try origin(rig, versions)
          let folder = "disk-\(number)"
          var known: [String: Int] = [:]
          var survives = false
          do {
            let traced = try start(
              rig,
              member.endpoint,
              folder,
              startedBy: [
                "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e",
                "inject=pwrite64:signal=KILL:when=\(number)",
              ]
            )
            survives = try work(traced, &known)
            traced.end()
          } catch is PeerError {
            // It was over before the disk could be used.
            #expect(number < 5)
          }
          let second = try start(rig, member.endpoint, folder)
          let wire = try Wire(to: second.endpoint)
          for path in Self.paths {
            let answer = try ask(wire, "GET", path)
            let (least, last) = (known[path] ?? 1, versions.withLock { $0[path] ?? 1 })
            let isGood = (least...max(least, last)).contains {
              Self.body(path, $0) == answer.body
            }
            #expect(isGood, "\(path) after the call \(number)")
          }
          second.end()
          if survives { break }
          killCount += 1
        }
        #expect(killCount > 5)
      }
    }
  }
}
