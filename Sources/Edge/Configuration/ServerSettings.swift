public import Directives

/// One server: the names it answers to, where it listens, and its routes.
public struct ServerSettings: Hashable, Sendable {
  /// The names it answers to; none means every name.
  public var names: [HostPattern]
  /// Where it listens.
  public var listeners: [ListenerSettings]
  /// Its routes, tried in this order: the first that matches answers.
  public var routes: [RouteSettings]
  /// How large the parts of a request may be.
  public var limits: RequestLimits
  /// How long a client may take.
  public var timeouts: ClientTimeouts
  /// The bodies of answers that Martlet makes itself for a failure, by status.
  public var errorPages: [ErrorPage]
  /// Where requests are recorded; nil records none.
  public var accessLog: AccessLogSettings?
  /// Peers whose `Forwarded` and `X-Forwarded-*` fields are believed.
  public var trustedProxies: [Network]
  /// Which fields tell a member about the client.
  public var forwarded: ForwardedStyle
  /// What becomes of request fields whose names have an underscore.
  public var underscores: UnderscorePolicy
  /// Whether clients may speak HTTP/2.
  public var allowsHTTP2: Bool
  /// What they may do then.
  public var http2 = ClientHTTP2Settings()
  /// Whether and how the server names itself in `Via`.
  public var via: Via
  /// Limits that all requests of its routes come under.
  public var trafficLimits: [LimitSettings]
  /// How important its requests are; nil: as usual.
  public var priority: PrioritySettings?
  /// Whether answers are compressed; nil: they are not.
  public var compression: CompressionChoice?
  /// Whether bodies are taken out of their coding; nil: they are not.
  public var decompression: DecompressionChoice?
  /// Its certificates, of which the client's words choose one.
  public var certificates: [CertificateSettings]
  /// What it and its clients agree on by TLS.
  public var tls: TLSSettings
  /// Whether certificates are obtained for its names.
  public var isAutomatic = false

  /// Creates the settings of a server.
  public init(
    names: [HostPattern] = [],
    listeners: [ListenerSettings] = [],
    routes: [RouteSettings] = [],
    limits: RequestLimits = RequestLimits(),
    timeouts: ClientTimeouts = ClientTimeouts(),
    errorPages: [ErrorPage] = [],
    accessLog: AccessLogSettings? = nil,
    trustedProxies: [Network] = [],
    forwarded: ForwardedStyle = .xForwarded,
    underscores: UnderscorePolicy = .drop,
    allowsHTTP2: Bool = true,
    via: Via = .name("martlet"),
    trafficLimits: [LimitSettings] = [],
    priority: PrioritySettings? = nil,
    certificates: [CertificateSettings] = [],
    tls: TLSSettings = TLSSettings()
  ) {
    self.names = names
    self.listeners = listeners
    self.routes = routes
    self.limits = limits
    self.timeouts = timeouts
    self.errorPages = errorPages
    self.accessLog = accessLog
    self.trustedProxies = trustedProxies
    self.forwarded = forwarded
    self.underscores = underscores
    self.allowsHTTP2 = allowsHTTP2
    self.via = via
    self.trafficLimits = trafficLimits
    self.priority = priority
    self.certificates = certificates
    self.tls = tls
  }

  /// What logs and metrics call the server: its first name, else its first address.
  public var name: String {
    names.first?.description ?? listeners.first?.address.description ?? "server"
  }
}

/// What a client that speaks HTTP/2 may do.
public struct ClientHTTP2Settings: Hashable, Sendable {
  /// How many requests it may have under way at a time.
  public var streamCount = 128
  /// How much of a body it may send ahead of who takes it, in bytes.
  public var windowBytes = 1 << 20
  /// The same of all bodies of a connection together.
  public var connectionWindowBytes = 1 << 20
  /// After how many requests it is told to open another connection; nil: never.
  public var requestCount: Int?
  /// How long it may be silent, while it waits for answers, until it is asked whether it lives; nil: for
  /// ever.
  public var pingInterval: Duration?

  /// Creates the settings of a server that is told nothing.
  public init() {}
}

/// A name that a server answers to, in lower case and without a port.
public enum HostPattern: Hashable, Sendable {
  /// Exactly this name.
  case exact(String)
  /// Every name that ends so, with at least one label in front: `*.example.com` is held as
  /// `.example.com`.
  case wildcard(suffix: String)

  /// Whether `host`, in lower case and without a port, is meant, with or without the dot of the root.
  public func matches(_ host: String) -> Bool {
    let host = Self.withoutRootDot(host)
    return switch self {
    case .exact(let name): host == name
    case .wildcard(let suffix): host.utf8.count > suffix.utf8.count && host.hasSuffix(suffix)
    }
  }

  /// `shop.example` for `shop.example.`, which names the same host (RFC 3986, section 3.2.2).
  static func withoutRootDot(_ name: String) -> String {
    name.utf8.count > 1 && name.hasSuffix(".") ? String(name.dropLast()) : name
  }
}

extension HostPattern: CustomStringConvertible {
  /// The name as it is written in a configuration.
  public var description: String {
    switch self {
    case .exact(let name): name
    case .wildcard(let suffix): "*\(suffix)"
    }
  }
}

