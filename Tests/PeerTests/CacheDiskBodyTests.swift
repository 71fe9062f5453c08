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
          let ranges = "Range: bytes=2000000-2000999,0-9,65530-131080\r\n"
          let several = try ask(wire, target, ranges)
          #expect(several.status == 206)
          let wanted = [2_000_000..<2_001_000, 0..<10, 65_530..<131_081]
          #expect(several.parts.map(\.body) == wanted.map { Array(content[$0]) })
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

    @Test(
      "are sent all the same when the disk is full, and kept when it is not any more",
      arguments: ["/whole", "/chunked"]
    )
    func full(target: String) async throws {
      try await Rig.run { rig in
        let (count, gate) = (Guarded(0), Guarded(false))
        let member = try origin(rig, count, gate)
        let content = Self.body(target)
        let place = rig.path("disk")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", place]
        // Who may not make a small disk has nothing to try.
        guard try rig.outcome(of: mount).status == 0 else { return }
        defer { _ = try? rig.outcome(of: ["umount", "-l", place]) }
        let martlet = try start(rig, member.endpoint)
        try wait(rig) { $0["disk_state"] as? String == "open" }
        let wires = try (0..<3).map { _ in try Wire(to: martlet.endpoint) }
        for wire in wires {
          try wire.send(text: "GET \(target) HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        }
        gate.withLock { $0 = true }
        // All read at a time: what is not kept waits for the slowest of them.
        let got = Guarded(0)
        let group = DispatchGroup()
        for wire in wires {
          group.enter()
          Thread {
            let answer = try? wire.receiveAnswer()
            if answer?.body == content { got.withLock { $0 += 1 } }
            group.leave()
          }.start()
        }
        group.wait()
        #expect(got.withLock { $0 } == wires.count && count.withLock { $0 } <= wires.count)
        try martlet.line(with: "the disk of a cache failed")
        try wait(rig) { $0["disk_objects"] as? Int == 0 }
        #expect(try ask(wires[0], target).body == content)
        let larger = ["mount", "-o", "remount,size=64m", place]
        #expect(try rig.outcome(of: larger).status == 0)
        // It is tried again after some seconds.
        let deadline = ContinuousClock.now + patience
        var isKept = false
        while !isKept, ContinuousClock.now < deadline {
          let answer = try ask(wires[0], target)
          #expect(answer.body == content)
          isKept = answer.fields["cache-status"]?.hasSuffix("detail=disk") == true
        }
        #expect(isKept)
        try martlet.line(with: "can be written again")
        martlet.end()
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
          for version in ["--http1.1", "--http2-prior-knowledge"] where round == 1 {
            let several = try fetch(version, "--range", "100000-300000,0-9").body
            let text = String(decoding: several, as: Unicode.ASCII.self)
            #expect(text.contains("Content-Range: bytes 0-9/\(Self.size)\r\n\r\n"))
            #expect(Data(several).range(of: Data(content[100_000...300_000])) != nil)
          }
          let slow = try fetch("--http1.1", "--limit-rate", "40M")
          #expect(slow.coding.isEmpty && slow.body == content)
          if round == 0 { try wait(rig) { $0["disk_objects"] as? Int == 1 } }
        }
        #expect(count.withLock { $0 } == 1)
      }
    }
  }
}
