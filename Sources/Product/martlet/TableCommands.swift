import ArgumentParser
import JSON
import Supervision

/// `martlet table`.
struct TableCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "table",
    abstract: "Tell or clear the tables of sticky clients and of limits.",
    subcommands: [ListCommand.self, ReadCommand.self, ClearCommand.self]
  )

  /// `martlet table list`.
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "Tell all tables with how much they hold."
    )

    @OptionGroup var view: ViewOptions

    func run() throws {
      view.say(try view.ask("table.list")) { result in
        TextTable(result["tables"]?.list ?? [], Self.columns).text
      }
    }

    private static let columns = [
      TextTable.Column("table"), TextTable.Column("kind"), TextTable.Column("keys", isNumber: true),
      TextTable.Column("capacity", isNumber: true),
    ]
  }

  /// `martlet table read`.
  struct ReadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "read",
      abstract: "Tell one table."
    )

    @Argument(help: ArgumentHelp("As `table list` names it.", valueName: "table"))
    var table: String

    @OptionGroup var view: ViewOptions

    func run() throws {
      let arguments = [JSONValue.Member("table", .text(table))]
      view.say(try view.ask("table.read", arguments)) { result in
        PlainJSON(result).lines.map { "\($0)\n" }.joined()
      }
    }
  }

  /// `martlet table clear`.
  struct ClearCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "clear",
      abstract: "Forget what a table remembers."
    )

    @Argument(help: ArgumentHelp("As `table list` names it.", valueName: "table"))
    var table: String

    @OptionGroup var view: ViewOptions

    func run() throws {
      let arguments = [JSONValue.Member("table", .text(table))]
      view.say(try view.ask("table.clear", arguments)) { ($0["message"]?.text ?? "") + "\n" }
    }
  }
}
