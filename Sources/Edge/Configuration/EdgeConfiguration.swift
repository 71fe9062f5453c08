public import Directives
public import MartletSystem

/// Everything the edge is told: the servers, the blocks of layer 4, their upstreams and the process
/// itself.
public struct EdgeConfiguration: Hashable, Sendable {
  /// The servers in their written order.
  public var servers: [ServerSettings]
  /// The `tcp` blocks in their written order.
  public var tcp: [TCPSettings]
  /// The `udp` blocks in their written order.
  public var udp: [UDPSettings]
  /// The upstreams in their written order; then those that `proxy ADDRESS…` made, named by their
  /// addresses.
  public var upstreams: [UpstreamSettings]
  /// The stores of answers in their written order.
  public var caches: [CacheSettings]
  /// How sessions are kept.
  public var sessions: [SessionSettings]
  /// What concerns the process as a whole.
  public var process: ProcessSettings
  /// How certificates are obtained for servers with `tls auto`.
  public var issuance: IssuanceSettings

  /// Creates a configuration.
  public init(
    servers: [ServerSettings] = [],
    tcp: [TCPSettings] = [],
    udp: [UDPSettings] = [],
    upstreams: [UpstreamSettings] = [],
    caches: [CacheSettings] = [],
    sessions: [SessionSettings] = [],
    process: ProcessSettings = ProcessSettings(),
    issuance: IssuanceSettings = IssuanceSettings()
  ) {
    self.servers = servers
    self.tcp = tcp
    self.udp = udp
    self.upstreams = upstreams
    self.caches = caches
    self.sessions = sessions
    self.process = process
    self.issuance = issuance
  }

  /// The handlers that routes name, each once.
  ///
  /// - Complexity: O(*n*) in the routes.
  public var handlerNames: [String] {
    var names: [String] = []
    for route in servers.lazy.flatMap(\.routes) {
      if case .program(let name) = route.handler, !names.contains(name) { names.append(name) }
    }
    return names
  }

  /// The upstream of a name, or nil.
  ///
  /// - Complexity: O(*n*) in the upstreams.
  public func upstream(named name: String) -> UpstreamSettings? {
    upstreams.first { $0.name == name }
  }

  /// The access logs of all blocks, some of which may be the same.
  public var accessLogs: [AccessLogSettings] {
    servers.compactMap(\.accessLog) + tcp.compactMap(\.accessLog) + udp.compactMap(\.accessLog)
  }

  /// Every address that some server listens on, once, in written order.
  public var listeningAddresses: [Address] {
    var seen: Set<Address> = []
    return servers.lazy.flatMap(\.listeners).map(\.address).filter { seen.insert($0).inserted }
  }

  /// Whether TLS is spoken at an address.
  ///
  /// - Complexity: O(*n*) in the listeners.
  public func speaksTLS(at address: Address) -> Bool {
    servers.lazy.flatMap(\.listeners).contains { $0.address == address && $0.isTLS }
  }

  /// Whether connections to an address begin with a PROXY header: it suffices that one server says so.
  ///
  /// - Complexity: O(*n*) in the listeners.
  public func proxyReception(at address: Address) -> ProxyReception {
    servers.lazy.flatMap(\.listeners)
      .first { $0.address == address && $0.proxy.demand != .off }?.proxy ?? ProxyReception()
  }
}

/// What concerns the process as a whole.
public struct ProcessSettings: Hashable, Sendable {
  /// The user the edge runs as; nil keeps the user that started it.
  public var user: String?
  /// The group the edge runs as; nil takes the user's.
  public var group: String?
  /// How many event loops run; nil means one for each core.
  public var loopCount: Int?
  /// How loops learn which descriptors are ready; nil leaves the choice to the program.
  public var polling: PollingModel?
  /// Where the control socket and relative Unix sockets are; nil leaves the place to the program.
  public var stateDirectory: String?
  /// Where commands and metrics are answered; nil answers nowhere.
  public var adminListener: Address?
  /// Where errors are written, and which.
  public var errorLog: ErrorLogSettings
  /// How long requests may go on after a stop, a reload or an upgrade.
  public var drainLimit: Duration
  /// How long loops may stand still until the edge process is replaced; nil: for ever.
  public var hangLimit: Duration?
  /// How many client connections may be open at once, all loops together.
  public var maxConnectionCount: Int
  /// When requests are shed; nil: never.
  public var overload: OverloadSettings?
  /// How many bytes of memory compression may take, all loops together.
  public var compressionMemory = 256 << 20

  /// Creates the settings of a process that is told nothing.
  public init(
    user: String? = nil,
    group: String? = nil,
    loopCount: Int? = nil,
    stateDirectory: String? = nil,
    adminListener: Address? = .unix("admin.sock"),
    errorLog: ErrorLogSettings = ErrorLogSettings(),
    drainLimit: Duration = .seconds(30),
    hangLimit: Duration? = .seconds(10),
    maxConnectionCount: Int = 16_384,
    overload: OverloadSettings? = nil
  ) {
    self.user = user
    self.group = group
    self.loopCount = loopCount
    self.stateDirectory = stateDirectory
    self.adminListener = adminListener
    self.errorLog = errorLog
    self.drainLimit = drainLimit
    self.hangLimit = hangLimit
    self.maxConnectionCount = maxConnectionCount
    self.overload = overload
  }
}

/// Where a log is written.
public enum LogDestination: Hashable, Sendable {
  /// Standard output.
  case standardOutput
  /// Standard error.
  case standardError
  /// A file, opened for appending.
  case file(String)
}

/// Where errors are written, and which.
public struct ErrorLogSettings: Hashable, Sendable {
  /// How grave a record must be to be written.
  public enum Level: String, Hashable, Sendable, CaseIterable, Comparable {
    /// Every step, for finding a defect.
    case debug
    /// What happens in normal operation.
    case info
    /// What an operator may want to know: a reload, a member that is back.
    case notice
    /// What may need a look.
    case warning
    /// What failed.
    case error

    /// Whether `left` is less grave than `right`.
    public static func < (left: Level, right: Level) -> Bool {
      let order = allCases
      return (order.firstIndex(of: left) ?? 0) < (order.firstIndex(of: right) ?? 0)
    }
  }

  /// Where the records go.
  public var destination: LogDestination
  /// The least grave level that is written.
  public var level: Level

  /// Creates the settings of an error log.
  public init(destination: LogDestination = .standardError, level: Level = .notice) {
    self.destination = destination
    self.level = level
  }
}
