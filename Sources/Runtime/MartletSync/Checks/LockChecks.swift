import MartletSystem
import Synchronization

/// What checked locks have found.
public enum LockReport: Hashable, Sendable, CustomStringConvertible {
  /// These locks were taken in a circle, if not at the same time: each while the one before was held,
  /// and the first while the last was.
  case orderCycle([String])
  /// The holder of a lock that is not recursive wants to take it again; the program is stopped.
  case takenTwice(lock: String, by: LockOwner)
  /// One that holds a lock for reading wants to read under it again; a writer between would stop both.
  case readTwice(lock: String, by: LockOwner)
  /// A lock was released by one that does not hold it; the program is stopped.
  case releasedByStranger(lock: String, by: LockOwner, holders: [LockOwner])
  /// A lock was held for longer than ``LockChecks/holdLimit``.
  case heldTooLong(lock: String, by: LockOwner, for: Duration)
  /// Each of these waits for what the next one holds, and the last one for what the first one holds.
  case deadlock([LockWait])

  /// The finding as a sentence.
  public var description: String {
    switch self {
    case .orderCycle(let names):
      "locks are taken in a circle: \((names + names.prefix(1)).joined(separator: " → "))"
    case .takenTwice(let lock, let owner):
      "\(owner) takes \(lock), which it holds already"
    case .readTwice(let lock, let owner):
      "\(owner) reads under \(lock) twice, and would wait for ever if a writer came between"
    case .releasedByStranger(let lock, let owner, let holders):
      "\(owner) releases \(lock), which is held by \(LockWait.words(for: holders))"
    case .heldTooLong(let lock, let owner, let duration):
      "\(owner) held \(lock) for \(duration)"
    case .deadlock(let waits):
      "deadlock: " + waits.map(\.description).joined(separator: "; ")
    }
  }
}

/// One that waits for a lock.
public struct LockWait: Hashable, Sendable, CustomStringConvertible {
  /// Who waits.
  public var owner: LockOwner
  /// For which lock.
  public var lock: String
  /// Who holds that.
  public var holders: [LockOwner]
  /// The names of the locks that the one who waits holds itself.
  public var held: [String]
  /// When the wait began, on the clock that never goes back, in nanoseconds.
  public var since: Int64

  /// Who waits for what.
  public var description: String {
    let own = held.isEmpty ? "" : " and holds \(held.joined(separator: ", "))"
    return "\(owner) waits for \(lock), which is held by \(Self.words(for: holders)),\(own)"
      .trimmingComma()
  }

  static func words(for owners: [LockOwner]) -> String {
    owners.isEmpty ? "nobody" : owners.map(\.description).joined(separator: " and ")
  }
}

extension String {
  fileprivate func trimmingComma() -> String { hasSuffix(",") ? String(dropLast()) : self }
}

/// Checked mode of locks: it finds what would stand still one day, and what does.
///
/// It is on in debug builds. A lock is checked if the mode was on when it was made; its name stands in
/// reports. Locks of one name that are taken in each other are kept apart by their identity. What it costs
/// is about a microsecond for each lock and release, and nothing but one comparison where it is off.
public enum LockChecks {
  private struct State {
    #if DEBUG
    var isOn = true
    #else
    var isOn = false
    #endif
    var holdLimit = Duration.seconds(1)
    var listener: (@Sendable (LockReport) -> Void)?
  }

  private static let state = Mutex(State())

  /// Whether locks that are made now are checked.
  public static var isOn: Bool {
    get { state.withLock(\.isOn) }
    set { state.withLock { $0.isOn = newValue } }
  }

  /// How long a lock may be held before that is told; a second to begin with.
  public static var holdLimit: Duration {
    get { state.withLock(\.holdLimit) }
    set { state.withLock { $0.holdLimit = newValue } }
  }

  /// Has reports told to `listener`, and no longer written to standard error.
  ///
  /// It is called where the finding was made, which may be with locks held: it takes none itself.
  public static func report(to listener: (@Sendable (LockReport) -> Void)?) {
    state.withLock { $0.listener = listener }
  }

  /// Who waits for which checked lock.
  public static var waits: [LockWait] { LockRegistry.shared.waits() }

  /// The circles of those that wait for each other, which nothing but a limit or a cancellation ends.
  public static var deadlocks: [[LockWait]] { LockRegistry.shared.deadlocks() }

  /// Who waits for what since when, as lines for people; deadlocks come first.
  public static var dump: String {
    let now = SystemClock.monotonicNanoseconds()
    let circles = deadlocks.map { LockReport.deadlock($0).description + "\n" }
    let lines = waits.map { "\($0), since \((now - $0.since) / 1_000_000) ms\n" }
    return (circles + lines).joined()
  }

  static func check(_ name: String) -> LockCheck? { isOn ? LockCheck(name) : nil }

  static func tell(_ report: LockReport) {
    if let listener = state.withLock(\.listener) { return listener(report) }
    let errors = Descriptor(adopting: 2)
    // Where standard error is closed there is nobody to tell.
    do throws(SystemError) { _ = try errors.write(Array("\(report)\n".utf8).span) } catch {}
    _ = errors.release()
  }
}
