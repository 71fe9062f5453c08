import MartletSystem

/// A number of permits, which are taken and given back (counting semaphore).
///
/// Who waits first is served first, also when somebody behind wants fewer permits. With a `limit` it is a
/// bounded semaphore: more permits than that are never there, and giving one back too many stops the
/// program with a sentence.
public final class Semaphore: Sendable {
  private struct State {
    var permits: Int
    var line = WaitLine()
  }

  /// The most permits that may be there.
  public let limit: Int
  private let state: Locked<State>

  /// Creates a semaphore with so many permits.
  public init(_ permits: Int, limit: Int = .max) {
    precondition(permits >= 0 && permits <= limit, "a semaphore has 0 to its limit of permits")
    self.limit = limit
    state = Locked(State(permits: permits))
  }

  /// How many permits nobody has.
  public var available: Int { state.withLock(\.permits) }

  /// How many wait.
  public var waitingCount: Int { state.withLock { max($0.line.count, 0) } }

  /// Takes permits if they are there and nobody waits for any.
  public func tryAcquire(_ count: Int = 1) -> Bool {
    check(count)
    return state.withLock { take(count, &$0) }
  }

  /// Takes permits, and blocks the calling thread until they are there.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func acquire(_ count: Int = 1) {
    if let waiter = queue(count) { _ = waiter.block() }
  }

  /// Takes permits, and blocks the calling thread until they are there, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func acquire(_ count: Int = 1, within limit: Duration) throws(WaitFailure) {
    guard let waiter = queue(count) else { return }
    try leave(waiter.block(until: limit.ends(from: SystemClock.monotonicNanoseconds())))
  }

  /// Takes permits, and suspends the calling coroutine until they are there, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure``.
  public func acquire(_ count: Int = 1, within limit: Duration? = nil) async throws(WaitFailure) {
    guard let waiter = queue(count) else { return }
    try leave(await waiter.suspend(within: limit))
  }

  /// Gives permits back, or new ones; any thread may.
  public func release(_ count: Int = 1) {
    check(count)
    state.withLock { state in
      precondition(state.permits <= limit - count, "a semaphore gets more permits than its limit")
      state.permits += count
      admit(&state)
    }
  }

  /// Does something with a permit; blocks the calling thread before that.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func withPermit<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    acquire()
    defer { release() }
    return try body()
  }

  /// Does something with a permit; suspends the calling coroutine before that.
  ///
  /// - Throws: ``WaitFailure``, or what `body` throws.
  public func withPermit<Result>(
    within limit: Duration? = nil,
    _ body: () async throws -> Result
  ) async throws -> Result {
    try await acquire(within: limit)
    defer { release() }
    return try await body()
  }

  private func check(_ count: Int) {
    precondition(count > 0 && count <= limit, "1 to all permits of a semaphore are taken at once")
  }

  private func take(_ count: Int, _ state: inout State) -> Bool {
    guard state.permits >= count, state.line.isEmpty else { return false }
    state.permits -= count
    return true
  }

  private func queue(_ count: Int) -> Waiter? {
    check(count)
    return state.withLock { state in
      if take(count, &state) { return nil }
      let waiter = Waiter(wish: count)
      state.line.append(waiter)
      return waiter
    }
  }

  private func leave(_ outcome: Waiter.Outcome) throws(WaitFailure) {
    guard outcome != .woken else { return }
    state.withLock { state in
      state.line.strike()
      // Who stood behind may want fewer.
      admit(&state)
    }
    try outcome.check()
  }

  private func admit(_ state: inout State) {
    while let first = state.line.first(), state.permits >= first.wish {
      if state.line.wake(first) { state.permits -= first.wish }
    }
  }
}
