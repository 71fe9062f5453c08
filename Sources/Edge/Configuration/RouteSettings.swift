public import Directives

/// One route: which requests it takes, and what answers them.
public struct RouteSettings: Hashable, Sendable {
  /// The paths it takes.
  public var path: PathPattern
  /// The methods it takes; none means every one.
  public var methods: [String]
  /// Fields that must be there: all names of this list, each with one of its values.
  public var headers: [ValueCondition]
  /// Query parameters that must be there: all names of this list, each with one of its values.
  public var queries: [ValueCondition]
  /// Networks of which the client must be in one; none means every client.
  public var clients: [Network]
  /// What answers.
  public var handler: Handler
  /// How members that are no servers of HTTP are asked; nil: they are.
  public var gateway: GatewaySettings?
  /// What is taken from the front of the path before it is sent on.
  public var stripPrefix: String?
  /// The target sent on instead of the client's, after ``stripPrefix``.
  public var rewrite: Template?
  /// Changes of the request's fields, in this order.
  public var requestHeaders: [HeaderRule]
  /// Changes of the answer's fields, in this order.
  public var responseHeaders: [HeaderRule]
  /// Which pages of other origins may use it; nil: browsers decide without being told anything.
  public var crossOrigin: CrossOriginSettings?
  /// What is kept of the upstream's answers; nil: nothing is.
  public var cache: RouteCacheSettings?
  /// The name of the sessions that it has; nil: none.
  public var sessions: String?
  /// Who says whether requests may pass; nil: all may.
  public var authorizer: AuthorizerSettings?
  /// The files that answers of members may name; nil: none.
  public var sendFile: SendFileSettings?
  /// Whether fields about sessions are taken from requests and answers, for there are some.
  public var hidesSessionFields = false
  /// What this route has otherwise than its server and its upstream.
  public var overrides: RouteOverrides

  /// Creates the settings of a route.
  public init(
    path: PathPattern,
    methods: [String] = [],
    headers: [ValueCondition] = [],
    queries: [ValueCondition] = [],
    clients: [Network] = [],
    handler: Handler,
    stripPrefix: String? = nil,
    rewrite: Template? = nil,
    requestHeaders: [HeaderRule] = [],
    responseHeaders: [HeaderRule] = [],
    cache: RouteCacheSettings? = nil,
    overrides: RouteOverrides = RouteOverrides()
  ) {
    self.path = path
    self.methods = methods
    self.headers = headers
    self.queries = queries
    self.clients = clients
    self.handler = handler
    self.stripPrefix = stripPrefix
    self.rewrite = rewrite
    self.requestHeaders = requestHeaders
    self.responseHeaders = responseHeaders
    self.cache = cache
    self.overrides = overrides
  }

  /// Whether the path alone decides.
  public var isUnconditional: Bool {
    methods.isEmpty && headers.isEmpty && queries.isEmpty && clients.isEmpty
  }
}

/// A field or query parameter that a request must have.
public struct ValueCondition: Hashable, Sendable {
  /// Its name; a field's in lower case.
  public var name: String
  /// Values of which one must match; none means that any value will do.
  public var values: [TextPattern]

  /// Creates a condition.
  public init(name: String, values: [TextPattern] = []) {
    self.name = name
    self.values = values
  }
}

/// What answers the requests of a route.
public enum Handler: Hashable, Sendable {
  /// A member of the upstream of this name.
  case proxy(upstream: String)
  /// A fixed answer.
  case respond(FixedResponse)
  /// A redirection to another place.
  case redirect(status: Int, target: Template)
  /// The files of a folder.
  case files(FilesSettings)
  /// Certificates for others, by ACME.
  case authority(AuthorityServiceSettings)
  /// What the authority has revoked, and what it says of one certificate, for the route whose path begins so; no
  /// directive says so, `acme` in another server does.
  case revocations(prefix: String)
  /// A handler of this name, of the program that has Martlet in it.
  case program(String)
  /// The figures in Prometheus form; no directive says so, it is for the admin listener.
  case metrics
  /// The state as JSON; no directive says so, it is for the admin listener.
  case status
  /// The proof to an authority that the host is ours; no directive says so, `tls auto` does.
  case proof
}

/// How the authority of this machine serves others.
public struct AuthorityServiceSettings: Hashable, Sendable {
  /// The port at which the servers of names are asked whether these are theirs.
  public var httpPort = 80
  /// The port at which they are asked over TLS.
  public var tlsPort = 443
  /// The most name services that are asked for records.
  public static let resolverCount = 3
  /// The name services that are asked for records; none: those of the system.
  public var resolvers: [Address] = []
  /// Where the list of what was revoked is, as certificates say; nil: where it is found by itself, if it is.
  public var revocations: String?
  /// Who is asked, by OCSP, what became of a certificate, as certificates say; nil: where it is found by itself, if
  /// it is.
  public var responder: String?

