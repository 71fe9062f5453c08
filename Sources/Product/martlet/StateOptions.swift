import ArgumentParser
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

  /// What a command line needs to be about the same instance.
  var suffix: String { stateDirectory.map { " --state-directory \($0)" } ?? "" }
}
