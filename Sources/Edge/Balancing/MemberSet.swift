/// A set of members, by their index in the upstream.
///
/// The first 64 members take one word and no allocation.
public struct MemberSet: Sendable {
  @usableFromInline var low: UInt64 = 0

  // Word n holds the members from 64 · (n + 1) on.
  @usableFromInline var words: [UInt64] = []

  /// Creates the empty set.
  @inlinable
  public init() {}

  /// Adds a member; `index` must not be negative.
  ///
  /// - Complexity: O(1) for the first 64 members, else O(*n*) in the largest index when the set grows.
  @inlinable
  public mutating func insert(_ index: Int) {
    precondition(index >= 0, "members are numbered from 0")
    let bit = 1 &<< UInt64(truncatingIfNeeded: index & 63)
    guard index >= 64 else {
      low |= bit
      return
    }
    let word = index &>> 6 &- 1
    while words.count <= word { words.append(0) }
    words[word] |= bit
  }

  /// Whether the set has the member.
  @inlinable
  public func contains(_ index: Int) -> Bool {
    let shift = UInt64(truncatingIfNeeded: index & 63)
    guard index >= 64 else { return index >= 0 && low &>> shift & 1 == 1 }
    let word = index &>> 6 &- 1
    return word < words.count && words[word] &>> shift & 1 == 1
  }

  /// Whether the set has no member.
  @inlinable
  public var isEmpty: Bool {
    low == 0 && words.allSatisfy { $0 == 0 }
  }

  /// How many members the set has.
  @inlinable
  public var count: Int {
    words.reduce(low.nonzeroBitCount) { $0 + $1.nonzeroBitCount }
  }
}
