/// Threads and tasks that do the same at the same time, and what they count.
///
/// Its one difficulty is to wait for them without sleeping: what ends is counted down, and what becomes so
/// is looked at again and again.
///
/// ```swift
/// let tally = Tally()
/// try await Crowd.threads(4) { _ in tally.add() }
/// ```
import MartletSync
import MartletSystem
import Synchronization

/// A value that nothing protects but what is tested.
public final class Unprotected<Value>: @unchecked Sendable {
  /// The value.
  public var value: Value

  /// Creates one.
  public init(_ value: Value) { self.value = value }
}

/// A number that is counted without a lock.
public final class Tally: Sendable {
  private let count = Atomic<Int>(0)

  /// Creates one at 0.
  public init() {}

  /// The number.
  public var value: Int { count.load(ordering: .sequentiallyConsistent) }

  /// Counts, and tells the new number.
  @discardableResult
  public func add(_ steps: Int = 1) -> Int {
    count.wrappingAdd(steps, ordering: .sequentiallyConsistent).newValue
  }
}

/// What happened, in order.
public final class Record<Entry: Sendable>: Sendable {
  private let entries = Mutex<[Entry]>([])

  /// Creates an empty one.
  public init() {}

  /// All entries.
  public var all: [Entry] { entries.withLock(\.self) }

  /// Adds an entry.
  public func append(_ entry: Entry) { entries.withLock { $0.append(entry) } }
}

/// Threads and tasks that do the same, and are waited for.
public enum Crowd {
  /// What did not happen in time.
  public struct Impatience: Error {}

  /// Runs `body` on so many threads, and returns when all have ended.
  ///
  /// - Throws: What keeps threads from being started; ``WaitFailure`` after two minutes.
  public static func threads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) async throws {
    let ended = Latch(count)
    for number in 0..<count {
      try Thread.start {
        body(number)
        ended.countDown()
      }
    }
    try await ended.wait(within: .seconds(120))
  }

  /// Waits until something is so, which another thread or task makes true.
  ///
  /// - Throws: ``Impatience`` after a minute.
  public static func until(_ isSo: () -> Bool) async throws {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(60)
    while !isSo() {
      if clock.now > end { throw Impatience() }
      await Task.yield()
    }
  }
}

/// Numbers that are the same in each run.
public struct Seeded: RandomNumberGenerator {
  private var state: UInt64

  /// Creates a row of numbers.
  public init(state: UInt64) { self.state = state }

  /// The next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
