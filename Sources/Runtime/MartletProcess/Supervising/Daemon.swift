public import MartletSystem

/// A program that goes on when the terminal is closed that it was started from.
///
/// The program starts itself once more, in a session of its own, in the folder `/` and with nothing as its standard
/// descriptors, if nothing else is said; the first one waits until the other is ready, so that whoever started it knows
/// that it is, or that it is not.
///
/// ```swift
/// switch try Daemon.detach() {
/// case .starter(let process): print("process \(process) is ready")
/// case .daemon(let daemon):
///   let listener = try …
///   daemon.isReady()
///   …
/// }
/// ```
public final class Daemon: Sendable {
  /// Which of the two this process is.
  public enum Role: Sendable {
    /// The first one: the daemon is ready.
    case starter(process: Int32)
    /// The daemon, which is to say when it is ready.
    case daemon(Daemon)
  }

  /// Why there is no daemon.
  public enum Failure: Error, Hashable, Sendable {
    /// It could not be started.
    case notStarted(SystemError)
    /// It ended before it was ready.
    case ended(ProcessEnd)
    /// It was not ready in time, and was killed.
    case tooSlow
  }

  private static let variable = "MARTLET_DAEMON"

  private let file: OpenFile

  private init(_ file: OpenFile) { self.file = file }

  /// Tells the one that has started it that it is ready.
  public func isReady() {
    // Where nobody waits any more, nobody need know.
    do throws(SystemError) { try file.descriptor.writeAll([1]) } catch {}
  }

  /// Starts the daemon and waits until it is ready, or tells that this is it.
  ///
  /// - Parameters:
  ///   - output: Where its standard output and error go.
  ///   - folder: Where it works; nil: where this process does.
  ///   - limit: How long it may take until it is ready.
  /// - Returns: Which of the two this process is.
  /// - Throws: ``Failure``.
  public static func detach(
    output: StandardDescriptors.Place = .nothing,
    in folder: String? = "/",
    within limit: Duration = .seconds(30)
  ) throws(Failure) -> Role {
    if Program.ownVariable(variable) == String(Processes.parent) {
      let file = OpenFile(adopting: 3)
      do throws(SystemError) { try file.descriptor.setCloseOnExecute(true) } catch {
        throw .notStarted(error)
      }
      return .daemon(Daemon(file))
    }
    let outcome: Result<Role, Failure>
    do throws(SystemError) {
      let (own, other) = try OpenFile.socketPair()
      var program = Program(
        "/proc/self/exe",
        arguments: Array(CommandLine.arguments.dropFirst())
      )
      program.set(variable, to: String(Processes.own))
      program.hasOwnSession = true
      program.folder = folder
      program.standard = StandardDescriptors(input: .nothing, output: output, error: output)
      let process = try program.spawn(descriptors: [other.number])
      outcome = try readiness(of: process, own, within: limit)
    } catch {
      throw .notStarted(error)
    }
    return try outcome.get()
  }

  /// Waits until the daemon says that it is ready, ends, or is too slow.
  private static func readiness(
    of process: Int32,
    _ socket: OpenFile,
    within limit: Duration
  ) throws(SystemError) -> Result<Role, Failure> {
    let end = try Processes.watch(process)
    let moment = SystemClock.monotonicNanoseconds() + Int64(limit / .nanoseconds(1))
    while true {
      let rest = (moment - SystemClock.monotonicNanoseconds()) / 1_000_000
      var awaited = [AwaitedDescriptor(end.number), AwaitedDescriptor(socket.number)]
      try AwaitedDescriptor.wait(for: &awaited, milliseconds: Int32(clamping: max(0, rest)))
      // One that has said so and ended since was ready.
      if awaited[1].isReadable, try !socket.descriptor.read(upTo: 1).isEmpty {
        return .success(.starter(process: process))
      }
      if let end = try Processes.reap(process) { return .failure(.ended(end)) }
      if rest <= 0 {
        try Processes.send(.kill, to: process)
        return .failure(.tooSlow)
      }
    }
  }
}
