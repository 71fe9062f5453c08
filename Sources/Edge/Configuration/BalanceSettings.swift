/// How a member is chosen.
public enum Balance: Hashable, Sendable {
  /// The members in turn, by weight.
  case roundRobin
  /// The member with the fewest exchanges under way; weights count among equals only.
  case leastConnections
  /// The member with the fewest exchanges under way for its weight.
  case weightedLeastConnections
  /// The less busy one of two members at random.
  case random
  /// The member that is likely to answer first, by the time it took lately.
  case latency
  /// The first member in the order written that is not full.
  case first
  /// The member that the client's address belongs to.
  case sourceHash(HashSettings)
  /// The member that the value of an expression belongs to.
  case hash(Template, HashSettings)

  /// What keys are spread by, if they are.
  public var hash: (key: Template, settings: HashSettings)? {
    switch self {
    case .sourceHash(let settings): (Template([.variable(.clientAddress)]), settings)
    case .hash(let key, let settings): (key, settings)
    default: nil
    }
  }

  /// The word in a configuration.
  public var name: String {
    switch self {
    case .roundRobin: "round_robin"
    case .leastConnections: "least_connections"
    case .weightedLeastConnections: "weighted_least_connections"
    case .random: "random"
    case .latency: "latency"
    case .first: "first"
    case .sourceHash: "source_hash"
    case .hash: "hash"
    }
  }

  /// The words of the ways that need no more.
  static let plain: [Balance] = [
    .roundRobin, .leastConnections, .weightedLeastConnections, .random, .latency, .first,
  ]

  /// Every word.
  static let words = plain.map(\.name) + ["source_hash", "hash"]
}

/// How keys are spread over members.
public struct HashSettings: Hashable, Sendable {
  /// The kind of table.
  public enum Form: String, Hashable, Sendable, CaseIterable {
    /// Points on a ring: who comes or goes moves its own share and nothing else.
    case ring
    /// Maglev's table: shares are nearly exact.
    case maglev
  }

  /// The kind of table.
  public var form: Form
  /// The most that a member may have of its share of what is under way, in percent; nil: no bound.
  public var bound: Int?

  /// Creates the settings.
  public init(form: Form = .ring, bound: Int? = nil) {
    self.form = form
    self.bound = bound
  }
}
