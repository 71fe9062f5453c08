import ArgumentParser
import Balancing
import Configuration
import Directives
import Edge
import MartletSystem
import Supervision

/// `martlet balance`.
struct BalanceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "balance",
    abstract: "Tell how requests are given to the members of an upstream.",
    subcommands: [BalanceExplainCommand.self]
  )
}

/// `martlet balance explain`.
struct BalanceExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Tell who would be chosen and why, or which shares a recorded log would give.",
    discussion: """
      It asks no running server: it says what the configuration does with members in the state that \
      the options give.
      """
  )

  @Option(
    help: ArgumentHelp("The configuration.", valueName: "file"),
    completion: .file(extensions: ["conf"])
  )
  var config: String

  @Option(help: ArgumentHelp("The upstream.", valueName: "name")) var upstream: String

  @Option(
    help: ArgumentHelp("The value of the key that requests are spread by.", valueName: "text")
  )
  var key: String?

  @Option(help: ArgumentHelp("A member that is down; may be repeated.", valueName: "address"))
  var down: [String] = []

  @Option(
    help: ArgumentHelp("The requests that a member has; may be repeated.", valueName: "address=n")
  )
  var active: [String] = []

  @Option(
    help: ArgumentHelp("Choose for each request of an access log.", valueName: "log"),
    completion: .file()
  )
  var replay: String?

  @Flag(help: "Print one JSON object.") var json = false

  func run() throws {
    let checked = try CheckedConfiguration(.file(config))
    guard let settings = checked.configuration.upstream(named: upstream) else {
      let names = checked.configuration.upstreams.map(\.name)
      let near = nearestName(to: upstream, among: names) ?? names.first
      throw CommandFailure(
        .usage,
        "there is no upstream `\(upstream)`" + (near.map { ": did you mean `\($0)`?" } ?? "")
      )
    }
    var explained = ExplainedUpstream(settings)
    for address in down {
      explained.members[try place(of: address, explained)].condition = .unwell
    }
    for text in active {
      let parts = text.split(separator: "=", maxSplits: 1)
      guard parts.count == 2, let count = Int(parts[1]), (0...1_000_000).contains(count) else {
        throw CommandFailure(.usage, "write --active ADDRESS=NUMBER, not `\(text)`")
      }
      explained.loads.counts[try place(of: String(parts[0]), explained)] = count
    }
    let report: JSONValue
    if let replay {
      report = try explained.replayed(AccessLogReader(replay))
    } else {
      report = explained.explained(key: key)
    }
    Console.say(json ? report.formatted() : ExplainedUpstream.text(of: report))
  }

  private func place(
    of address: String,
    _ explained: ExplainedUpstream
  ) throws(CommandFailure) -> Int {
    if let place = explained.names.firstIndex(of: address) { return place }
    throw CommandFailure(
      .usage,
      "`\(address)` is no member of `\(upstream)`: \(explained.names.joined(separator: ", "))"
    )
  }
}
