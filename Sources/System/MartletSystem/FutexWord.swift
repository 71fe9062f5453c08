// Invariant of this file: `word` is one initialised atomic, allocated with the value and freed with it.

import CLinux
import Synchronization

// @unchecked: a pointer to an atomic, which any thread may change; it never points elsewhere.
/// A number in memory on which threads sleep while it has a value.
///
/// System call: `futex(2)`.
@safe
public struct FutexWord: ~Copyable, @unchecked Sendable {
  private let word: UnsafeMutablePointer<Atomic<UInt32>>

  /// Creates a word.
  public init(_ value: UInt32) {
    unsafe word = .allocate(capacity: 1)
    unsafe word.initialize(to: Atomic(value))
  }

  deinit {
    unsafe word.deinitialize(count: 1)
    unsafe word.deallocate()
  }

  /// The present value; what was written before it was stored is seen.
  public var value: UInt32 { unsafe word.pointee.load(ordering: .acquiring) }

  /// Adds one, and begins anew at 0 behind the largest number.
  public func increment() {
    _ = unsafe word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
  }

  /// Puts `value` in the place of `expected`.
  ///
  /// - Returns: Whether `expected` was there.
  public func exchange(_ expected: UInt32, for value: UInt32) -> Bool {
    unsafe word.pointee.compareExchange(
      expected: expected,
      desired: value,
      ordering: .acquiringAndReleasing
    ).exchanged
  }

  /// Blocks the calling thread while the word is `value`, until ``wake(_:)``, or until a moment of
  /// ``SystemClock/monotonicNanoseconds()``.
  ///
  /// It may also end for no reason, so the caller looks at the word again.
  ///
  /// - Returns: false when the moment has come.
  public func sleep(while value: UInt32, until nanoseconds: Int64? = nil) -> Bool {
    // Safe: the word lives as long as this value; the kernel only reads it.
    unsafe martlet_futex_wait(word, value, nanoseconds.map { max($0, 0) } ?? -1) != -Int64(
      ETIMEDOUT
    )
  }

  /// Wakes so many of the threads that sleep.
  public func wake(_ count: Int32 = 1) {
    // Safe: the address is only a name here; nothing is read or written.
    _ = unsafe martlet_futex_wake(word, count)
  }
}
