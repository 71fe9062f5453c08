import Configuration
import Directives
import HTTPMessage
import MartletBytes
import MartletHandlers
import MartletLoop
import MartletTelemetry
import Routing

/// One route of a site, compiled: which requests it takes, and what is done with them.
final class Route: Sendable {
  /// What answers a request.
  enum Handler: Sendable {
    case proxy(UpstreamPlan)
    case respond(FixedAnswer)
    case redirect(status: UInt16, target: TextTemplate)
    case files(FilesPlan)
    /// A handler of Martlet's own.
    case own(any MartletHandlers.Handler)
    /// One of the program, by its name.
    case program(String)
    /// Certificates for others, below this path.
    case authority(prefix: [UInt8])
  }

  /// A fixed answer.
  struct FixedAnswer: Sendable {
    let status: UInt16
    let contentType: [UInt8]
    let body: TextTemplate
  }

  /// Which message says something of a session.
  enum SessionSide: Sendable {
    /// The request that an application gets.
    case request
    /// The answer that a client gets.
    case answer
  }

  /// What is done with the fields of a message, in this order: leave out, then add.
  final class FieldRules: Sendable {
    /// The fields that are left out, among them those that are set anew.
    let dropped: FieldNameSet
    /// The fields that are written behind those that are kept.
    let added: [(name: [UInt8], value: TextTemplate)]
    /// Whether any are.
    let adds: Bool
    /// What browsers are told about pages of other origins; nil: nothing.
    let crossOrigin: CrossOriginPlan?
    /// Whether that answers what they ask beforehand.
    let givesPermission: Bool
    /// Whether the session is told of; nil: it is not.
    let session: SessionSide?

    init(
      dropped: FieldNameSet,
      added: [(name: [UInt8], value: TextTemplate)],
      crossOrigin: CrossOriginPlan? = nil,
      givesPermission: Bool = false,
      session: SessionSide? = nil,
      alwaysAdds: Bool = false
    ) {
      self.dropped = dropped
      self.session = session
      self.added = added
      self.crossOrigin = crossOrigin
      self.givesPermission = givesPermission
      adds = !added.isEmpty || crossOrigin != nil || session != nil || alwaysAdds
    }
  }

  /// How long the parts of an exchange may take.
  struct Timeouts: Sendable {
    let body: Timeout
    let send: Timeout
    let connect: Timeout
    let firstByte: Timeout
    let read: Timeout
    let write: Timeout
    let total: Timeout
    let tunnel: Duration
    let ping: Duration?
  }

  /// What the log calls it and what it belongs to.
  let labels: AccessLabels
  /// The upstream's name; empty if it has none.
  let upstreamName: String
  let conditions: Conditions
  let handler: Handler
  /// What is proxied to, if anything.
  let upstream: UpstreamPlan?
  /// How members are asked that are no servers of HTTP; nil: they are.
  let gateway: GatewayPlan?
  /// The files that answer, if any do.
  let files: FilesPlan?
  /// Who says whether requests may pass; nil: all may.
  let authorizer: AuthorizerPlan?
  /// The files that answers of members may name; nil: none.
  let namedFiles: NamedFilesPlan?
  /// Whether something may have to be done about an answer besides passing it on.
  let watchesAnswers: Bool
  /// What is kept of the upstream's answers; it is asked through this then, and ``upstream`` is nil.
  let cache: RouteCache?
  let stripPrefix: [UInt8]
  let rewrite: TextTemplate?
  let request: FieldRules
  let response: FieldRules
  /// What answers browsers that ask beforehand for pages of other origins; nil: what answers others.
  let permission: Permission?
  let errorPages: [UInt16: Route.FixedAnswer]
  let timeouts: Timeouts
  /// The most bytes of a request's body.
  let bodyLimit: UInt64
  let tryCount: Int
  /// The sessions that its clients have; nil: none.
  let sessions: SessionPlan?
  let isLogged: Bool
  /// Whether its clients must have shown a certificate.
  let needsClientCertificate: Bool
  /// What its requests have to pass, the server's limits first.
  let limits: [LimitPlan]
  /// Whether there is any.
  let hasLimits: Bool
  let priority: RoutePriority
  /// Which answers are sent in a content coding; nil: none.
  let compression: CompressionPlan?
  /// Which requests are taken out of theirs; nil: none.
  let decompression: DecompressionPlan?

