import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// The programs of `Snippets`, started as they are.
  @Suite("Snippets", .timeLimit(.minutes(2 * slowness))) struct SnippetTests {
    /// What a snippet prints until it ends; it stands beside the tests.
    private func lines(of name: String) async throws -> [String] {
      let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      let program = tests.deletingLastPathComponent().appendingPathComponent(name).path
      return try await Rig.run { rig in
        let outcome = try rig.outcome(of: [program])
        #expect(outcome.status == 0)
        return outcome.lines
      }
    }

    @Test("philosophers starve, which is seen, and eat when forks have an order")
    func philosophers() async throws {
      let lines = try await lines(of: "DiningPhilosophers")
      #expect(lines.count == 4)
      #expect(lines[0].hasPrefix("locks are taken in a circle: fork "))
      #expect(lines[0].split(separator: "→").count == 6)
      #expect(
        lines.dropFirst() == [
          "5 wait for each other", "1 gave up, 4 have eaten", "all have eaten a hundred times",
        ]
      )
    }

    @Test("a clerk serves two queues, until both are closed")
    func counters() async throws {
      let lines = try await lines(of: "OpenCounters")
      let served = [
        "sold Dune", "sold Emma", "sold Momo", "took number 1 back", "took number 2 back",
      ]
      #expect(lines.dropLast().sorted() == served && lines.last == "closed")
    }

    @Test("a burst goes through a queue that is never longer than it may be")
    func peakShaving() async throws {
      let lines = try await lines(of: "PeakShaving")
      #expect(lines.first == "from the offer to the work")
      let words = try #require(lines.last).split(separator: " ")
      #expect(words.prefix(3) == ["100000", "jobs", "are"])
      let most = try #require(words.compactMap { Int($0) }.last)
      #expect(1...1000 ~= most)
    }

    @Test(
      "seed programs of a course on networks do what they say",
      arguments: [
        (
          "EchoPair",
          [
            "echoed by a process", "echoed by an event", "echoed by a thread",
            "echoed by a thread of a pool",
          ]
        ),
        ("UDPPair", ["IS ANYBODY THERE?"]),
        (
          "SocketEnds",
          [
            "closed: all came, the end", #"  left at the server: ["TIME_WAIT"]"#,
            "  left at the client: []", "  another socket there: bind: Address already in use",
            "  another listener there: listens",
            "aborted: not all came, recv: Connection reset by peer", "  left at the server: []",
            "  left at the client: []", "burst of 10: 3 wait in line, 7 found no room",
            "all came in, a second late",
          ]
        ),
        (
          "ChatServer",
          [
            "Ada reads welcome Ada", "Grace reads welcome Grace", "Ada reads Grace: is here",
            "Grace reads Ada: good morning", "Grace reads Ada: has left",
          ]
        ),
        ("Upload", [#"{"name":"photo","received":5000000}"#]),
        (
          "RemoteCommand",
          [
            "system: 6 bytes, the last line is Linux",
            "numbers: 108894 bytes, the last line is 20000",
            "rm -rf: 18 bytes, the last line is there is no rm -rf",
          ]
        ),
        (
          "ManyAtATime",
          [
            "in order: 600 ms, 200 ms, 400 ms", "done: 200 ms", "done: 400 ms", "done: 600 ms",
            "too slow: timedOut", "ended by: tooLong(limit: 0)", "square: 1", "square: 4",
            "square: 9", "nobody reads any more",
          ]
        ),
        ("ProducerConsumer", ["100 eaten, 0 left"]),
        (
          "ThreadLocals",
          [
            "threads: [1, 2, 3], and 0 here", #"requests: ["first", "second"], and none here"#,
            "loops: 0 in the loop's own list",
          ]
        ),
        ("DaemonAndJoin", ["joined: ended with code 3", "ended: was ended by SIGKILL"]),
      ]
    )
    func seeds(name: String, expected: [String]) async throws {
      let lines = try await lines(of: name)
      #expect(lines == expected)
    }

    @Test("a time server tells the time")
    func time() async throws {
      let lines = try await lines(of: "TimeServer")
      let words = try #require(lines.first).split(separator: " ")
      let told = try #require(words.first.flatMap { Int($0) })
      #expect(abs(Double(told) - Date().timeIntervalSince1970) < 60)
    }

    @Test("primes are counted by processes, one of which is killed")
    func primes() async throws {
      #expect(
        try await lines(of: "Primes") == [
          "there are 9592 primes below 100000", "1 of the processes crashed, 0 are left",
        ]
      )
    }

    @Test("two processes talk by every way that there is")
    func talk() async throws {
      #expect(
        try await lines(of: "ProcessTalk") == [
          "socket: 100 notes came back", "named pipes: 100 notes came back",
          "message queues: 100 notes came back", "shared memory: 100 notes came back",
          "process number sent 1000 bytes",
        ]
      )
    }

    @Test("supervised processes are started anew with those before them")
    func supervised() async throws {
      #expect(
        try await lines(of: "Supervised") == [
          "store runs", "index runs", "web runs", "index was ended by SIGKILL", "web was stopped",
          "index runs", "web runs", "web was stopped", "index was stopped", "store was stopped",
          "stopped",
        ]
      )
    }
  }
}
