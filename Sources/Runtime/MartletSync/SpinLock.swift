import MartletSystem
import Synchronization

/// A lock whose waiters turn instead of sleeping: for what takes less than a microsecond.
///
/// It has no form that suspends, for it is not held across a suspension: who comes meanwhile keeps a
/// processor busy. After some turns a waiter lets other threads run, as the holder may need its processor.
public final class SpinLock: Sendable {
  private let isHeld = Atomic<Bool>(false)
  private let check: LockCheck?

  /// Creates a lock that nobody holds; `name` is what reports call it.
  public init(_ name: String = "spin lock") { check = LockChecks.check(name) }

  /// Takes the lock if nobody holds it.
  @available(*, noasync, message: "a spin lock is not held across a suspension: use withLock")
  public func tryLock() -> Bool {
    guard take() else { return false }
    check?.noteHeld()
    return true
  }

  /// Takes the lock, and turns while another holds it.
  @available(*, noasync, message: "a spin lock is not held across a suspension: use withLock")
  public func lock() { acquire() }

  /// Takes the lock, and turns while another holds it, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @available(*, noasync, message: "a spin lock is not held across a suspension: use withLock")
  public func lock(within limit: Duration) throws(WaitFailure) {
    check?.noteWish()
    var turns = Turns()
    let moment = limit.ends(from: SystemClock.monotonicNanoseconds())
    while !take() {
      if turns.count & 63 == 63, SystemClock.monotonicNanoseconds() >= moment { throw .timedOut }
      turns.turn()
    }
    check?.noteHeld()
  }

  /// Releases the lock.
  ///
  /// Only its holder may.
  @available(*, noasync, message: "a spin lock is not held across a suspension: use withLock")
  public func unlock() { release() }

  /// Does something while the lock is held.
  public func withLock<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    acquire()
    defer { release() }
    return try body()
  }

  private func take() -> Bool { !isHeld.exchange(true, ordering: .acquiring) }

  private func acquire() {
    check?.noteWish()
    var turns = Turns()
    while !take() {
      // Only looking keeps the cache line where it is.
      repeat { turns.turn() } while isHeld.load(ordering: .relaxed)
    }
    check?.noteHeld()
  }

  private func release() {
    check?.noteRelease()
    let wasHeld = isHeld.exchange(false, ordering: .releasing)
    precondition(wasHeld, "a spin lock is released that nobody holds")
  }
}

/// Waits by turning: a little longer each time, and then by letting other threads run.
public struct Turns: Sendable {
  /// How often it turned.
  public private(set) var count = 0

  /// How many turns keep the processor.
  private let shortCount: Int

  /// Begins with short turns, `shortCount` of them; whoever is waited for may need the processor.
  public init(shortCount: Int = 6) { self.shortCount = shortCount }

  /// Waits a little.
  public mutating func turn() {
    if count < shortCount {
      for _ in 0..<(1 << count) { Thread.pause() }
    } else {
      Processes.yieldProcessor()
    }
    count &+= 1
  }
}
