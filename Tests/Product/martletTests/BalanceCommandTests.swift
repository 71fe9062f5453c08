import Foundation
import Testing

private let configuration = """
  server {
      listen 127.0.0.1:8080
      route / { proxy api }
      route /shop { proxy shop }
  }
  upstream api {
      member 10.0.0.1:80
      member 10.0.0.2:80 weight 2
      member 10.0.0.3:80 tier 2
      member 10.0.0.4:80 weight 0
      member 10.0.0.5:80 backup
  }
  upstream shop {
      balance hash {request.path} maglev bounded 125%
      member 10.0.1.1:80
      member 10.0.1.2:80
      member 10.0.1.3:80
  }
  """

@Suite("martlet balance explain", .timeLimit(.minutes(5)))
struct BalanceCommandTests {
  private func explained(_ arguments: String...) throws -> [String: Any] {
    let folder = try Folder()
    let config = try folder.write("edge.conf", configuration)
    let outcome = try run(
      program,
      ["balance", "explain", "--config", config, "--json"] + arguments
    )
    #expect(outcome.status == 0, "\(outcome.errors)")
    let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    return try #require(object as? [String: Any])
  }

  private func states(_ report: [String: Any]) throws -> [String] {
    let members = try #require(report["members"] as? [[String: Any]])
    return members.map { "\($0["turn"] ?? "") \($0["state"] ?? "")" }
  }

  @Test("tells who is chosen, who would be next, and why others are not")
  func order() throws {
    let report = try explained("--upstream", "api")
    #expect(report["chosen"] as? String == "10.0.0.2:80")
    #expect(
      try states(report) == [
        "2 eligible", "1 chosen", "3 eligible", "<null> drained: its weight is 0", "4 eligible",
      ]
    )
    let down = try explained(
      "--upstream",
      "api",
      "--down",
      "10.0.0.1:80",
      "--down",
      "10.0.0.2:80"
    )
    #expect(
      try states(down) == [
        "<null> down", "<null> down", "1 chosen", "<null> drained: its weight is 0", "2 eligible",
      ]
    )
  }

  @Test("chooses by the key, the same in each process, until the member has its share")
  func key() throws {
    let first = try explained("--upstream", "shop", "--key", "/a")
    #expect(try explained("--upstream", "shop", "--key", "/a")["chosen"] as? String != nil)
    let chosen = try #require(first["chosen"] as? String)
    #expect(try explained("--upstream", "shop", "--key", "/a")["chosen"] as? String == chosen)
    let busy = try explained("--upstream", "shop", "--key", "/a", "--active", "\(chosen)=10")
    #expect(busy["chosen"] as? String != chosen)
  }

  @Test("shares out the requests of a log, in both of its forms")
  func replay() throws {
    let folder = try Folder()
    var lines = (0..<300).map { index in
      """
      {"time":"2026-01-01T00:00:\(10 + index / 10).\(index % 10)00Z","client":"10.9.9.9",\
      "target":"/item/\(index)?a=b","upstream":"shop","seconds":{"total":0.250000}}
      """
    }
    lines.append("no line of a log")
    let log = try folder.write("access.log", lines.joined(separator: "\n") + "\n")
    let report = try explained("--upstream", "shop", "--replay", log)
    #expect(report["requests"] as? Int == 300)
    #expect(report["refused"] as? Int == 0)
    #expect(report["unread_lines"] as? Int == 1)
    let members = try #require(report["members"] as? [[String: Any]])
    let counts = members.compactMap { $0["requests"] as? Int }
    #expect(counts.reduce(0, +) == 300)
    #expect(counts.allSatisfy { $0 > 60 })
    let combined = (0..<90).map { "10.0.0.9 - - [01/Jan/2026] \"GET /\($0) HTTP/1.1\" 200 1" }
    let other = try folder.write("combined.log", combined.joined(separator: "\n"))
    let turns = try explained("--upstream", "api", "--replay", other)
    let shares = try #require(turns["members"] as? [[String: Any]])
    #expect(shares.map { $0["requests"] as? Int } == [30, 60, 0, 0, 0])
    #expect(shares.first?["share"] as? String == "33.3%")
  }

  @Test(
    "ends with code 2 when something is not there",
    arguments: [
      ["--upstream", "apy"], ["--upstream", "api", "--down", "10.0.0.9:80"],
      ["--upstream", "api", "--active", "10.0.0.1:80"],
    ]
  )
  func usage(arguments: [String]) throws {
    let folder = try Folder()
    let config = try folder.write("edge.conf", configuration)
    let outcome = try run(program, ["balance", "explain", "--config", config] + arguments)
    #expect(outcome.status == 2)
    #expect(outcome.output == "")
    #expect(!outcome.errors.isEmpty)
  }
}
