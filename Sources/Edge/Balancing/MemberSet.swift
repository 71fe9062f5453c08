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

  /// Adds all members of another set.
  @inlinable
  public mutating func formUnion(_ other: MemberSet) {
    low |= other.low
    while words.count < other.words.count { words.append(0) }
    for word in other.words.indices { words[word] |= other.words[word] }
  }

  /// Removes a member, if the set has it.
  @inlinable
  public mutating func remove(_ index: Int) {
    let bit = 1 &<< UInt64(truncatingIfNeeded: index & 63)
    guard index >= 64 else {
      if index >= 0 { low &= ~bit }
      return
    }
    let word = index &>> 6 &- 1
    if word < words.count { words[word] &= ~bit }
  }

  /// The first member from `index` on, or nil when there are none; `index` must not be negative.
  @inlinable
  public func first(from index: Int) -> Int? {
    var word = index &>> 6
    var rest = ~UInt64(0) &<< UInt64(truncatingIfNeeded: index & 63)
    while word <= words.count {
      let found = (word == 0 ? low : words[word &- 1]) & rest
      if found != 0 { return word &<< 6 &+ found.trailingZeroBitCount }
      rest = ~0
      word &+= 1
    }
    return nil
  }

  /// The first number that is not in the set.
  @inlinable
  public var firstAbsent: Int {
    if low != ~0 { return (~low).trailingZeroBitCount }
    for word in words.indices where words[word] != ~0 {
      return (word &+ 1) &<< 6 &+ (~words[word]).trailingZeroBitCount
    }
    return (words.count &+ 1) &<< 6
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
