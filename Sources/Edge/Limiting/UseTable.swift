import KeyedTables

/// How many things are under way, for each key: requests, connections.
///
/// May be used from any thread; of all threads together no more are let in than may be. An entry whose
/// count is 0 is free. A key that finds no place is let in uncounted, and ``uncountedCount`` is counted
/// up: a table is made for more keys than there can be things under way.
public final class UseTable: Sendable {
  /// What was taken by something that is let in; given back once.
  public struct Place: Hashable, Sendable {
    let index: Int

    /// Of what was let in uncounted.
    static let none = Place(index: -1)
  }

  private let table: KeyedWords
  private let uncounted = AtomicWords(count: 1)

  /// Creates a table for about `keyCount` keys.
  public init(keyCount: Int) { table = KeyedWords(keyCount: keyCount) }

  /// How many were let in without being counted.
  public var uncountedCount: UInt64 { uncounted[0] }

  /// How many keys there is place for.
  public var capacity: Int { table.capacity }

  /// How many keys have something under way.
  ///
  /// - Complexity: O(*n*) in the places.
  public var keyCount: Int { table.count { $0 & Self.countMask > 0 } }

  // A word is how often its place had another key, and the count. A word that was read therefore does
  // not come back when the place was taken meanwhile, but for 2³¹ other keys between two instructions.
  private static let countMask: UInt64 = 0xFFFF_FFFF
  private static let turn: UInt64 = 1 << 32
  private static let turnMask: UInt64 = 0x7FFF_FFFF_0000_0000

  /// Lets one more in for `key`, unless as many as `limit` are.
  ///
  /// - Returns: Its place, which is to be given to ``leave(_:)``; nil when it is not let in.
  /// - Complexity: O(1).
  public func enter(_ key: UInt64, limit: Int) -> Place? {
    let most = UInt64(max(0, min(limit, 1 << 30)))
    let change = table.update(
      key,
      isFree: { $0 & Self.countMask == 0 },
      beginning: { ($0 &+ Self.turn) & Self.turnMask },
      evicts: false
    ) { word in
      word & Self.countMask < most ? word &+ 1 : nil
    }
    switch change {
    case .made(let place, _, _): return Place(index: place)
    case .refused: return nil
    case .full:
      while true {
        let count = uncounted[0]
        if uncounted.replace(count, with: count &+ 1, at: 0) { return Place.none }
      }
    }
  }

  /// Lets one out.
  public func leave(_ place: Place) {
    if place.index >= 0 { table.decrement(at: place.index) }
  }
}
