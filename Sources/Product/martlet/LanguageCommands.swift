import ArgumentParser
import Configuration
import Directives
import MartletSystem
import Supervision

/// `martlet check`.
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Tell what is wrong with a configuration."
  )

  @Flag(name: .long, help: "Print what was found and the effective configuration as JSON.")
  var json = false

  @Option(
    name: .long,
    help: ArgumentHelp("The configuration.", valueName: "file"),
    completion: .file(extensions: ["conf"])
  )
  var config: String?

  func run() throws {
    let source = config.map { ConfigurationSource.file($0) } ?? .hello
    let bundle = source.bundle()
    let loaded = ConfigurationLoader.load(bundle)
    let failure = CommandFailure(.configuration, json ? "" : loaded.rendered(Console.style))
    if json { Console.say(loaded.json.formatted()) }
    guard let configuration = loaded.configuration else { throw failure }
    guard !json else { return }
    if !failure.message.isEmpty { Console.complain(failure.message) }
    for problem in bundle.certificateProblems(of: configuration) { Console.complain(problem) }
    var parts: [String] = []
    if !configuration.servers.isEmpty || configuration.tcp.isEmpty && configuration.udp.isEmpty {
      parts.append(Self.count(configuration.servers.count, "server"))
    }
    if !configuration.tcp.isEmpty { parts.append(Self.count(configuration.tcp.count, "tcp block")) }
    if !configuration.udp.isEmpty { parts.append(Self.count(configuration.udp.count, "udp block")) }
    parts.append(Self.count(configuration.upstreams.count, "upstream"))
    Console.say(
      "\(config ?? "the embedded configuration") is valid: " + parts.joined(separator: ", ")
    )
  }

  private static func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }
}

/// `martlet fmt`.
struct FormatCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fmt",
    abstract: "Rewrite configurations in their usual form."
  )

  @Flag(name: .long, help: "Rewrite nothing; end with code 1 when a file is not in that form.")
  var check = false

  @Argument(
    help: ArgumentHelp("The files.", valueName: "file"),
    completion: .file(extensions: ["conf"])
  )
  var files: [String]

  func run() throws {
    var others: [String] = []
    for path in files {
      let bytes: [UInt8]
      do throws(SystemError) {
        bytes = try Files.read(path, limit: SourceBundle.maxBytes)
      } catch {
        throw CommandFailure(.failure, "cannot read \(path): \(error)")
      }
      let formatted = SourceText(name: path, bytes: bytes).formatted()
      guard let text = formatted.text else {
        let lines = formatted.diagnostics.map { $0.rendered(Console.style) }
        throw CommandFailure(.configuration, lines.joined(separator: "\n\n"))
      }
      guard Array(text.utf8) != bytes else { continue }
      others.append(path)
      if !check { try Self.replace(path, text) }
    }
    guard check, !others.isEmpty else { return }
    throw CommandFailure(
      .failure,
      others.map { "\($0) is not in the usual form: martlet fmt \($0)" }.joined(separator: "\n")
    )
  }

  /// Writes a file whole or not at all.
  private static func replace(_ path: String, _ text: String) throws(CommandFailure) {
    do throws(SystemError) {
      try Files.replace(path, by: Array(text.utf8))
    } catch {
      throw CommandFailure(.failure, "cannot write \(path): \(error)")
    }
  }
}

/// `martlet reference`.
struct ReferenceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reference",
    abstract: "Explain a directive, or print the manual of all of them as Markdown."
  )

  @Argument(
    help: ArgumentHelp("The directive.", valueName: "name"),
    completion: .list(ConfigurationReference.names)
  )
  var name: String?

  @Flag(name: .long, help: "Print all directives as Markdown, which is done without a name too.")
  var markdown = false

  func run() throws {
    guard let name else {
      Console.sayText(ConfigurationReference.markdown)
      return
    }
    guard let text = ConfigurationReference.text(named: name) else {
      let nearest = ConfigurationReference.nearest(to: name).map { ": did you mean `\($0)`?" }
      throw CommandFailure(.usage, "no directive is called `\(name)`\(nearest ?? "")")
    }
    Console.sayText(text)
  }
}

/// `martlet completion`.
struct CompletionCommand: ParsableCommand {
  /// The shells that scripts are made for.
  enum Shell: String, ExpressibleByArgument, CaseIterable {
    case bash, zsh, fish
  }

  static let configuration = CommandConfiguration(
    commandName: "completion",
    abstract: "Print the script that completes commands in a shell.",
    discussion: "For bash: source <(martlet completion bash)"
  )

  @Argument var shell: Shell

  func run() throws {
    let script =
      switch shell {
      case .bash: Martlet.completionScript(for: .bash)
      case .zsh: Martlet.completionScript(for: .zsh)
      case .fish: Martlet.completionScript(for: .fish)
      }
    Console.say(script)
  }
}
