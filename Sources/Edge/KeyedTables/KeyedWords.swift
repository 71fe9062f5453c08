public import MartletSystem

/// A table of fixed size with a word for each key, which threads change without waiting for each other.
///
/// The keys of one group of sixteen places share these places. An entry whose word says so is free: its
/// place may be taken for another key.
///
/// How a change and a new key do not meet: a change reads the word, then the key, and then swaps the
/// word it has read for a new one. A place is taken for another key by first swapping its word for
/// ``reserved``, so a change that had read the old word fails, provided that no word comes back at
/// one place; that is up to those who say what the words mean. Keys come one at a time to a group,
/// for else one key could get two places; who finds another at it tries again, and after a
/// bounded number of times gives up.
public final class KeyedWords: Sendable {
  /// What came of a change.
  public enum Change {
    /// The word was `from` and is now another; it stands at `place`.
    case made(place: Int, from: UInt64, evicted: Bool)
    /// The word is not to be changed.
    case refused(UInt64)
    /// There is no place for the key.
    case full
  }

  /// Stands where a place is being taken.
  public static let reserved = UInt64.max
  @usableFromInline static let groupSize = 16
  @usableFromInline static let rounds = 20_000
  /// After so many tries it lets other threads run: the one that it waits for may have been stopped.
  @usableFromInline static let patience = 100

  @usableFromInline let keys: AtomicWords
  @usableFromInline let words: AtomicWords
  /// One for each group: 1 while a key is being added.
  @usableFromInline let claims: AtomicWords
  @usableFromInline let groupMask: UInt64

  /// How many keys there is place for.
  public var capacity: Int { keys.count }

  /// Creates a table for `keyCount` keys at most half of which are there at a time, so that a full
  /// group is rare.
  public init(keyCount: Int) {
    var groups = 1
    while groups * Self.groupSize < keyCount { groups *= 2 }
    groupMask = UInt64(groups - 1)
    keys = AtomicWords(count: groups * Self.groupSize)
    words = AtomicWords(count: groups * Self.groupSize)
    claims = AtomicWords(count: groups)
  }

  /// Changes the word of `key`, which may come to the table by this.
  ///
  /// - Parameters:
  ///   - key: Not 0.
  ///   - isFree: Whether an entry with this word may be taken.
  ///   - beginning: The word that a new key has, in the place of an entry with the word given.
  ///   - evicts: Whether without a free entry that with the least word is taken.
  ///   - change: The new word, or nil when there is to be none.
  /// - Returns: What came of it.
  @inlinable @inline(__always)
  public func update(
    _ key: UInt64,
    isFree: (UInt64) -> Bool,
    beginning: (UInt64) -> UInt64,
    evicts: Bool,
    _ change: (UInt64) -> UInt64?
  ) -> Change {
    // The lowest bits choose the group; the key has all.
    let group = Int(key & groupMask)
    for round in 0..<Self.rounds {
      if round > Self.patience { Processes.yieldProcessor() }
      if let place = place(of: key, in: group) {
        let word = words[place]
        // Behind the word, the key tells whose it is.
        guard word != Self.reserved, keys[place] == key else { continue }
        guard let new = change(word) else { return .refused(word) }
        if words.replace(word, with: new, at: place) {
          return .made(place: place, from: word, evicted: false)
        }
        continue
      }
      guard claims.replace(0, with: 1, at: group) else { continue }
      defer { claims.store(0, at: group) }
      // Another thread may have added it just now.
      if place(of: key, in: group) != nil { continue }
      guard let (place, word, evicted) = taken(in: group, isFree: isFree, evicts: evicts) else {
        return .full
      }
      let first = beginning(word)
      guard let new = change(first) else {
        words.store(word, at: place)
        return .refused(first)
      }
      keys.store(key, at: place)
      words.store(new, at: place)
      return .made(place: place, from: first, evicted: evicted)
    }
    return .full
  }

  /// Takes one from the word at a place that ``update(_:isFree:beginning:evicts:_:)`` has told.
  @inlinable
  public func decrement(at place: Int) { words.decrement(at: place) }

  /// Makes every word 0, whichever it is.
  ///
  /// A word that another thread changes meanwhile may stay.
  ///
  /// - Complexity: O(*n*) in the places.
  public func clear() {
    for place in 0..<words.count {
      let word = words[place]
      if word != Self.reserved { _ = words.replace(word, with: 0, at: place) }
    }
  }

  /// How many words there are for which `counts` holds.
  ///
  /// - Complexity: O(*n*) in the places.
  public func count(where counts: (UInt64) -> Bool) -> Int {
    (0..<words.count).count { keys[$0] != 0 && words[$0] != Self.reserved && counts(words[$0]) }
  }

  @inlinable
  func place(of key: UInt64, in group: Int) -> Int? {
    let start = group &* Self.groupSize
    for place in start..<start &+ Self.groupSize where keys[place] == key { return place }
    return nil
  }

  /// Takes a place of the group for a key that is to come.
  @inlinable @inline(__always)
  func taken(
    in group: Int,
    isFree: (UInt64) -> Bool,
    evicts: Bool
  ) -> (place: Int, word: UInt64, evicted: Bool)? {
    let start = group &* Self.groupSize
    for place in start..<start &+ Self.groupSize {
      let word = words[place]
      if isFree(word), words.replace(word, with: Self.reserved, at: place) {
        return (place, word, false)
      }
    }
    guard evicts else { return nil }
    // Each of these fails only if the least entry was used just now.
    for _ in 0..<Self.groupSize {
      var least = start
      for place in start..<start &+ Self.groupSize where words[place] < words[least] {
        least = place
      }
      let word = words[least]
      if word != Self.reserved, words.replace(word, with: Self.reserved, at: least) {
        return (least, word, true)
      }
    }
    return nil
  }
}
