import Foundation
import TestPeers
import Testing

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
private let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"

private func request(_ method: String, _ body: String = "") -> String {
  "\(method) / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

extension Rig {
  /// Starts Martlet with an upstream of these members that says this about failures.
  func martlet(to members: [Endpoint], failing text: String) throws -> Peer {
    try martlet(
      configuration: """
        server {
            listen LISTEN
            access_log stdout json
            route / { proxy back }
        }
        upstream back {
            \(members.map { "member \($0)" }.joined(separator: "\n"))
            \(text)
        }
        """
    )
  }

  /// A member that answers each request alike, and counts them.
  func member(
    answering answer: String,
    counting count: Guarded<Int>
  ) throws -> ScriptedMember {
    try member { wire in
      while try wire.receiveRequest() != nil {
        count.withLock { $0 += 1 }
        try wire.send(text: answer)
      }
    }
  }

  /// A member that takes requests, counts them, and ends the connection without a word.
  func silentMember(counting count: Guarded<Int>) throws -> ScriptedMember {
    try member { wire in
      guard try wire.receiveRequest() != nil else { return }
      count.withLock { $0 += 1 }
    }
  }
}

extension PeerTests {
  /// Which failures are tried again, when, and how often.
  @Suite("Retries", .timeLimit(.minutes(5 * slowness))) struct RetryTests {
    @Test(
      "a listed status is tried again on another member where the method, or the word, allows it",
      arguments: [("GET", "on 503", true), ("POST", "on 503", false), ("GET", "", false)]
        + [("POST", "on 503 non_idempotent", true), ("PUT", "on 502", false)]
    )
    func status(method: String, rule: String, isRetried: Bool) async throws {
      try await Rig.run { rig in
        let (seen, answered) = (Guarded(0), Guarded(0))
        let bad = try rig.member(answering: busy, counting: seen)
        let good = try rig.member(answering: ok, counting: answered)
        let martlet = try rig.martlet(
          to: [bad.endpoint, good.endpoint],
          failing: "retry { \(rule.isEmpty ? "budget none" : rule) }"
        )
        let wire = try Wire(to: martlet.endpoint)
        var statuses: [Int: Int] = [:]
        for _ in 0..<8 {
          try wire.send(text: request(method, "abc"))
          let answer = try wire.receiveAnswer()
          statuses[answer.status, default: 0] += 1
          #expect(answer.text == (answer.status == 200 ? "ok" : "busy"))
        }
        #expect(statuses == (isRetried ? [200: 8] : [200: 4, 503: 4]))
        // A further try takes a turn, too.
        #expect((isRetried ? 4...8 : 4...4).contains(seen.withLock { $0 }))
        #expect(answered.withLock { $0 } == (isRetried ? 8 : 4))
        if isRetried { try martlet.line(with: #""tries":2,"failed_tries":"503""#) }
      }
    }

    @Test("when every member has a listed status, the last one's own answer is passed on")
    func lastAnswer() async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let members = try (0..<3).map { _ in try rig.member(answering: busy, counting: seen) }
        let martlet = try rig.martlet(to: members.map(\.endpoint), failing: "retry { on 503 }")
        let wire = try Wire(to: martlet.endpoint)
        for round in 1...3 {
          try wire.send(text: request("GET"))
          let answer = try wire.receiveAnswer()
          #expect(answer.status == 503 && answer.text == "busy")
          #expect(seen.withLock { $0 } == 3 * round)
        }
      }
    }

    @Test(
      "what is not an answer is tried again where that is listed",
      arguments: [("malformed", 200), ("reset", 502)]
    )
    func garbage(listed: String, status: Int) async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let bad = try rig.member(answering: "SSH-2.0-OpenSSH_9.2\r\n\r\n", counting: seen)
        let good = try rig.member(answering: ok, counting: Guarded(0))
        let martlet = try rig.martlet(
          to: [bad.endpoint, good.endpoint],
          failing: "retry { on \(listed) }"
        )
        let wire = try Wire(to: martlet.endpoint)
        var statuses: Set<Int> = []
        for _ in 0..<4 {
          try wire.send(text: request("GET"))
          statuses.insert(try wire.receiveAnswer().status)
        }
        #expect(statuses == [200, status])
        #expect((2...4).contains(seen.withLock { $0 }))
      }
    }

    @Test(
      "an answer that has begun is never put together from two members",
      arguments: [true, false]
    )
    func cut(isReset: Bool) async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let sent = Gate()
        let members = try (0..<2).map { _ in
          try rig.member { wire in
            guard try wire.receiveRequest() != nil else { return }
            seen.withLock { $0 += 1 }
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            try sent.pass()
            if isReset { wire.resetAtEnd() }
          }
        }
        let martlet = try rig.martlet(
          to: members.map(\.endpoint),
          failing: "retry { on reset malformed first_byte_timeout 503 non_idempotent }"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: request("GET"))
        _ = try wire.receive(through: "half")
        sent.open()
        do {
          #expect(try wire.receiveRest().isEmpty)
        } catch Wire.Failure.reset {
          // That is an end, too.
        }
        try martlet.line(with: "upstream_cut")
        #expect(seen.withLock { $0 } == 1)
      }
    }

    @Test("a try has its own time, and the next member has the rest", arguments: ["GET", "POST"])
    func tryTimeout(method: String) async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let slow = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          seen.withLock { $0 += 1 }
          try wire.receiveEnd()
        }
        let good = try rig.member(answering: ok, counting: Guarded(0))
        let martlet = try rig.martlet(
          to: [slow.endpoint, good.endpoint],
          failing: "retry { try_timeout 100ms }"
        )
        let wire = try Wire(to: martlet.endpoint)
        var statuses: [Int] = []
        for _ in 0..<2 {
          try wire.send(text: request(method))
          statuses.append(try wire.receiveAnswer().status)
        }
        // A request that the slow member may have begun to act on is not repeated.
        #expect(statuses.sorted() == (method == "GET" ? [200, 200] : [200, 504]))
        #expect((1...2).contains(seen.withLock { $0 }))
      }
    }

    @Test("the total time holds over tries and back-off")
    func total() async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let member = try rig.silentMember(counting: seen)
        let martlet = try rig.martlet(
          to: [member.endpoint],
          failing: """
            tries 100
            total_timeout 1s
            retry { backoff 100ms max 200ms
            budget none }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        let start = ContinuousClock.now
        try wire.send(text: request("GET"))
        let answer = try wire.receiveAnswer()
        let time = ContinuousClock.now - start
        #expect([502, 504].contains(answer.status))
        #expect(time < .milliseconds(1300 * slowness), "took \(time)")
        // Waits between 50 and 200 ms, two ticks more at most.
        #expect((3...15).contains(seen.withLock { $0 }))
      }
    }

    @Test(
      "with a back-off a lone member is tried again, unless it says when",
      arguments: [true, false]
    )
    func backoff(hasRetryAfter: Bool) async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let field = hasRetryAfter ? "Retry-After: 1\r\n" : ""
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            let count = seen.withLock { count in
              count += 1
              return count
            }
            let refusal = "HTTP/1.1 503 Busy\r\n\(field)Content-Length: 0\r\n\r\n"
            try wire.send(text: count < 3 ? refusal : ok)
          }
        }
        let martlet = try rig.martlet(
          to: [member.endpoint],
          failing: "retry { on 503\nbackoff 20ms }"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: request("GET"))
        let answer = try wire.receiveAnswer()
        #expect(answer.status == (hasRetryAfter ? 503 : 200))
        #expect(answer.fields["retry-after"] == (hasRetryAfter ? "1" : nil))
        #expect(seen.withLock { $0 } == (hasRetryAfter ? 1 : 3))
        // The answers that were given up were read whole: their connection was used again.
        #expect(member.connectionCount == 1)
      }
    }

    @Test("a client that leaves ends the back-off")
    func leaves() async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let failed = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          seen.withLock { $0 += 1 }
          failed.open()
        }
        let martlet = try rig.martlet(
          to: [member.endpoint],
          failing: "tries 10\nretry { backoff 60s max 60s }"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: request("GET"))
        try failed.pass()
        try martlet.line(with: "a member failed")
        wire.end()
        let line = try martlet.line(with: #""end":"client_closed""#)
        #expect(line.contains(#""failed_tries":"reset""#))
        #expect(seen.withLock { $0 } == 1)
      }
    }

    @Test("a failing origin sees its requests and the budget's share, and not one more")
    func budget() async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let members = try (0..<3).map { _ in try rig.silentMember(counting: seen) }
        let martlet = try rig.martlet(
          to: members.map(\.endpoint),
          failing: "retry { budget 20% min 0/s window 60s }"
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<200 {
          try wire.send(text: request("GET"))
          #expect(try wire.receiveAnswer().status == 502)
        }
        #expect(seen.withLock { $0 } == 240)
      }
    }

    @Test("members that cannot be reached cost the budget nothing")
    func unseen() async throws {
      try await Rig.run { rig in
        let good = try rig.member(answering: ok, counting: Guarded(0))
        let martlet = try rig.martlet(
          to: [try rig.freePort(), try rig.freePort(), good.endpoint],
          failing: "retry { budget 0% min 0/s }"
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<30 {
          try wire.send(text: request("POST", "abc"))
          #expect(try wire.receiveAnswer().status == 200)
        }
      }
    }

    @Test(
      "a body that was passed on is sent again as far as it was kept",
      arguments: [true, false],
      [(100_000, "PUT", 200), (300_000, "PUT", 502), (100_000, "POST", 502)]
    )
    func replay(isChunked: Bool, asked: (size: Int, method: String, status: Int)) async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let body = (0..<asked.size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let members = try (0..<2).map { _ in
          try rig.member { wire in
            guard var request = try wire.receiveRequestHead() else { return }
            let isFirst = seen.withLock { count in
              count += 1
              return count == 1
            }
            // Late enough for all of it to have been passed on.
            try wire.receiveBody(of: &request)
            if isFirst { return }
            guard request.body == body else { throw PeerError("another body") }
            try wire.send(text: ok)
          }
        }
        let martlet = try rig.martlet(
          to: members.map(\.endpoint),
          failing: "retry { replay_limit 200KB }"
        )
        let wire = try Wire(to: martlet.endpoint)
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(body.count)"
        try wire.send(text: "\(asked.method) / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
        for start in stride(from: 0, to: body.count, by: 30_000) {
          let part = body[start..<min(start + 30_000, body.count)]
          if isChunked { try wire.send(text: String(part.count, radix: 16) + "\r\n") }
          try wire.send(part)
          if isChunked { try wire.send(text: "\r\n") }
        }
        if isChunked { try wire.send(text: "0\r\n\r\n") }
        #expect(try wire.receiveAnswer().status == asked.status)
        #expect(seen.withLock { $0 } == (asked.status == 200 ? 2 : 1))
        #expect(members.flatMap(\.failures) == [])
      }
    }

    @Test(
      "a member that leaves within a body has the rest sent to the next one",
      arguments: [true, false]
    )
    func replayOfPart(isChunked: Bool) async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let hasLeft = Gate()
        let members = try (0..<2).map { _ in
          try rig.member { wire in
            guard var request = try wire.receiveRequestHead() else { return }
            let isFirst = seen.withLock { count in
              count += 1
              return count == 1
            }
            if isFirst {
              _ = try wire.receive(through: "first")
              wire.resetAtEnd()
              hasLeft.open()
              return
            }
            try wire.receiveBody(of: &request)
            guard request.body == Array("first, second".utf8) else {
              throw PeerError("another body: \(String(decoding: request.body, as: UTF8.self))")
            }
            try wire.send(text: ok)
          }
        }
        let martlet = try rig.martlet(
          to: members.map(\.endpoint),
          failing: "retry { replay_limit 1KB }"
        )
        let wire = try Wire(to: martlet.endpoint)
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 13"
        try wire.send(text: "PUT / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
        try wire.send(text: isChunked ? "5\r\nfirst\r\n8\r\n, s" : "first, s")
        try hasLeft.pass()
        try martlet.line(with: "a member failed")
        try wire.send(text: isChunked ? "econd\r\n0\r\n\r\n" : "econd")
        #expect(try wire.receiveAnswer().status == 200)
        #expect(members.flatMap(\.failures) == [])
      }
    }
  }
}