  /// Creates the settings of a service that is told nothing.
  public init() {}
}

/// A fixed answer.
public struct FixedResponse: Hashable, Sendable {
  /// Its status, 200 to 599.
  public var status: Int
  /// Its body.
  public var body: Template
  /// Its media type.
  public var contentType: String

  /// Creates an answer.
  public init(
    status: Int,
    body: Template = Template(),
    contentType: String = "text/plain; charset=utf-8"
  ) {
    self.status = status
    self.body = body
    self.contentType = contentType
  }
}

/// One change of a message's fields.
public struct HeaderRule: Hashable, Sendable {
  /// What is done.
  public enum Action: String, Hashable, Sendable, CaseIterable {
    /// Every field of the name goes, and one with the value comes.
    case set
    /// One field with the value comes.
    case add
    /// Every field of the name goes.
    case remove
  }

  /// What is done.
  public var action: Action
  /// The field's name, as written.
  public var name: String
  /// The value; empty for ``Action/remove``.
  public var value: Template

  /// Creates a rule.
  public init(_ action: Action, _ name: String, _ value: Template = Template()) {
    self.action = action
    self.name = name
    self.value = value
  }
}

/// Whether a route wants certificates of its clients.
public enum RouteClientDemand: String, Hashable, Sendable, CaseIterable {
  /// What the server asks for is enough.
  case asServer = "as_server"
  /// Clients without one are refused.
  case required
}

/// What a route has otherwise than its server and its upstream; nil keeps theirs.
public struct RouteOverrides: Hashable, Sendable {
  /// A limit that a route sets or lifts.
  public enum BodyLimit: Hashable, Sendable {
    /// At most so many bytes.
    case bytes(Int)
    /// No limit.
    case none
  }

  /// How large a request's body may be.
  public var bodyLimit: BodyLimit?
  /// See ``ClientTimeouts/body``.
  public var bodyTimeout: Duration?
  /// See ``ClientTimeouts/send``.
  public var sendTimeout: Duration?
  /// See ``UpstreamTimeouts/connect``.
  public var connectTimeout: Duration?
  /// See ``UpstreamTimeouts/firstByte``.
  public var firstByteTimeout: Duration?
  /// See ``UpstreamTimeouts/read``.
  public var readTimeout: Duration?
  /// See ``UpstreamTimeouts/write``.
  public var writeTimeout: Duration?
  /// See ``UpstreamTimeouts/total``.
  public var totalTimeout: Duration?
  /// See ``UpstreamTimeouts/tunnel``.
  public var tunnelTimeout: Duration?
  /// See ``UpstreamTimeouts/webSocketPing``.
  public var webSocketPing: Duration?
  /// See ``UpstreamSettings/tryCount``.
  public var tryCount: Int?
  /// Pages that come before the server's.
  public var errorPages: [ErrorPage]
  /// Whether requests of this route are recorded in the access log.
  public var isLogged: Bool
  /// What its clients must have shown.
  public var clientDemand: RouteClientDemand
  /// Limits that its requests come under besides the server's.
  public var limits: [LimitSettings]
  /// How important its requests are; nil: as the server says.
  public var priority: PrioritySettings?
  /// Whether its answers are compressed; nil: as the server says.
  public var compression: CompressionChoice?
  /// Whether bodies are taken out of their coding; nil: as the server says.
  public var decompression: DecompressionChoice?

  /// Creates overrides that change nothing.
  public init(
    bodyLimit: BodyLimit? = nil,
    bodyTimeout: Duration? = nil,
    sendTimeout: Duration? = nil,
    connectTimeout: Duration? = nil,
    firstByteTimeout: Duration? = nil,
    readTimeout: Duration? = nil,
    writeTimeout: Duration? = nil,
    totalTimeout: Duration? = nil,
    tryCount: Int? = nil,
    errorPages: [ErrorPage] = [],
    isLogged: Bool = true,
    clientDemand: RouteClientDemand = .asServer,
    limits: [LimitSettings] = [],
    priority: PrioritySettings? = nil
  ) {
    self.bodyLimit = bodyLimit
    self.bodyTimeout = bodyTimeout
    self.sendTimeout = sendTimeout
    self.connectTimeout = connectTimeout
    self.firstByteTimeout = firstByteTimeout
    self.readTimeout = readTimeout
    self.writeTimeout = writeTimeout
    self.totalTimeout = totalTimeout
    self.tryCount = tryCount
    self.errorPages = errorPages
    self.isLogged = isLogged
    self.clientDemand = clientDemand
    self.limits = limits
    self.priority = priority
  }
}
