import MartletSystem
import Synchronization

/// A lock that many readers or one writer hold at a time.
///
/// Everybody is served in turn: readers who come while a writer waits stand behind it, so neither side
/// starves. Therefore a reader must not take the lock again while it holds it: a writer may have come
/// between. The same rules of release as for ``Lock`` hold.
public final class ReadWriteLock: Sendable {
  private static let writer: UInt32 = 1 << 31
  private static let awaited: UInt32 = 1 << 30
  private static let readers: UInt32 = awaited - 1
  private enum Wish { static let read = 0, write = 1 }

  /// How many readers hold it, or that a writer does, and whether somebody waits.
  private let word = Atomic<UInt32>(0)
  private let line = Locked(WaitLine())
  private let check: LockCheck?

  /// Creates a lock that nobody holds; `name` is what reports call it.
  public init(_ name: String = "read-write lock") { check = LockChecks.check(name) }

  // MARK: Reading

  /// Takes the lock for reading if no writer holds it or waits for it.
  public func tryLockToRead() -> Bool {
    let isTaken = takeToRead()
    if isTaken { check?.noteHeld(isShared: true) }
    return isTaken
  }

  /// Takes the lock for reading, and blocks the calling thread before that.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func lockToRead() {
    // First what is so nearly always, so that nothing is prepared for the rest.
    if check == nil, takeToRead() { return }
    lockToReadChecked()
  }

  /// Takes the lock for reading, and blocks the calling thread before that, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func lockToRead(within limit: Duration) throws(WaitFailure) {
    check?.noteWish(isShared: true)
    if !takeToRead(), let waiter = queue(Wish.read) {
      try leave(waiter.block(until: limit.ends(from: SystemClock.monotonicNanoseconds())))
    }
    check?.noteHeld(isShared: true)
  }

  /// Takes the lock for reading, and suspends the calling coroutine before that, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure``.
  public func lockToRead(within limit: Duration? = nil) async throws(WaitFailure) {
    check?.noteWish(isShared: true)
    if !takeToRead(), let waiter = queue(Wish.read) {
      try leave(await waiter.suspend(within: limit))
    }
    check?.noteHeld(isShared: true)
  }

  /// Releases what one of the `lockToRead` has taken.
  public func unlockToRead() {
    check?.noteRelease(isShared: true)
    let old = word.wrappingSubtract(1, ordering: .releasing).oldValue
    precondition(old & Self.readers > 0, "a lock is released that nobody reads under")
    if old & Self.awaited != 0, old & Self.readers == 1 { admitNext() }
  }

  /// Does something while the lock is held for reading; blocks the calling thread before that.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func withReadLock<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lockToRead()
    defer { unlockToRead() }
    return try body()
  }

  /// Does something while the lock is held for reading; suspends the calling coroutine before that.
  ///
  /// - Throws: ``WaitFailure``, or what `body` throws.
  public func withReadLock<Result>(
    within limit: Duration? = nil,
    _ body: () async throws -> Result
  ) async throws -> Result {
    try await lockToRead(within: limit)
    defer { unlockToRead() }
    return try await body()
  }

  // MARK: Writing

  /// Takes the lock for writing if nobody holds it or waits for it.
  public func tryLockToWrite() -> Bool {
    let isTaken = takeToWrite()
    if isTaken { check?.noteHeld() }
    return isTaken
  }

  /// Takes the lock for writing, and blocks the calling thread before that.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func lockToWrite() {
    check?.noteWish()
    if !takeToWrite(), let waiter = queue(Wish.write) {
      _ = waiter.block()
    }
    check?.noteHeld()
  }

  /// Takes the lock for writing, and blocks the calling thread before that, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func lockToWrite(within limit: Duration) throws(WaitFailure) {
    check?.noteWish()
    if !takeToWrite(), let waiter = queue(Wish.write) {
      try leave(waiter.block(until: limit.ends(from: SystemClock.monotonicNanoseconds())))
    }
    check?.noteHeld()
  }

  /// Takes the lock for writing, and suspends the calling coroutine before that, at most for `limit`.
  ///
  /// - Throws: ``WaitFailure``.
  public func lockToWrite(within limit: Duration? = nil) async throws(WaitFailure) {
    check?.noteWish()
    if !takeToWrite(), let waiter = queue(Wish.write) {
      try leave(await waiter.suspend(within: limit))
    }
    check?.noteHeld()
  }

  /// Releases what one of the `lockToWrite` has taken.
  public func unlockToWrite() {
    check?.noteRelease()
    let (isDone, found) = word.compareExchange(
      expected: Self.writer,
      desired: 0,
      ordering: .releasing
    )
    precondition(found & Self.writer != 0, "a lock is released that nobody writes under")
    guard !isDone else { return }
    line.withLock { line in
      word.bitwiseAnd(~Self.writer, ordering: .releasing)
      admit(&line)
    }
  }

  /// Does something while the lock is held for writing; blocks the calling thread before that.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func withWriteLock<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lockToWrite()
    defer { unlockToWrite() }
    return try body()
  }

  /// Does something while the lock is held for writing; suspends the calling coroutine before that.
  ///
  /// - Throws: ``WaitFailure``, or what `body` throws.
  public func withWriteLock<Result>(
    within limit: Duration? = nil,
    _ body: () async throws -> Result
  ) async throws -> Result {
    try await lockToWrite(within: limit)
    defer { unlockToWrite() }
    return try await body()
  }

  // MARK: The slow ways

  @inline(never)
  private func lockToReadChecked() {
    check?.noteWish(isShared: true)
    if !takeToRead(), let waiter = queue(Wish.read) {
      _ = waiter.block()
    }
    check?.noteHeld(isShared: true)
  }

  @inline(never)
  private func admitNext() { line.withLock { admit(&$0) } }

  @inline(__always)
  private func takeToRead() -> Bool {
    // Most find it free: to look first would ask for the word twice.
    var seen: UInt32 = 0
    while seen & (Self.writer | Self.awaited) == 0 {
      let (isDone, found) = word.weakCompareExchange(
        expected: seen,
        desired: seen + 1,
        ordering: .acquiring
      )
      if isDone { return true }
      seen = found
    }
    return false
  }

  private func takeToWrite() -> Bool {
    word.compareExchange(expected: 0, desired: Self.writer, ordering: .acquiring).exchanged
  }

  /// Puts the caller into the line, at whose head it may be let in at once; nil when it was.
  private func queue(_ wish: Int) -> Waiter? {
    let waiter = Waiter(wish: wish)
    line.withLock { line in
      line.append(waiter)
      // From here on nobody passes the line.
      word.bitwiseOr(Self.awaited, ordering: .relaxed)
      admit(&line)
    }
    if waiter.outcome == .woken { return nil }
    check?.noteWait()
    return waiter
  }

  private func leave(_ outcome: Waiter.Outcome) throws(WaitFailure) {
    guard outcome != .woken else { return }
    line.withLock { line in
      line.strike()
      // Those behind a writer that left may be readers, who can go in now.
      admit(&line)
    }
    check?.noteEnd()
    try outcome.check()
  }

  /// Lets in who stands first, as far as who holds the lock allows it.
  ///
  /// The word is marked as awaited, so that nobody but those in the line comes in meanwhile.
  private func admit(_ line: inout WaitLine) {
    while let first = line.first() {
      let seen = word.load(ordering: .acquiring)
      if first.wish == Wish.write {
        guard seen & (Self.writer | Self.readers) == 0 else { return }
        word.bitwiseOr(Self.writer, ordering: .acquiring)
        if line.wake(first) { break }
        word.bitwiseAnd(~Self.writer, ordering: .releasing)
      } else {
        guard seen & Self.writer == 0 else { return }
        word.add(1, ordering: .acquiring)
        if !line.wake(first) { word.subtract(1, ordering: .releasing) }
      }
    }
    if line.first() == nil { word.bitwiseAnd(~Self.awaited, ordering: .releasing) }
  }
}
