import MartletLoop
import MartletProcess
import MartletSystem

/// A program that tests start: what it does is its first argument.
@main
struct TestProgram {
  static func main() throws {
    switch CommandLine.arguments.dropFirst().first {
    case "signals": try tellSignals()
    case "execute": try executeAnother()
    case "rights": try giveUpRights()
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
}
