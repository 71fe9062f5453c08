import ArgumentParser
import JSON
import Supervision

/// `martlet connection`.
struct ConnectionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connection",
    abstract: "Tell or close the open connections of clients.",
    subcommands: [ListCommand.self, CloseCommand.self]
  )

  /// `martlet connection list`.
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "Tell open connections: who, where, for how long, at which member."
    )

    @OptionGroup var filters: ConnectionOptions

    @Option(name: .long, help: ArgumentHelp("The most that are told.", valueName: "number"))
    var limit = 1000

    @Flag(name: .long, help: "Print one JSON object.") var json = false
    @OptionGroup var instance: InstanceOptions

    func run() throws {
      let client = ControlClient(try instance.directory())
      var found: [JSONValue] = []
      var next: JSONValue?
      repeat {
        var arguments = filters.arguments
        arguments.append(JSONValue.Member("limit", .number(min(max(limit - found.count, 1), 1000))))
        if let next { arguments.append(JSONValue.Member("after", next)) }
        let page = try client.call("connection.list", .object(arguments))
        found += page["connections"]?.list ?? []
        next = page["next"]
      } while next != nil && next != .null && found.count < limit
      let isCut = next != nil && next != .null
      if json {
        let object = JSONValue.object(["connections": .list(found), "more": .flag(isCut)])
        return Console.say(object.formatted())
      }
      Console.sayText(TextTable(found, Self.columns).text)
      if isCut { Console.complain("there are more: --limit \(limit * 10) tells them") }
    }

    private static let columns = [
      TextTable.Column("connection"), TextTable.Column("client"), TextTable.Column("listener"),
      TextTable.Column("age_seconds", title: "age s", isNumber: true),
      TextTable.Column("requests", isNumber: true), TextTable.Column("upstream"),
      TextTable.Column("member"),
    ]
  }

  /// `martlet connection close`.
  struct CloseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "close",
      abstract: "Close connections, with what is under way on them.",
      discussion: "Say which: by their names, by options that all of them meet, or --all."
    )

    @Argument(help: ArgumentHelp("As `connection list` names them.", valueName: "connection"))
    var connections: [String] = []

    @OptionGroup var filters: ConnectionOptions
    @Flag(name: .long, help: "Every connection.") var all = false

    @Flag(name: .long, help: "Let requests that are under way have their answers.")
    var soft = false

    @Flag(name: .long, help: "Print one JSON object.") var json = false
    @OptionGroup var instance: InstanceOptions

    func run() throws {
      var arguments = filters.arguments
      if !connections.isEmpty {
        arguments.append(JSONValue.Member("connections", .list(connections.map { .text($0) })))
      }
      arguments.append(JSONValue.Member("all", .flag(all)))
      arguments.append(JSONValue.Member("soft", .flag(soft)))
      let client = ControlClient(try instance.directory())
      let result = try client.call("connection.close", .object(arguments))
      let count = result["closed"]?.number ?? 0
      Console.say(
        json ? result.formatted() : "\(count) connection\(count == 1 ? "" : "s") closed"
      )
    }
  }
}

/// Which connections are meant.
struct ConnectionOptions: ParsableArguments {
  @Option(name: .long, help: ArgumentHelp("Those of this listener.", valueName: "address"))
  var listener: String?

  @Option(
    name: .long,
    help: ArgumentHelp("Those from this address or network.", valueName: "address")
  )
  var client: String?

  @Option(name: .long, help: ArgumentHelp("Those at this upstream.", valueName: "name"))
  var upstream: String?

  @Option(name: .long, help: ArgumentHelp("Those at this member.", valueName: "address"))
  var member: String?

  @Option(
    name: .long,
    help: ArgumentHelp("Those that are open for longer.", valueName: "seconds")
  )
  var olderThan: Int?

  @Flag(name: .long, help: "Those that wait for a request.") var idle = false

  /// What was said, as arguments of a call.
  var arguments: [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    let texts = [
      ("listener", listener), ("client", client), ("upstream", upstream), ("member", member),
    ]
    for case (let name, let text?) in texts { members.append(JSONValue.Member(name, .text(text))) }
    if let olderThan { members.append(JSONValue.Member("older_than", .number(olderThan))) }
    if idle { members.append(JSONValue.Member("idle", .flag(true))) }
    return members
  }
}
