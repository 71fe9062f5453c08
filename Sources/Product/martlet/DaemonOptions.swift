import ArgumentParser
import MartletProcess
import MartletSystem
import Supervision

/// How a server is started that goes on without a terminal.
struct DaemonOptions: ParsableArguments {
  @Flag(name: .long, help: "Go on without a terminal: return when requests are served.")
  var daemon = false

  @Option(
    name: .long,
    help: ArgumentHelp("Where a daemon's number is written.", valueName: "file"),
    completion: .file()
  )
  var pidFile: String?

  func validate() throws {
    guard daemon || pidFile == nil else { throw ValidationError("--pid-file needs --daemon") }
  }

  /// Does `serve`, here or in a daemon; `serve` calls what it is given when requests are served, with what is told.
  ///
  /// - Throws: ``CommandFailure``: why a daemon was not ready, with its code.
  func run(
    _ serve: (_ isReady: @escaping @Sendable (String) -> Void) throws(CommandFailure) -> Void
  ) throws(CommandFailure) {
    // A binary that was executed in the place of another is where that one was.
    guard daemon, Program.ownVariable("MARTLET_UPGRADE") == nil else { return try serve { _ in } }
    let role: Daemon.Role
    do throws(Daemon.Failure) {
      // The names of files in the configuration begin where the command was given.
      role = try Daemon.detach(in: nil, within: .seconds(60))
    } catch {
      throw Self.failure(error)
    }
    switch role {
    case .daemon(let daemon):
      do throws(CommandFailure) {
        try serve { daemon.isReady(saying: $0) }
      } catch {
        daemon.fails(saying: error.message)
        throw error
      }
    case .starter(let process, let words):
      try note(process)
      Console.say(words)
      Console.say("process \(process) goes on")
    }
  }

  /// Writes the number of the daemon, which is ended when that fails.
  private func note(_ process: Int32) throws(CommandFailure) {
    guard let pidFile else { return }
    do throws(SystemError) {
      try Files.write(Array("\(process)\n".utf8), to: pidFile, rights: 0o644)
    } catch {
      do throws(SystemError) { try Processes.send(.terminate, to: process) } catch {}
      throw CommandFailure(.failure, "\(pidFile): \(error)")
    }
  }

  private static func failure(_ failure: Daemon.Failure) -> CommandFailure {
    switch failure {
    case .notStarted(let error): CommandFailure(.failure, "cannot start: \(error)")
    case .tooSlow: CommandFailure(.failure, "requests were not served within a minute")
    case .ended(.code(let code), let words) where !words.isEmpty:
      CommandFailure(ExitStatus(rawValue: code) ?? .failure, words)
    case .ended(let end, _): CommandFailure(.failure, "the daemon \(end)")
    }
  }
}
