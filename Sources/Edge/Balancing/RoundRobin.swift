/// Members in turn, each as often as its weight says, and spread evenly.
///
/// Over a period (the sum of the weights divided by their greatest common divisor) the shares are
/// exact. Among up to 16 members none is ever a whole turn ahead of its share; among more none is more
/// than four turns ahead, and a choice costs the same however many there are.
public struct RoundRobin: Sendable {
  @usableFromInline var few: SmoothTurns
  @usableFromInline var many: StridedTurns
  @usableFromInline let isFew: Bool

  /// Creates the sequence for `candidates`, which begins `start` turns after its own beginning.
  ///
  /// Loops that begin at different places do not all send their first request to one member. Among
  /// few members only the remainder of `start` by the period, or by 1,024 if that is less, counts.
  ///
  /// - Complexity: O(*n*) in the members, and in the turns that are skipped.
  public init(_ candidates: [Candidate], start: Int = 0) {
    isFew = candidates.count <= SmoothTurns.memberLimit
    few = SmoothTurns(isFew ? candidates : [], start: start)
    many = StridedTurns(isFew ? [] : candidates, start: start)
  }

  /// The number of the member whose turn it is, or nil when none can be chosen.
  ///
  /// - Complexity: O(1), with no allocation; O(*n*) when nearly all are excluded.
  @inlinable
  public mutating func choose(excluding excluded: borrowing MemberSet) -> Int? {
    isFew
      ? few.next(among: few.places(excluding: excluded)) : many.next(excluding: excluded)
  }
}
