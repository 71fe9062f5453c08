import MartletSystem
import Synchronization

/// One who waits: a thread that sleeps or a coroutine that is suspended.
///
/// What is waited for puts a waiter into its ``WaitLine``, lets go of its own state, and then has it
/// ``block(until:)`` or ``suspend(within:)``. Whoever ends the wait calls ``settle(_:)``, and the first one
/// decides. A waiter that was not woken is still in the line, of which it must be struck off.
@safe
public final class Waiter: Sendable {
  /// How a wait ended.
  public enum Outcome: UInt32, Sendable {
    /// It has not ended.
    case waiting
    /// What was waited for has come.
    case woken
    /// The limit came first.
    case timedOut
    /// The task was cancelled.
    case cancelled
    /// It cannot come any more.
    case broken
  }

  /// What it waits for, where there is more than one thing, or how much of it.
  public let wish: Int
  /// The one who waits in several lines, and stands here in one of them; nil: it waits in this one alone.
  private let whole: Waiter?
  private let word = FutexWord(Outcome.waiting.rawValue)
  /// Where the coroutine goes on; nil before it is suspended and after it was resumed.
  private let coroutine = unsafe Mutex<UnsafeContinuation<Void, Never>?>(nil)

  /// Creates one who waits; it may be settled before it has begun to sleep.
  public init(wish: Int = 0) {
    self.wish = wish
    whole = nil
  }

  /// Creates one who stands in a line for `whole`, which waits in several: the first of them that is woken
  /// settles it, and the others are as if they had left.
  ///
  /// Only `whole` blocks or suspends; each of these is struck off its line unless it was woken.
  public init(for whole: Waiter) {
    wish = whole.wish
    self.whole = whole
  }

  /// How the wait has ended, if it has.
  public var outcome: Outcome {
    guard let whole else { return Outcome(rawValue: word.value) ?? .waiting }
    // Who settles it is about to know whether that settles the whole.
    while word.value == Self.deciding { Thread.pause() }
    let own = Outcome(rawValue: word.value) ?? .waiting
    return own == .waiting && whole.outcome != .waiting ? .cancelled : own
  }

  /// What stands in the word while a thread sleeps on it, instead of ``Outcome/waiting``.
  private static let sleeping: UInt32 = 5
  /// What stands in it while it is found out whether the whole is settled by this one.
  private static let deciding: UInt32 = 6

  /// Ends the wait.
  ///
  /// - Returns: Whether this was the one that ended it.
  @discardableResult
  public func settle(_ outcome: Outcome) -> Bool {
    if let whole { return settle(outcome, for: whole) }
    if !word.exchange(Outcome.waiting.rawValue, for: outcome.rawValue) {
      guard word.exchange(Self.sleeping, for: outcome.rawValue) else { return false }
      word.wake()
      return true
    }
    let continuation = unsafe coroutine.withLock { kept in
      let continuation = unsafe kept
      unsafe kept = nil
      return unsafe continuation
    }
    // Safe: whoever takes the continuation out resumes it, and only one can take it.
    unsafe continuation?.resume()
    return true
  }

  private func settle(_ outcome: Outcome, for whole: Waiter) -> Bool {
    guard word.exchange(Outcome.waiting.rawValue, for: Self.deciding) else { return false }
    let isFirst = whole.settle(outcome)
    _ = word.exchange(Self.deciding, for: (isFirst ? outcome : .cancelled).rawValue)
    return isFirst
  }

  /// How often a thread looks before it sleeps, which costs more than what most holders do.
  private static let turnCount = 64

  /// Blocks the calling thread until the wait is settled, or until a moment of the clock that never goes
  /// back, which settles it.
  public func block(until moment: Int64? = nil) -> Outcome {
    for _ in 0..<Self.turnCount {
      if outcome != .waiting { return outcome }
      Thread.pause()
    }
    guard word.exchange(Outcome.waiting.rawValue, for: Self.sleeping) else { return outcome }
    while outcome == .waiting {
      if !word.sleep(while: Self.sleeping, until: moment) { settle(.timedOut) }
    }
    return outcome
  }

  /// Suspends the calling coroutine until the wait is settled, which a limit or a cancellation of its
  /// task also does.
  public func suspend(
    within limit: Duration? = nil,
    isolation actor: isolated (any Actor)? = #isolation
  ) async -> Outcome {
    if let limit { Timekeeper.shared.watch(self, within: limit) }
    await withTaskCancellationHandler {
      // Names the actor, so that it stays there: it would go by way of a thread of the global pool.
      await suspendAnyhow(isolation: actor)
    } onCancel: {
      settle(.cancelled)
    }
    if limit != nil, outcome != .timedOut { Timekeeper.shared.noteEnd() }
    return outcome
  }

  /// Suspends the calling coroutine until the wait is settled, even when its task is cancelled.
  public func suspendAnyhow(isolation actor: isolated (any Actor)? = #isolation) async {
    // Safe: it is resumed here, or kept and resumed by the one that settles.
    unsafe await withUnsafeContinuation(isolation: actor) { continuation in
      let isOver = unsafe coroutine.withLock { kept in
        if outcome != .waiting { return true }
        unsafe kept = continuation
        return false
      }
      if isOver { unsafe continuation.resume() }
    }
  }
}

extension Waiter.Outcome {
  /// Nothing when what was waited for has come.
  ///
  /// - Throws: ``WaitFailure``.
  public func check() throws(WaitFailure) {
    switch self {
    case .woken: return
    case .timedOut: throw .timedOut
    case .cancelled: throw .cancelled
    case .broken: throw .broken
    case .waiting: preconditionFailure("a wait returned before it was settled")
    }
  }
}