  init(
    _ settings: RouteSettings,
    of server: ServerSettings,
    upstreams: [String: (plan: UpstreamPlan, settings: UpstreamSettings)],
    limits: [LimitPlan],
    caches: CachePlans,
    sessions: [SessionPlan],
    files: inout [FilesPlan],
    permitting crossOrigin: CrossOriginPlan? = nil,
    _ layout: inout MetricLayout.Builder
  ) {
    (conditions, self.limits, hasLimits) = (Conditions(settings), limits, !limits.isEmpty)
    (compression, decompression) = CompressionPlan.plans(settings, server, &layout)
    upstreamName = if case .proxy(let name) = settings.handler { name } else { "" }
    let group = upstreams[upstreamName]
    let plan = settings.crossOrigin.map { CrossOriginPlan($0, settings.methods) }
    let response = Self.rules(
      settings.responseHeaders,
      plan ?? crossOrigin,
      hiding: Self.hiddenFields(settings) + (settings.sendFile.map { [$0.field] } ?? []),
      session: settings.sessions == nil ? nil : .answer,
      givesPermission: crossOrigin != nil,
      alwaysAdds: settings.cache?.showsStatus ?? false
    )
    cache = Self.cache(settings, server, upstreams, caches, response, &files, &layout)
    func route(
      _ settings: RouteSettings,
      _ limits: [LimitPlan],
      permitting plan: CrossOriginPlan? = nil
    ) -> Route {
      Route(
        settings,
        of: server,
        upstreams: upstreams,
        limits: limits,
        caches: caches,
        sessions: sessions,
        files: &files,
        permitting: plan,
        &layout
      )
    }
    permission = plan.map { plan in
      Permission(plan: plan) { route(Self.permission(settings, $0), limits, permitting: plan) }
    }
    gateway = GatewayPlan(settings.gateway, response: response, files: &files, &layout)
    authorizer = settings.authorizer.flatMap {
      AuthorizerPlan(route(AuthorizerPlan.settings($0, of: settings), []))
    }
    namedFiles = NamedFilesPlan(settings, response: response, files: &files, &layout)
    watchesAnswers = settings.sessions != nil || gateway != nil || namedFiles != nil
    self.files = Self.files(settings, server, response, &files, &layout)
    handler = self.files.map { .files($0) } ?? Handler(settings.handler, group?.plan, settings.path)
    labels = AccessLabels(server: server.name, route: settings.path.text, upstream: upstreamName)
    (self.response, upstream) = (response, cache == nil ? group?.plan : nil)
    stripPrefix = PathEscapes.normalized(Array((settings.stripPrefix ?? "").utf8))
    rewrite = settings.rewrite.map { TextTemplate($0) }
    request = Self.requestRules(settings, server)
    let overrides = settings.overrides
    timeouts = Timeouts(overrides, server.timeouts, group?.settings.timeouts ?? UpstreamTimeouts())
    errorPages = Self.errorPages(overrides, server)
    bodyLimit = Self.bodyLimit(overrides, server)
    (tryCount, isLogged) = (overrides.tryCount ?? group?.settings.tryCount ?? 1, overrides.isLogged)
    self.sessions = sessions.first { $0.name == settings.sessions }
    needsClientCertificate = overrides.clientDemand == .required
    priority = RoutePriority(overrides.priority ?? server.priority)
  }

  /// The files that answer, if any do.
  private static func files(
    _ settings: RouteSettings,
    _ server: ServerSettings,
    _ response: FieldRules,
    _ files: inout [FilesPlan],
    _ layout: inout MetricLayout.Builder
  ) -> FilesPlan? {
    guard case .files(let settings) = settings.handler else { return nil }
    let plan = FilesPlan(
      settings,
      index: files.count,
      response: response,
      dictionaries: server.dictionaries,
      &layout
    )
    files.append(plan)
    return plan
  }

  /// The pages of the route, and those of its server for other statuses.
  private static func errorPages(
    _ own: RouteOverrides,
    _ server: ServerSettings
  ) -> [UInt16: FixedAnswer] {
    Dictionary(
      (own.errorPages + server.errorPages).map { (UInt16($0.status), FixedAnswer($0)) },
      uniquingKeysWith: { first, _ in first }
    )
  }

  private static func bodyLimit(_ own: RouteOverrides, _ server: ServerSettings) -> UInt64 {
    switch own.bodyLimit {
    case .bytes(let count): UInt64(count)
    case .none?: .max
    case nil: server.limits.bodyBytes.map { UInt64($0) } ?? .max
    }
  }

  /// The settings of what answers browsers that ask beforehand.
  private static func permission(_ settings: RouteSettings, _ status: Int) -> RouteSettings {
    var answer = settings
    answer.crossOrigin = nil
    // Browsers ask beforehand without saying who they are (Fetch, section 3.2.5).
    answer.authorizer = nil
    answer.responseHeaders = []
    answer.overrides.clientDemand = .asServer
    answer.handler = .respond(FixedResponse(status: status))
    return answer
  }

