import ArgumentParser
import Directives
import MartletSystem
import Supervision

/// What the commands have in common that serve something without a configuration.
enum LocalServer {
  /// Reads the addresses behind `--listen`.
  static func addresses(_ listen: [String], usual: String) throws -> [Address] {
    try (listen.isEmpty ? [usual] : listen).map { text in
      do throws(ValueError) {
        return try Address(text)
      } catch {
        let mend = error.mend.map { ": write --listen \($0)" } ?? ""
        throw ValidationError("--listen: \(error.problem)\(mend)")
      }
    }
  }

  /// Runs a configuration, with a state directory of its own unless one is named.
  static func run(
    _ command: String,
    _ lines: [String],
    at addresses: [Address],
    _ state: StateOptions
  ) throws {
    let text = lines.joined(separator: "\n")
    let source = ConfigurationSource.text(name: "martlet \(command)", text)
    var state = state
    guard state.stateDirectory == nil else { return try Launch(source: source, state: state).run() }
    do throws(CommandFailure) {
      // Beside those of other instances, and the same one for the same address.
      let place = addresses[0].description.map { $0.isLetter || $0.isNumber ? $0 : "-" }
      state.stateDirectory = "\(StateDirectory.usual.path)-\(command)-\(String(place))"
      try Launch(source: source, state: state).run()
      state.directory.remove()
    } catch {
      if error.status != .alreadyRunning { state.directory.remove() }
      throw error
    }
  }

  /// A text as a word of a configuration.
  static func quoted(_ text: String) -> String {
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
