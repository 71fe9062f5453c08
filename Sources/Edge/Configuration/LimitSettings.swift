/// One limit of a server or a route.
public struct LimitSettings: Hashable, Sendable {
  /// What is limited.
  public enum Kind: Hashable, Sendable {
    /// Requests: so many in a period, and so many at once.
    case requests(count: Int, period: Duration, burst: Int)
    /// Connections of clients, from their first request that comes under the limit to their end; in
    /// blocks of layer 4 from when their client is known.
    case connections(Int)
    /// Connections that begin, of layer 4: so many in a period, and so many at once.
    case arrivals(count: Int, period: Duration, burst: Int)
    /// Requests under way.
    case concurrency(Int)
    /// Bytes of answers in a second; so many at once, and behind the first bytes of each answer. Of layer 4:
    /// the bytes that members send.
    case bandwidth(bytesPerSecond: Int, burst: Int, freeBytes: Int)
    /// Bytes of clients in a second, of layer 4; the same.
    case upload(bytesPerSecond: Int, burst: Int, freeBytes: Int)
    /// Flows of datagrams that there are at once.
    case flows(Int)
    /// Flows that begin: so many in a period, and so many at once.
    case newFlows(count: Int, period: Duration, burst: Int)
    /// Datagrams of clients: so many in a period, and so many at once.
    case datagrams(count: Int, period: Duration, burst: Int)
  }

  /// What is limited.
  public var kind: Kind
  /// What has a limit of its own; nil: everything together, of a bandwidth each answer alone.
  public var key: Template?
  /// The status of the answer to what is refused.
  public var status: Int
  /// Whether what would be refused is only counted and logged.
  public var isDryRun: Bool
  /// How many keys are remembered at a time.
  public var keyCount: Int
  /// What metrics call it; nil: what it belongs to, and its kind.
  public var name: String?
  /// Whether it is a `shared_limit`, one for all that name it.
  public var isShared: Bool

  /// How many keys all limits of a configuration may remember together: two gigabytes.
  public static let mostKeys = 1 << 26

  /// How many bytes may go at once where nothing is said: a quarter of a second's, so that small answers are
  /// not slowed.
  static func usualBurst(of bytesPerSecond: Int) -> Int {
    min(max(bytesPerSecond / 4, 512), 1 << 30)
  }

  /// Creates a limit.
  public init(
    _ kind: Kind,
    key: Template? = nil,
    status: Int = 429,
    isDryRun: Bool = false,
    keyCount: Int = 65_536,
    name: String? = nil,
    isShared: Bool = false
  ) {
    self.kind = kind
    self.key = key
    self.status = status
    self.isDryRun = isDryRun
    self.keyCount = keyCount
    self.name = name
    self.isShared = isShared
  }
}

/// How important requests are: 0 to 9, the highest last; 5 where nothing says so.
public enum PrioritySettings: Hashable, Sendable {
  /// All the same.
  case fixed(Int)
  /// What this text is for a request; what is no digit is 5.
  case text(Template)

  /// The priority of requests of which nothing is said.
  public static let usual = 5
}

/// The line in front of an upstream whose members are full.
public struct QueueSettings: Hashable, Sendable {
  /// How many requests may wait at once, all loops together.
  public var length: Int
  /// How long a request may wait.
  public var timeout: Duration
  /// What gets equal shares; nil: nobody, who comes first is first.
  public var key: Template?
  /// After which wait of the first the newest is next; nil: never.
  public var newestAfter: Duration?

  /// Creates a queue that is told nothing.
  public init(
    length: Int = 100,
    timeout: Duration = .seconds(5),
    key: Template? = nil,
    newestAfter: Duration? = nil
  ) {
    self.length = length
    self.timeout = timeout
    self.key = key
    self.newestAfter = newestAfter
  }
}

/// When the process is overloaded, and sheds requests.
public struct OverloadSettings: Hashable, Sendable {
  /// A limit that the machine states, or the configuration.
  public enum Limit: Hashable, Sendable {
    /// What the machine says: the limit of the control group, or of the process.
    case automatic
    /// So many bytes, or descriptors.
    case fixed(Int)
    /// Not watched.
    case off
  }

  /// How late loops may be; nil: not watched.
  public var loopLag: Duration?
  /// How much memory the edge process may hold.
  public var memory: Limit
  /// How many descriptors it may have open.
  public var descriptors: Limit
  /// What refused clients are told to wait.
  public var retryAfter: Duration

  /// Creates settings that are told nothing.
  public init(
    loopLag: Duration? = .milliseconds(100),
    memory: Limit = .automatic,
    descriptors: Limit = .automatic,
    retryAfter: Duration = .seconds(2)
  ) {
    self.loopLag = loopLag
    self.memory = memory
    self.descriptors = descriptors
    self.retryAfter = retryAfter
  }
}
