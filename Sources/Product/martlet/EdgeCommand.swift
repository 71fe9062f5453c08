import ArgumentParser
import CLinux
import Certificates
import Configuration
import Directives
import Edge
import Handover
import MartletLoop
import MartletProcess
import MartletSystem
import Supervision

/// `martlet edge`: what the supervisor starts.
struct EdgeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "edge",
    abstract: "The process that reads traffic; started by `martlet run`.",
    shouldDisplay: false
  )

  @Flag(name: .long, help: "Serve without a supervisor: for profiling.")
  var standalone = false

  @Option(name: .long, help: ArgumentHelp("The configuration.", valueName: "file"))
  var config: String?

  @OptionGroup var state: StateOptions

  @Option(name: .long, help: ArgumentHelp("Where certificates are kept.", valueName: "dir"))
  var storage: String?

  func run() throws {
    // Ctrl-C reaches the whole group of processes; the supervisor decides what it means.
    do throws(SystemError) {
      try ProcessSignal.block([.hangUp, .interrupt, .terminate, .user1, .user2])
    } catch {
      throw CommandFailure(.failure, "\(error)")
    }
    _ = martlet_set_descriptor_limit(1 << 20)
    if standalone {
      let source = config.map { ConfigurationSource.file($0) } ?? .hello
      let checked = try CheckedConfiguration(source, style: Console.style)
      let named = state.stateDirectory ?? checked.configuration.process.stateDirectory
      let directory = named.map { StateDirectory($0) } ?? .usual
      try directory.prepare()
      if let problem = checked.prepareStorage(usual: storage ?? CertificateStorage.usual) {
        Console.complain("martlet: \(problem)")
      }
      for problem in checked.prepareFolders() { Console.complain("martlet: \(problem)") }
      try serve(checked, directory.path)
    } else {
      guard try Self.hasSupervisor() else {
        throw CommandFailure(
          .usage,
          "`martlet edge` is started by `martlet run`; alone it needs --standalone"
        )
      }
      name()
      try serve(nil, state.directory.path)
    }
  }

  private static func hasSupervisor() throws -> Bool {
    do throws(SystemError) {
      return try Files.target(of: "/proc/self/fd/3").hasPrefix("socket:")
    } catch {
      return false
    }
  }

  /// Gives the process its name: it was executed by a path that says nothing.
  private func name() {
    do throws(SystemError) {
      try Descriptor.open("/proc/self/comm", .append).writeAll(Array("martlet-edge".utf8))
    } catch {
      // A name is only for people.
    }
  }

  private func serve(
    _ configuration: CheckedConfiguration?,
    _ directory: String
  ) throws(CommandFailure) {
    let storage = storage ?? CertificateStorage.usual
    do throws(SystemError) {
      let loop = try EventLoop()
      loop.run(until: {
        loop.checkIsolated()
        do {
          let signals = try SignalQueue([.terminate, .interrupt], on: loop)
          let service = try EdgeService(on: loop, stateDirectory: directory, storage: storage)
          if let configuration {
            try await service.start(configuration, directory)
            await service.run(signals)
          } else {
            let channel = try HandoverChannel(adopting: OpenFile(adopting: 3), on: loop)
            await service.run(channel, signals)
          }
        } catch let failure as CommandFailure {
          Console.complain(failure.message)
          CLinux.exit(failure.status.rawValue)
        } catch {
          Console.complain("martlet: \(error)")
          CLinux.exit(ExitStatus.failure.rawValue)
        }
      })
    } catch {
      throw CommandFailure(.failure, "\(error)")
    }
  }
}
