/// What a peer may cost us.
public struct ConnectionLimits: Hashable, Sendable {
  /// Streams that a peer may have open, those included that are over on the wire while their
  /// exchange still goes on.
  public var streamCount = 128
  /// The bytes of a head's fields as RFC 9113, section 10.5.1, counts them: each with 32 more.
  public var fieldBytes = 32_768
  /// The fields of a head.
  public var fieldCount = 100
  /// What a stream may receive before anything of it was consumed, at first and at last; at least
  /// 65,535.
  public var streamWindowBytes = 65_535
  /// The most that a stream's window grows to while its body is consumed as fast as it comes.
  public var streamWindowMaxBytes = 1 << 20
  /// What all streams together may receive before anything was consumed; at least 65,535.
  public var connectionWindowBytes = 1 << 20
  /// What may wait to be sent before further content has to wait.
  public var outputBytes = 64 << 10
  /// CONTINUATION frames of one head.
  public var continuationCount = 16
  /// Whether a client opens no stream before it knows how many the server takes.
  public var waitsForSettings = true
  /// Whether a peer may ask for WebSocket and the like by extended CONNECT (RFC 8441).
  public var allowsExtendedConnect = false

  /// How often a peer may reset streams that were not answered.
  public var resets = Budget(burst: 200, perSecond: 50)
  /// How often we reset streams for faults of the peer, or refuse them.
  public var faults = Budget(burst: 100, perSecond: 10)
  /// How often a peer may change its settings.
  public var settings = Budget(burst: 20, perSecond: 2)
  /// How often a peer may ping.
  public var pings = Budget(burst: 500, perSecond: 100)
  /// How many frames may carry nothing.
  public var emptyFrames = Budget(burst: 200, perSecond: 20)
  /// How many frames may open a window, besides two for each frame of content that was sent, and one for
  /// each 2 KB of it.
  public var windowUpdates = Budget(burst: 1000, perSecond: 500)
  /// How often priorities may change.
  public var priorities = Budget(burst: 500, perSecond: 50)
  /// How many answers may wait in vain for a window.
  public var stalls = Budget(burst: 10, perSecond: 1)

  /// Creates the limits that suit browsers and servers of today.
  public init() {}
}

/// How often something may happen: `burst` times at once, and `perSecond` times in the long run.
public struct Budget: Hashable, Sendable {
  /// How often at once.
  public var burst: Int
  /// How much comes back in a second.
  public var perSecond: Int

  /// Creates a budget.
  public init(burst: Int, perSecond: Int) {
    self.burst = burst
    self.perSecond = perSecond
  }
}

/// What is left of a budget.
struct Account: Sendable {
  private let budget: Budget
  // In parts of a nanosecond's worth: no division on the way.
  private var left: Int64
  private var since: Int64 = 0

  private static let one: Int64 = 1_000_000_000

  init(_ budget: Budget) {
    self.budget = budget
    left = Int64(budget.burst) * Self.one
  }

  /// Takes one; false when nothing is left.
  mutating func take(at now: Int64) -> Bool {
    if since == 0 { since = now }
    if left < Self.one {
      // More than a minute would overflow nothing, and gives no more.
      let passed = max(0, min(now - since, 60 * Self.one))
      left = min(left + passed * Int64(budget.perSecond), Int64(budget.burst) * Self.one)
      since = now
    }
    guard left >= Self.one else { return false }
    left -= Self.one
    return true
  }

  /// Gives back for something useful.
  mutating func giveBack(_ count: Int = 1) {
    left = min(left + Int64(count) * Self.one, Int64(budget.burst) * Self.one)
  }
}
