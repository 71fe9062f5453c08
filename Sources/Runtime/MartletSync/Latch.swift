import MartletSystem

/// A number that is counted down once; who waits goes on when it is 0.
public final class Latch: Sendable {
  private let remaining: Locked<Int>
  private let event: Event

  /// Creates a latch that opens when it was counted down so often.
  public init(_ count: Int) {
    precondition(count >= 0, "a latch counts down from 0 or more")
    remaining = Locked(count)
    event = Event(isSet: count == 0)
  }

  /// How often it must still be counted down.
  public var count: Int { remaining.withLock(\.self) }

  /// Counts down; at 0 all go on that wait, and it stays open.
  public func countDown(by steps: Int = 1) {
    let isOpen = remaining.withLock { remaining in
      precondition(steps > 0 && remaining >= steps, "a latch is counted down below 0")
      remaining -= steps
      return remaining == 0
    }
    if isOpen { event.set() }
  }

  /// Blocks the calling thread until the latch is open.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait() { event.wait() }

  /// Blocks the calling thread until the latch is open, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func wait(within limit: Duration) throws(WaitFailure) { try event.wait(within: limit) }

  /// Suspends the calling coroutine until the latch is open, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure``.
  public func wait(within limit: Duration? = nil) async throws(WaitFailure) {
    try await event.wait(within: limit)
  }
}
