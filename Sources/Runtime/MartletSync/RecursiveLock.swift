/// A lock that its holder may take again; it is free when it was released as often.
public final class RecursiveLock: Lockable {
  private struct Holding {
    var owner: LockOwner?
    var depth = 0
  }

  private let inner: Lock
  /// Written by the holder of ``inner`` alone; others read it to see that it is not theirs.
  private let holding = Locked(Holding())

  /// Creates a lock that nobody holds; `name` is what reports call it.
  public init(_ name: String = "recursive lock") { inner = Lock(name) }

  /// How often the caller holds it.
  public var depth: Int {
    let owner = LockOwner.current
    return holding.withLock { $0.owner == owner ? $0.depth : 0 }
  }

  /// Takes the lock if nobody else holds it.
  public func tryLock() -> Bool {
    if takeAgain() { return true }
    guard inner.tryLock() else { return false }
    begin()
    return true
  }

  /// Takes the lock, and blocks the calling thread while another holds it.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func lock() {
    if takeAgain() { return }
    inner.lock()
    begin()
  }

  /// Takes the lock, and blocks the calling thread while another holds it, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func lock(within limit: Duration) throws(WaitFailure) {
    if takeAgain() { return }
    try inner.lock(within: limit)
    begin()
  }

  /// Takes the lock, and suspends the calling coroutine while another holds it, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure``.
  public func lock(within limit: Duration? = nil) async throws(WaitFailure) {
    if takeAgain() { return }
    try await inner.lock(within: limit)
    begin()
  }

  /// Releases the lock once.
  ///
  /// Only its holder may.
  public func unlock() {
    let owner = LockOwner.current
    let depth = holding.withLock { holding in
      precondition(
        holding.owner == owner,
        "a recursive lock is released by one who does not hold it"
      )
      holding.depth -= 1
      if holding.depth == 0 { holding.owner = nil }
      return holding.depth
    }
    if depth == 0 { inner.unlock() }
  }

  private func takeAgain() -> Bool {
    let owner = LockOwner.current
    return holding.withLock { holding in
      guard holding.owner == owner else { return false }
      holding.depth += 1
      return true
    }
  }

  private func begin() {
    let owner = LockOwner.current
    holding.withLock { $0 = Holding(owner: owner, depth: 1) }
  }
}
