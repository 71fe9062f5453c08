// Invariant of this file: `words` has `count` initialised atomics, allocated when the value is made and
// freed with it. An index is compared with `count` before it is used.

public import Synchronization

// The place of the words never changes, and they are atomics; the compiler cannot know it of a pointer.
/// Words that several threads change.
@safe
public final class AtomicWords: @unchecked Sendable {
  @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>
  /// How many there are.
  public let count: Int

  /// Creates `count` words of zero.
  public init(count: Int) {
    self.count = count
    let raw = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
    unsafe words = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    for index in 0..<count { unsafe (words + index).initialize(to: Atomic(0)) }
  }

  deinit {
    unsafe words.deinitialize(count: count)
    unsafe UnsafeMutableRawPointer(words).deallocate()
  }

  /// The word; what was written before it was is seen too.
  @inlinable @inline(__always)
  public subscript(index: Int) -> UInt64 {
    precondition(index >= 0 && index < count, "a word that is not there")
    // Safe: see the invariant above.
    return unsafe words[index].load(ordering: .acquiring)
  }

  /// Writes a word; who sees it also sees what was written before.
  @inlinable @inline(__always)
  public func store(_ word: UInt64, at index: Int) {
    precondition(index >= 0 && index < count, "a word that is not there")
    // Safe: see the invariant above.
    unsafe words[index].store(word, ordering: .releasing)
  }

  /// Writes `new` if the word is `old`, and says whether it was.
  @inlinable @inline(__always)
  public func replace(_ old: UInt64, with new: UInt64, at index: Int) -> Bool {
    precondition(index >= 0 && index < count, "a word that is not there")
    // Safe: see the invariant above.
    return unsafe words[index].compareExchange(
      expected: old,
      desired: new,
      successOrdering: .acquiringAndReleasing,
      failureOrdering: .acquiring
    ).exchanged
  }

  /// Takes one from a word that is not 0.
  @inlinable @inline(__always)
  public func decrement(at index: Int) {
    precondition(index >= 0 && index < count, "a word that is not there")
    // Safe: see the invariant above.
    unsafe words[index].wrappingSubtract(1, ordering: .acquiringAndReleasing)
  }
}
