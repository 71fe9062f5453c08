import ArgumentParser
import Configuration
import Directives

/// `martlet run`.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Start Martlet and keep it running."
  )

  @Option(name: .long, help: ArgumentHelp("The configuration.", valueName: "file"))
  var config: String?

  func run() throws { throw Failure(.failure, "`martlet run` does not serve requests yet") }
}

/// `martlet proxy`.
struct ProxyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "proxy",
    abstract: "Balance servers without any configuration."
  )

  @Option(name: .long, help: ArgumentHelp("Where clients connect.", valueName: "address"))
  var listen: String

  @Option(
    name: .long,
    help: ArgumentHelp("The servers, separated by commas.", valueName: "address,address…")
  )
  var to: String

  func run() throws {
    let members = try to.split(separator: ",").map { try Address(String($0)) }
    try StandaloneEdge(configuration: .proxy(listen: [Address(listen)], to: members)).run()
  }
}
