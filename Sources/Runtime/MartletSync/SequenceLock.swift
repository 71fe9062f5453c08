// Invariant of this file: `words` has `wordCount` initialised atomics, allocated with the lock and freed
// with it. A value is copied to them and from them whole, as bytes; its type has no pointer in it.

import MartletSystem
import Synchronization

// @unchecked: the memory behind the pointer is atomics, which any thread may change.
/// A value that is read without being locked: who reads while it is written reads again (sequence lock).
///
/// Readers never make a writer wait, and write nothing, so they scale; writers exclude each other. For small
/// values that are read much oftener than written. Nobody waits longer than a copy takes, so there is
/// no form that suspends.
@safe
public final class SequenceLock<Value: BitwiseCopyable & Sendable>: @unchecked Sendable {
  /// Odd while the value is written.
  private let sequence = Atomic<UInt>(0)
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  private let wordCount: Int

  /// Creates a lock with its first value.
  public init(_ value: Value) {
    wordCount = max((MemoryLayout<Value>.size + 7) / 8, 1)
    unsafe words = .allocate(capacity: wordCount)
    for index in 0..<wordCount { unsafe (words + index).initialize(to: Atomic(0)) }
    store(value)
  }

  deinit {
    unsafe words.deinitialize(count: wordCount)
    unsafe words.deallocate()
  }

  /// The value, whole; reads again while it is written.
  public var value: Value {
    var turns = Turns()
    while true {
      if let value = tryRead() { return value }
      turns.turn()
    }
  }

  /// The value, or nil when it was written meanwhile.
  public func tryRead() -> Value? {
    let before = sequence.load(ordering: .acquiring)
    guard before & 1 == 0 else { return nil }
    let value = load()
    // The words are read before the number is read again.
    atomicMemoryFence(ordering: .acquiring)
    return sequence.load(ordering: .relaxed) == before ? value : nil
  }

  /// Puts a value in the place of the present one.
  public func write(_ value: Value) { update { $0 = value } }

  /// Changes the value; another writer waits meanwhile, and readers read again.
  public func update<Result, Failure>(
    _ change: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let before = exclude()
    defer { sequence.store(before + 2, ordering: .releasing) }
    var value = load()
    let result = try change(&value)
    store(value)
    return result
  }

  /// Makes the number odd, alone.
  private func exclude() -> UInt {
    var turns = Turns()
    while true {
      let seen = sequence.load(ordering: .relaxed)
      if seen & 1 == 0,
        sequence.compareExchange(expected: seen, desired: seen + 1, ordering: .acquiring).exchanged
      {
        // The number is odd before the first word is written.
        atomicMemoryFence(ordering: .releasing)
        return seen
      }
      turns.turn()
    }
  }

  private func load() -> Value {
    // Safe: the buffer has room for the value and whole words; every bit pattern that was stored is one.
    unsafe withUnsafeTemporaryAllocation(
      byteCount: wordCount * 8,
      alignment: max(MemoryLayout<Value>.alignment, 8)
    ) { buffer in
      for index in 0..<wordCount {
        unsafe buffer.storeBytes(
          of: words[index].load(ordering: .relaxed),
          toByteOffset: index * 8,
          as: UInt64.self
        )
      }
      return unsafe buffer.load(as: Value.self)
    }
  }

  private func store(_ value: Value) {
    // Safe: as above; what is behind the value's last byte is written as 0.
    unsafe withUnsafeTemporaryAllocation(
      byteCount: wordCount * 8,
      alignment: max(MemoryLayout<Value>.alignment, 8)
    ) { buffer in
      unsafe buffer.storeBytes(of: 0, toByteOffset: (wordCount - 1) * 8, as: UInt64.self)
      unsafe buffer.storeBytes(of: value, as: Value.self)
      for index in 0..<wordCount {
        let word = unsafe buffer.load(fromByteOffset: index * 8, as: UInt64.self)
        unsafe words[index].store(word, ordering: .relaxed)
      }
    }
  }
}
