import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Parts of answers that are kept, and put together.
  @Suite("The cache, by parts", .timeLimit(.minutes(1 * slowness))) struct CachePartTests {
    /// What a member has: its body, tag and fields may change.
    private struct Content: Sendable {
      var body = "0123456789abcdefghij"
      var tag = "\"v\""
      var control = "max-age=60"
      var knowsRanges = true

      func answer(_ request: Request) -> String {
        let fields =
          "Cache-Control: \(control)\r\nETag: \(tag)\r\nContent-Type: a/b\r\nX-Tag: \(tag)\r\n"
        if request.fields["if-none-match"] == tag {
          return "HTTP/1.1 304 Not Modified\r\nCache-Control: \(control)\r\nETag: \(tag)\r\n\r\n"
        }
        let condition = request.fields["if-range"]
        guard let range = request.fields["range"], knowsRanges, condition ?? tag == tag else {
          let whole = Origin.ok(fields, body)
          return request.method == "HEAD" ? String(whole.dropLast(body.count)) : whole
        }
        let words = range.dropFirst("bytes=".count).split(
          separator: "-",
          omittingEmptySubsequences: false
        )
        var first = Int(words[0]) ?? body.utf8.count - (Int(words[1]) ?? 0)
        let last = words[0].isEmpty ? nil : Int(words[1])
        first = max(0, first)
        let end = min(last.map { $0 + 1 } ?? body.utf8.count, body.utf8.count)
        guard first < end else {
          return "HTTP/1.1 416 Range Not Satisfiable\r\n"
            + "Content-Range: bytes */\(body.utf8.count)\r\nContent-Length: 0\r\n\r\n"
        }
        let part = String(decoding: Array(body.utf8)[first..<end], as: UTF8.self)
        // What asks with If-Range has the other fields.
        let rest = condition == nil ? fields : "Cache-Control: \(control)\r\nETag: \(tag)\r\n"
        return "HTTP/1.1 206 Partial Content\r\n\(rest)"
          + "Content-Range: bytes \(first)-\(end - 1)/\(body.utf8.count)\r\n"
          + "Content-Length: \(end - first)\r\n\r\n\(part)"
      }
    }

    private static func start(
      _ rig: Rig,
      _ content: Guarded<Content>,
      _ rules: String = "ranges asked",
      store: String = ""
    ) throws -> (origin: Origin, wire: Wire) {
      let origin = try Origin(rig) { request, _ in content.withLock { $0.answer(request) } }
      let martlet = try CacheTests.start(rig, origin.endpoint, rules, store: store)
      return (origin, try Wire(to: martlet.endpoint))
    }

    private func part(_ wire: Wire, _ range: String, _ fields: String...) throws -> Answer {
      try fields.isEmpty
        ? wire.ask("/a", "GET", "Range: bytes=\(range)")
        : wire.ask("/a", "GET", "Range: bytes=\(range)", fields[0])
    }

    @Test("asks for the part that is wanted, and answers what lies in it from there")
    func asked() async throws {
      try await Rig.run { rig in
        let (origin, wire) = try Self.start(rig, Guarded(Content()))
        let first = try part(wire, "2-9")
        #expect(first.status == 206 && first.text == "23456789")
        #expect(first.fields["content-range"] == "bytes 2-9/20")
        #expect(first.fields["content-length"] == "8" && first.fields["content-type"] == "a/b")
        #expect(first.fields["cache-status"]?.hasPrefix("martlet; fwd=uri-miss") == true)
        #expect(first.fields["cache-status"]?.hasSuffix("stored") == true)
        for (range, text) in [("2-9", "23456789"), ("3-3", "3"), ("5-9", "56789")] {
          let again = try part(wire, range)
          #expect(again.status == 206 && again.text == text)
          #expect(again.fields["age"] != nil && again.fields.count(of: "content-range") == 1)
          #expect(again.fields["cache-status"]?.hasPrefix("martlet; hit") == true)
        }
        let beyond = try part(wire, "20-")
        #expect(beyond.status == 416 && beyond.fields["content-range"] == "bytes */20")
        #expect(origin.count == 1 && origin.seen[0].fields["range"] == "bytes=2-9")
      }
    }

    @Test("sends several parts of what it has, and of what comes", arguments: ["", "ranges asked"])
    func several(rules: String) async throws {
      try await Rig.run { rig in
        let (origin, wire) = try Self.start(rig, Guarded(Content()), rules)
        func check(_ range: String, _ texts: [String], _ places: [String]) throws {
          let answer = try part(wire, range)
          #expect(answer.status == 206 && answer.fields["content-range"] == nil)
          #expect(answer.parts.map { String(decoding: $0.body, as: UTF8.self) } == texts)
          #expect(
            answer.parts.map { $0.fields["content-range"] } == places.map { "bytes \($0)/20" }
          )
          #expect(answer.parts.allSatisfy { $0.fields["content-type"] == "a/b" })
          #expect(answer.fields["content-length"] == "\(answer.body.count)")
          #expect(answer.fields["x-tag"] == "\"v\"")
        }
        try check("1-2,-3", ["12", "hij"], ["1-2", "17-19"])
        for _ in 0..<2 { try check("5-6,0-1", ["56", "01"], ["5-6", "0-1"]) }
        try check("19-,0-0,3-3", ["j", "0", "3"], ["19-19", "0-0", "3-3"])
        // More than there is, and too many that lie in each other, are no parts.
        #expect(try part(wire, "0-,0-").text == "0123456789abcdefghij")
        #expect(try part(wire, "30-,31-").status == 416)
        #expect(try part(wire, "0-1,5-6", "If-Range: \"w\"").status == 200)
        #expect(origin.count == 1)
      }
    }

    @Test("asks for what is missing of several parts, and sends what it has between them")
    func lacking() async throws {
      try await Rig.run { rig in
        let (origin, wire) = try Self.start(rig, Guarded(Content()))
        #expect(try part(wire, "0-4").text == "01234")
        #expect(try part(wire, "10-14").text == "abcde")
        let kept = try part(wire, "1-2,11-12")
        #expect(kept.parts.map(\.body) == [Array("12".utf8), Array("bc".utf8)])
        #expect(kept.fields["cache-status"]?.hasPrefix("martlet; hit") == true)
        #expect(origin.count == 2)
        let more = try part(wire, "1-2,6-7,12-13")
        #expect(more.parts.map(\.body) == ["12", "67", "cd"].map { Array($0.utf8) })
        #expect(more.fields["cache-status"]?.hasPrefix("martlet; fwd=partial") == true)
        #expect(origin.count == 3 && origin.seen[2].fields["range"] == "bytes=6-7")
        #expect(try part(wire, "7-7,6-6").parts.count == 2 && origin.count == 3)
      }
    }

    @Test("asks for what is missing if it is still the same, and puts the parts together")
    func combines() async throws {
      try await Rig.run { rig in
        let (origin, wire) = try Self.start(rig, Guarded(Content()))
        #expect(try part(wire, "0-4").text == "01234")
        let next = try part(wire, "3-9")
        #expect(next.status == 206 && next.text == "3456789")
        #expect(next.fields["content-range"] == "bytes 3-9/20")
        #expect(next.fields["content-type"] == "a/b")
        #expect(next.fields["cache-status"]?.hasPrefix("martlet; fwd=partial") == true)
        #expect(origin.seen[1].fields["range"] == "bytes=5-9")
        #expect(origin.seen[1].fields["if-range"] == "\"v\"")
        #expect(try part(wire, "0-9").text == "0123456789" && origin.count == 2)
        #expect(try part(wire, "-3").text == "hij")
        #expect(origin.seen[2].fields["range"] == "bytes=17-19")
        // The whole has what is missing between them asked for.
        let whole = try wire.ask("/a")
        #expect(whole.status == 200 && whole.text == "0123456789abcdefghij")
        #expect(whole.fields["content-length"] == "20" && whole.fields["content-range"] == nil)
        #expect(whole.fields["content-type"] == "a/b" && whole.fields["x-tag"] == "\"v\"")
        #expect(origin.count == 4 && origin.seen[3].fields["range"] == "bytes=10-16")
        // It is an answer like any other now.
        let kept = try wire.ask("/a")
        #expect(kept.text == whole.text && kept.fields["content-length"] == "20")
        #expect(try wire.ask("/a", "HEAD").fields["content-length"] == "20")
        #expect(try part(wire, "3-,0-0").parts.map(\.body.count) == [17, 1])
        #expect(origin.count == 4)
      }
    }

    @Test("is not taken for the whole: HEAD and conditions go to the member")
    func incomplete() async throws {
      try await Rig.run { rig in
        let (origin, wire) = try Self.start(rig, Guarded(Content()))
        _ = try part(wire, "0-4")
        _ = try wire.ask("/a", "HEAD")
        #expect(origin.seen.last?.method == "HEAD")
        #expect(try wire.ask("/a", "GET", "If-None-Match: \"v\"").status == 304)
        #expect(origin.seen.last?.fields["if-none-match"] == "\"v\"" && origin.count == 3)
        // What a client has of something else is of no use to it.
        let other = try part(wire, "0-4", "If-Range: \"w\"")
        #expect(other.status == 200 && other.text == "0123456789abcdefghij")
        #expect(origin.seen.last?.fields["range"] == "bytes=5-19" && origin.count == 4)
      }
    }

    @Test("starts anew when the content has changed", arguments: ["3-9", "12-14", ""])
    func changes(range: String) async throws {
      try await Rig.run { rig in
        let content = Guarded(Content())
        let (origin, wire) = try Self.start(rig, content)
        #expect(try part(wire, "0-4").text == "01234")
        content.withLock {
          $0.tag = "\"w\""
          $0.body = "ABCDEFGHIJKLMNOPQRST"
        }
        let answer = try range.isEmpty ? wire.ask("/a") : part(wire, range)
        let expected = ["3-9": "DEFGHIJ", "12-14": "MNO", "": "ABCDEFGHIJKLMNOPQRST"][range]
        #expect(answer.text == expected && answer.fields["etag"] == "\"w\"")
        #expect(origin.count == 2)
        #expect(try part(wire, "0-1").text == "AB" && origin.count == 2)
      }
    }

    @Test("validates stale parts, and what has changed meanwhile is asked for in part")
    func stale() async throws {
      try await Rig.run { rig in
        var first = Content()
        first.control = "max-age=0"
        let content = Guarded(first)
        let (origin, wire) = try Self.start(rig, content)
        #expect(try part(wire, "0-4").text == "01234")
        content.withLock { $0.control = "max-age=60" }
        #expect(try part(wire, "1-2").text == "12")
        #expect(origin.seen[1].fields["if-none-match"] == "\"v\"" && origin.count == 2)
        #expect(try part(wire, "1-2").text == "12" && origin.count == 2)
        content.withLock {
          $0.tag = "\"w\""
          $0.body = "ABCDEFGHIJKLMNOPQRST"
        }
        #expect(try part(wire, "1-2", "Cache-Control: no-cache").text == "BC")
        #expect(try part(wire, "1-2").text == "BC" && origin.count == 3)
        #expect(try part(wire, "0-2").text == "ABC" && origin.count == 4)
      }
    }

    @Test("asks for the slices that a part is in", arguments: [(70_000, 80_000), (1, 2)])
    func slices(first: Int, last: Int) async throws {
      try await Rig.run { rig in
        var content = Content()
        content.body = String(repeating: "0123456789abcdef", count: 12_500)
        let all = Array(content.body.utf8)
        let (origin, wire) = try Self.start(rig, Guarded(content), "ranges 64KB")
        let answer = try part(wire, "\(first)-\(last)")
        #expect(answer.status == 206 && answer.body == Array(all[first...last]))
        let start = first / 65_536 * 65_536
        #expect(
          origin.seen[0].fields["range"] == "bytes=\(start)-\(start + 65_535)"
        )
        #expect(try part(wire, "\(start)-\(start + 65_535)").body.count == 65_536)
        #expect(origin.count == 1)
        #expect(try part(wire, "-10").body == Array(all.suffix(10)))
        #expect(try wire.ask("/a").body == all)
        let before = origin.count
        #expect(try wire.ask("/a").body == all && origin.count == before)
      }
    }

    @Test(
      "sends a part that may not be kept, or has no strong tag, and asks once for each",
      arguments: ["no-store", "weak"],
      ["asked", "64KB"]
    )
    func unkept(change: String, rule: String) async throws {
      try await Rig.run { rig in
        var content = Content()
        if change == "weak" { content.tag = "W/\"v\"" } else { content.control = "no-store" }
        let (origin, wire) = try Self.start(rig, Guarded(content), "ranges \(rule)")
        for count in 1...2 {
          let answer = try part(wire, "5-7")
          #expect(answer.status == 206 && answer.text == "567")
          #expect(answer.fields["content-range"] == "bytes 5-7/20")
          #expect(origin.count == count)
        }
      }
    }

    @Test("takes the whole where the member knows no ranges")
    func wholes() async throws {
      try await Rig.run { rig in
        var content = Content()
        content.knowsRanges = false
        let (origin, wire) = try Self.start(rig, Guarded(content))
        #expect(try part(wire, "2-4").text == "234")
        #expect(try part(wire, "7-").text == "789abcdefghij")
        #expect(try wire.ask("/a").text == content.body && origin.count == 1)
      }
    }

    @Test("has 416 said by the member, once, where it knows no length")
    func unsatisfiable() async throws {
      try await Rig.run { rig in
        let (origin, wire) = try Self.start(rig, Guarded(Content()))
        let answer = try part(wire, "50-60")
        #expect(answer.status == 416 && answer.fields["content-range"] == "bytes */20")
        #expect(origin.count == 1)
      }
    }

    @Test("sends a part as it comes, and lets others that lie in it read along")
    func streams() async throws {
      try await Rig.run { rig in
        let (begun, gate) = (Gate(), Gate())
        let count = Guarded(0)
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            count.withLock { $0 += 1 }
            #expect(request.fields["range"] == "bytes=10-19")
            try wire.send(
              text: "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nETag: \"v\"\r\n"
                + "Content-Range: bytes 10-19/30\r\nContent-Length: 10\r\n\r\nabcde"
            )
            begun.open()
            try gate.pass()
            try wire.send(text: "fghij")
          }
        }
        let martlet = try CacheTests.start(rig, member.endpoint, "ranges asked")
        let first = try Wire(to: martlet.endpoint)
        try first.send(text: "GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes=10-19\r\n\r\n")
        _ = try first.receive(through: "\r\n\r\n")
        #expect(try first.receive(exactly: 5) == Array("abcde".utf8))
        try begun.pass()
        let second = try Wire(to: martlet.endpoint)
        try second.send(text: "GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes=13-16\r\n\r\n")
        let head = String(decoding: try second.receive(through: "\r\n\r\n"), as: UTF8.self)
        #expect(head.contains("Content-Range: bytes 13-16/30\r\n") && head.contains("collapsed"))
        #expect(try second.receive(exactly: 2) == Array("de".utf8))
        gate.open()
        #expect(try first.receive(exactly: 5) == Array("fghij".utf8))
        #expect(try second.receive(exactly: 2) == Array("fg".utf8))
        #expect(count.withLock { $0 } == 1)
      }
    }

    @Test("goes on where something broke off, and takes it for the whole of nothing")
    func breaksOff() async throws {
      for range in ["Range: bytes=0-9", "A: b"] {
        try await Rig.run { rig in
          let asked = Guarded<[String?]>([])
          let member = try rig.member { wire in
            while let request = try wire.receiveRequest() {
              let fields = "Cache-Control: max-age=60\r\nETag: \"v\"\r\nConnection: close\r\n"
              asked.withLock { $0.append(request.fields["range"]) }
              guard asked.withLock({ $0.count }) > 1 else {
                let status =
                  request.fields["range"] == nil
                  ? "200 OK\r\n" : "206 Partial Content\r\nContent-Range: bytes 0-9/10\r\n"
                try wire.send(text: "HTTP/1.1 \(status)\(fields)Content-Length: 10\r\n\r\n01234")
                return
              }
              #expect(request.fields["if-range"] == "\"v\"")
              try wire.send(
                text: "HTTP/1.1 206 Partial Content\r\n\(fields)Content-Range: bytes 5-9/10\r\n"
                  + "Content-Length: 5\r\n\r\n56789"
              )
              return
            }
          }
          let martlet = try CacheTests.start(rig, member.endpoint, "ranges asked")
          let cut = try Wire(to: martlet.endpoint).ask("/a", "GET", range)
          #expect(cut.ending != .complete && cut.text == "01234")
          let whole = try Wire(to: martlet.endpoint).ask("/a", "GET", range)
          #expect(whole.ending == .complete && whole.text == "0123456789")
          #expect(whole.status == (range == "A: b" ? 200 : 206))
          #expect(asked.withLock { $0.count == 2 && $0[1] == "bytes=5-9" })
          #expect(try Wire(to: martlet.endpoint).ask("/a").text == "0123456789")
          #expect(asked.withLock { $0.count } == 2)
        }
      }
    }

    @Test("passes on what contradicts itself, and makes nothing of it")
    func contradictions() async throws {
      for place in ["0-9/30", "0-4/*", "5-9/5", "0-4/30\r\nContent-Range: bytes 0-4/30", "x"] {
        try await Rig.run { rig in
          let origin = try Origin(rig) { _, _ in
            "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nETag: \"v\"\r\n"
              + "Content-Range: bytes \(place)\r\nContent-Length: 5\r\n\r\n01234"
          }
          let martlet = try CacheTests.start(rig, origin.endpoint, "ranges asked")
          let wire = try Wire(to: martlet.endpoint)
          for count in 1...2 {
            let answer = try part(wire, "0-4")
            #expect(answer.status == 206 && answer.text == "01234" && origin.count == count)
          }
        }
      }
    }

    @Test("puts any parts together rightly, whatever their order and size")
    func anyOrder() async throws {
      try await Rig.run { rig in
        var content = Content()
        content.body = String((0..<200_000).map { Character(Unicode.Scalar(UInt8(33 + $0 % 89))) })
        let all = Array(content.body.utf8)
        let seed = UInt64.random(in: 0 ... .max)
        var random = Seeded(state: seed)
        let (_, wire) = try Self.start(rig, Guarded(content))
        for _ in 0..<60 {
          let first = Int.random(in: 0..<all.count, using: &random)
          let last = min(all.count - 1, first + Int.random(in: 0..<40_000, using: &random))
          let answer = try part(wire, "\(first)-\(last)")
          #expect(answer.status == 206 && answer.body == Array(all[first...last]), "seed \(seed)")
        }
        #expect(try wire.ask("/a").body == all, "seed \(seed)")
        #expect(try wire.ask("/a").body == all, "seed \(seed)")
      }
    }
  }
}

/// Numbers that come again with the same seed.
private struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 33
  }
}
