import ArgumentParser
import Configuration
import Supervision

/// Which instance a command is about.
struct StateOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The private directory of the instance: its control socket, its lock, its Unix sockets.",
      valueName: "dir"
    ),
    completion: .directory
  )
  var stateDirectory: String?

  /// The directory that was named, or else the usual one.
  var directory: StateDirectory { stateDirectory.map { StateDirectory($0) } ?? .usual }
}

/// Which running instance a command is for.
struct InstanceOptions: ParsableArguments {
  @OptionGroup var state: StateOptions

  @Option(
    name: .long,
    help: ArgumentHelp("A configuration that names its state directory.", valueName: "file"),
    completion: .file(extensions: ["conf"])
  )
  var config: String?

  /// The directory that was named, or the configuration names, or else the usual one.
  ///
  /// - Throws: ``CommandFailure`` when the configuration has errors.
  func directory() throws(CommandFailure) -> StateDirectory {
    guard state.stateDirectory == nil, let config else { return state.directory }
    let named = try CheckedConfiguration(.file(config)).configuration.process.stateDirectory
    return named.map { StateDirectory($0) } ?? .usual
  }
}
