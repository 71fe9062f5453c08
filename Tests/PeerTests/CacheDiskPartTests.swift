import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Parts of answers that outlive processes, and those that memory has no room for.
  @Suite("Parts on the disk of a cache", .timeLimit(.minutes(3 * slowness)))
  struct CacheDiskPartTests {
    private static let size = 3_000_000
    private static let body: [UInt8] = (0..<size).map {
      UInt8(truncatingIfNeeded: ($0 &* 7) ^ ($0 >> 11))
    }

    /// What a member was asked for, and how many bytes it sends before it breaks off.
    private struct Seen: Sendable {
      var ranges: [String] = []
      var conditions: [String] = []
      var limit = Int.max
    }

    /// A member that sends parts of a long body.
    private func origin(_ rig: Rig, _ seen: Guarded<Seen>) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          let range = request.fields["range"] ?? ""
          let limit = seen.withLock { seen in
            seen.ranges.append(range)
            seen.conditions.append(request.fields["if-range"] ?? "")
            return seen.limit
          }
          let words = range.dropFirst("bytes=".count).split(
            separator: "-",
            omittingEmptySubsequences: false
          )
          let first = words.first.flatMap { Int($0) } ?? 0
          let end = words.last.flatMap { Int($0) }.map { $0 + 1 } ?? Self.size
          let status =
            range.isEmpty
            ? "200 OK"
            : "206 Partial Content\r\nContent-Range: bytes \(first)-\(end - 1)/\(Self.size)"
          try wire.send(
            text: "HTTP/1.1 \(status)\r\nCache-Control: max-age=3600\r\nETag: \"a\"\r\n"
              + "Content-Type: video/mp4\r\nContent-Length: \(end - first)\r\n\r\n"
          )
          try wire.send(Array(Self.body[first..<min(end, first + min(limit, Self.size))]))
          if end - first > limit { return }
        }
      }
    }

    private func start(_ rig: Rig, _ member: Endpoint, tls: Bool = false) throws -> Peer {
      try rig.martlet(
        configuration: """
          admin unix:admin.sock
          cache main {
              memory 2MB
              disk \(rig.path("disk")) 128MB
          }
          server {
              listen LISTEN
              access_log stdout json
              route / {
                  proxy \(member)
                  cache main {
                      ranges asked
                  }
              }
          }
          """
      )
    }

    private func ask(_ peer: Peer, _ range: String, of path: String = "/a") throws -> Answer {
      let wire = try Wire(to: peer.endpoint)
      let field = range.isEmpty ? "" : "Range: bytes=\(range)\r\n"
      try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: shop.example\r\n\(field)\r\n")
      return try wire.receiveAnswer()
    }

    /// Where what is kept for a URL is, and how many bytes of how many that are.
    private func places(_ rig: Rig, _ path: String) throws -> [String] {
      let told = try rig.martlet(command: "cache", "show", "http://shop.example\(path)", "--json")
      let json = try JSONSerialization.jsonObject(with: Data(told.lines.joined().utf8))
      let objects = (json as? [String: Any])?["objects"] as? [[String: Any]] ?? []
      return objects.map { object in
        "\(object["place"] ?? "") \(object["bytes"] ?? "") of \(object["length"] ?? "")"
      }
    }

    @Test("are sent and completed from there when memory does not admit them")
    func refused() async throws {
      try await Rig.run { rig in
        let seen = Guarded(Seen())
        let member = try origin(rig, seen)
        let martlet = try start(rig, member.endpoint)
        try wait(rig, 0)
        // What is asked for often fills the memory.
        for _ in 0..<15 {
          for number in 0..<24 {
            #expect(try ask(martlet, "0-99999", of: "/often/\(number)").status == 206)
          }
        }
        seen.withLock { $0.ranges = [] }
        // More than there is room for: something else would have to go that is asked for more often.
        let first = try ask(martlet, "0-299999").body == Array(Self.body[0...299_999])
        let second = try ask(martlet, "600000-899999").body == Array(Self.body[600_000...899_999])
        #expect(first && second)
        let deadline = ContinuousClock.now + patience
        let kept = ["disk 600000 of \(Self.size)"]
        while try places(rig, "/a") != kept, ContinuousClock.now < deadline {}
        #expect(try places(rig, "/a") == kept)
        let part = try ask(martlet, "500-899")
        #expect(part.body == Array(Self.body[500...899]))
        #expect(part.fields["cache-status"]?.contains("detail=disk") == true)
        let isWhole = try ask(martlet, "0-899999").body == Array(Self.body[0...899_999])
        #expect(isWhole)
        let asked = ["bytes=0-299999", "bytes=600000-899999", "bytes=300000-599999"]
        #expect(seen.withLock { $0.ranges } == asked)
        #expect(seen.withLock { $0.conditions.last } == "\"a\"")
        martlet.end()
      }
    }

    /// Waits until the disk can be used, and has as many answers.
    private func wait(_ rig: Rig, _ count: Int) throws {
      let deadline = ContinuousClock.now + patience
      while true {
        let outcome = try rig.martlet(command: "cache", "list", "--json")
        let json = try JSONSerialization.jsonObject(with: Data(outcome.lines.joined().utf8))
        let caches = (json as? [String: Any])?["caches"] as? [[String: Any]]
        let cache = try #require(caches?.first)
        if cache["disk_state"] as? String == "open", cache["disk_objects"] as? Int == count {
          return
        }
        guard ContinuousClock.now < deadline else { throw PeerError("\(cache)") }
      }
    }

    @Test("are there after a restart, and only what is missing of them is asked for")
    func restart() async throws {
      try await Rig.run { rig in
        let seen = Guarded(Seen())
        let member = try origin(rig, seen)
        let first = try start(rig, member.endpoint)
        try wait(rig, 0)
        #expect(try ask(first, "0-999").body == Array(Self.body[0...999]))
        #expect(try ask(first, "2000-2999").body == Array(Self.body[2000...2999]))
        try wait(rig, 2)
        first.end()
        let second = try start(rig, member.endpoint)
        try wait(rig, 2)
        let part = try ask(second, "500-899")
        #expect(part.status == 206 && part.body == Array(Self.body[500...899]))
        #expect(part.fields["content-range"] == "bytes 500-899/\(Self.size)")
        #expect(part.fields["content-type"] == "video/mp4")
        #expect(part.fields["cache-status"]?.contains("hit") == true)
        #expect(try ask(second, "2100-2199").body == Array(Self.body[2100...2199]))
        let several = try ask(second, "990-999,2000-2003")
        #expect(
          several.parts.map(\.body) == [Array(Self.body[990...999]), Array(Self.body[2000...2003])]
        )
        #expect(seen.withLock { $0.ranges.count } == 2)
        #expect(try ask(second, "0-2999").body == Array(Self.body[0...2999]))
        #expect(
          seen.withLock { $0.ranges } == ["bytes=0-999", "bytes=2000-2999", "bytes=1000-1999"]
        )
        #expect(seen.withLock { $0.conditions.last } == "\"a\"")
        try wait(rig, 3)
        #expect(try ask(second, "3000-3999").body == Array(Self.body[3000...3999]))
        let all = try ask(second, "0-3999")
        #expect(all.body == Array(Self.body[0...3999]) && seen.withLock { $0.ranges.count } == 4)
      }
    }

    @Test("that memory has no room for are sent from there, while they come and later")
    func large() async throws {
      try await Rig.run { rig in
        let seen = Guarded(Seen())
        let member = try origin(rig, seen)
        let first = try start(rig, member.endpoint)
        try wait(rig, 0)
        #expect(try ask(first, "500000-2499999").body == Array(Self.body[500_000..<2_500_000]))
        try wait(rig, 1)
        for round in 0..<2 {
          let peer = round == 0 ? first : try start(rig, member.endpoint)
          try wait(rig, 1)
          for range in [600_000..<2_400_000, 500_000..<500_001, 2_000_000..<2_500_000] {
            let answer = try ask(peer, "\(range.lowerBound)-\(range.upperBound - 1)")
            #expect(answer.status == 206 && answer.body == Array(Self.body[range]))
          }
          #expect(seen.withLock { $0.ranges.count } == 1)
          if round == 1 {
            #expect(try ask(peer, "").body == Self.body)
            #expect(seen.withLock { $0.ranges.count } == 2)
            peer.end()
          } else {
            first.end()
          }
        }
      }
    }

    @Test("are what came of an answer that broke off, and the rest is asked for")
    func broken() async throws {
      try await Rig.run { rig in
        let seen = Guarded(Seen())
        seen.withLock { $0.limit = 1_600_000 }
        let member = try origin(rig, seen)
        let martlet = try start(rig, member.endpoint)
        try wait(rig, 0)
        let cut = try ask(martlet, "")
        #expect(cut.ending != .complete && Self.body.starts(with: cut.body))
        try wait(rig, 1)
        seen.withLock { $0.limit = .max }
        #expect(try ask(martlet, "1000000-1499999").body == Array(Self.body[1_000_000..<1_500_000]))
        #expect(seen.withLock { $0.ranges.count } == 1)
        let whole = try ask(martlet, "")
        #expect(whole.status == 200 && whole.body == Self.body)
        let last = seen.withLock { $0.ranges.last }
        #expect(last == "bytes=1600000-2999999" && seen.withLock { $0.ranges.count } == 2)
        try wait(rig, 2)
        // All of it is there now, in two parts.
        #expect(try ask(martlet, "").body == Self.body)
        #expect(seen.withLock { $0.ranges.count } == 2)
        martlet.end()
      }
    }
  }
}
