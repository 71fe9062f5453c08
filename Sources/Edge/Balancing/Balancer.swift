/// One of the algorithms, with its state.
///
/// Equal members, exclusions and counts give equal choices: there is no chance in it.
public enum Balancer: Sendable {
  /// Members in turn, by weight.
  case roundRobin(RoundRobin)
  /// The member with the fewest active requests for its weight.
  case leastConnections(LeastConnections)

  /// The member that is to have the next request, or nil when none can be chosen.
  ///
  /// Drained members are never chosen, and backups only when every other member is drained or
  /// excluded. `active` has the number of requests that each member works on.
  ///
  /// - Complexity: O(*n*) in the members, with no allocation.
  public mutating func choose(excluding excluded: MemberSet, active: Span<UInt32>) -> Int? {
    switch self {
    case .roundRobin(var algorithm):
      // While both hold the state, a change would copy it.
      self = Self.nothing
      defer { self = .roundRobin(algorithm) }
      return algorithm.choose(excluding: excluded)
    case .leastConnections(var algorithm):
      self = Self.nothing
      defer { self = .leastConnections(algorithm) }
      return algorithm.choose(excluding: excluded, active: active)
    }
  }

  private static let nothing = Balancer.roundRobin(RoundRobin([]))
}
