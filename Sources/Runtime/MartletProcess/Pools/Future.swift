public import MartletQueues
import MartletSync
import MartletSystem
import Synchronization

/// Why a future has no result.
public enum FutureFailure: Error, Hashable, Sendable {
  /// It was cancelled before it ran.
  case cancelled
  /// The limit of the wait came first; the work goes on.
  case timedOut
  /// The task that waited was cancelled; the work goes on.
  case waiterCancelled
}

/// How far work is.
private enum Stage { static let waiting = 0, running = 1, done = 2 }

/// What a pool runs.
protocol PoolWork: AnyObject, Sendable {
  func run()
  @discardableResult func cancel() -> Bool
}

// @unchecked: `body` is taken by the one that begins the work, and `outcome` is written by that one before
// the stage says so, which everybody reads first.
/// The result of work that a pool does, once it is there.
public final class Future<Value: Sendable>: PoolWork, @unchecked Sendable {
  private struct Followers {
    var line = WaitLine()
    var callbacks: [@Sendable (Result<Value, any Error>) -> Void] = []
  }

  private let stage = Atomic<Int>(Stage.waiting)
  private let followers = Mutex(Followers())
  private var body: (@Sendable () throws -> Value)?
  private var outcome: Result<Value, any Error> = .failure(FutureFailure.cancelled)

  init(_ body: @escaping @Sendable () throws -> Value) { self.body = body }

  /// Creates one whose work is done elsewhere, by who calls ``begin()`` and then ``finish(_:)``.
  init() {}

  /// Whether it has a result, or was cancelled.
  public var isDone: Bool { stage.load(ordering: .acquiring) == Stage.done }

  /// The result, if it is there.
  public var present: Result<Value, any Error>? { isDone ? outcome : nil }

  /// Keeps work from being done that has not begun; its result is ``FutureFailure/cancelled``.
  ///
  /// - Returns: false when it has begun, or is done.
  @discardableResult
  public func cancel() -> Bool {
    guard begin() else { return false }
    finish(.failure(FutureFailure.cancelled))
    return true
  }

  /// Calls `body` with the result: on the thread that has done the work, or at once if it is there.
  public func whenDone(_ body: @escaping @Sendable (Result<Value, any Error>) -> Void) {
    let isKept = followers.withLock { followers in
      if isDone { return false }
      followers.callbacks.append(body)
      return true
    }
    if !isKept { body(outcome) }
  }

  /// The result, for which the calling thread is blocked, at most for `limit`.
  ///
  /// - Throws: What the work has thrown, or ``FutureFailure``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func result(within limit: Duration? = nil) throws -> Value {
    // Short work is done before a thread has gone to sleep.
    var turns = Turns()
    while !isDone, turns.count < Self.turnCount { turns.turn() }
    guard let waiter = queue() else { return try outcome.get() }
    let moment = limit.map { SystemClock.monotonicNanoseconds() + Int64($0 / .nanoseconds(1)) }
    try leave(waiter.block(until: moment))
    return try outcome.get()
  }

  /// The result, for which the calling coroutine is suspended, at most for `limit`.
  ///
  /// - Throws: What the work has thrown, or ``FutureFailure``.
  public func result(within limit: Duration? = nil) async throws -> Value {
    guard let waiter = queue() else { return try outcome.get() }
    try leave(await waiter.suspend(within: limit))
    return try outcome.get()
  }

  private static var turnCount: Int { 12 }

  /// Does the work on the calling thread, unless it was cancelled.
  func run() {
    guard begin(), let body else { return }
    self.body = nil
    finish(Result { try body() })
  }

  /// Takes the work on.
  ///
  /// - Returns: false when it was cancelled, or somebody has it already.
  func begin() -> Bool {
    stage.compareExchange(
      expected: Stage.waiting,
      desired: Stage.running,
      ordering: .acquiringAndReleasing
    ).exchanged
  }

  /// Tells the result, once, behind ``begin()``.
  func finish(_ result: Result<Value, any Error>) {
    body = nil
    outcome = result
    let callbacks = followers.withLock { followers in
      stage.store(Stage.done, ordering: .releasing)
      followers.line.wakeAll()
      let callbacks = followers.callbacks
      followers.callbacks = []
      return callbacks
    }
    for callback in callbacks { callback(result) }
  }

  private func queue() -> Waiter? {
    if isDone { return nil }
    return followers.withLock { followers in
      if isDone { return nil }
      let waiter = Waiter()
      followers.line.append(waiter)
      return waiter
    }
  }

  private func leave(_ outcome: Waiter.Outcome) throws {
    guard outcome != .woken else { return }
    followers.withLock { $0.line.strike() }
    throw outcome == .timedOut ? FutureFailure.timedOut : FutureFailure.waiterCancelled
  }
}

extension Array {
  /// The futures in the order in which they are done, with their places; the queue is closed behind the last.
  public func inOrderOfCompletion<Value>() -> Queue<(place: Int, future: Future<Value>)>
  where Element == Future<Value> {
    let done = Queue<(place: Int, future: Future<Value>)>(capacity: Swift.max(count, 1))
    guard !isEmpty else {
      done.close()
      return done
    }
    let remaining = Latch(count)
    for (place, future) in enumerated() {
      // The queue has room for all, so this cannot fail.
      future.whenDone { _ in
        _ = done.tryPut((place, future))
        remaining.countDown()
        if remaining.count == 0 { done.close() }
      }
    }
    return done
  }
}
