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
    let addresses = try (listen.isEmpty ? ["127.0.0.1:8080"] : listen).map { text in
      do throws(ValueError) {
        return try Address(text)
      } catch {
        let mend = error.mend.map { ": write --listen \($0)" } ?? ""
        throw ValidationError("--listen: \(error.problem)\(mend)")
      }
    }
    let lines =
      ["server {"] + addresses.map { "    listen \($0)" }
      + [
        "    route / {", "        files \(Self.quoted(root)) {", "            listing on",
        "            open_files 1000 valid 0ms", "        }", "    }", "}", "",
      ]
    let text = lines.joined(separator: "\n")
    let source = ConfigurationSource.text(name: "martlet serve", text)
    var state = state
    guard state.stateDirectory == nil else { return try Launch(source: source, state: state).run() }
    do throws(CommandFailure) {
      // Beside those of other instances, and the same one for the same address.
      let place = addresses[0].description.map { $0.isLetter || $0.isNumber ? $0 : "-" }
      state.stateDirectory = "\(StateDirectory.usual.path)-serve-\(String(place))"
      try Launch(source: source, state: state).run()
      state.directory.remove()
    } catch {
      if error.status != .alreadyRunning { state.directory.remove() }
      throw error
    }
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

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\", "{", "}": result += "\\\(scalar)"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
