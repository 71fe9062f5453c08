import ArgumentParser
import Configuration
import Directives
import MartletSystem
import Supervision

/// `martlet serve`.
struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve a folder without any configuration.",
    discussion: "Folders are shown, and files are looked at anew for each request."
  )

  @Argument(
    help: ArgumentHelp("The folder; the current one if none is named.", valueName: "dir"),
    completion: .directory
  )
  var folder: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Where clients connect; may be repeated. 127.0.0.1:8080 if none is named.",
      valueName: "address"
    )
  )
  var listen: [String] = []

  @OptionGroup var state: StateOptions

  func run() throws {
    let root = try Self.path(of: folder ?? ".")
    let addresses = try LocalServer.addresses(listen, usual: "127.0.0.1:8080")
    let lines =
      ["server {"] + addresses.map { "    listen \($0)" }
      + [
        "    route / {", "        files \(LocalServer.quoted(root)) {", "            listing on",
        "            open_files 1000 valid 0ms", "        }", "    }", "}", "",
      ]
    try LocalServer.run("serve", lines, at: addresses, state)
  }

  /// The whole path of a folder that is there.
  private static func path(of text: String) throws -> String {
    do throws(SystemError) {
      var path = text
      if !text.hasPrefix("/") {
        let current = try Files.target(of: "/proc/self/cwd")
        path = text == "." ? current : "\(current)/\(text)"
      }
      _ = try Folder(path)
      return path
    } catch {
      throw CommandFailure(.failure, "the folder \(text) cannot be served: \(error)")
    }
  }
}
