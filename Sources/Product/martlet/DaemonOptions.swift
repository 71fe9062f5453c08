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

  /// Does `serve`, here or in a daemon; `serve` calls what it is given when requests are served.
  ///
  /// - Throws: ``CommandFailure``: what a daemon that was not ready has said, with its code.
  func run(
    _ serve: (_ isReady: @escaping @Sendable () -> Void) throws(CommandFailure) -> Void
  ) throws(CommandFailure) {
    // A binary that was executed in the place of another is where that one was.
    guard daemon, Program.ownVariable("MARTLET_UPGRADE") == nil else { return try serve {} }
    let said: (reader: OpenFile, writer: OpenFile)
    do throws(SystemError) { said = try OpenFile.pipe() } catch {
      throw CommandFailure(.failure, "cannot start: \(error)")
    }
    let role: Daemon.Role
    do throws(Daemon.Failure) {
      // The names of files in the configuration begin where the command was given.
      let output = StandardDescriptors.Place.descriptor(said.writer.number)
      role = try Daemon.detach(output: output, in: nil, within: .seconds(60))
    } catch {
      throw Self.failure(error, Self.all(said.reader))
    }
    switch role {
    case .daemon(let daemon): try serve { daemon.isReady() }
    case .starter(let process):
      try note(process)
      Console.sayText(Self.all(said.reader))
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

  /// What a daemon has written; it may still have the other end.
  private static func all(_ reader: OpenFile) -> String {
    var bytes: [UInt8] = []
    do throws(SystemError) {
      try reader.descriptor.setNonblocking()
      while bytes.count < 1 << 20 {
        let part = try reader.descriptor.read(upTo: 64 << 10)
        if part.isEmpty { break }
        bytes += part
      }
    } catch {
      // It has written nothing more until now.
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func failure(_ failure: Daemon.Failure, _ said: String) -> CommandFailure {
    switch failure {
    case .notStarted(let error): CommandFailure(.failure, "cannot start: \(error)")
    case .tooSlow:
      CommandFailure(.failure, said + "requests were not served within a minute")
    case .ended(.code(let code)):
      CommandFailure(ExitStatus(rawValue: code) ?? .failure, said)
    case .ended(let end): CommandFailure(.failure, said + "the daemon \(end)")
    }
  }
}
