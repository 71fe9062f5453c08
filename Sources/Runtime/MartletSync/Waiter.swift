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
  private let word = FutexWord(Outcome.waiting.rawValue)
  /// Where the coroutine goes on; nil before it is suspended and after it was resumed.
  private let coroutine = unsafe Mutex<UnsafeContinuation<Void, Never>?>(nil)

  /// Creates one who waits; it may be settled before it has begun to sleep.
  public init(wish: Int = 0) { self.wish = wish }

  /// How the wait has ended, if it has.
  public var outcome: Outcome { Outcome(rawValue: word.value) ?? .waiting }

  /// What stands in the word while a thread sleeps on it, instead of ``Outcome/waiting``.
  private static let sleeping: UInt32 = 5

  /// Ends the wait.
  ///
  /// - Returns: Whether this was the one that ended it.
  @discardableResult
  public func settle(_ outcome: Outcome) -> Bool {
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
  public func suspend(within limit: Duration? = nil) async -> Outcome {
    if let limit { Timekeeper.shared.watch(self, within: limit) }
    await withTaskCancellationHandler {
      await suspendAnyhow()
    } onCancel: {
      settle(.cancelled)
    }
    if limit != nil, outcome != .timedOut { Timekeeper.shared.noteEnd() }
    return outcome
  }

  /// Suspends the calling coroutine until the wait is settled, even when its task is cancelled.
  public func suspendAnyhow() async {
    // Safe: it is resumed here, or kept and resumed by the one that settles.
    unsafe await withUnsafeContinuation { continuation in
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
