import ArgumentParser
import JSON
import Supervision

/// `martlet status`.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Tell what runs: processes, listeners, members, rates."
  )

  @Flag(name: .long, help: "Print one JSON object.") var json = false
  @OptionGroup var instance: InstanceOptions

  func run() throws {
    let client = ControlClient(try instance.directory())
    // In the words of every version: an earlier one may run.
    Console.say(try client.ask(json ? "status json" : "status"))
  }
}

/// `martlet reload`.
struct ReloadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Put the changed configuration in force; one with errors changes nothing.",
    discussion: "SIGHUP does the same."
  )

  @OptionGroup var instance: InstanceOptions

  func run() throws { try instance.tell("reload") }
}

/// `martlet reopen`.
struct ReopenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reopen",
    abstract: "Open the log files anew, after they were renamed.",
    discussion: "SIGUSR1 does the same."
  )

  @OptionGroup var instance: InstanceOptions

  func run() throws { try instance.tell("reopen") }
}

/// `martlet upgrade`.
struct UpgradeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upgrade",
    abstract: "Execute the binary that was installed meanwhile, without a failed request.",
    discussion: "SIGUSR2 does the same."
  )

  @OptionGroup var instance: InstanceOptions

  func run() throws { try instance.tell("upgrade") }
}

/// `martlet stop`.
struct StopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop",
    abstract: "End Martlet once what is under way has ended, or at the drain limit.",
    discussion: "SIGTERM and SIGINT do the same; a second one ends at once."
  )

  @OptionGroup var instance: InstanceOptions

  func run() throws { try instance.tell("stop") }
}

extension InstanceOptions {
  /// Calls a method of the instance and prints what it says.
  ///
  /// - Throws: ``CommandFailure``.
  func tell(_ method: String) throws(CommandFailure) {
    let result = try ControlClient(try directory()).call(method)
    Console.say(result["message"]?.text ?? result.formatted())
  }
}
