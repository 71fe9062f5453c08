/// The member that has the least to do for its weight; those that have equally little take turns.
///
/// A member of weight 2 with 4 requests is as busy as one of weight 1 with 2.
public struct LeastConnections: Sendable {
  private var turns: SmoothTurns

  /// Creates the algorithm for `members`; `start` shifts the turns as in ``RoundRobin``.
  ///
  /// - Complexity: O(*n* · *s*) in the members and the turns that are skipped.
  public init(_ members: [BalancedMember], start: Int = 0) {
    turns = SmoothTurns(members, start: start)
  }

  /// The member with the fewest active requests for its weight, or nil when none can be chosen.
  ///
  /// `active` has the requests of each member; a member behind its end has none.
  ///
  /// - Complexity: O(*n*) in the members, with no allocation.
  public mutating func choose(excluding excluded: MemberSet, active: Span<UInt32>) -> Int? {
    choose(backups: false, excluding: excluded, active)
      ?? choose(backups: true, excluding: excluded, active)
  }

  private mutating func choose(
    backups: Bool,
    excluding excluded: MemberSet,
    _ active: Span<UInt32>
  ) -> Int? {
    var least: (count: UInt64, weight: UInt64)?
    for index in turns.indices
    where turns.canChoose(index, backups: backups) && !excluded.contains(index) {
      let load = (count: count(index, active), weight: turns.weight(of: index))
      // Counts have 32 bits and weights 20: the products fit.
      if let other = least, load.count * other.weight >= other.count * load.weight { continue }
      least = load
    }
    guard let least else { return nil }
    return turns.next(backups: backups) { index, weight in
      !excluded.contains(index)
        && count(index, active) * least.weight == least.count * UInt64(weight)
    }
  }
}

private func count(_ index: Int, _ active: Span<UInt32>) -> UInt64 {
  index < active.count ? UInt64(active[index]) : 0
}
