/// Members in turn, each as often as its weight says, and spread evenly.
///
/// Over a period (the sum of the weights divided by their greatest common divisor) the shares are
/// exact; a member is never a whole turn ahead of its share.
public struct RoundRobin: Sendable {
  private var turns: SmoothTurns

  /// Creates the sequence for `members`, which begins `start` turns after its own beginning.
  ///
  /// Loops that begin at different places do not all send their first request to one member. Only
  /// the remainder of `start` by the period, or by 1,024 if that is less, counts.
  ///
  /// - Complexity: O(*n* · *s*) in the members and the turns that are skipped.
  public init(_ members: [BalancedMember], start: Int = 0) {
    turns = SmoothTurns(members, start: start)
  }

  /// The member whose turn it is, or nil when none can be chosen.
  ///
  /// - Complexity: O(*n*) in the members, with no allocation.
  public mutating func choose(excluding excluded: MemberSet) -> Int? {
    turns.next(backups: false) { index, _ in !excluded.contains(index) }
      ?? turns.next(backups: true) { index, _ in !excluded.contains(index) }
  }
}
