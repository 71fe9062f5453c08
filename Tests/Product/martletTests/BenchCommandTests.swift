import Foundation
import Testing

@Suite("martlet bench loop", .timeLimit(.minutes(5)))
struct BenchCommandTests {
  @Test("measures every way to wait, and says how far each goes")
  func everyModel() throws {
    let folder = try Folder()
    let drawing = folder.path + "/curves.svg"
    let outcome = try run(
      program,
      [
        "bench", "loop", "--idle", "5,600", "--active", "4", "--seconds", "0.05", "--rounds", "1",
        "--svg", drawing, "--json",
      ]
    )
    #expect(outcome.status == 0, "\(outcome.errors)")
    let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let report = try #require(object as? [String: Any])
    #expect(report["idle"] as? [Int] == [5, 600] && report["active"] as? Int == 4)
    let models = try #require(report["models"] as? [[String: Any]])
    let names = models.compactMap { $0["model"] as? String }
    #expect(names == ["epoll", "epoll_level", "poll", "select", "io_uring", "threads"])
    for model in models {
      let costs = try #require(model["costs"] as? [Any])
      let known = costs.compactMap { $0 as? Double }
      #expect(known.allSatisfy { $0 > 50 && $0 < 10_000_000 }, "\(model)")
      // A set of `select` ends at 1,024 descriptors; all others go on.
      if model["model"] as? String == "select" {
        #expect(known.count == 1 && (model["problem"] as? String)?.contains("600") == true)
      } else if model["model"] as? String != "io_uring" || model["problem"] is NSNull {
        #expect(known.count == 2, "\(model)")
      }
    }
    let svg = try String(contentsOfFile: drawing, encoding: .utf8)
    #expect(svg.hasPrefix("<svg ") && svg.components(separatedBy: "<polyline").count == 7)
  }

  @Test("draws curves for people")
  func drawing() throws {
    let outcome = try run(
      program,
      [
        "bench", "loop", "--idle", "1,20", "--active", "2", "--seconds", "0.02", "--rounds", "1",
        "--models", "epoll,threads",
      ]
    )
    #expect(outcome.status == 0, "\(outcome.errors)")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.first == "microseconds of processor time a message, 2 connections busy")
    #expect(lines.contains { $0.hasSuffix("idle connections; e epoll, t threads") }, "\(lines)")
    let drawn = lines.filter { $0.contains("|") }.joined()
    #expect(drawn.count { $0 == "e" } == 2 && drawn.count { $0 == "t" } == 2, "\(lines)")
  }

  @Test(
    "says what is wrong with its words",
    arguments: [
      ["--idle", "many"], ["--idle", ""], ["--active", "0"], ["--seconds", "0"], ["--rounds", "0"],
      ["--models", "kqueue"],
    ]
  )
  func mistakes(words: [String]) throws {
    let outcome = try run(program, ["bench", "loop"] + words)
    #expect(outcome.status == 2 && outcome.errors.contains(words[0] + ":"), "\(outcome.errors)")
  }
}
