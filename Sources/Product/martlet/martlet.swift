/// The program: its commands, their options and what they print.
///
/// Its one difficulty is that people and scripts both read it: every command ends with a code of
/// `ExitStatus`, and a message names the place and the mend.
///
/// ```
/// martlet run --config shop.conf
/// martlet reload
/// ```
import ArgumentParser
import CLinux
import MartletSystem
import Supervision

/// The command `martlet`, which does nothing itself.
@main
struct Martlet: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martlet",
    abstract: "An edge server: HTTP reverse proxy and load balancer.",
    discussion: """
      Begin with `martlet run`, which starts three demonstration servers behind one address, or \
      with `martlet proxy --listen 127.0.0.1:8080 --to 127.0.0.1:9001`.

      A command ends with code 0 when it did what it was asked to, 1 when it could not, 2 for wrong \
      arguments, 3 for a configuration with errors, 4 when an address cannot be listened on, 5 for \
      a missing right, 6 when an instance runs already, 7 when none runs.
      """,
    version: "martlet \(Version.text)",
    subcommands: [
      RunCommand.self, ProxyCommand.self, ServeCommand.self, AppCommand.self, CheckCommand.self,
      FormatCommand.self,
      ReferenceCommand.self, StatusCommand.self, ReloadCommand.self, ReopenCommand.self,
      UpgradeCommand.self, StopCommand.self, UpstreamCommand.self, MemberCommand.self,
      ScriptCommand.self, ConnectionCommand.self, TasksCommand.self, TableCommand.self,
      CacheCommand.self, ConfigCommand.self, CompletionCommand.self, BalanceCommand.self,
      CertificateCommand.self, TrustCommand.self, BulkCommand.self, LockCommand.self,
      SendCommand.self, ReceiveCommand.self, CrawlCommand.self, BenchCommand.self,
      EdgeCommand.self, WorkerCommand.self,
    ]
  )

  /// Runs the command that the arguments name, and ends the process with its code.
  static func main() {
    martlet_ignore_broken_pipes()
    let status: ExitStatus
    do {
      var command = try parseAsRoot()
      try command.run()
      status = .success
    } catch let failure as CommandFailure {
      if !failure.message.isEmpty { Console.complain(failure.message) }
      status = failure.status
    } catch {
      status = explain(error)
    }
    CLinux.exit(status.rawValue)
  }

  /// Prints help, the version, or what is wrong with the arguments.
  private static func explain(_ error: any Error) -> ExitStatus {
    let message = fullMessage(for: error)
    guard exitCode(for: error) == .success else {
      Console.complain(message)
      return .usage
    }
    Console.say(message)
    return .success
  }
}

/// Which Martlet this is.
enum Version {
  /// The version, see CHANGELOG.
  static let text = "0.1.0"
}
