import Foundation
import TestPeers
import Testing

private let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
private let bad = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad"

extension PeerTests {
  /// Members that are left alone for a while.
  @Suite("Breakers", .timeLimit(.minutes(5 * slowness))) struct BreakerTests {
    @Test("a breaker that opens keeps requests from its member", arguments: ["reset", "status"])
    func opens(by failure: String) async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let failing =
          try failure == "reset"
          ? rig.silentMember(counting: seen) : rig.member(answering: bad, counting: seen)
        let good = try rig.member(answering: ok, counting: Guarded(0))
        let martlet = try rig.martlet(
          to: [failing.endpoint, good.endpoint],
          failing: "breaker { least 4\nopen 60s }"
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<40 {
          try wire.send(text: plain)
          let status = try wire.receiveAnswer().status
          #expect(status == 200 || failure == "status")
        }
        #expect(seen.withLock { $0 } == 4)
        try martlet.line(with: "a breaker has opened")
      }
    }

    @Test("half-open it sends a few requests, and closes when they go well")
    func closes() async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let isWell = Guarded(false)
        let failing = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            seen.withLock { $0 += 1 }
            try wire.send(text: isWell.withLock { $0 } ? ok : bad)
          }
        }
        let good = try rig.member(answering: ok, counting: Guarded(0))
        let martlet = try rig.martlet(
          to: [failing.endpoint, good.endpoint],
          failing: "breaker { least 4\nopen 200ms max 400ms\nprobes 2 }\nretry { on 502 }"
        )
        let wire = try Wire(to: martlet.endpoint)
        func ask(_ count: Int) throws {
          for _ in 0..<count {
            try wire.send(text: plain)
            #expect(try wire.receiveAnswer().status == 200)
          }
        }
        try ask(20)
        #expect(seen.withLock { $0 } == 4)
        try martlet.line(with: "a breaker lets probes through")
        // A probe that fails opens it again.
        try ask(4)
        #expect(seen.withLock { $0 } == 5)
        try martlet.line(with: "times=2")
        isWell.withLock { $0 = true }
        while martlet.lines.count(where: { $0.contains("a breaker lets probes through") }) < 2 {
          try ask(1)
        }
        try ask(20)
        try martlet.line(with: "a breaker has closed")
        #expect(seen.withLock { $0 } > 7)
      }
    }

    @Test("slow answers open a breaker that counts them")
    func slow() async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let slow = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            seen.withLock { $0 += 1 }
            _ = poll(nil, 0, 50)
            try wire.send(text: ok)
          }
        }
        let good = try rig.member(answering: ok, counting: Guarded(0))
        let martlet = try rig.martlet(
          to: [slow.endpoint, good.endpoint],
          failing: "breaker { slow 30ms\nfailures off\nleast 3\nopen 60s }"
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<20 {
          try wire.send(text: plain)
          #expect(try wire.receiveAnswer().status == 200)
        }
        #expect(seen.withLock { $0 } == 3)
      }
    }

    @Test("the breaker of an upstream answers itself, and says so")
    func shared() async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let members = try (0..<2).map { _ in try rig.member(answering: bad, counting: seen) }
        let martlet = try rig.martlet(
          to: members.map(\.endpoint),
          failing: "breaker { least 5\nopen 60s\nscope upstream }"
        )
        let wire = try Wire(to: martlet.endpoint)
        var statuses: [Int] = []
        for _ in 0..<8 {
          try wire.send(text: plain)
          statuses.append(try wire.receiveAnswer().status)
        }
        #expect(statuses == [502, 502, 502, 502, 502, 503, 503, 503])
        #expect(seen.withLock { $0 } == 5)
        try martlet.line(with: #""end":"breaker_open""#)
        let status = try rig.martlet(command: "status", "--json").lines.joined()
        #expect(status.contains("\"breaker\":\"open\"") || status.contains("\"breaker\": \"open\""))
      }
    }
  }

  /// Second requests to another member.
  @Suite("Hedges", .timeLimit(.minutes(5 * slowness))) struct HedgeTests {
    /// Long enough that the first member has been asked before the second one, also where much else runs.
    private static let hedge = "hedge after 500ms"

    /// Two members of which the one that is asked first does `first`, and the other one `second`.
    private func members(
      _ rig: Rig,
      _ seen: Guarded<Int>,
      first: @escaping @Sendable (Wire) throws -> Void,
      second: @escaping @Sendable (Wire) throws -> Void
    ) throws -> [Endpoint] {
      try (0..<2).map { _ in
        try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          let number = seen.withLock { count in
            count += 1
            return count
          }
          try number == 1 ? first(wire) : second(wire)
        }.endpoint
      }
    }

    private func answer(_ text: String) -> String {
      "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
    }

    @Test("the second member's answer is passed on when it is first, and the first try is dropped")
    func wins() async throws {
      try await Rig.run { rig in
        let dropped = Gate()
        let seen = Guarded(0)
        let endpoints = try members(rig, seen) { wire in
          try wire.receiveEnd()
          dropped.open()
        } second: { wire in
          try wire.send(text: self.answer("second"))
          _ = try wire.receive()
        }
        let martlet = try rig.martlet(to: endpoints, failing: Self.hedge)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: plain)
        #expect(try wire.receiveAnswer().text == "second")
        try dropped.pass()
        try martlet.line(with: #""tries":2,"hedge":"won""#)
        #expect(seen.withLock { $0 } == 2)
      }
    }

    @Test("the first member's answer is passed on when it is first after all")
    func loses() async throws {
      try await Rig.run { rig in
        let (asked, dropped) = (Gate(), Gate())
        let seen = Guarded(0)
        let endpoints = try members(rig, seen) { wire in
          try asked.pass()
          try wire.send(text: self.answer("first"))
          _ = try wire.receive()
        } second: { wire in
          asked.open()
          try wire.receiveEnd()
          dropped.open()
        }
        let martlet = try rig.martlet(to: endpoints, failing: Self.hedge)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: plain)
        #expect(try wire.receiveAnswer().text == "first")
        try dropped.pass()
        try martlet.line(with: #""hedge":"lost""#)
      }
    }

    @Test(
      "an answer that is no good does not win",
      arguments: ["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "nonsense\r\n\r\n", ""]
    )
    func badAnswer(text: String) async throws {
      try await Rig.run { rig in
        let answered = Gate()
        let seen = Guarded(0)
        let endpoints = try members(rig, seen) { wire in
          try answered.pass()
          try wire.send(text: self.answer("first"))
          _ = try wire.receive()
        } second: { wire in
          try wire.send(text: text)
          wire.finishSending()
          try wire.receiveEnd()
          answered.open()
        }
        let martlet = try rig.martlet(
          to: endpoints,
          failing: Self.hedge + "\nretry { on 503 reset }"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: plain)
        #expect(try wire.receiveAnswer().text == "first")
      }
    }

    @Test("a first member that fails leaves the answer to the second one", arguments: ["", "503"])
    func firstFails(status: String) async throws {
      try await Rig.run { rig in
        let (asked, failed) = (Gate(), Gate())
        let seen = Guarded(0)
        let endpoints = try members(rig, seen) { wire in
          try asked.pass()
          if !status.isEmpty {
            try wire.send(text: "HTTP/1.1 \(status) No\r\nContent-Length: 0\r\n\r\n")
          }
          failed.open()
        } second: { wire in
          asked.open()
          try failed.pass()
          try wire.send(text: self.answer("second"))
          _ = try wire.receive()
        }
        let martlet = try rig.martlet(
          to: endpoints,
          failing: Self.hedge + "\nretry { on 503 reset }"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: plain)
        #expect(try wire.receiveAnswer().text == "second")
        #expect(seen.withLock { $0 } == 2)
      }
    }

    @Test(
      "there is no hedge for other methods, nor without a budget for it",
      arguments: [("POST", ""), ("PUT", ""), ("GET", "retry { budget 0% min 0/s }")]
    )
    func none(method: String, retry: String) async throws {
      try await Rig.run { rig in
        let seen = Guarded(0)
        let endpoints = try members(rig, seen) { wire in
          _ = poll(nil, 0, 200)
          try wire.send(text: self.answer("first"))
          _ = try wire.receive()
        } second: { _ in
        }
        let martlet = try rig.martlet(to: endpoints, failing: "hedge after 20ms\n\(retry)")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "\(method) / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "first")
        #expect(seen.withLock { $0 } == 1)
      }
    }
  }
}