/// One address that a server listens on.
///
/// Servers may share an address; the request's host then decides between them. Which server answers
/// for a host that none of them names: the one with ``isFallback``, else the first without names;
/// where there is neither, the request is refused with 421.
public struct ListenerSettings: Hashable, Sendable {
  /// Where it listens.
  public var address: Address
  /// How many connections may wait to be accepted.
  public var backlogCount: Int
  /// Whether other processes of the same user may listen there too; the kernel deals connections out.
  public var reusesPort: Bool
  /// Whether this server answers for hosts that no server of this address names.
  public var isFallback: Bool
  /// Whether connections begin with a PROXY header.
  public var proxy: ProxyReception
  /// Whether TLS is spoken.
  public var isTLS: Bool

  /// Creates the settings of a listener.
  public init(
    address: Address,
    backlogCount: Int = 511,
    reusesPort: Bool = false,
    isFallback: Bool = false,
    proxy: ProxyReception = ProxyReception(),
    isTLS: Bool = false
  ) {
    self.address = address
    self.backlogCount = backlogCount
    self.reusesPort = reusesPort
    self.isFallback = isFallback
    self.proxy = proxy
    self.isTLS = isTLS
  }
}

/// How large the parts of a request may be.
public struct RequestLimits: Hashable, Sendable {
  /// The whole head, in bytes; more is answered with 431.
  public var headBytes: Int
  /// The number of field lines; more is answered with 431.
  public var fieldCount: Int
  /// One field line, in bytes; more is answered with 431.
  public var lineBytes: Int
  /// The request target, in bytes; more is answered with 414.
  public var targetBytes: Int
  /// The body, in bytes; more is answered with 413, and nil means no limit.
  public var bodyBytes: Int?
  /// The extension of one chunk, in bytes; more is answered with 400.
  public var chunkExtensionBytes: Int
  /// The requests of one connection; the last one is answered with `Connection: close`.
  public var requestsPerConnection: Int

  /// Creates the limits of a server that is told nothing.
  public init(
    headBytes: Int = 32 * 1024,
    fieldCount: Int = 100,
    lineBytes: Int = 8 * 1024,
    targetBytes: Int = 8 * 1024,
    bodyBytes: Int? = 1024 * 1024,
    chunkExtensionBytes: Int = 256,
    requestsPerConnection: Int = 1000
  ) {
    self.headBytes = headBytes
    self.fieldCount = fieldCount
    self.lineBytes = lineBytes
    self.targetBytes = targetBytes
    self.bodyBytes = bodyBytes
    self.chunkExtensionBytes = chunkExtensionBytes
    self.requestsPerConnection = requestsPerConnection
  }
}

/// How long a client may take.
public struct ClientTimeouts: Hashable, Sendable {
  /// Between two requests of a connection; then it is closed.
  public var idle: Duration
  /// From the first byte of a head to its last; then 408.
  public var head: Duration
  /// Between two reads of a body; then 408.
  public var body: Duration
  /// Between two writes of an answer; then the connection is reset.
  public var send: Duration

  /// Creates the timeouts of a server that is told nothing.
  public init(
    idle: Duration = .seconds(60),
    head: Duration = .seconds(30),
    body: Duration = .seconds(60),
    send: Duration = .seconds(60)
  ) {
    self.idle = idle
    self.head = head
    self.body = body
    self.send = send
  }
}

/// The body of an answer that Martlet makes itself for a failure.
public struct ErrorPage: Hashable, Sendable {
  /// The status it belongs to, 400 to 599.
  public var status: Int
  /// The body.
  public var body: Template
  /// Its media type.
  public var contentType: String

  /// Creates a page.
  public init(status: Int, body: Template, contentType: String = "text/html; charset=utf-8") {
    self.status = status
    self.body = body
    self.contentType = contentType
  }
}

/// Where requests are recorded, and how.
public struct AccessLogSettings: Hashable, Sendable {
  /// The form of a record.
  public enum Format: String, Hashable, Sendable, CaseIterable {
    /// One JSON object a line.
    case json
    /// The combined format of older servers, for requests only.
    case combined
    /// One line of words, for connections of layer 4 only.
    case text
  }

  /// Where the records go.
  public var destination: LogDestination
  /// The form of a record.
  public var format: Format

  /// Creates the settings of an access log.
  public init(destination: LogDestination = .standardOutput, format: Format = .combined) {
    self.destination = destination
    self.format = format
  }
}

/// What becomes of request fields whose names have an underscore.
///
/// Applications behind CGI, WSGI and their like take `X_Forwarded_For` for `X-Forwarded-For`: a client
/// could say with it what only Martlet may say.
public enum UnderscorePolicy: String, Hashable, Sendable, CaseIterable {
  /// They are not passed on.
  case drop
  /// They are passed on like others.
  case pass
  /// The request is refused with 400.
  case refuse
}

/// Which fields tell a member about the client.
public enum ForwardedStyle: String, Hashable, Sendable, CaseIterable {
  /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
  case xForwarded = "x_forwarded"
  /// `Forwarded` of RFC 7239.
  case forwarded
  /// Both of them.
  case both
  /// Neither; what an untrusted client sent is removed all the same.
  case off
}

/// Whether and how a server names itself in `Via`.
public enum Via: Hashable, Sendable {
  /// No `Via` field is written.
  case off
  /// The pseudonym in the field, see RFC 9110, section 7.6.3.
  case name(String)
}

extension ServerSettings {
  /// The files that answers of the server or of one of its routes are compressed against.
  public var dictionaries: [DictionarySettings] {
    var all: [DictionarySettings] = []
    for choice in [compression] + routes.map(\.overrides.compression) {
      if case .on(let settings)? = choice { all += settings.dictionaries }
    }
    return all
  }
}
