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
  }
}
