/// What one thread or one task holds at a time: ``Lock`` and ``RecursiveLock``.
public protocol Lockable: Sendable {
  /// Takes it, and blocks the calling thread while another holds it.
  @available(*, noasync, message: "this blocks the thread: await the other form")
  func lock()

  /// Takes it, and suspends the calling coroutine while another holds it, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure``.
  func lock(within limit: Duration?) async throws(WaitFailure)

  /// Releases it; only its holder may.
  func unlock()
}

extension Lockable {
  /// Does something while the lock is held; blocks the calling thread before that.
  @inlinable
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func withLock<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock()
    defer { unlock() }
    return try body()
  }

  /// Does something while the lock is held; suspends the calling coroutine before that.
  ///
  /// - Throws: ``WaitFailure``, or what `body` throws.
  @inlinable
  public func withLock<Result>(
    within limit: Duration? = nil,
    _ body: () async throws -> Result
  ) async throws -> Result {
    try await lock(within: limit)
    defer { unlock() }
    return try await body()
  }
}
