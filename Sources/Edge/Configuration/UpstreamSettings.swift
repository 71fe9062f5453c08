public import Directives
public import FailurePolicies

/// A named group of members.
public struct UpstreamSettings: Hashable, Sendable {
  /// Its name.
  public var name: String
  /// How a member is chosen.
  public var balance: Balance
  /// How long a member that comes back takes until it has its whole share; nil: no time.
  public var slowStart: Duration?
  /// With fewer members well than this, in percent, all are used; 0: never.
  public var panicThreshold: Int
  /// The members in their written order.
  public var members: [MemberSettings]
  /// How long a member may take.
  public var timeouts: UpstreamTimeouts
  /// How often one request may be tried in all, each time on another member if there is one.
  public var tryCount: Int
  /// What is done when a try fails.
  public var retry: RetrySettings
  /// When members are left alone for a while; nil: never.
  public var breaker: BreakerSettings?
  /// When a second member is asked because the first one takes long; nil: never.
  public var hedge: HedgeTerms?
  /// What is kept of connections that wait for their next request.
  public var pool: PoolSettings
  /// How often the names of members are asked for anew.
  public var resolveInterval: Duration
  /// The `Host` that members are sent.
  public var host: UpstreamHost
  /// The PROXY header that each connection to a member begins with; nil: none.
  public var proxyProtocol: ProxySending?
  /// The line in front of members that are full; nil: there is none.
  public var queue: QueueSettings?
  /// How clients stay with their members; nil: they do not.
  public var sticky: StickySettings?
  /// The secrets of sealed cookies; without one the machine makes its own.
  public var stickyKeys: [String]
  /// How members are asked whether they serve; nil: they are not.
  public var check: CheckSettings?
  /// When members are taken out of service for their answers; nil: never.
  public var eject: EjectSettings?
  /// The program that is told of each change of a member's health, with its arguments; empty: none.
  public var changeCommand: [String] = []
  /// How TLS is spoken with members; nil: it is not.
  public var tls: MemberTLSSettings?
  /// How HTTP/2 is spoken with members; nil: it is not.
  public var http2: MemberHTTP2Settings?
  /// The application that it is; nil: it has members.
  public var application: ApplicationSettings?
  /// What is spoken with members that are no servers of HTTP; nil: they are.
  public var gateway: MemberGatewaySettings?

  /// Creates the settings of an upstream.
  public init(
    name: String,
    balance: Balance = .roundRobin,
    slowStart: Duration? = nil,
    panicThreshold: Int = 0,
    members: [MemberSettings] = [],
    timeouts: UpstreamTimeouts = UpstreamTimeouts(),
    tryCount: Int = 3,
    retry: RetrySettings = RetrySettings(),
    breaker: BreakerSettings? = nil,
    hedge: HedgeTerms? = nil,
    pool: PoolSettings = PoolSettings(),
    resolveInterval: Duration = .seconds(30),
    host: UpstreamHost = .client,
    proxyProtocol: ProxySending? = nil,
    queue: QueueSettings? = nil,
    sticky: StickySettings? = nil,
    stickyKeys: [String] = []
  ) {
    self.name = name
    self.balance = balance
    self.slowStart = slowStart
    self.panicThreshold = panicThreshold
    self.members = members
    self.timeouts = timeouts
    self.tryCount = tryCount
    self.retry = retry
    self.breaker = breaker
    self.hedge = hedge
    self.pool = pool
    self.resolveInterval = resolveInterval
    self.host = host
    self.proxyProtocol = proxyProtocol
    self.queue = queue
    self.sticky = sticky
    self.stickyKeys = stickyKeys
  }
}

/// How HTTP/2 is spoken with the members of an upstream.
public struct MemberHTTP2Settings: Hashable, Sendable {
  /// How many requests a connection carries at once, if the member allows so many.
  public var streamCount: Int
  /// How long a member may be silent, while requests wait for it, until it is asked whether it lives; nil:
  /// for ever.
  public var pingInterval: Duration?

  /// Creates the settings of an upstream that is told no more than that.
  public init(streamCount: Int = 100, pingInterval: Duration? = nil) {
    self.streamCount = streamCount
    self.pingInterval = pingInterval
  }
}

/// One member of an upstream.
public struct MemberSettings: Hashable, Sendable {
  /// Where it is reached: never ``Address/any(port:)``.
  public var address: Address
  /// Its share: 1 to 256, or 0 for a drained member that takes no new request.
  public var weight: Int
  /// Members are asked only while none of a lower tier can answer; 1 to 16.
  public var tier: Int
  /// Whether it is asked only when no other member can answer, of whatever tier.
  public var isBackup: Bool
  /// How many connections to it may be open at once, all loops together; nil means no limit.
  public var maxConnectionCount: Int?
  /// What it is wanted for, until somebody says otherwise.
  public var mode: MemberMode

  /// Creates the settings of a member.
  public init(
    address: Address,
    weight: Int = 1,
    tier: Int = 1,
    isBackup: Bool = false,
    maxConnectionCount: Int? = nil,
    mode: MemberMode = .ready
  ) {
    self.mode = mode
    self.address = address
    self.weight = weight
    self.tier = tier
    self.isBackup = isBackup
    self.maxConnectionCount = maxConnectionCount
  }
}

/// How long a member may take.
public struct UpstreamTimeouts: Hashable, Sendable {
  /// For a connection to open.
  public var connect: Duration
  /// From the request's last byte to the answer's first.
  public var firstByte: Duration
  /// Between two reads of an answer.
  public var read: Duration
  /// Between two writes of a request.
  public var write: Duration
  /// For the whole exchange, all tries together; nil means no limit.
  public var total: Duration?
  /// How long neither side of a tunnel may say anything.
  public var tunnel = Duration.seconds(3600)
  /// After how long a WebSocket on which nobody says anything asks its client whether it is there; nil: never.
  public var webSocketPing: Duration?

  /// Creates the timeouts of an upstream that is told nothing.
  public init(
    connect: Duration = .seconds(5),
    firstByte: Duration = .seconds(60),
    read: Duration = .seconds(60),
    write: Duration = .seconds(60),
    total: Duration? = nil
  ) {
    self.connect = connect
    self.firstByte = firstByte
    self.read = read
    self.write = write
    self.total = total
  }
}

/// What is kept of connections that wait for their next request.
public struct PoolSettings: Hashable, Sendable {
  /// How many wait at once, for each loop and member; 0 keeps none.
  public var idleCount: Int
  /// How old a connection may become.
  public var maxAge: Duration
  /// How many requests a connection may carry.
  public var maxRequestCount: Int
  /// How long a connection may wait.
  public var idleTime: Duration

  /// Creates the settings of a pool that is told nothing.
  public init(
    idleCount: Int = 256,
    maxAge: Duration = .seconds(3600),
    maxRequestCount: Int = 1000,
    idleTime: Duration = .seconds(60)
  ) {
    self.idleCount = idleCount
    self.maxAge = maxAge
    self.maxRequestCount = maxRequestCount
    self.idleTime = idleTime
  }
}

/// The `Host` that members are sent.
public enum UpstreamHost: Hashable, Sendable {
  /// What the client sent.
  case client
  /// The member's address, as written.
  case member
  /// This text.
  case literal(String)
}
