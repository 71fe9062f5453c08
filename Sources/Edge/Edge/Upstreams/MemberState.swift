/// What was found out or ordered about a member while it runs; all of it changes at once.
public struct MemberState: Hashable, Sendable {
  /// What checks say of it.
  public enum Health: UInt8, Hashable, Sendable {
    /// Nobody has asked it yet, or nobody asks: it is used.
    case unknown
    /// It answers as it should.
    case up
    /// It does not.
    case down

    /// Its word for people and programs.
    public var name: String {
      switch self {
      case .unknown: "unknown"
      case .up: "up"
      case .down: "down"
      }
    }
  }

  /// What it is wanted for.
  public enum Mode: UInt8, Hashable, Sendable {
    /// Everything.
    case ready
    /// Clients that belong to it, and what is under way.
    case draining
    /// Nothing new at all.
    case disabled

    /// Its word for people and programs.
    public var name: String {
      switch self {
      case .ready: "ready"
      case .draining: "draining"
      case .disabled: "disabled"
      }
    }
  }

  /// The largest weight that can be given while the server runs.
  public static let maxWeight = 4094

  /// What checks say of it.
  public var health = Health.unknown
  /// Whether it is left out for a while, because what was sent to it has failed.
  public var isEjected = false
  /// Whether its breaker is open.
  public var isOpen = false
  /// What it is wanted for.
  public var mode = Mode.ready
  /// Its weight in place of the configured one, 0 to ``maxWeight``; nil: as configured.
  public var weight: Int?
  /// Nanoseconds of the monotonic clock since when it may be used without a break.
  ///
  /// 0: from the beginning. It is set by ``Member/change(at:_:)`` alone, to within a millisecond.
  public internal(set) var upSince: Int64 = 0

  /// Creates the state of a member of which nothing is known.
  public init() {}

  /// Whether nothing speaks against a request to it.
  public var isUsable: Bool { mode == .ready && isWell }

  /// Whether neither checks nor failures speak against it.
  public var isWell: Bool { health != .down && !isEjected && !isOpen }

  // From the lowest bit: health 2, mode 2, ejected 1, breaker 1, weight 12 (one more than the weight;
  // 0: none), and since when it is up in 46 bits, in units of 2^20 nanoseconds.

  init(bits: UInt64) {
    health = Health(rawValue: UInt8(truncatingIfNeeded: bits & 3)) ?? .unknown
    mode = Mode(rawValue: UInt8(truncatingIfNeeded: bits >> 2 & 3)) ?? .ready
    isEjected = bits >> 4 & 1 == 1
    isOpen = bits >> 5 & 1 == 1
    let weight = Int(bits >> 6 & 0xFFF)
    self.weight = weight == 0 ? nil : weight - 1
    upSince = Int64(bits >> 18) << 20
  }

  var bits: UInt64 {
    let number = weight.map { UInt64(max(0, min($0, Self.maxWeight))) + 1 } ?? 0
    return UInt64(health.rawValue) | UInt64(mode.rawValue) << 2 | (isEjected ? 1 << 4 : 0)
      | (isOpen ? 1 << 5 : 0) | number << 6 | UInt64(max(0, upSince) >> 20) << 18
  }
}
