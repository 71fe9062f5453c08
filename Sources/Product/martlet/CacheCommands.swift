import ArgumentParser
import JSON
import Supervision

/// `martlet cache`.
struct CacheCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cache",
    abstract: "Tell what caches keep, or have it forgotten.",
    subcommands: [
      ListCommand.self, ShowCommand.self, TopCommand.self, PurgeCommand.self, WarmCommand.self,
    ]
  )

  /// Which cache is meant.
  struct CacheOption: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("Only this cache.", valueName: "name"))
    var cache: String?

    var members: [JSONValue.Member] {
      cache.map { [JSONValue.Member("cache", .text($0))] } ?? []
    }
  }

  /// The columns of answers.
  static let columns = [
    TextTable.Column("url"), TextTable.Column("status", isNumber: true),
    TextTable.Column("bytes", isNumber: true), TextTable.Column("age", isNumber: true),
    TextTable.Column("ttl", isNumber: true), TextTable.Column("frequency", isNumber: true),
    TextTable.Column("place"), TextTable.Column("vary"),
  ]

  /// `martlet cache list`.
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "Tell all caches with how much they hold."
    )

    @OptionGroup var view: ViewOptions

    func run() throws {
      view.say(try view.ask("cache.list")) { result in
        TextTable(result["caches"]?.list ?? [], Self.columns).text
      }
    }

    private static let columns = [
      TextTable.Column("cache"), TextTable.Column("objects", isNumber: true),
      TextTable.Column("bytes", isNumber: true), TextTable.Column("limit", isNumber: true),
      TextTable.Column("evictions", isNumber: true), TextTable.Column("refusals", isNumber: true),
      TextTable.Column("disk_state"), TextTable.Column("disk_objects", isNumber: true),
      TextTable.Column("disk_bytes", isNumber: true),
      TextTable.Column("disk_limit", isNumber: true),
    ]
  }

  /// `martlet cache show`.
  struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show",
      abstract: "Tell the answers that are kept for a URL."
    )

    @Argument(help: ArgumentHelp("As `https://shop.example/logo.svg`.", valueName: "url"))
    var url: String

    @OptionGroup var cache: CacheOption
    @OptionGroup var view: ViewOptions

    func run() throws {
      let arguments = [JSONValue.Member("url", .text(url))] + cache.members
      view.say(try view.ask("cache.show", arguments)) { result in
        TextTable(result["objects"]?.list ?? [], CacheCommand.columns).text
      }
    }
  }

  /// `martlet cache top`.
  struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "top",
      abstract: "Tell the answers that are asked for most."
    )

    @Option(name: .long, help: ArgumentHelp("How many.", valueName: "number"))
    var limit = 20

    @OptionGroup var cache: CacheOption
    @OptionGroup var view: ViewOptions

    func run() throws {
      let arguments = [JSONValue.Member("limit", .number(limit))] + cache.members
      view.say(try view.ask("cache.top", arguments)) { result in
        TextTable(result["objects"]?.list ?? [], CacheCommand.columns).text
      }
    }
  }

  /// `martlet cache purge`.
  struct PurgeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "purge",
      abstract: "Have answers forgotten, or be stale from now on: one URL, or what an option says."
    )

    @Argument(help: ArgumentHelp("As `https://shop.example/logo.svg`.", valueName: "url"))
    var url: String?

    @Option(name: .long, help: ArgumentHelp("All URLs that begin so.", valueName: "text"))
    var prefix: String?

    @Option(
      name: .long,
      help: ArgumentHelp("All URLs of this form; `*` stands for anything.", valueName: "text")
    )
    var pattern: String?

    @Option(name: .long, help: ArgumentHelp("All answers with this tag.", valueName: "tag"))
    var tag: String?

    @Flag(name: .long, help: "Everything.") var all = false

    @Flag(name: .long, help: "Let it be stale, so that it is validated, and may be sent meanwhile.")
    var soft = false

    @OptionGroup var cache: CacheOption
    @OptionGroup var view: ViewOptions

    func run() throws {
      var arguments = cache.members
      for (name, text) in [("url", url), ("prefix", prefix), ("pattern", pattern), ("tag", tag)] {
        if let text { arguments.append(JSONValue.Member(name, .text(text))) }
      }
      if all { arguments.append(JSONValue.Member("all", .flag(true))) }
      if soft { arguments.append(JSONValue.Member("soft", .flag(true))) }
      view.say(try view.ask("cache.purge", arguments)) { ($0["message"]?.text ?? "") + "\n" }
    }
  }
}
