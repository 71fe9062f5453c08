import MartletSystem

/// A place where holders of a lock wait until another holder has changed something (condition variable).
///
/// A wait releases the lock and takes it again before it returns, also when it fails. It may end although
/// what was waited for is not so any more: look again, or use ``wait(until:)``.
public final class Condition: Sendable {
  /// The lock that belongs to it.
  public let lock: Lock
  private let line = Locked(WaitLine())

  /// Creates a condition of what `lock` protects.
  public init(of lock: Lock) { self.lock = lock }

  /// Releases the lock, and blocks the calling thread until it is signalled.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait() {
    let waiter = queue()
    lock.unlock()
    defer { lock.lock() }
    _ = waiter.block()
  }

  /// Releases the lock, and blocks the calling thread until it is signalled, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``; the lock is held then, too.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait(within limit: Duration) throws(WaitFailure) {
    let moment = limit.ends(from: SystemClock.monotonicNanoseconds())
    let waiter = queue()
    lock.unlock()
    defer { lock.lock() }
    try leave(waiter.block(until: moment))
  }

  /// Releases the lock, and suspends the calling coroutine until it is signalled, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure``; the lock is held then, too.
  public func wait(within limit: Duration? = nil) async throws(WaitFailure) {
    let waiter = queue()
    lock.unlock()
    let outcome = await waiter.suspend(within: limit)
    await lock.lockAnyhow()
    try leave(outcome)
  }

  /// Waits, with the lock held, until `isSo`; blocks the calling thread.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait(until isSo: () -> Bool) {
    while !isSo() { wait() }
  }

  /// Waits, with the lock held, until `isSo`, at most for `limit`; blocks the calling thread.
  ///
  /// - Throws: ``WaitFailure/timedOut`` when it is not so by then.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait(within limit: Duration, until isSo: () -> Bool) throws(WaitFailure) {
    let moment = limit.ends(from: SystemClock.monotonicNanoseconds())
    while !isSo() {
      let left = moment - SystemClock.monotonicNanoseconds()
      guard left > 0 else { throw .timedOut }
      do { try wait(within: .nanoseconds(left)) } catch {
        guard isSo() else { throw error }
        return
      }
    }
  }

  /// Waits, with the lock held, until `isSo`, at most for `limit`; suspends the calling coroutine.
  ///
  /// - Throws: ``WaitFailure`` when it is not so by then.
  public func wait(
    within limit: Duration? = nil,
    until isSo: () -> Bool
  ) async throws(WaitFailure) {
    let moment = limit.map { $0.ends(from: SystemClock.monotonicNanoseconds()) }
    while !isSo() {
      let left = moment.map { $0 - SystemClock.monotonicNanoseconds() }
      if let left, left <= 0 { throw .timedOut }
      do throws(WaitFailure) {
        try await wait(within: left.map { .nanoseconds($0) })
      } catch {
        if isSo() { return }
        throw error
      }
    }
  }

  /// Wakes the one that has waited longest.
  ///
  /// The lock should be held, or what was changed under it.
  public func signal() { _ = line.withLock { $0.wakeFirst() } }

  /// Wakes all that wait.
  public func broadcast() { line.withLock { $0.wakeAll() } }

  private func queue() -> Waiter {
    let waiter = Waiter()
    line.withLock { $0.append(waiter) }
    return waiter
  }

  private func leave(_ outcome: Waiter.Outcome) throws(WaitFailure) {
    guard outcome != .woken else { return }
    line.withLock { $0.strike() }
    try outcome.check()
  }
}
