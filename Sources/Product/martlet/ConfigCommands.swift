import ArgumentParser
import JSON
import Supervision

/// `martlet config`.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "Tell, write or drop what was changed while Martlet ran.",
    subcommands: [ChangesCommand.self, WriteCommand.self, DiscardCommand.self]
  )

  /// `martlet config changes`.
  struct ChangesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "changes",
      abstract: "Tell what is different from the configuration, and for how long."
    )

    @OptionGroup var view: ViewOptions

    func run() throws {
      view.say(try view.ask("config.changes")) { result in
        let parts = [("kept", "kept"), ("until_reload", "until reload")].map { name, title in
          Self.lines(result[name] ?? .null).map { "\(title)  \($0)\n" }.joined()
        }
        let text = parts.joined()
        return text.isEmpty ? "nothing is different from the configuration\n" : text
      }
    }

    private static func lines(_ changes: JSONValue) -> [String] {
      (changes["upstreams"]?.list ?? []).flatMap { upstream -> [String] in
        let name = upstream["name"]?.text ?? ""
        let own = what(upstream).map { ["upstream \(name): \($0)"] } ?? []
        return own
          + (upstream["members"]?.list ?? []).compactMap { member in
            let address = member["address"]?.text ?? ""
            return what(member).map { "upstream \(name), member \(address): \($0)" }
          }
      }
    }

    private static func what(_ entry: JSONValue) -> String? {
      if entry["removed"]?.flag == true { return "removed" }
      var parts: [String] = []
      if entry["added"] != nil { parts.append("added") }
      if let weight = entry["weight"]?.number { parts.append("weight \(weight)") }
      if let mode = entry["mode"]?.text { parts.append(mode) }
      return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
  }

  /// `martlet config write`.
  struct WriteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "write",
      abstract: "Write what was changed into the configuration, and reload it.",
      discussion: """
        Comments, order and layout of all else stay. Nothing is written when a file is not as it was \
        read.
        """
    )

    @Flag(name: .long, help: "Write nothing; print what would be different.") var dryRun = false
    @OptionGroup var view: ViewOptions

    func run() throws {
      let arguments = [JSONValue.Member("dry_run", .flag(dryRun))]
      view.say(try view.ask("config.write", arguments)) { result in
        if dryRun { return result["diff"]?.text ?? "" }
        return (result["message"]?.text ?? "") + "\n"
      }
    }
  }

  /// `martlet config discard`.
  struct DiscardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "discard",
      abstract: "Drop all changes: the configuration is in force as it was read."
    )

    @OptionGroup var view: ViewOptions

    func run() throws {
      view.say(try view.ask("config.discard")) { ($0["message"]?.text ?? "") + "\n" }
    }
  }
}
