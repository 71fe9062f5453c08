/// The member that a key belongs to, or the next one for the key that can be chosen.
///
/// With a bound no member works on more than its share of all requests under way, enlarged by the
/// bound: a key that everybody asks for spills over to the members that are next for it, always in the
/// same order. A member that starts slowly, or whose weight was lowered at run time, takes a part of
/// its keys, always the same ones.
///
/// - Source: consistent hashing with bounded loads of Mirrokni and others, 2018.
public struct ConsistentHash: Sendable {
  @usableFromInline let places: HashPlaces
  // By number: the part of its keys that a member takes, of 65,536; 0: it is no candidate.
  @usableFromInline let parts: [Int]
  // By number: its weight now.
  @usableFromInline let weights: [Int]
  @usableFromInline let weightSum: Int
  @usableFromInline let numbers: [Int]
  @usableFromInline let bound: Int?
  @usableFromInline var turns: RoundRobin

  /// Creates the algorithm for `candidates`, which must be in `places`.
  ///
  /// `bound` is in percent of a member's share, at least 100; nil: none. `start` shifts the turns of
  /// requests without a key.
  public init(
    _ candidates: [Candidate],
    in places: HashPlaces,
    bound: Int? = nil,
    start: Int = 0
  ) {
    self.places = places
    self.bound = bound.map { max(100, $0) }
    let full = BalancedMember.fullRamp
    let count = (candidates.map(\.number).max() ?? -1) + 1
    var parts = Array(repeating: 0, count: count)
    var weights = parts
    var isSlow = false
    for candidate in candidates {
      weights[candidate.number] = candidate.weight
      isSlow = isSlow || candidate.ramp < full
    }
    for owner in places.owners where owner.number < count && weights[owner.number] > 0 {
      // While one starts slowly, weights are finer by the full ramp.
      let whole = owner.weight * (isSlow ? full : 1)
      parts[owner.number] = max(1, min(65_536, weights[owner.number] * 65_536 / whole))
    }
    self.parts = parts
    self.weights = weights
    weightSum = weights.reduce(0, +)
    numbers = candidates.map(\.number)
    turns = RoundRobin(candidates, start: start)
  }

  /// The number of the member for a key, or nil when none can be chosen; without a key members take
  /// turns.
  ///
  /// - Complexity: O(1) while many members can be chosen, with no allocation; else O(*n*).
  @inlinable
  public mutating func choose<Loads: MemberLoads>(
    for hash: UInt64?,
    excluding excluded: borrowing MemberSet,
    _ loads: Loads
  ) -> Int? {
    guard let hash, !places.isEmpty else { return turns.choose(excluding: excluded) }
    let total = bound == nil ? 0 : loads.totalCount &+ 1
    var cursor = places.start(hash)
    for _ in 0..<Self.stepLimit {
      let number = places.number(at: cursor)
      if takes(number, hash), !excluded.contains(number),
        bound == nil || loads.activeCount(of: number) < capacity(of: number, total)
      {
        return number
      }
      places.advance(&cursor)
    }
    return best(for: hash, excluding: excluded, loads, total)
  }

  @usableFromInline static var stepLimit: Int { 64 }

  /// Whether the key is among those that a member takes.
  @inlinable
  func takes(_ number: Int, _ hash: UInt64) -> Bool {
    guard number < parts.count else { return false }
    let part = parts[number]
    if part == 65_536 { return true }
    return part > 0 && Self.fraction(number, hash) < part
  }

  /// The most requests that a member may have when there are `total`.
  @inlinable
  func capacity(of number: Int, _ total: Int) -> Int {
    guard let bound else { return Int.max }
    let share = total.multipliedFullWidth(by: bound &* weights[number])
    let (whole, rest) = (100 &* weightSum).dividingFullWidth(share)
    return rest > 0 ? whole &+ 1 : whole
  }

  /// The one of all that is best for the key by a hash of both, where the table leads to few.
  @usableFromInline
  func best<Loads: MemberLoads>(
    for hash: UInt64,
    excluding excluded: borrowing MemberSet,
    _ loads: Loads,
    _ total: Int
  ) -> Int? {
    var best: (number: Int, rank: UInt64)?
    var fallback: (number: Int, rank: UInt64)?
    for number in numbers where !excluded.contains(number) {
      let rank = mixed(hash ^ mixed(UInt64(number) &+ 1))
      if rank >= fallback?.rank ?? 0 { fallback = (number, rank) }
      guard loads.activeCount(of: number) < capacity(of: number, total) else { continue }
      if rank >= best?.rank ?? 0 { best = (number, rank) }
    }
    return best?.number ?? fallback?.number
  }

  @usableFromInline
  static func fraction(_ number: Int, _ hash: UInt64) -> Int {
    Int(truncatingIfNeeded: mixed(hash &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15) &>> 48)
  }
}
