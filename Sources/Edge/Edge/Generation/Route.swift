import Configuration
import Directives
import HTTPMessage
import MartletBytes
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
    case metrics
    case status
  }

  /// A fixed answer.
  struct FixedAnswer: Sendable {
    let status: UInt16
    let contentType: [UInt8]
    let body: TextTemplate
  }

  /// What is done with the fields of a message, in this order: leave out, then add.
  final class FieldRules: Sendable {
    /// The fields that are left out, among them those that are set anew.
    let dropped: FieldNameSet
    /// The fields that are written behind those that are kept.
    let added: [(name: [UInt8], value: TextTemplate)]
    /// Whether any are.
    let adds: Bool

    init(dropped: FieldNameSet, added: [(name: [UInt8], value: TextTemplate)]) {
      self.dropped = dropped
      self.added = added
      adds = !added.isEmpty
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
  }

  /// What the log calls it and what it belongs to.
  let labels: AccessLabels
  /// The upstream's name; empty if it has none.
  let upstreamName: String
  let conditions: Conditions
  let handler: Handler
  /// What is proxied to, if anything.
  let upstream: UpstreamPlan?
  let stripPrefix: [UInt8]
  let rewrite: TextTemplate?
  let request: FieldRules
  let response: FieldRules
  let errorPages: [UInt16: Route.FixedAnswer]
  let timeouts: Timeouts
  /// The most bytes of a request's body.
  let bodyLimit: UInt64
  let tryCount: Int
  let isLogged: Bool
  /// What its requests have to pass, the server's limits first.
  let limits: [LimitPlan]
  /// Whether there is any.
  let hasLimits: Bool
  let priority: RoutePriority

  init(
    _ settings: RouteSettings,
    of server: ServerSettings,
    upstreams: [String: (plan: UpstreamPlan, settings: UpstreamSettings)],
    limits: [LimitPlan]
  ) {
    conditions = Conditions(settings)
    upstreamName = if case .proxy(let name) = settings.handler { name } else { "" }
    let group = upstreams[upstreamName]
    handler = Handler(settings.handler, group?.plan)
    labels = AccessLabels(
      server: server.name,
      route: settings.path.text,
      upstream: upstreamName
    )
    upstream = group?.plan
    stripPrefix = PathEscapes.normalized(Array((settings.stripPrefix ?? "").utf8))
    rewrite = settings.rewrite.map(TextTemplate.init)
    request = Self.requestRules(settings, server)
    response = Self.rules(settings.responseHeaders, dropping: [])
    let overrides = settings.overrides
    errorPages = Dictionary(
      (overrides.errorPages + server.errorPages).map { (UInt16($0.status), FixedAnswer($0)) },
      uniquingKeysWith: { first, _ in first }
    )
    let times = group?.settings.timeouts ?? UpstreamTimeouts()
    let total = overrides.totalTimeout ?? times.total
    timeouts = Timeouts(
      body: Timeout(overrides.bodyTimeout ?? server.timeouts.body),
      send: Timeout(overrides.sendTimeout ?? server.timeouts.send),
      connect: Timeout(overrides.connectTimeout ?? times.connect),
      firstByte: Timeout(overrides.firstByteTimeout ?? times.firstByte),
      read: Timeout(overrides.readTimeout ?? times.read),
      write: Timeout(overrides.writeTimeout ?? times.write),
      total: total.map { Timeout($0) } ?? .none
    )
    bodyLimit =
      switch overrides.bodyLimit {
      case .bytes(let count): UInt64(count)
      case .none?: .max
      case nil: server.limits.bodyBytes.map { UInt64($0) } ?? .max
      }
    tryCount = overrides.tryCount ?? group?.settings.tryCount ?? 1
    isLogged = overrides.isLogged
    self.limits = limits
    hasLimits = !limits.isEmpty
    priority = RoutePriority(overrides.priority ?? server.priority)
  }

  /// What a member is told, and what it must not be told by the client.
  private static func requestRules(
    _ settings: RouteSettings,
    _ server: ServerSettings
  ) -> FieldRules {
    rules(
      settings.requestHeaders,
      dropping: [
        // Host is written from the head's authority; Expect is answered here.
        .host, .expect, .via, .forwarded, .xForwardedFor, .xForwardedProto, .xForwardedHost,
      ]
    )
  }

  private static func rules(_ rules: [HeaderRule], dropping names: [FieldName]) -> FieldRules {
    var dropped = FieldNameSet(names)
    var added: [(name: [UInt8], value: TextTemplate)] = []
    for rule in rules {
      let name = Array(rule.name.utf8)
      if rule.action != .add {
        dropped.insert(rule.name)
        added.removeAll { equalIgnoringCase($0.name.span, name.span) }
      }
      if rule.action != .remove { added.append((name, TextTemplate(rule.value))) }
    }
    return FieldRules(dropped: dropped, added: added)
  }
}

extension Route.Handler {
  /// What the settings say; `upstream` is the one that they name.
  init(_ handler: Configuration.Handler, _ upstream: UpstreamPlan?) {
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
    case .metrics: self = .metrics
    case .status: self = .status
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
