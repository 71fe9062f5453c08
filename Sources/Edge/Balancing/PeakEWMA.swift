/// The member that is likely to answer first: by how long it took lately, and how much it has to do.
///
/// Among up to 16 members the best of all; among more the better one of two that are drawn at random.
///
/// - Source: ``ResponseTime`` says how times are averaged.
public struct PeakEWMA: Sendable {
  @usableFromInline var turns: SmoothTurns
  @usableFromInline var draw: RandomDraw
  @usableFromInline let isFew: Bool

  /// Creates the algorithm for `candidates`; `start` shifts the turns and the draws.
  public init(_ candidates: [Candidate], start: Int = 0) {
    isFew = candidates.count <= SmoothTurns.memberLimit
    turns = SmoothTurns(isFew ? candidates : [], start: start)
    draw = RandomDraw(isFew ? [] : candidates, seed: UInt64(start.magnitude))
  }

  /// The number of the member chosen, or nil when none can be.
  ///
  /// - Complexity: O(*n*) up to 16 members, else O(1); no allocation.
  @inlinable
  public mutating func choose<Loads: MemberLoads>(
    at now: Int64,
    excluding excluded: borrowing MemberSet,
    _ loads: Loads
  ) -> Int? {
    if !isFew { return chooseOfTwo(at: now, excluding: excluded, loads) }
    var places: UInt32 = 0
    var least: Float = 0
    for place in 0..<turns.count {
      let number = turns.numbers[place]
      if excluded.contains(number) { continue }
      let cost = loads.responseTime(of: number).cost(
        activeCount: loads.activeCount(of: number),
        weight: turns.weights[place],
        at: now
      )
      if places != 0, cost > least { continue }
      if places == 0 || cost < least {
        least = cost
        places = 0
      }
      places |= 1 &<< UInt32(truncatingIfNeeded: place)
    }
    return turns.next(among: places)
  }

  @inlinable
  mutating func chooseOfTwo<Loads: MemberLoads>(
    at now: Int64,
    excluding excluded: borrowing MemberSet,
    _ loads: Loads
  ) -> Int? {
    guard let (one, other) = draw.two(excluding: excluded) else { return nil }
    if one == other { return one }
    let cost = loads.responseTime(of: one).cost(
      activeCount: loads.activeCount(of: one),
      weight: draw.weight(of: one),
      at: now
    )
    let otherCost = loads.responseTime(of: other).cost(
      activeCount: loads.activeCount(of: other),
      weight: draw.weight(of: other),
      at: now
    )
    return cost <= otherCost ? one : other
  }
}
