import MartletSystem
import Synchronization

/// Something that has happened or has not, for which any number wait.
public final class Event: Sendable {
  private let flag: Atomic<Bool>
  private let line = Locked(WaitLine())

  /// Creates an event that has not happened.
  public convenience init() { self.init(isSet: false) }

  init(isSet: Bool) { flag = Atomic(isSet) }

  /// Whether it has happened.
  public var isSet: Bool { flag.load(ordering: .acquiring) }

  /// Lets all go on that wait, and those who come until ``clear()``.
  public func set() {
    line.withLock { line in
      flag.store(true, ordering: .releasing)
      line.wakeAll()
    }
  }

  /// Makes those wait who come from now on.
  public func clear() {
    line.withLock { _ in flag.store(false, ordering: .releasing) }
  }

  /// Blocks the calling thread until the event has happened.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait() {
    if let waiter = queue() { _ = waiter.block() }
  }

  /// Blocks the calling thread until the event has happened, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait(within limit: Duration) throws(WaitFailure) {
    guard let waiter = queue() else { return }
    try leave(waiter.block(until: limit.ends(from: SystemClock.monotonicNanoseconds())))
  }

  /// Suspends the calling coroutine until the event has happened, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure``.
  public func wait(within limit: Duration? = nil) async throws(WaitFailure) {
    guard let waiter = queue() else { return }
    try leave(await waiter.suspend(within: limit))
  }

  private func queue() -> Waiter? {
    if isSet { return nil }
    return line.withLock { line in
      // It may have happened meanwhile; ``set()`` is under this lock, too.
      if flag.load(ordering: .relaxed) { return nil }
      let waiter = Waiter()
      line.append(waiter)
      return waiter
    }
  }

  private func leave(_ outcome: Waiter.Outcome) throws(WaitFailure) {
    guard outcome != .woken else { return }
    line.withLock { $0.strike() }
    try outcome.check()
  }
}
