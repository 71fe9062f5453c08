import ArgumentParser
import JSON
import Supervision

/// How long a change lasts, and in which form it is told.
struct ChangeOptions: ParsableArguments {
  @Flag(name: .long, help: "Keep the change over reloads.") var keep = false
  @Flag(name: .long, help: "Print one JSON object.") var json = false
  @OptionGroup var instance: InstanceOptions

  /// Makes a change and prints what came of it.
  ///
  /// - Throws: ``CommandFailure``.
  func make(_ method: String, _ arguments: KeyValuePairs<String, String>) throws(CommandFailure) {
    try make(method, arguments.map { JSONValue.Member($0.key, .text($0.value)) })
  }

  /// Makes a change and prints what came of it.
  ///
  /// - Throws: ``CommandFailure``.
  func make(_ method: String, _ arguments: [JSONValue.Member]) throws(CommandFailure) {
    let client = ControlClient(try instance.directory())
    let all = arguments + [JSONValue.Member("keep", .flag(keep))]
    let result = try client.call(method, .object(all))
    Console.say(json ? result.formatted() : result["message"]?.text ?? "")
  }
}

/// In which form something is told.
struct ViewOptions: ParsableArguments {
  @Flag(name: .long, help: "Print one JSON object.") var json = false
  @OptionGroup var instance: InstanceOptions

  /// Asks for something.
  ///
  /// - Throws: ``CommandFailure``.
  func ask(
    _ method: String,
    _ arguments: [JSONValue.Member] = []
  ) throws(CommandFailure) -> JSONValue {
    try ControlClient(try instance.directory()).call(method, .object(arguments))
  }

  /// Prints a value as JSON, or in a form for people.
  func say(_ value: JSONValue, _ text: (JSONValue) -> String) {
    if json { Console.say(value.formatted()) } else { Console.sayText(text(value)) }
  }
}

/// `martlet upstream`.
struct UpstreamCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upstream",
    abstract: "Tell or change the upstreams of a running instance.",
    subcommands: [
      ListCommand.self, ShowCommand.self, AddCommand.self, RemoveCommand.self, EnableCommand.self,
      DrainCommand.self, DisableCommand.self,
    ]
  )

  /// `martlet upstream list`.
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "Tell all upstreams with their members."
    )

    @OptionGroup var view: ViewOptions

    func run() throws {
      view.say(try view.ask("upstream.list")) { result in
        TextTable(memberRows(of: result["upstreams"]?.list ?? []), memberColumns).text
      }
    }
  }

  /// `martlet upstream show`.
  struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show",
      abstract: "Tell one upstream."
    )

    @Argument(help: ArgumentHelp("The upstream.", valueName: "upstream")) var upstream: String
    @OptionGroup var view: ViewOptions

    func run() throws {
      let arguments = [JSONValue.Member("upstream", .text(upstream))]
      view.say(try view.ask("upstream.show", arguments)) { result in
        PlainJSON(result).lines.map { "\($0)\n" }.joined()
      }
    }
  }

  /// `martlet upstream add`.
  struct AddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "add",
      abstract: "Add an upstream.",
      discussion: """
        Each argument behind the name is a line of its block: \
        martlet upstream add api "member 127.0.0.1:9001" "balance least_connections"
        """
    )

    @Argument(help: ArgumentHelp("Its name.", valueName: "upstream")) var upstream: String
    @Argument(help: ArgumentHelp("A line of its block.", valueName: "line")) var lines: [String]
    @OptionGroup var change: ChangeOptions

    func run() throws {
      let text = lines.joined(separator: "\n")
      try change.make("upstream.add", ["upstream": upstream, "lines": text])
    }
  }

  /// `martlet upstream remove`.
  struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove",
      abstract: "Remove an upstream that no route names."
    )

    @Argument(help: ArgumentHelp("The upstream.", valueName: "upstream")) var upstream: String
    @OptionGroup var change: ChangeOptions

    func run() throws { try change.make("upstream.remove", ["upstream": upstream]) }
  }

  /// `martlet upstream enable`.
  struct EnableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "enable",
      abstract: "Let an upstream's members take what they can."
    )

    @Argument(help: ArgumentHelp("The upstream.", valueName: "upstream")) var upstream: String
    @OptionGroup var change: ChangeOptions

    func run() throws { try change.make("upstream.enable", ["upstream": upstream]) }
  }

  /// `martlet upstream drain`.
  struct DrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "drain",
      abstract: "Let no member of an upstream take new requests."
    )

    @Argument(help: ArgumentHelp("The upstream.", valueName: "upstream")) var upstream: String
    @OptionGroup var change: ChangeOptions

    func run() throws { try change.make("upstream.drain", ["upstream": upstream]) }
  }

  /// `martlet upstream disable`.
  struct DisableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "disable",
      abstract: "Let no member of an upstream take anything new at all."
    )

    @Argument(help: ArgumentHelp("The upstream.", valueName: "upstream")) var upstream: String
    @OptionGroup var change: ChangeOptions

    func run() throws { try change.make("upstream.disable", ["upstream": upstream]) }
  }
}

/// The columns of members.
let memberColumns = [
  TextTable.Column("upstream"), TextTable.Column("address", title: "member"),
  TextTable.Column("mode"), TextTable.Column("health"),
  TextTable.Column("weight", isNumber: true), TextTable.Column("active", isNumber: true),
  TextTable.Column("responses", isNumber: true), TextTable.Column("failures", isNumber: true),
]

/// The members of upstreams, each with the name of its own.
func memberRows(of upstreams: [JSONValue]) -> [JSONValue] {
  upstreams.flatMap { upstream -> [JSONValue] in
    let name = JSONValue.Member("upstream", upstream["name"] ?? .null)
    return (upstream["members"]?.list ?? []).map { .object([name] + ($0.members ?? [])) }
  }
}
