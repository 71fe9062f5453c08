import ArgumentParser
import CLinux
import Certificates
import Configuration
import Directives
import MartletSystem
import Supervision

/// `martlet run`.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Start Martlet and keep it running.",
    discussion: "Without --config, three demonstration servers are balanced on port 8080."
  )

  @Option(
    name: .long,
    help: ArgumentHelp("The configuration.", valueName: "file"),
    completion: .file(extensions: ["conf"])
  )
  var config: String?

  @OptionGroup var daemon: DaemonOptions

  @OptionGroup var state: StateOptions

  func run() throws {
    let launch = Launch(source: config.map { .file($0) } ?? .hello, state: state)
    try daemon.run { isReady throws(CommandFailure) in try launch.run(telling: isReady) }
  }
}

/// `martlet proxy`.
struct ProxyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "proxy",
    abstract: "Balance servers without any configuration."
  )

  @Option(
    name: .long,
    help: ArgumentHelp("Where clients connect; may be repeated.", valueName: "address")
  )
  var listen: [String]

  @Option(
    name: .long,
    help: ArgumentHelp("The servers, separated by commas.", valueName: "address,address…")
  )
  var to: String

  @OptionGroup var daemon: DaemonOptions

  @OptionGroup var state: StateOptions

  func validate() throws {
    guard !listen.isEmpty else { throw ValidationError("Name an address: --listen 127.0.0.1:8080") }
  }

  func run() throws {
    let members = try to.split(separator: ",").map { try Self.address(String($0), of: "--to") }
    let addresses = try listen.map { try Self.address($0, of: "--listen") }
    let lines =
      ["server {"] + addresses.map { "    listen \($0)" }
      + ["    route / { proxy \(members.map(\.description).joined(separator: " ")) }", "}", ""]
    let text = lines.joined(separator: "\n")
    let launch = Launch(source: .text(name: "martlet proxy", text), state: state)
    try daemon.run { isReady throws(CommandFailure) in try launch.run(telling: isReady) }
  }

  private static func address(_ text: String, of option: String) throws -> Address {
    do throws(ValueError) {
      return try Address(text)
    } catch {
      let mend = error.mend.map { ": write \(option) \($0)" } ?? ""
      throw ValidationError("\(option): \(error.problem)\(mend)")
    }
  }
}

/// Starts a supervisor on a configuration.
struct Launch {
  var source: ConfigurationSource
  var state: StateOptions

  private static func forbidDumps() throws(CommandFailure) {
    do throws(SystemError) { try Secret.forbidDumps() } catch {
      throw CommandFailure(.failure, "keys cannot be kept out of dumps: \(error)")
    }
  }

  /// Runs until it is told to stop, and calls `isReady` when requests are served, with what is said then.
  ///
  /// - Throws: ``CommandFailure``.
  func run(
    telling isReady: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(CommandFailure) {
    _ = martlet_set_descriptor_limit(1 << 20)
    try Self.forbidDumps()
    // The configuration may name the state directory, so it is read before the supervisor reads it.
    let first = try CheckedConfiguration(source, style: Console.style)
    let directory =
      state.stateDirectory ?? first.configuration.process.stateDirectory
      ?? StateDirectory.usual.path
    let source = source
    // The edge may be another user, for whom it would be another place.
    let storage = CertificateStorage.usual
    let arguments = CommandLine.arguments
    let path = Self.ownPath
    var edge = Program(
      "/proc/self/exe",
      arguments: ["martlet", "edge", "--state-directory", directory, "--storage", storage],
      environment: Program.ownEnvironment
    )
    edge.set("MARTLET_UPGRADE", to: nil)
    var successor = Program(path, arguments: Array(arguments.dropFirst()))
    successor.set("MARTLET_UPGRADE", to: nil)
    var probes = [["--version"]]
    if case .file(let file) = source { probes.append(["check", "--config", file]) }
    let encrypted = first.configuration.listeningAddresses
      .filter(first.configuration.speaksTLS).map(\.description)
    let banner = banner(
      directory,
      usual: directory == StateDirectory.usual.path,
      encrypted: Set(encrypted)
    )
    try Supervisor.run(
      SupervisorOptions(
        stateDirectory: directory,
        edge: edge,
        successor: successor,
        probes: probes,
        version: Version.text,
        configurationName: source.name,
        load: { () throws(CommandFailure) in
          let checked = try CheckedConfiguration(source)
          var assignment = try checked.assignment(stateDirectory: directory)
          if let problem = checked.prepareStorage(usual: storage) {
            assignment.warnings.append(problem)
          }
          assignment.warnings += checked.prepareFolders()
          return assignment
        },
        write: { changes, generation, bytes, isTrial throws(CommandFailure) in
          guard case .file = source else {
            throw CommandFailure(.failure, "nothing was written: \(source.name) is in no file")
          }
          return try ConfigurationWriter.write(
            changes,
            in: generation,
            source: bytes,
            isTrial: isTrial
          )
        },
        say: { Console.complain("martlet: \($0)") },
        started: { keys in
          let words = banner(Self.shown(keys))
          Console.say(words)
          isReady(words)
        }
      )
    )
  }

  /// The listeners that people connect to; all if there are no such.
  private static func shown(_ keys: [String]) -> [String] {
    let addresses = keys.filter {
      !$0.hasPrefix(EdgeService.adminPrefix) && !$0.hasPrefix("unix:")
        && !$0.hasPrefix("tcp unix:") && !($0.hasPrefix("udp ") && !$0.hasSuffix(" 0"))
    }
    return addresses.isEmpty ? keys : addresses
  }

  /// Where the file of this program is, also after it was replaced by another.
  private static var ownPath: String {
    do throws(SystemError) {
      let path = try Files.target(of: "/proc/self/exe")
      let mark = " (deleted)"
      return path.hasSuffix(mark) ? String(path.dropLast(mark.count)) : path
    } catch {
      return CommandLine.arguments.first ?? "martlet"
    }
  }

  /// What is printed once requests are served.
  private func banner(
    _ directory: String,
    usual: Bool,
    encrypted: Set<String>
  ) -> @Sendable (_ addresses: [String]) -> String {
    let program = CommandLine.arguments.first ?? "martlet"
    let suffix = usual ? "" : " --state-directory \(directory)"
    let isHello = source == .hello
    return { addresses in
      let places = addresses.map { address in
        if address.hasPrefix("tcp ") { return address }
        // Each loop has its socket, the first one stands for all.
        if address.hasPrefix("udp ") { return String(address.dropLast(2)) }
        let scheme = encrypted.contains(address) ? "https" : "http"
        return "\(scheme)://\(address.hasPrefix(":") ? "localhost" : "")\(address)"
      }
      var lines = ["Martlet \(Version.text) listens on \(places.joined(separator: ", "))", ""]
      lines.append(
        isHello
          ? "Three demonstration members answer in turn. Try next, in another terminal:"
          : "Try next, in another terminal:"
      )
      if let first = places.first(where: { $0.hasPrefix("http") }) {
        lines.append("  curl -i \(first)/")
      }
      lines += [
        "  \(program) status\(suffix)",
        isHello ? "  \(program) reference route" : "  \(program) reload\(suffix)",
      ]
      return lines.joined(separator: "\n")
    }
  }
}