  /// What a member is told, and what it must not be told by the client.
  private static func requestRules(
    _ settings: RouteSettings,
    _ server: ServerSettings
  ) -> FieldRules {
    let hidden =
      hiddenFields(settings)
      + (settings.authorizer?.passed ?? []).map { PassedVariable.field(of: $0) }
    if settings.requestHeaders.isEmpty, hidden.isEmpty, settings.sessions == nil {
      return usualRequestRules
    }
    return rules(
      settings.requestHeaders,
      dropping: requestFields,
      hiding: hidden,
      session: settings.sessions == nil ? nil : .request
    )
  }

  /// The fields that only Martlet and its applications say to each other.
  private static func hiddenFields(_ settings: RouteSettings) -> [String] {
    settings.hidesSessionFields ? SessionField.allCases.map(\.rawValue) : []
  }

  private static let requestFields: [FieldName] = [
    // Host is written from the head's authority; Expect is answered here.
    .host, .expect, .via, .forwarded, .xForwardedFor, .xForwardedProto, .xForwardedHost,
  ]

  // Shared by all routes that say nothing: with many routes, what is not read twice is not in the cache.
  private static let usualRequestRules = rules(
    [],
    dropping: requestFields,
    hiding: [],
    session: nil
  )
  private static let usualResponseRules = FieldRules(dropped: FieldNameSet(), added: [])

  private static func rules(
    _ rules: [HeaderRule],
    dropping names: [FieldName] = [],
    _ crossOrigin: CrossOriginPlan? = nil,
    hiding hidden: [String],
    session: SessionSide?,
    givesPermission: Bool = false,
    alwaysAdds: Bool = false
  ) -> FieldRules {
    let isUsual = rules.isEmpty && names.isEmpty && crossOrigin == nil && session == nil
    if isUsual, hidden.isEmpty, !givesPermission, !alwaysAdds { return usualResponseRules }
    var dropped = FieldNameSet(names)
    for name in hidden { dropped.insert(name) }
    if crossOrigin != nil { for name in CrossOriginPlan.fields { dropped.insert(name) } }
    var added: [(name: [UInt8], value: TextTemplate)] = []
    for rule in rules {
      let name = Array(rule.name.utf8)
      if rule.action != .add {
        dropped.insert(rule.name)
        added.removeAll { equalIgnoringCase($0.name.span, name.span) }
      }
      if rule.action != .remove { added.append((name, TextTemplate(rule.value))) }
    }
    return FieldRules(
      dropped: dropped,
      added: added,
      crossOrigin: crossOrigin,
      givesPermission: givesPermission,
      session: session,
      alwaysAdds: alwaysAdds
    )
  }
}

extension Route.Timeouts {
  /// What a route says, else its server and its upstream.
  init(_ own: RouteOverrides, _ client: ClientTimeouts, _ upstream: UpstreamTimeouts) {
    body = Timeout(own.bodyTimeout ?? client.body)
    send = Timeout(own.sendTimeout ?? client.send)
    connect = Timeout(own.connectTimeout ?? upstream.connect)
    firstByte = Timeout(own.firstByteTimeout ?? upstream.firstByte)
    read = Timeout(own.readTimeout ?? upstream.read)
    write = Timeout(own.writeTimeout ?? upstream.write)
    total = (own.totalTimeout ?? upstream.total).map { Timeout($0) } ?? .none
    tunnel = own.tunnelTimeout ?? upstream.tunnel
    ping = own.webSocketPing ?? upstream.webSocketPing
  }
}

extension Route.Handler {
  /// What the settings say; `upstream` is the one that they name.
  init(_ handler: Configuration.Handler, _ upstream: UpstreamPlan?, _ path: PathPattern) {
    switch handler {
    case .proxy:
      if let upstream {
        self = .proxy(upstream)
      } else {
        // The configuration was checked; an unknown upstream cannot come here.
        self = .respond(Route.FixedAnswer(FixedResponse(status: 503)))
      }
    case .respond(let fixed): self = .respond(Route.FixedAnswer(fixed))
    case .redirect(let status, let target):
      self = .redirect(status: UInt16(status), target: TextTemplate(target))
    case .metrics: self = .own(OwnHandlers.Metrics())
    case .status: self = .own(OwnHandlers.Status())
    case .proof: self = .own(OwnHandlers.Proof())
    case .program(let name): self = .program(name)
    case .authority: self = .authority(prefix: Array(path.authorityPrefix.utf8))
    case .revocations(let prefix): self = .authority(prefix: Array(prefix.utf8))
    case .files:
      // They have a plan of their own.
      self = .respond(Route.FixedAnswer(FixedResponse(status: 503)))
    }
  }
}

extension Route.FixedAnswer {
  init(_ fixed: FixedResponse) {
    status = UInt16(fixed.status)
    contentType = Array(fixed.contentType.utf8)
    body = TextTemplate(fixed.body)
  }

  init(_ page: ErrorPage) {
    status = UInt16(page.status)
    contentType = Array(page.contentType.utf8)
    body = TextTemplate(page.body)
  }
}
