/// One of the algorithms, with its state, over the members of one tier.
///
/// Equal members, exclusions, loads and starts give equal choices.
public struct Balancer {
  /// The ways to choose.
  public enum Algorithm: Hashable, Sendable {
    /// Members in turn, by weight.
    case roundRobin
    /// The one with the fewest requests under way.
    case leastConnections
    /// The one with the fewest requests under way for its weight.
    case weightedLeastConnections
    /// The less busy one of two at random.
    case randomOfTwo
    /// The one that is likely to answer first.
    case peakEWMA
    /// The first that can take a request.
    case firstAvailable
    /// The one that a key belongs to, with a bound in percent of its share or none.
    case hash(HashPlaces.Form, bound: Int?)
  }

  @usableFromInline
  enum Kind: Sendable {
    case roundRobin, leastConnections, weightedLeastConnections, randomOfTwo, peakEWMA
    case firstAvailable, hash
  }

  // All of them stand side by side, and but one has members: what is looked at in place is not copied.
  @usableFromInline let kind: Kind
  @usableFromInline var roundRobin = RoundRobin([])
  @usableFromInline var leastConnections = LeastConnections([])
  @usableFromInline var weightedLeastConnections = WeightedLeastConnections([])
  @usableFromInline var randomOfTwo = RandomOfTwo([])
  @usableFromInline var peakEWMA = PeakEWMA([])
  @usableFromInline var firstAvailable = FirstAvailable([])
  @usableFromInline var hash = ConsistentHash([], in: HashPlaces([], form: .ring))

  /// Creates the state of an algorithm for `candidates`.
  ///
  /// `start` shifts turns and draws, so that loops do not all begin at one member. An algorithm by hash
  /// needs `places`, in which all candidates are; without them members take turns.
  ///
  /// - Complexity: O(*n*) in the members.
  public init(
    _ algorithm: Algorithm,
    _ candidates: [Candidate],
    start: Int = 0,
    places: HashPlaces? = nil
  ) {
    switch algorithm {
    case .roundRobin:
      kind = .roundRobin
      roundRobin = RoundRobin(candidates, start: start)
    case .leastConnections:
      kind = .leastConnections
      leastConnections = LeastConnections(candidates, start: start)
    case .weightedLeastConnections:
      kind = .weightedLeastConnections
      weightedLeastConnections = WeightedLeastConnections(candidates, start: start)
    case .randomOfTwo:
      kind = .randomOfTwo
      randomOfTwo = RandomOfTwo(candidates, seed: UInt64(start.magnitude))
    case .peakEWMA:
      kind = .peakEWMA
      peakEWMA = PeakEWMA(candidates, start: start)
    case .firstAvailable:
      kind = .firstAvailable
      firstAvailable = FirstAvailable(candidates)
    case .hash(_, let bound):
      if let places {
        kind = .hash
        hash = ConsistentHash(candidates, in: places, bound: bound, start: start)
      } else {
        kind = .roundRobin
        roundRobin = RoundRobin(candidates, start: start)
      }
    }
  }

  /// The number of the member that is to have the request, or nil when none can be chosen.
  ///
  /// - Complexity: That of the algorithm; no allocation.
  @inlinable
  public mutating func choose<Loads: MemberLoads>(
    for request: BalancingRequest = BalancingRequest(),
    excluding excluded: borrowing MemberSet,
    _ loads: Loads
  ) -> Int? {
    switch kind {
    case .roundRobin: roundRobin.choose(excluding: excluded)
    case .leastConnections: leastConnections.choose(excluding: excluded, loads)
    case .weightedLeastConnections: weightedLeastConnections.choose(excluding: excluded, loads)
    case .randomOfTwo: randomOfTwo.choose(excluding: excluded, loads)
    case .peakEWMA: peakEWMA.choose(at: request.now, excluding: excluded, loads)
    case .firstAvailable: firstAvailable.choose(excluding: excluded)
    case .hash: hash.choose(for: request.hash, excluding: excluded, loads)
    }
  }

  /// Notes that a request of this loop ended at a member.
  ///
  /// Only those with a ``tree`` ask for it.
  @inlinable
  public func noteEnd(of number: Int) {
    leastConnections.noteEnd(of: number)
    weightedLeastConnections.noteEnd(of: number)
  }

  /// What wants to know when requests end; nil: nothing does.
  public var tree: LoadTree? {
    leastConnections.tree ?? weightedLeastConnections.algorithm.tree
  }
}
