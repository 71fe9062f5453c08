import ArgumentParser
import JSON
import Supervision

/// Which member is meant.
struct MemberArguments: ParsableArguments {
  @Argument(help: ArgumentHelp("The upstream.", valueName: "upstream")) var upstream: String
  @Argument(help: ArgumentHelp("Its address, as written.", valueName: "member")) var member: String

  /// The arguments of a call.
  var pairs: [JSONValue.Member] {
    [JSONValue.Member("upstream", .text(upstream)), JSONValue.Member("member", .text(member))]
  }
}

/// `martlet member`.
struct MemberCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "member",
    abstract: "Tell or change the members of upstreams of a running instance.",
    subcommands: [
      ListCommand.self, ShowCommand.self, AddCommand.self, RemoveCommand.self, WeighCommand.self,
      EnableCommand.self, DrainCommand.self, DisableCommand.self,
    ]
  )

  /// `martlet member list`.
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "Tell the members of an upstream, or of all."
    )

    @Argument(help: ArgumentHelp("The upstream.", valueName: "upstream")) var upstream: String?
    @OptionGroup var view: ViewOptions

    func run() throws {
      let arguments = upstream.map { [JSONValue.Member("upstream", .text($0))] } ?? []
      view.say(try view.ask("member.list", arguments)) { result in
        TextTable(result["members"]?.list ?? [], memberColumns).text
      }
    }
  }

  /// `martlet member show`.
  struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show",
      abstract: "Tell one member."
    )

    @OptionGroup var member: MemberArguments
    @OptionGroup var view: ViewOptions

    func run() throws {
      view.say(try view.ask("member.show", member.pairs)) { result in
        PlainJSON(result).lines.map { "\($0)\n" }.joined()
      }
    }
  }

  /// `martlet member add`.
  struct AddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "add",
      abstract: "Add a member.",
      discussion: """
        Its options stand behind its address as in a file: \
        martlet member add api 127.0.0.1:9004 weight 2 backup
        """
    )

    @Argument(help: ArgumentHelp("The upstream.", valueName: "upstream")) var upstream: String
    @Argument(help: ArgumentHelp("Its address.", valueName: "member")) var member: String
    @Argument(help: ArgumentHelp("Its options.", valueName: "option")) var options: [String] = []
    @OptionGroup var change: ChangeOptions

    func run() throws {
      let line = ([member] + options).joined(separator: " ")
      try change.make("member.add", ["upstream": upstream, "member": line])
    }
  }

  /// `martlet member remove`.
  struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove",
      abstract: "Remove a member; what is under way with it goes on."
    )

    @OptionGroup var member: MemberArguments
    @OptionGroup var change: ChangeOptions

    func run() throws { try change.make("member.remove", member.pairs) }
  }

  /// `martlet member weigh`.
  struct WeighCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "weigh",
      abstract: "Give a member another share."
    )

    @OptionGroup var member: MemberArguments

    @Argument(help: ArgumentHelp("0 to 256; 0: no new requests.", valueName: "weight"))
    var weight: Int

    @OptionGroup var change: ChangeOptions

    func run() throws {
      let weight = JSONValue.Member("weight", .number(weight))
      try change.make("member.weigh", member.pairs + [weight])
    }
  }

  /// `martlet member enable`.
  struct EnableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "enable",
      abstract: "Let a member take requests."
    )

    @OptionGroup var member: MemberArguments
    @OptionGroup var change: ChangeOptions

    func run() throws { try change.make("member.enable", member.pairs) }
  }

  /// `martlet member drain`.
  struct DrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "drain",
      abstract: "Let a member take no new requests but those of clients that belong to it."
    )

    @OptionGroup var member: MemberArguments
    @OptionGroup var change: ChangeOptions

    func run() throws { try change.make("member.drain", member.pairs) }
  }

  /// `martlet member disable`.
  struct DisableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "disable",
      abstract: "Let a member take nothing new at all."
    )

    @OptionGroup var member: MemberArguments
    @OptionGroup var change: ChangeOptions

    func run() throws { try change.make("member.disable", member.pairs) }
  }
}
