import CLinux
public import MartletSystem
import Synchronization

/// A bounded number of threads for calls that block: disk, name service, password hashes.
///
/// May be shared by all loops. Threads are started when work waits, up to the limit, and stay.
public final class BlockingPool: Sendable {
  /// Why a call was not made.
  public enum Refusal: Error, Hashable, Sendable {
    /// As many calls wait as the queue may hold.
    case queueFull
    /// No thread could be started.
    case noThread(SystemError)
    /// The caller's deadline came first; the call itself still runs to its end.
    case timedOut
    /// The caller was cancelled; the call itself still runs to its end.
    case cancelled
  }

  private struct State {
    var calls: [@Sendable () -> Void] = []
    var next = 0
    var threadCount = 0
    var idleCount = 0
    var waitingCount: Int { calls.count - next }
  }

  /// The most threads.
  public let threadLimit: Int
  /// The most calls that wait for a thread.
  public let queueLimit: Int
  private let state = Mutex(State())
  /// One token for every call in the queue: threads sleep on it.
  private let tokens: Descriptor

  /// Creates a pool; no thread is started before the first call.
  ///
  /// - Throws: ``SystemError`` when no descriptor is to be had.
  public init(threadLimit: Int = 4, queueLimit: Int = 1024) throws(SystemError) {
    precondition(threadLimit > 0 && queueLimit > 0, "a pool has threads and a queue")
    self.threadLimit = threadLimit
    self.queueLimit = queueLimit
    tokens = Descriptor(adopting: Int32(try check(martlet_counting_eventfd(), .eventfd)))
  }

  /// Makes a blocking call on a thread of the pool, while the caller's loop goes on.
  ///
  /// - Throws: ``Refusal``.
  public func run<Result: Sendable>(
    on loop: EventLoop,
    by deadline: Deadline = .never,
    _ call: @escaping @Sendable () -> Result
  ) async throws(Refusal) -> Result {
    guard let signal = Signal(on: loop) else { throw .queueFull }
    let outcome = Outcome<Result>()
    let token = signal.token
    try submit {
      let result = call()
      outcome.value.withLock { $0 = result }
      loop.wake(token)
    }
    do {
      try await signal.waitForToken(by: deadline)
    } catch {
      throw error == .timedOut ? .timedOut : .cancelled
    }
    guard let result = outcome.value.withLock({ $0 }) else { throw .cancelled }
    return result
  }

  private final class Outcome<Value: Sendable>: Sendable {
    let value = Mutex<Value?>(nil)
  }

  /// Puts a call into the queue and returns at once.
  ///
  /// May be called from any thread.
  ///
  /// - Throws: ``Refusal/queueFull`` or ``Refusal/noThread(_:)``.
  public func submit(_ call: @escaping @Sendable () -> Void) throws(Refusal) {
    let startsThread = try state.withLock { state throws(Refusal) -> Bool in
      guard state.waitingCount < queueLimit else { throw .queueFull }
      guard state.idleCount <= state.waitingCount, state.threadCount < threadLimit else {
        return false
      }
      state.threadCount += 1
      return true
    }
    if startsThread { try startThread() }
    try state.withLock { state throws(Refusal) in
      guard state.waitingCount < queueLimit else { throw .queueFull }
      state.calls.append(call)
    }
    var one: UInt64 = 1
    // Safe: eight bytes of a local number; the counter is far from its limit.
    _ = unsafe martlet_write(tokens.number, &one, 8)
  }

  /// Starts a thread that was counted already; a failure matters only if there is no other.
  private func startThread() throws(Refusal) {
    do {
      try Thread.start { self.work() }
    } catch {
      let hasThread = state.withLock { state in
        state.threadCount -= 1
        return state.threadCount > 0
      }
      guard hasThread else { throw .noThread(error) }
    }
  }

  private func work() {
    while true {
      state.withLock { $0.idleCount += 1 }
      var token: UInt64 = 0
      // Safe: eight bytes of a local number. Blocks until a call is queued.
      let count = unsafe martlet_read(tokens.number, &token, 8)
      let call = state.withLock { state -> (@Sendable () -> Void)? in
        state.idleCount -= 1
        guard count == 8, state.waitingCount > 0 else { return nil }
        let call = state.calls[state.next]
        state.next += 1
        if state.next == state.calls.count || state.next > 256 {
          state.calls.removeFirst(state.next)
          state.next = 0
        }
        return call
      }
      call?()
    }
  }
}
