/// Whose turn it is among few members with weights.
///
/// Each turn, every eligible member earns its weight, the one with the most credit is chosen, and it
/// pays what all of them earned. Over a period every member is chosen exactly as often as its weight
/// says, and never a whole turn ahead of its share. A member that is not eligible neither earns nor
/// pays, so it comes back as it went.
@usableFromInline
struct SmoothTurns: Sendable {
  /// The most members that it is for; for more there is ``StridedTurns``.
  @usableFromInline static let memberLimit = 16

  // How far into its period a sequence may begin.
  private static let startLimit = 1024

  @usableFromInline let count: Int
  @usableFromInline var credits = InlineArray<16, Int>(repeating: 0)
  @usableFromInline var weights = InlineArray<16, Int>(repeating: 0)
  @usableFromInline var numbers = InlineArray<16, Int>(repeating: 0)

  /// The state after `start` turns without exclusion, for at most ``memberLimit`` candidates.
  @usableFromInline
  init(_ candidates: [Candidate], start: Int) {
    precondition(candidates.count <= Self.memberLimit, "smooth turns are for few members")
    count = candidates.count
    for (place, candidate) in candidates.enumerated() {
      weights[place] = candidate.weight
      numbers[place] = candidate.number
    }
    skip(start)
  }

  /// All members, as a set of places.
  @usableFromInline var all: UInt32 { 1 &<< UInt32(truncatingIfNeeded: count) &- 1 }

  /// The places of the members that are not excluded.
  @inlinable
  func places(excluding excluded: borrowing MemberSet) -> UInt32 {
    if excluded.isEmpty { return all }
    var places: UInt32 = 0
    for place in 0..<count where !excluded.contains(numbers[place]) {
      places |= 1 &<< UInt32(truncatingIfNeeded: place)
    }
    return places
  }

  /// The number of the member whose turn it is among those at `places`, or nil when there is none.
  @inlinable
  mutating func next(among places: UInt32) -> Int? {
    guard places != 0 else { return nil }
    var total = 0
    var best = 0
    var most = Int.min
    for place in 0..<count where places &>> UInt32(truncatingIfNeeded: place) & 1 == 1 {
      let weight = weights[place]
      let credit = credits[place] &+ weight
      credits[place] = credit
      total &+= weight
      if credit > most {
        most = credit
        best = place
      }
    }
    credits[best] = most &- total
    return numbers[best]
  }

  private mutating func skip(_ start: Int) {
    var total = 0
    var divisor = 0
    for place in 0..<count {
      total += weights[place]
      divisor = greatestCommonDivisor(divisor, weights[place])
    }
    guard total > 0 else { return }
    let period = min(total / divisor, Self.startLimit)
    for _ in 0..<Int(start.magnitude % UInt(period)) { _ = next(among: all) }
  }
}

/// The largest number that divides both; the other one if one is 0.
func greatestCommonDivisor(_ left: Int, _ right: Int) -> Int {
  var (left, right) = (left, right)
  while right != 0 { (left, right) = (right, left % right) }
  return left
}
