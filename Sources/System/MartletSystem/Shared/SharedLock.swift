import CLinux

/// A lock between threads of any processes that have some memory in common.
///
/// A holder that dies, be it killed, does not keep it: the next one gets it and is told so, for what the lock
/// protects may be half changed. The thread that has taken it gives it back; a coroutine, which may go on on another
/// thread, takes none.
///
/// Library calls: `pthread_mutex_lock(3)`, `pthread_mutexattr_setrobust(3)`.
public struct SharedLock: Sendable {
  /// How one came to it.
  public enum Taking: Hashable, Sendable {
    /// From one who gave it back.
    case free
    /// From one who has died with it.
    case fromTheDead
  }

  /// How many bytes it takes; it lies at a multiple of eight.
  public static let byteCount = SharedMemory.lockBytes

  private let memory: SharedMemory
  private let offset: Int

  /// The lock at a place that ``prepare()`` was called for, once, in one of the processes.
  public init(in memory: SharedMemory, at offset: Int) {
    self.memory = memory
    self.offset = offset
  }

  /// Makes the lock, free, before anybody uses it.
  ///
  /// - Throws: ``SystemError`` when the system has no such locks.
  public func prepare() throws(SystemError) { try memory.makeLock(at: offset) }

  /// Takes the lock, and blocks the calling thread until it has it.
  ///
  /// A thread that has it already is stopped with a sentence.
  @discardableResult
  public func lock() -> Taking {
    guard let taking = take(until: -1, tries: false) else {
      preconditionFailure("a wait without a limit has ended at it")
    }
    return taking
  }

  /// Takes the lock, and blocks the calling thread until a moment of ``SystemClock/monotonicNanoseconds()``.
  ///
  /// - Returns: nil when the moment came first.
  public func lock(until nanoseconds: Int64) -> Taking? {
    take(until: max(0, nanoseconds), tries: false)
  }

  /// Takes the lock if nobody has it.
  public func tryLock() -> Taking? { take(until: -1, tries: true) }

  /// Gives the lock back.
  ///
  /// Another thread than the holder is stopped with a sentence.
  public func unlock() {
    let result = memory.releaseLock(at: offset)
    precondition(result == 0, "a shared lock is released by one that does not have it")
  }

  /// Does something while it has the lock.
  public func withLock<Result, Failure>(
    _ body: (Taking) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let taking = lock()
    defer { unlock() }
    return try body(taking)
  }

  private func take(until moment: Int64, tries: Bool) -> Taking? {
    switch memory.takeLock(at: offset, until: moment, tries: tries) {
    case 0: return .free
    case 1: return .fromTheDead
    case -Int64(ETIMEDOUT), -Int64(EBUSY): return nil
    case -Int64(EDEADLK): preconditionFailure("a thread takes a shared lock that it has")
    case let other:
      preconditionFailure("a shared lock was never made, or was overwritten (error \(-other))")
    }
  }
}

/// What threads of any processes wait for until what a ``SharedLock`` protects has changed.
///
/// It knows nothing of those that wait, so none that dies can harm it.
public struct SharedCondition: Sendable {
  /// How many bytes it takes; it lies at a multiple of four.
  public static let byteCount = 4

  private let word: SharedWord
  private let lock: SharedLock

  /// The condition at a place that was zeros before anybody used it.
  public init(of lock: SharedLock, in memory: SharedMemory, at offset: Int) {
    self.lock = lock
    word = memory.word(at: offset)
  }

  /// Gives the lock back, waits for a signal, and takes the lock again; it may end for no reason.
  ///
  /// - Returns: false when a moment of ``SystemClock/monotonicNanoseconds()`` came first.
  @discardableResult
  public func wait(until nanoseconds: Int64? = nil) -> Bool {
    // Read with the lock: who changes what is waited for after this changes the word, too.
    let present = word.value
    lock.unlock()
    let isSignal = word.sleep(while: present, until: nanoseconds)
    lock.lock()
    return isSignal
  }

  /// Lets one go on that waits.
  public func signal() {
    word.increment()
    word.wake(1)
  }

  /// Lets all go on that wait.
  public func broadcast() {
    word.increment()
    word.wake()
  }
}
