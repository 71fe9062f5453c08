import MartletSync
public import MartletSystem

/// A program that goes on when the terminal is closed that it was started from.
///
/// The program starts itself once more, in a session of its own, in the folder `/` and with nothing as its standard
/// descriptors, if nothing else is said; the first one waits until the other is ready, so that whoever started it knows
/// that it is, or that it is not.
///
/// ```swift
/// switch try Daemon.detach() {
/// case .starter(let process, let words): print("process \(process) is ready: \(words)")
/// case .daemon(let daemon):
///   let listener = try …
///   daemon.isReady(saying: "listening on \(address)")
///   …
/// }
/// ```
public final class Daemon: Sendable {
  /// Which of the two this process is.
  public enum Role: Sendable {
    /// The first one: the daemon is ready, and has said this.
    case starter(process: Int32, words: String)
    /// The daemon, which is to say when it is ready.
    case daemon(Daemon)
  }

  /// Why there is no daemon.
  public enum Failure: Error, Hashable, Sendable {
    /// It could not be started.
    case notStarted(SystemError)
    /// It ended before it was ready, and has said why, if it could.
    case ended(ProcessEnd, words: String)
    /// It was not ready in time, and was killed.
    case tooSlow
  }

  private static let variable = "MARTLET_DAEMON"

  /// The longest text that is told, in bytes.
  private static let textBytes = 64 << 10

  /// Where the starter listens; nil once it was told.
  private let file: Locked<OpenFile?>

  private init(_ file: OpenFile) { self.file = Locked(file) }

  /// Tells the one that has started it that it is ready, once, and what else there is to say.
  public func isReady(saying words: String = "") { tell(1, words) }

  /// Tells the one that has started it why it will not be ready, before it ends.
  public func fails(saying words: String) { tell(0, words) }

  private func tell(_ sign: UInt8, _ words: String) {
    guard let file = file.withLock({ $0.take() }) else { return }
    // Where nobody waits any more, nobody need know.
    do throws(SystemError) {
      try file.descriptor.writeAll([sign] + words.utf8.prefix(Self.textBytes))
    } catch {}
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
      let (process, socket) = try start(output: output, in: folder)
      outcome = try readiness(of: process, socket, within: limit)
    } catch {
      throw .notStarted(error)
    }
    return try outcome.get()
  }

  /// Starts the daemon, which has the only other end of the socket.
  private static func start(
    output: StandardDescriptors.Place,
    in folder: String?
  ) throws(SystemError) -> (process: Int32, socket: OpenFile) {
    let (own, other) = try OpenFile.messagePair()
    var program = Program(
      "/proc/self/exe",
      arguments: Array(CommandLine.arguments.dropFirst())
    )
    program.set(variable, to: String(Processes.own))
    program.hasOwnSession = true
    program.folder = folder
    program.standard = StandardDescriptors(input: .nothing, output: output, error: output)
    return (try program.spawn(descriptors: [other.number]), own)
  }

  /// Waits until the daemon says that it is ready, ends, or is too slow.
  private static func readiness(
    of process: Int32,
    _ socket: OpenFile,
    within limit: Duration
  ) throws(SystemError) -> Result<Role, Failure> {
    let end = try Processes.watch(process)
    let moment = SystemClock.monotonicNanoseconds() + Int64(limit / .nanoseconds(1))
    var words: String?
    while true {
      let rest = (moment - SystemClock.monotonicNanoseconds()) / 1_000_000
      var awaited = [AwaitedDescriptor(end.number)]
      // It speaks once.
      if words == nil { awaited.append(AwaitedDescriptor(socket.number)) }
      try AwaitedDescriptor.wait(for: &awaited, milliseconds: Int32(clamping: max(0, rest)))
      if awaited.count > 1, awaited[1].isReadable {
        let said = try socket.descriptor.read(upTo: textBytes + 1)
        let text = String(decoding: said.dropFirst(), as: UTF8.self)
        // One that has said so and ended since was ready.
        if said.first == 1 { return .success(.starter(process: process, words: text)) }
        words = text
      }
      if let end = try Processes.reap(process) {
        return .failure(.ended(end, words: words ?? ""))
      }
      if rest <= 0 {
        try Processes.send(.kill, to: process)
        return .failure(.tooSlow)
      }
    }
  }
}
