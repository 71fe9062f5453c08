import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Answers that memory has no room for.
  @Suite("Large answers on the disk of a cache", .timeLimit(.minutes(3 * slowness)))
  struct CacheDiskBodyTests {
    private static let size = 3_000_000

    /// A body of which each part differs.
    private static func body(_ target: String) -> [UInt8] {
      let seed = target.utf8.reduce(17) { ($0 &* 31 &+ Int($1)) & 0xFFFF }
      return (0..<size).map { UInt8(truncatingIfNeeded: ($0 &* 7 &+ seed) ^ ($0 >> 11)) }
    }

    /// A member that sends large answers: half of each, and the rest when `gate` is open.
    private func origin(
      _ rig: Rig,
      _ count: Guarded<Int>,
      _ gate: Guarded<Bool>
    ) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          count.withLock { $0 += 1 }
          let content = Self.body(request.target)
          let isChunked = request.target.contains("chunked")
          let frame = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(content.count)"
          try wire.send(
            text: "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600, public\r\nETag: \"a\"\r\n"
              + "Content-Type: text/plain\r\n\(frame)\r\n\r\n"
          )
          for part in 0..<2 {
            let half = Array(content[part * Self.size / 2..<(part + 1) * Self.size / 2])
            if isChunked { try wire.send(text: String(half.count, radix: 16) + "\r\n") }
            try wire.send(half)
            if isChunked { try wire.send(text: "\r\n") }
            while part == 0, !gate.withLock({ $0 }) { sched_yield() }
          }
          if isChunked { try wire.send(text: "0\r\n\r\n") }
        }
      }
    }

    private func start(_ rig: Rig, _ member: Endpoint, lines: String = "") throws -> Peer {
      try rig.martlet(
        configuration: """
          admin unix:admin.sock
          cache main {
              memory 2MB
              disk \(rig.path("disk")) 128MB
          }
          server {
              listen LISTEN
              route / {
                  proxy \(member)
                  cache main
                  \(lines)
              }
          }
          """
      )
    }

    private func ask(_ wire: Wire, _ target: String, _ fields: String = "") throws -> Answer {
      try wire.send(text: "GET \(target) HTTP/1.1\r\nHost: shop.example\r\n\(fields)\r\n")
      return try wire.receiveAnswer()
    }

    /// Waits until the only cache is as it should be.
    private func wait(_ rig: Rig, _ isGood: ([String: Any]) -> Bool) throws {
      let deadline = ContinuousClock.now + patience
      while true {
        let outcome = try rig.martlet(command: "cache", "list", "--json")
        let json = try JSONSerialization.jsonObject(with: Data(outcome.lines.joined().utf8))
        let caches = (json as? [String: Any])?["caches"] as? [[String: Any]]
        let cache = try #require(caches?.first)
        if isGood(cache) { return }
        guard ContinuousClock.now < deadline else { throw PeerError("\(cache)") }
      }
    }

    @Test(
      "are sent while they come and after, by parts as well, and by the next process",
      arguments: ["/whole", "/chunked"]
    )
    func large(target: String) async throws {
      try await Rig.run { rig in
        let (count, gate) = (Guarded(0), Guarded(false))
        let member = try origin(rig, count, gate)
        let content = Self.body(target)
        let first = try start(rig, member.endpoint)
        try wait(rig) { $0["disk_state"] as? String == "open" }
        let (one, two) = (try Wire(to: first.endpoint), try Wire(to: first.endpoint))
        for wire in [one, two] {
          try wire.send(text: "GET \(target) HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        }
        if target == "/whole" {
          // A part that has come need not wait for the rest.
          let part = try ask(try Wire(to: first.endpoint), target, "Range: bytes=500000-999999\r\n")
          #expect(part.status == 206 && part.body == Array(content[500_000..<1_000_000]))
          #expect(count.withLock { $0 } == 1)
        }
        gate.withLock { $0 = true }
        for wire in [one, two] {
          let answer = try wire.receiveAnswer()
          #expect(answer.status == 200 && answer.body == content)
        }
        try wait(rig) { $0["disk_objects"] as? Int == 1 && $0["objects"] as? Int == 1 }
        try wait(rig) { $0["bytes"] as? Int ?? .max < 50_000 }
        var endpoint = first.endpoint
        for round in 0..<2 {
          let wire = try Wire(to: endpoint)
          for _ in 0..<2 {
            let answer = try ask(wire, target)
            #expect(answer.body == content)
            #expect(answer.fields["cache-status"]?.hasSuffix("detail=disk") == true)
          }
          let part = try ask(wire, target, "Range: bytes=-70001\r\n")
          #expect(part.status == 206 && part.body == Array(content.suffix(70_001)))
          let none = try ask(wire, target, "If-None-Match: \"a\"\r\n")
          #expect(none.status == 304)
          guard round == 0 else { break }
          first.end()
          let second = try start(rig, member.endpoint)
          try wait(rig) { $0["disk_objects"] as? Int == 1 }
          endpoint = second.endpoint
        }
        #expect(count.withLock { $0 } == 1)
      }
    }

    @Test("are asked for anew when the process was killed while they came, or a block is broken")
    func broken() async throws {
      try await Rig.run { rig in
        let (count, gate) = (Guarded(0), Guarded(false))
        let member = try origin(rig, count, gate)
        let content = Self.body("/a")
        let first = try start(rig, member.endpoint)
        try wait(rig) { $0["disk_state"] as? String == "open" }
        let wire = try Wire(to: first.endpoint)
        try wire.send(text: "GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        let part = try ask(try Wire(to: first.endpoint), "/a", "Range: bytes=0-1499999\r\n")
        #expect(part.body == Array(content[..<1_500_000]))
        first.end()
        gate.withLock { $0 = true }
        let second = try start(rig, member.endpoint)
        try wait(rig) { $0["disk_state"] as? String == "open" }
        #expect(try ask(try Wire(to: second.endpoint), "/a").body == content)
        #expect(count.withLock { $0 } == 2)
        try wait(rig) { $0["disk_objects"] as? Int == 1 }
        second.end()
        // The first block of it.
        let folder = rig.path("disk") + "/main"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        let last = try #require(files.last { $0.hasSuffix("data") })
        let url = URL(fileURLWithPath: "\(folder)/\(last)")
        var bytes = Array(try Data(contentsOf: url))
        let place = try #require(bytes.count > Self.size ? bytes.count - Self.size + 17 : nil)
        bytes[place] ^= 4
        try Data(bytes).write(to: url)
        let third = try start(rig, member.endpoint)
        try wait(rig) { $0["disk_objects"] as? Int == 1 }
        #expect(try ask(try Wire(to: third.endpoint), "/a").body == content)
        #expect(count.withLock { $0 } == 3)
        try third.line(with: "something else than was written")
      }
    }

    @Test("are sent in a coding and over HTTP/2 as well")
    func otherWays() async throws {
      try await Rig.run { rig in
        let (count, gate) = (Guarded(0), Guarded(true))
        let member = try origin(rig, count, gate)
        let content = Self.body("/a")
        let martlet = try start(rig, member.endpoint, lines: "compress gzip")
        try wait(rig) { $0["disk_state"] as? String == "open" }
        func fetch(_ options: String...) throws -> (coding: String, body: [UInt8]) {
          var command = ["curl", "--silent", "--noproxy", "*", "-o", rig.path("got")] + options
          command += ["-w", "%header{content-encoding}", martlet.endpoint.url("/a")]
          let outcome = try rig.outcome(of: command)
          return (outcome.lines.joined(), try rig.read("got"))
        }
        for round in 0..<2 {
          #expect(try fetch("--http2-prior-knowledge").body == content)
          let coded = try fetch("--compressed", "--http1.1")
          #expect(!coded.coding.isEmpty && coded.body == content)
          let slow = try fetch("--http1.1", "--limit-rate", "40M")
          #expect(slow.coding.isEmpty && slow.body == content)
          if round == 0 { try wait(rig) { $0["disk_objects"] as? Int == 1 } }
        }
        #expect(count.withLock { $0 } == 1)
      }
    }
  }
}
