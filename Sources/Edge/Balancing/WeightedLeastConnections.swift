/// The member that has the least to do for its weight: one of weight 2 with 4 requests is as busy as
/// one of weight 1 with 2.
///
/// It differs from ``LeastConnections`` in what a request counts, and in nothing else.
public struct WeightedLeastConnections {
  @usableFromInline var algorithm: LeastConnections

  /// Creates the algorithm for `candidates`; `start` shifts the turns as in ``RoundRobin``.
  public init(_ candidates: [Candidate], start: Int = 0) {
    algorithm = LeastConnections(candidates, strengths: candidates.map(\.weight), start: start)
  }

  /// The number of the member with the least to do for its weight, or nil when none can be chosen.
  ///
  /// - Complexity: O(*n*) up to 16 members, else O(log *n*); no allocation.
  @inlinable
  public mutating func choose<Loads: MemberLoads>(
    excluding excluded: borrowing MemberSet,
    _ loads: Loads
  ) -> Int? {
    algorithm.choose(excluding: excluded, loads)
  }

  /// Notes that a request of this loop ended at a member.
  @inlinable
  public func noteEnd(of number: Int) { algorithm.noteEnd(of: number) }
}
