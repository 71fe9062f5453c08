/// The member that has the least to do; those that have equally little take turns by weight.
///
/// What members have to do is counted for all loops together. Among up to 16 members the choice is
/// exact. Among more, a tree keeps the least loaded one at its top: the requests of this loop are seen
/// at once, those of other loops when the choice falls on the member, and two members with each choice.
public struct LeastConnections {
  @usableFromInline var turns: SmoothTurns
  @usableFromInline var strengths = InlineArray<16, UInt64>(repeating: 1)
  @usableFromInline let tree: LoadTree?

  /// Creates the algorithm for `candidates`: the number of requests alone decides.
  ///
  /// `start` shifts the turns as in ``RoundRobin``.
  public init(_ candidates: [Candidate], start: Int = 0) {
    self.init(candidates, strengths: candidates.map(\.strength), start: start)
  }

  /// Creates the algorithm for members that bear as much as `strengths` says.
  init(_ candidates: [Candidate], strengths: [Int], start: Int) {
    let isFew = candidates.count <= SmoothTurns.memberLimit
    turns = SmoothTurns(isFew ? candidates : [], start: start)
    tree = isFew ? nil : LoadTree(candidates, strengths: strengths, start: start)
    guard isFew else { return }
    for (place, strength) in strengths.enumerated() { self.strengths[place] = UInt64(strength) }
  }

  /// The number of the member with the least to do, or nil when none can be chosen.
  ///
  /// - Complexity: O(*n*) up to 16 members, else O(log *n*); no allocation.
  @inlinable
  public mutating func choose<Loads: MemberLoads>(
    excluding excluded: borrowing MemberSet,
    _ loads: Loads
  ) -> Int? {
    if let tree { return tree.choose(excluding: excluded, loads) }
    var places: UInt32 = 0
    var least: (count: UInt64, strength: UInt64) = (0, 0)
    for place in 0..<turns.count {
      let number = turns.numbers[place]
      if excluded.contains(number) { continue }
      let count = UInt64(truncatingIfNeeded: loads.activeCount(of: number))
      let strength = strengths[place]
      // Counts have far less than 32 bits and strengths 26: the products fit.
      let (own, other) = (count &* least.strength, least.count &* strength)
      if places != 0, own > other { continue }
      if places == 0 || own < other {
        least = (count, strength)
        places = 0
      }
      places |= 1 &<< UInt32(truncatingIfNeeded: place)
    }
    return turns.next(among: places)
  }

  /// Notes that a request of this loop ended at a member.
  @inlinable
  public func noteEnd(of number: Int) { tree?.noteEnd(of: number) }
}
