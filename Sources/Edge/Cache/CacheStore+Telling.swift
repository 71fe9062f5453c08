public import HTTPCaching
import Synchronization

/// What is told of a store.
extension CacheStore {
  /// Calls `body` with every answer that is kept, what its key says behind its space, and how often that was
  /// asked for lately; a part of the store is locked meanwhile.
  public func forEach(_ body: (_ url: ArraySlice<UInt8>, CachedAnswer, _ frequency: Int) -> Void) {
    for shard in shards {
      shard.state.withLock { state in
        state.forEach { key, answer, frequency in
          body(key[CacheKey.url(in: key)], answer, frequency)
        }
      }
    }
  }

  /// How often a key was asked for lately, and whether `matching` takes an answer that is kept for it.
  public func glance(
    at key: Span<UInt8>,
    _ now: Moment,
    matching: (CachedAnswer) -> Bool
  ) -> (frequency: Int, isKept: Bool) {
    let word = word(of: key)
    var isKept = false
    _ = find(key, word, at: now, isCounted: false) { answer in
      // None is taken, so that none counts as used.
      isKept = isKept || matching(answer)
      return false
    }
    return (shard(of: word).state.withLock { $0.frequency(of: word) }, isKept)
  }

  /// How many answers and marks are kept.
  public var count: Int { shards.reduce(0) { $0 + $1.state.withLock { $0.order.count } } }

  /// How many had to make room.
  public var evictionCount: UInt64 { evictions.load(ordering: .relaxed) }

  /// How many were not kept because what would have had to go is asked for more often.
  public var refusalCount: UInt64 { refusals.load(ordering: .relaxed) }

  /// Adds up what the lists say: for tests, that it is what the budget says.
  public var listedByteCount: Int {
    shards.reduce(0) { $0 + $1.state.withLock { $0.order.byteCount } }
  }
}
