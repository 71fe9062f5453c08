import Configuration
import Directives
import HTTPMessage
import MartletBytes
import Routing
import MartletLoop
import MartletTelemetry

/// One server of the configuration, compiled.
final class Site: Sendable {
  let name: String
  let routes: [Route]
  private let paths: PathTable
  /// The first route, if it takes every request.
  private let only: Route?
  /// The methods that an answer may name: the usual ones and those that routes ask for.
  private let methods: [[UInt8]]
  let headLimits: HeadLimits
  let requestsPerConnection: Int
  /// The proxies whose word about the client is taken.
  let trusted: NetworkSet?
  let forwarded: ForwardedStyle
  let underscores: UnderscorePolicy
  /// The value of Via, and that with which an answer says so; empty: none is written.
  let via: [UInt8]
  /// Whether members are told about the client or the way.
  let tellsMembers: Bool
  let errorPages: [UInt16: Route.FixedAnswer]
  /// Where its requests are recorded, and at which place of its generation's logs that is.
  let log: AccessLogSettings?
  let logIndex: Int?
  /// Whether clients are asked for certificates when they begin TLS.
  let asksClients: Bool
  /// Whether they must have one.
  let needsClientCertificate: Bool
  /// What the log calls it.
  let labels: AccessLabels
  /// Its requests by the class of their status.
  let requests: StatusCounters

  init(
    _ settings: ServerSettings,
    upstreams: [String: (plan: UpstreamPlan, settings: UpstreamSettings)],
    logIndex: Int?,
    limits: inout LimitPlans,
    caches: CachePlans,
    sessions: [SessionPlan],
    files: inout [FilesPlan],
    _ layout: inout MetricLayout.Builder
  ) {
    self.name = settings.name
    labels = AccessLabels(server: settings.name)
    requests = StatusCounters(EdgeMetrics.requests, [settings.name], &layout)
    let name = settings.name
    let own = settings.trafficLimits.map { limits.plan($0, of: name, &layout) }
    var routes: [Route] = []
    for route in settings.routes {
      let more = route.overrides.limits.map {
        limits.plan($0, of: "\(name) \(route.path.text)", &layout)
      }
      routes.append(
        Route(
          route,
          of: settings,
          upstreams: upstreams,
          limits: own + more,
          caches: caches,
          sessions: sessions,
          files: &files,
          &layout
        )
      )
    }
    self.routes = routes
    paths = PathTable(settings.routes.map(\.path))
    let first = settings.routes.first
    only = first?.isUnconditional == true && first?.path == .prefix("/") ? routes.first : nil
    let asked = settings.routes.flatMap(\.methods).filter { $0 != "CONNECT" && $0 != "TRACE" }
    var methods = Self.usualMethods
    for method in asked where !methods.contains(method) { methods.append(method) }
    self.methods = methods.map { Array($0.utf8) }
    headLimits = HeadLimits(settings.limits)
    requestsPerConnection = settings.limits.requestsPerConnection
    trusted = settings.trustedProxies.isEmpty ? nil : NetworkSet(settings.trustedProxies)
    forwarded = settings.forwarded
    underscores = settings.underscores
    via = if case .name(let name) = settings.via { Array(name.utf8) } else { [] }
    tellsMembers = forwarded != .off || !via.isEmpty
    errorPages = Dictionary(
      settings.errorPages.map { (UInt16($0.status), Route.FixedAnswer($0)) },
      uniquingKeysWith: { first, _ in first }
    )
    log = settings.accessLog
    self.logIndex = logIndex
    asksClients = settings.tls.clientDemand != .off
    needsClientCertificate = settings.tls.clientDemand == .required
  }

  /// The first route in written order that takes the request.
  func route(
    for exchange: Exchange,
    _ head: Span<UInt8>,
    of connection: HTTP1Connection
  ) -> Route? {
    if let only { return only }
    let target = exchange.request.path
    let path = target.isEmpty ? Self.root.span : head.extracting(target.range)
    let index = paths.firstMatch(path) { index in
      let conditions = routes[index].conditions
      return conditions.isEmpty || conditions.areMet(by: exchange, head, of: connection)
    }
    return index.map { routes[$0] }
  }

  /// The methods with which a request for this target would find a route, as `Allow` lists them.
  ///
  /// RFC 9110, sections 10.2.1 and 15.5.6; none for CONNECT, whose target is no resource of the site.
  func allowedMethods(
    for exchange: Exchange,
    _ head: Span<UInt8>,
    of connection: HTTP1Connection
  ) -> [UInt8] {
    let target = exchange.request.path
    guard !target.isEmpty else { return [] }
    let allowed = methods.filter { method in
      paths.firstMatch(head.extracting(target.range)) { index in
        let conditions = routes[index].conditions
        return conditions.takes(method: method.span)
          && conditions.areMetBesidesMethod(by: exchange, head, of: connection)
      } != nil
    }
    return Array(allowed.joined(separator: [0x2C, 0x20]))
  }

  private static let usualMethods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
  private static let root: [UInt8] = [0x2F]
}

extension HeadLimits {
  /// The limits that a configuration states.
  init(_ limits: RequestLimits) {
    self.init()
    headBytes = limits.headBytes
    fieldCount = limits.fieldCount
    lineBytes = limits.lineBytes
    targetBytes = limits.targetBytes
    chunkExtensionBytes = limits.chunkExtensionBytes
  }

  /// Limits that refuse nothing that one of the two allows.
  func widened(by other: HeadLimits) -> HeadLimits {
    var limits = self
    limits.headBytes = max(headBytes, other.headBytes)
    limits.fieldCount = max(fieldCount, other.fieldCount)
    limits.lineBytes = max(lineBytes, other.lineBytes)
    limits.targetBytes = max(targetBytes, other.targetBytes)
    limits.chunkExtensionBytes = max(chunkExtensionBytes, other.chunkExtensionBytes)
    return limits
  }
}
