import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// A process that the kernel ends at one call after the other of those that write to the disk of a cache.
  @Suite("A cache's disk when its process is killed", .timeLimit(.minutes(10 * slowness)))
  struct CacheKillTests {
    /// A call that changes what is on the disk, and what has to happen so that it is made.
    struct Call: CustomTestStringConvertible, Sendable {
      let name: String
      /// What is asked for; more than the disk has room for makes room.
      var paths = Call.few
      /// How often a process has to be killed at least.
      var least = 1

      var testDescription: String { name }

      static let few = (0...4).map { "/\($0)" }
      static let many = (0...20).map { "/\($0)" }

      var hasRoom: Bool { paths.count == Self.few.count }
    }

    private static let calls = [
      Call(name: "mkdir"), Call(name: "flock"), Call(name: "openat", least: 5),
      Call(name: "chmod"), Call(name: "rename"), Call(name: "fsync"),
      Call(name: "pwrite64", least: 6), Call(name: "unlink", paths: Call.many, least: 2),
    ]

    /// The files of the store, whose calls are counted, and those of nobody else; calls about the secret's draft,
    /// whose name nobody knows before, are counted wherever they are.
    private func files(_ rig: Rig, _ folder: String) -> [String] {
      let place = rig.path(folder) + "/main"
      let segments = (1...40).flatMap { number in
        let digits = String(number, radix: 16)
        let name = String(repeating: "0", count: 16 - digits.count) + digits
        return ["\(name).data", "\(name).journal"]
      }
      return ([place] + (["lock", "secret"] + segments).map { "\(place)/\($0)" })
        .flatMap { ["-P", $0] }
    }

    /// What a member says of a path for the so-manieth time; the last ones have no room in memory.
    private static func body(_ path: String, _ version: Int) -> [UInt8] {
      let number = Int(path.dropFirst()) ?? 0
      let lengths = [10, 3000, 70_000, 300_000, 700_000]
      let length = number < lengths.count ? lengths[number] : 1_000_000
      return (0..<length).map {
        UInt8(truncatingIfNeeded: $0 &* (number + 3) ^ $0 >> 9 &+ version &* 31)
      }
    }

    private func origin(
      _ rig: Rig,
      _ versions: Guarded<[String: Int]>,
      _ asked: Guarded<Int>
    ) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          let isChange = request.method == "POST"
          asked.withLock { $0 += 1 }
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
    ) throws -> (peer: Peer, objectCount: Int) {
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
      let line = try peer.line(with: "the disk of a cache can be used")
      let count = try #require(line.firstMatch(of: /objects=([0-9]+)/))
      return (peer, try #require(Int(count.1)))
    }

    private func ask(_ wire: Wire, _ method: String, _ path: String) throws -> Answer {
      let length = method == "POST" ? "Content-Length: 0\r\n" : ""
      try wire.send(text: "\(method) \(path) HTTP/1.1\r\nHost: a\r\n\(length)\r\n")
      return try wire.receiveAnswer()
    }

    /// Asks for all paths, and changes some between; what was answered is noted.
    ///
    /// - Returns: Whether the process was there to the end.
    private func work(
      _ peer: Peer,
      _ call: Call,
      _ known: inout [String: Int]
    ) throws -> Bool {
      var steps = call.paths.map { ("GET", $0) }
      for path in ["/1", "/4", "/3"] { steps += [("POST", path), ("GET", path)] }
      if call.hasRoom { steps += call.paths.map { ("GET", $0) } }
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

    /// A process that is killed before its so-manieth call of a kind, and what another one finds then.
    ///
    /// - Returns: Whether it was not, for it makes fewer.
    private func kill(_ rig: Rig, before call: Call, _ number: Int) throws -> Bool {
      let (versions, asked) = (Guarded<[String: Int]>([:]), Guarded(0))
      let member = try origin(rig, versions, asked)
      let folder = "disk-\(number)"
      var known: [String: Int] = [:]
      var survives = false
      let isOfDraft = ["chmod", "fsync", "rename"].contains(call.name)
      do {
        let traced = try start(
          rig,
          member.endpoint,
          folder,
          startedBy: [
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call.name)", "-e",
            "inject=\(call.name):signal=KILL:when=\(number)",
          ] + (isOfDraft ? [] : files(rig, folder))
        ).peer
        survives = try work(traced, call, &known)
        traced.end()
      } catch is PeerError {
        // It was over before the disk could be used.
        #expect(known.isEmpty)
      }
      let (second, objectCount) = try start(rig, member.endpoint, folder)
      asked.withLock { $0 = 0 }
      let wire = try Wire(to: second.endpoint)
      // What was written last is there: where there is no room for all, what is asked for anew takes that of others.
      for path in call.paths.reversed() {
        let answer = try ask(wire, "GET", path)
        let (least, last) = (known[path] ?? 1, versions.withLock { $0[path] ?? 1 })
        let isGood = (least...max(least, last)).contains { Self.body(path, $0) == answer.body }
        #expect(isGood, "\(path) after \(call.name) \(number)")
      }
      let hitCount = call.paths.count - asked.withLock { $0 }
      if call.hasRoom {
        #expect(hitCount == objectCount, "what was found after \(call.name) \(number) answers")
      } else if !known.isEmpty || survives {
        #expect(objectCount > 5 && hitCount > 0, "it is warm after \(call.name) \(number)")
      }
      second.end()
      return survives
    }

    @Test(
      "has nothing wrong and is warm, whichever of its calls that comes before",
      arguments: calls
    )
    func killed(call: Call) async throws {
      try await Rig.run { rig in
        var killCount = 0
        // Each thread has its own count of calls.
        while killCount < 200, try !kill(rig, before: call, killCount + 1) { killCount += 1 }
        #expect((call.least..<200).contains(killCount), "\(killCount) calls")
      }
    }
  }
}
