import ArgumentParser
import Configuration
import Directives
import MartletSystem
import Supervision

/// `martlet app`.
struct AppCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "app",
    abstract: "Run a Python application without any configuration.",
    discussion: "Files of the application that change are loaded anew with --reload."
  )

  @Argument(help: ArgumentHelp("What is called, by WSGI or ASGI.", valueName: "module:name"))
  var target: String

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Where clients connect; may be repeated. 127.0.0.1:8000 if none is named.",
      valueName: "address"
    )
  )
  var listen: [String] = []

  @Option(
    name: .long,
    help: ArgumentHelp("How many processes run it: 2, or 2..8.", valueName: "number")
  )
  var processes = "2"

  @Option(
    name: .long,
    help: ArgumentHelp(
      "How many requests each answers at once; 4, or 100 for ASGI.",
      valueName: "number"
    )
  )
  var threads: Int?

  @Flag(name: .long, help: "Call it by ASGI 3 instead of WSGI.")
  var asgi = false

  @Flag(name: .long, help: "Load the application anew when one of its files changes.")
  var reload = false

  @OptionGroup var state: StateOptions

  func run() throws {
    let folder: String
    do throws(SystemError) {
      folder = try Files.target(of: "/proc/self/cwd")
    } catch {
      throw CommandFailure(.failure, "the folder of the application is not known: \(error)")
    }
    let addresses = try LocalServer.addresses(listen, usual: "127.0.0.1:8000")
    let lines =
      ["server {"] + addresses.map { "    listen \($0)" }
      + [
        "    route / { app application }", "}", "", "app application {",
        "    \(asgi ? "asgi" : "wsgi") \(LocalServer.quoted(target.contains(":") ? target : "\(target):application"))",
        "    folder \(LocalServer.quoted(folder))",
        "    processes \(LocalServer.quoted(processes))",
        threads.map { "    threads \($0)" } ?? "", "    reload \(reload ? "on" : "off")", "}", "",
      ]
    try LocalServer.run("app", lines, at: addresses, state)
  }
}
