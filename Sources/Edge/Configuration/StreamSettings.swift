public import Directives

/// A `tcp` block: connections that are passed to an upstream as bytes.
public struct TCPSettings: Hashable, Sendable {
  /// Where it listens.
  public var listeners: [StreamListener]
  /// The name of the upstream, for connections that no route takes.
  public var upstream: String
  /// Where some connections go instead, tried in this order.
  public var routes: [StreamRoute]
  /// How long the first bytes of a client may take, where routes ask for them.
  public var inspectTimeout: Duration
  /// How long a connection to a member may take to open; nil means the upstream's time.
  public var connectTimeout: Duration?
  /// How long neither side may send anything.
  public var idleTimeout: Duration
  /// How long a connection may last; nil means no limit.
  public var totalTimeout: Duration?
  /// How many members are tried; nil means the upstream's number.
  public var tryCount: Int?
  /// How many connections may be open at once, all loops together; nil means no limit of its own.
  public var maxConnectionCount: Int?
  /// What connections have to pass once their client is known, in this order.
  public var limits: [LimitSettings]
  /// From where members are connected to.
  public var source: StreamSource
  /// Where connections are recorded; nil records none.
  public var accessLog: AccessLogSettings?

  /// Creates the settings of a block that is told nothing.
  public init(
    listeners: [StreamListener] = [],
    upstream: String = "",
    routes: [StreamRoute] = [],
    inspectTimeout: Duration = .seconds(3),
    connectTimeout: Duration? = nil,
    idleTimeout: Duration = .seconds(3600),
    totalTimeout: Duration? = nil,
    tryCount: Int? = nil,
    maxConnectionCount: Int? = nil,
    limits: [LimitSettings] = [],
    source: StreamSource = .any,
    accessLog: AccessLogSettings? = nil
  ) {
    self.listeners = listeners
    self.upstream = upstream
    self.routes = routes
    self.inspectTimeout = inspectTimeout
    self.connectTimeout = connectTimeout
    self.idleTimeout = idleTimeout
    self.totalTimeout = totalTimeout
    self.tryCount = tryCount
    self.maxConnectionCount = maxConnectionCount
    self.limits = limits
    self.source = source
    self.accessLog = accessLog
  }
}

/// One address that a block of layer 4 listens on.
public struct StreamListener: Hashable, Sendable {
  /// Where it listens.
  public var address: Address
  /// How many connections may wait to be accepted.
  public var backlogCount: Int
  /// Whether other processes of the same user may listen there too.
  public var reusesPort: Bool
  /// Whether connections begin with a PROXY header.
  public var proxy: ProxyReception

  /// Creates the settings of a listener.
  public init(
    address: Address,
    backlogCount: Int = 511,
    reusesPort: Bool = false,
    proxy: ProxyReception = ProxyReception()
  ) {
    self.address = address
    self.backlogCount = backlogCount
    self.reusesPort = reusesPort
    self.proxy = proxy
  }

  /// What names the socket in messages between processes, in logs and metrics: `tcp :5432`.
  public var key: String { "tcp \(address)" }
}

/// From which address members are connected to.
public enum StreamSource: Hashable, Sendable {
  /// The one that the kernel chooses.
  case any
  /// This address of the machine.
  case address(IPAddress)
  /// The client's address.
  case transparent
}
