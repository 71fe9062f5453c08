public import Edge
public import MartletLoop
import MartletProcess
import MartletSystem

/// Runs the programs that are told of changes of members' health, a few at once.
///
/// Each is started on a thread of its own and waited for on the loop; one that does not end is ended.
public final class ChangeCommands {
  /// The most programs that run at once.
  public static let limit = 4
  /// The most changes that wait; further ones are told to nobody.
  public static let waitingLimit = 256
  /// How long a program may run.
  public static let time = Duration.seconds(30)

  private let loop: EventLoop
  private let complain: (String, HealthChange) -> Void
  private let threads: BlockingPool?
  private var waiting: [HealthChange] = []
  private var runningCount = 0

  /// Creates a runner; `complain` is told what went wrong with which change.
  public init(on loop: EventLoop, complain: @escaping (String, HealthChange) -> Void) {
    self.loop = loop
    self.complain = complain
    do throws(SystemError) {
      threads = try BlockingPool(threadLimit: 1, queueLimit: Self.limit)
    } catch {
      threads = nil
    }
  }

  /// Runs the program of a change, if it has one.
  public func tell(_ change: HealthChange) {
    guard !change.subject.command.isEmpty else { return }
    guard waiting.count < Self.waitingLimit else {
      return complain("too many changes wait for their program", change)
    }
    waiting.append(change)
    startNext()
  }

  private func startNext() {
    guard runningCount < Self.limit, !waiting.isEmpty else { return }
    let change = waiting.removeFirst()
    runningCount += 1
    let commands = self
    loop.spawn(named: "run a command about a change") {
      await commands.run(change)
      commands.runningCount -= 1
      commands.startNext()
    }
  }

  private func run(_ change: HealthChange) async {
    let program = Self.program(of: change)
    guard let threads else { return complain("no thread could be started", change) }
    let child: ChildProcess
    do {
      let started = try await threads.run(on: loop) { () -> Result<Int32, SystemError> in
        Result { () throws(SystemError) in try program.spawn() }
      }
      child = try ChildProcess(adopting: started.get(), on: loop)
    } catch {
      return complain("\(program.path): \(error)", change)
    }
    do throws(WaitError) {
      let end = try await child.ended(by: loop.deadline(after: Timeout(Self.time)))
      if end != .code(0) { complain("\(program.path) \(end)", change) }
    } catch {
      child.sendToGroup(.kill)
      do throws(WaitError) { _ = try await child.ended() } catch {}
      complain("\(program.path) was ended after \(Self.time.components.seconds) s", change)
    }
  }

  private static func program(of change: HealthChange) -> Program {
    let words = change.subject.command
    var program = Program(words[0], arguments: Array(words.dropFirst()))
    program.discardsOutput = true
    program.hasOwnGroup = true
    program.set("MARTLET_EVENT", to: change.event.rawValue)
    program.set("MARTLET_UPSTREAM", to: change.subject.upstream)
    program.set("MARTLET_MEMBER", to: change.subject.member)
    program.set("MARTLET_REASON", to: change.reason)
    program.set("MARTLET_DETAIL", to: change.detail)
    return program
  }
}
