/// A coroutine that was started to be waited for: it has a result, and can be cancelled.
///
/// It never leaves its loop. It goes on when nobody keeps it.
public final class LoopTask<Value> {
  // Nothing refers back to the task, so that one that nobody keeps can go.
  private final class End {
    var outcome: Result<Value, any Error>?
    var waiter: Signal?
  }

  private let loop: EventLoop
  private let coroutine: Coroutine
  private let task: Task<Void, Never>
  private let end = End()

  fileprivate init(
    _ name: StaticString,
    on loop: EventLoop,
    _ body: @escaping () async throws -> Value
  ) {
    precondition(loop.isCurrent, "a coroutine is started on a loop from another thread")
    self.loop = loop
    let end = end
    coroutine = Coroutine(name, about: nil, on: loop) {
      do {
        end.outcome = .success(try await body())
      } catch {
        end.outcome = .failure(error)
      }
      end.waiter?.set()
    }
    task = loop.launch(coroutine)
  }

  /// Ends the present wait of the coroutine, or else the next one, and says that it is cancelled.
  ///
  /// Its waits on the loop end once, with ``WaitError/cancelled`` or what stands for it, so that it can still wait for
  /// what it has to put in order; those for queues, locks and the like end whenever the language says so
  /// (`Task.isCancelled`). One that does not care goes on.
  public func cancel() {
    guard end.outcome == nil else { return }
    task.cancel()
    loop.cancelWait(of: coroutine)
  }

  /// What the coroutine returns or throws; one coroutine at a time waits for it.
  ///
  /// Whoever is cancelled meanwhile cancels it, and still waits for its end.
  ///
  /// - Throws: What it throws; ``WaitError/cancelled`` when no timer is left to wait by (65,536 wait at once).
  public func result() async throws -> Value {
    if !(try await hasEnded()) { try await endAnyhow() }
    return try outcome()
  }

  /// What it has returned or thrown, once it has ended.
  fileprivate func outcome() throws -> Value {
    guard let outcome = end.outcome else { preconditionFailure("the coroutine has not ended") }
    return try outcome.get()
  }

  /// Waits for its end, at most until `deadline`, or until the caller is cancelled.
  fileprivate func hasEnded(by deadline: Deadline = .never) async throws(WaitError) -> Bool {
    guard end.outcome == nil else { return true }
    guard let signal = Signal(on: loop) else { throw .cancelled }
    end.waiter = signal
    defer { end.waiter = nil }
    do throws(WaitError) { try await signal.wait(by: deadline) } catch {}
    return end.outcome != nil
  }

  /// Cancels it and waits for its end, however long that takes.
  fileprivate func endAnyhow() async throws(WaitError) {
    cancel()
    while !(try await hasEnded()) {}
  }
}

extension EventLoop {
  /// Starts a coroutine on this loop, from this loop, as ``spawn(named:about:_:)`` does, to be waited for.
  public func start<Value>(
    named name: StaticString = #function,
    _ body: @escaping () async throws -> Value
  ) -> LoopTask<Value> {
    LoopTask(name, on: self, body)
  }

  /// Does something that is cancelled when it takes longer than `limit`, in a coroutine of its own.
  ///
  /// This returns when the body has ended, which may be later; what it returns all the same is not lost.
  ///
  /// ```swift
  /// let page = try await loop.withTimeout(.seconds(5)) { try await fetch(address) }
  /// ```
  ///
  /// - Throws: ``WaitError/timedOut``; ``WaitError/cancelled`` when the caller is cancelled; else what `body` throws.
  public func withTimeout<Value>(
    _ limit: Duration,
    named name: StaticString = #function,
    _ body: @escaping () async throws -> Value
  ) async throws -> Value {
    let deadline = deadline(after: Timeout(limit))
    let task = start(named: name, body)
    if try await task.hasEnded(by: deadline) { return try task.outcome() }
    let isLate = hasPassed(deadline)
    try await task.endAnyhow()
    do { return try task.outcome() } catch { throw isLate ? WaitError.timedOut : error }
  }
}
