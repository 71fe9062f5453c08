import Applications
import ArgumentParser
import CLinux
import Configuration
import MartletSystem
import Supervision

/// `martlet worker`: becomes an interpreter with the rights of another user.
struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker",
    abstract: "The process that runs an application; started by `martlet run`.",
    shouldDisplay: false
  )

  @Option(name: .long, help: "The user.")
  var user: String

  @Option(name: .long, help: "The group.")
  var group: String?

  @Argument(parsing: .postTerminator, help: "The program and its arguments.")
  var command: [String]

  func run() throws {
    guard let path = command.first else { throw ValidationError("Name a program behind `--`") }
    do throws(SystemError) {
      let rights = try UserRights(user: user, group: group)
      if rights.user != Processes.ownUser { try rights.assume() }
      try UserRights.forbidNewRights()
    } catch {
      let reason = error.code == 2 ? "there is no such user or group" : "\(error)"
      throw CommandFailure(.noRight, "cannot run as user \(user): \(reason)")
    }
    for number in WorkerProgram.statusDescriptor..<Self.descriptorLimit {
      // Those that are not open need not be kept.
      do throws(SystemError) {
        try Self.keep(Int32(number))
      } catch {
        break
      }
    }
    do throws(SystemError) {
      try Program(path, arguments: command, environment: Program.ownEnvironment).execute()
    } catch {
      throw CommandFailure(.failure, "cannot start \(path): \(error)")
    }
  }

  private static let descriptorLimit = 512

  private static func keep(_ number: Int32) throws(SystemError) {
    let file = Descriptor(adopting: number)
    do throws(SystemError) {
      try file.setCloseOnExecute(false)
    } catch {
      _ = file.release()
      throw error
    }
    _ = file.release()
  }
}

extension CheckedConfiguration {
  /// The processes that run applications.
  func applicationDemands() -> [ApplicationDemand] {
    let loopCount = configuration.process.loopCount ?? Int(martlet_available_processors())
    return configuration.upstreams.compactMap { upstream in
      guard let settings = upstream.application else { return nil }
      return ApplicationDemand(
        name: upstream.name,
        program: Self.program(settings, loopCount: max(1, loopCount)),
        script: WorkerProgram.source(for: settings.interface.rawValue),
        processCounts: settings.processCounts,
        loopCount: max(1, loopCount),
        preloads: settings.preloads
      )
    }
  }

  private static func program(_ settings: ApplicationSettings, loopCount: Int) -> Program {
    let interpreter =
      settings.interpreter.map { [$0] } ?? ["/usr/bin/env", "python3"]
    var words =
      interpreter + [
        "/proc/self/fd/\(WorkerProgram.sourceDescriptor)", settings.interface.rawValue,
        settings.target, "loops=\(loopCount)", "threads=\(settings.threadCount)",
        "processes=\(settings.processCounts.upperBound)",
      ]
    if let folder = settings.folder { words.append("folder=\(folder)") }
    if let limit = settings.requestLimit { words.append("max_requests=\(limit)") }
    if let limit = settings.memoryLimit { words.append("max_memory=\(limit)") }
    if let limit = settings.ageLimit { words.append("max_age=\(limit.components.seconds)") }
    if settings.preloads { words.append("preload=on") }
    if settings.reloads { words.append("reload=on") }
    if let user = settings.user {
      let group = settings.group.map { ["--group", $0] } ?? []
      words = ["martlet", "worker", "--user", user] + group + ["--"] + words
    }
    var program = Program(
      settings.user == nil ? words[0] : "/proc/self/exe",
      arguments: words,
      environment: Program.ownEnvironment
    )
    program.set("MARTLET_UPGRADE", to: nil)
    for entry in settings.environment { program.set(entry.name, to: entry.value) }
    return program
  }
}
