import MartletSystem
import Synchronization

/// A lock that one thread or one task holds at a time (mutex).
///
/// Those who wait are served in turn: newcomers may pass the first one once, which keeps a busy lock fast,
/// and then it is handed over. It is not recursive; use ``RecursiveLock`` where the holder may come again.
/// Who took it must release it: the same task, or the same thread outside of tasks. A task may suspend
/// meanwhile, others then wait that long.
public final class Lock: Lockable {
  private static let free: UInt32 = 0
  private static let held: UInt32 = 1
  /// Held, and somebody may wait: who releases it looks at the line.
  private static let awaited: UInt32 = 2
  /// The wish of one who is handed the lock when it is released.
  private static let heir = 1
  private static let turnCount = 40

  private let word = Atomic<UInt32>(Lock.free)
  private let line = Locked(WaitLine())
  let check: LockCheck?

  /// Creates a lock that nobody holds; `name` is what reports call it.
  public init(_ name: String = "lock") { check = LockChecks.check(name) }

  /// Takes the lock if nobody holds it.
  public func tryLock() -> Bool {
    let isTaken = take()
    if isTaken { check?.noteHeld() }
    return isTaken
  }

  /// Takes the lock, and blocks the calling thread while another holds it.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func lock() {
    // First what is so nearly always, so that nothing is prepared for the rest.
    if check == nil, take() { return }
    lockChecked()
  }

  /// Takes the lock, and blocks the calling thread while another holds it, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func lock(within limit: Duration) throws(WaitFailure) {
    check?.noteWish()
    if !take() {
      try lockSlowly(until: limit.ends(from: SystemClock.monotonicNanoseconds())).check()
    }
    check?.noteHeld()
  }

  /// Takes the lock, and suspends the calling coroutine while another holds it, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``, or ``WaitFailure/cancelled`` when the task is while it waits.
  public func lock(within limit: Duration? = nil) async throws(WaitFailure) {
    check?.noteWish()
    if !take() {
      let moment = limit.map { $0.ends(from: SystemClock.monotonicNanoseconds()) }
      try await lockSlowly(until: moment).check()
    }
    check?.noteHeld()
  }

  /// Takes the lock however long it takes, even when the task is cancelled.
  func lockAnyhow() async {
    check?.noteWish()
    if !take() {
      var hasLost = false
      while let waiter = queue(hasLost) {
        check?.noteWait()
        await waiter.suspendAnyhow()
        if waiter.wish == Self.heir { break }
        hasLost = true
      }
    }
    check?.noteHeld()
  }

  /// Releases the lock.
  ///
  /// Only its holder may.
  public func unlock() {
    if check == nil, release() { return }
    unlockChecked()
  }

  // MARK: The slow ways

  @inline(__always)
  private func take() -> Bool {
    word.compareExchange(expected: Self.free, desired: Self.held, ordering: .acquiring).exchanged
  }

  @inline(__always)
  private func release() -> Bool {
    word.compareExchange(expected: Self.held, desired: Self.free, ordering: .releasing).exchanged
  }

  @inline(never)
  private func lockChecked() {
    check?.noteWish()
    if !take() { lockSlowly() }
    check?.noteHeld()
  }

  @inline(never)
  private func unlockChecked() {
    check?.noteRelease()
    if !release() { unlockSlowly() }
  }

  /// Takes the lock, or puts the caller into the line; nil when it was taken.
  private func queue(_ hasLost: Bool) -> Waiter? {
    line.withLock { line in
      // Marked in any case: who releases it then looks at the line, where others may wait.
      if word.exchange(Self.awaited, ordering: .acquiring) == Self.free { return nil }
      let waiter = Waiter(wish: hasLost ? Self.heir : 0)
      if hasLost { line.prepend(waiter) } else { line.append(waiter) }
      return waiter
    }
  }

  @discardableResult
  private func lockSlowly(until moment: Int64? = nil) -> Waiter.Outcome {
    // Most are held for less than it costs to sleep.
    for _ in 0..<Self.turnCount {
      if word.load(ordering: .relaxed) == Self.free, take() { return .woken }
      Thread.pause()
    }
    var hasLost = false
    while let waiter = queue(hasLost) {
      check?.noteWait()
      let outcome = waiter.block(until: moment)
      if let end = leave(waiter, outcome) { return end }
      hasLost = true
    }
    return .woken
  }

  private func lockSlowly(until moment: Int64?) async -> Waiter.Outcome {
    var hasLost = false
    while let waiter = queue(hasLost) {
      check?.noteWait()
      let limit = moment.map { Duration.nanoseconds($0 - SystemClock.monotonicNanoseconds()) }
      let outcome = await waiter.suspend(within: limit)
      if let end = leave(waiter, outcome) { return end }
      hasLost = true
    }
    return .woken
  }

  /// How a wait for the lock ended; nil: one who was woken tries once more.
  private func leave(_ waiter: Waiter, _ outcome: Waiter.Outcome) -> Waiter.Outcome? {
    if outcome == .woken { return waiter.wish == Self.heir ? .woken : nil }
    line.withLock { $0.strike() }
    check?.noteEnd()
    return outcome
  }

  private func unlockSlowly() {
    precondition(
      word.load(ordering: .relaxed) != Self.free,
      "a lock is released that nobody holds"
    )
    line.withLock { line in
      // One who has lost before gets the lock itself.
      while let first = line.first(), first.wish == Self.heir {
        if line.wake(first) { return }
      }
      // The one who is woken marks the lock as awaited again if others still wait.
      word.store(Self.free, ordering: .releasing)
      line.wakeFirst()
    }
  }
}
