import CLinux
import MartletLoop
import MartletProcess
import MartletSystem
import Supervision

/// A program that tests start: what it does is its first argument.
@main
struct TestProgram {
  static func main() throws {
    WorkerProcess.serveIfAsked(PoolTasks.all)
    switch CommandLine.arguments.dropFirst().first {
    case "signals": try tellSignals()
    case "execute": try executeAnother()
    case "rights": try giveUpRights()
    case "pool-holder": try PoolTasks.hold()
    case "hold": try Holders.hold(CommandLine.arguments[2], CommandLine.arguments[3])
    case "detach": try Holders.detach(CommandLine.arguments[2])
    case "adopt": try Holders.adopt()
    case "--version": tell("test program")
    case "supervise": try supervise(state: CommandLine.arguments[2], file: CommandLine.arguments[3])
    case "edge": try FakeEdge.serve()
    case "ask": ask(state: CommandLine.arguments[2], command: CommandLine.arguments[3])
    case "load": try FakeClient.load(port: CommandLine.arguments[2])
    case "call": try FakeClient.call(port: CommandLine.arguments[2], CommandLine.arguments[3])
    default: tell("unknown")
    }
  }

  /// Writes a line.
  static func tell(_ text: String) {
    let output = Descriptor(adopting: 1)
    do { try output.writeAll(Array("\(text)\n".utf8)) } catch {}
    _ = output.release()
  }

  /// Tells every signal; ends with SIGTERM.
  private static func tellSignals() throws {
    let signals: [ProcessSignal] = [.hangUp, .user1, .user2, .terminate]
    try ProcessSignal.block(signals)
    let loop = try EventLoop()
    loop.run {
      do {
        let queue = try SignalQueue(signals, on: loop)
        tell("waiting")
        while true {
          let signal = try await queue.next()
          tell("\(signal)")
          if signal == .terminate { break }
        }
      } catch {
        tell("\(error)")
      }
    }
  }

  /// Executes itself in place; the same process then tells signals.
  private static func executeAnother() throws {
    tell("\(Processes.own)")
    var program = Program("/proc/self/exe", arguments: ["signals"])
    program.set("MARTLET_TEST", to: "1")
    try program.execute()
  }

  /// Becomes the user `nobody`, and tells whether it can open what only root may.
  private static func giveUpRights() throws {
    try UserRights(user: "nobody").assume()
    try UserRights.forbidNewRights()
    do {
      _ = try Descriptor.open("/etc/shadow", .read)
      tell("\(Processes.ownUser) reads")
    } catch {
      tell("\(Processes.ownUser) \(error)")
    }
  }

  /// Ends the process with a code.
  static func end(_ code: Int32) -> Never { exit(code) }

  /// Runs a supervisor whose configuration is a ``FakeConfiguration`` in a file.
  private static func supervise(state: String, file: String) throws {
    let path = CommandLine.arguments[0]
    do throws(CommandFailure) {
      try Supervisor.run(
        SupervisorOptions(
          stateDirectory: state,
          edge: Program("/proc/self/exe", arguments: ["edge"]),
          successor: Program(path, arguments: ["supervise", state, file]),
          readyLimit: .seconds(20),
          version: "1.2.3",
          load: { () throws(CommandFailure) in try FakeConfiguration(file: file).assignment() },
          say: { tell($0) },
          started: { tell("listens on \($0.joined(separator: ", "))") }
        )
      )
    } catch {
      tell(error.message)
      end(error.status.rawValue)
    }
  }

  /// Asks a supervisor, and ends with the code of its answer.
  private static func ask(state: String, command: String) {
    do throws(CommandFailure) {
      tell(try ControlClient(StateDirectory(state)).ask(command))
    } catch {
      tell(error.message)
      end(error.status.rawValue)
    }
  }
}
