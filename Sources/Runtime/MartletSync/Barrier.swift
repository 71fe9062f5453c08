import MartletSystem

/// A line that so many must have reached before any goes on; then it is used again.
///
/// One that leaves early, by its limit or a cancellation, breaks the barrier, for the number cannot be
/// reached any more: all others end with ``WaitFailure/broken`` until ``reset()``.
public final class Barrier: Sendable {
  fileprivate struct State {
    var arrivedCount = 0
    /// Changes whenever those who wait are let go.
    var round = 0
    var isBroken = false
    var line = WaitLine()
  }

  /// How many it takes.
  public let partyCount: Int
  private let state = Locked(State())

  /// Creates a barrier for so many.
  public init(_ partyCount: Int) {
    precondition(partyCount > 0, "a barrier is for one or more")
    self.partyCount = partyCount
  }

  /// How many wait for the others.
  public var waitingCount: Int { state.withLock(\.arrivedCount) }

  /// Whether one has left early.
  public var isBroken: Bool { state.withLock(\.isBroken) }

  /// Blocks the calling thread until all have come, at most for `limit`.
  ///
  /// - Returns: How many were still missing when the caller came: 0 for the last one.
  /// - Throws: ``WaitFailure/timedOut`` or ``WaitFailure/broken``.
  @discardableResult
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait(within limit: Duration? = nil) throws(WaitFailure) -> Int {
    let (missing, waiter) = try arrive()
    guard let waiter else { return 0 }
    let moment = limit.map { $0.ends(from: SystemClock.monotonicNanoseconds()) }
    try leave(waiter, waiter.block(until: moment))
    return missing
  }

  /// Suspends the calling coroutine until all have come, at most for `limit`.
  ///
  /// - Returns: How many were still missing when the caller came: 0 for the last one.
  /// - Throws: ``WaitFailure``.
  @discardableResult
  public func wait(within limit: Duration? = nil) async throws(WaitFailure) -> Int {
    let (missing, waiter) = try arrive()
    guard let waiter else { return 0 }
    try leave(waiter, await waiter.suspend(within: limit))
    return missing
  }

  /// Ends all waits, the present and the next ones, with ``WaitFailure/broken``.
  public func abort() {
    state.withLock { state in
      state.isBroken = true
      state.letGo(.broken)
    }
  }

  /// Begins anew; those who wait end with ``WaitFailure/broken``.
  public func reset() {
    state.withLock { state in
      state.letGo(.broken)
      state.isBroken = false
    }
  }

  private func arrive() throws(WaitFailure) -> (missing: Int, waiter: Waiter?) {
    try state.withLock { state throws(WaitFailure) in
      if state.isBroken { throw .broken }
      state.arrivedCount += 1
      let missing = partyCount - state.arrivedCount
      if missing == 0 {
        // One that left at this moment is counted: it had come, and is told of its limit.
        state.letGo(.woken)
        return (0, nil)
      }
      let waiter = Waiter(wish: state.round)
      state.line.append(waiter)
      return (missing, waiter)
    }
  }

  private func leave(_ waiter: Waiter, _ outcome: Waiter.Outcome) throws(WaitFailure) {
    if outcome == .timedOut || outcome == .cancelled {
      state.withLock { state in
        state.line.strike()
        // The others may have been let go before this one could break anything.
        guard state.round == waiter.wish else { return }
        state.isBroken = true
        state.letGo(.broken)
      }
    }
    try outcome.check()
  }
}

extension Barrier.State {
  fileprivate mutating func letGo(_ outcome: Waiter.Outcome) {
    round += 1
    arrivedCount = 0
    line.wakeAll(outcome)
  }
}
