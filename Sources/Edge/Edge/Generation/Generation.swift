public import Configuration
import Directives
import HTTPMessage
public import MartletHandlers
import MartletLoop
import MartletSystem
import MartletTelemetry
import TLS

/// A configuration compiled to what loops use: immutable, shared by all of them, swapped as one.
public final class Generation: Sendable {
  /// Its number: each configuration that is put in force has the next one.
  public let number: UInt64
  /// What it was compiled from.
  public let configuration: EdgeConfiguration
  let listeners: [ListenerPlan]
  /// The upstreams in their written order.
  public let upstreams: [UpstreamPlan]
  /// The limits of all servers and routes, each once.
  let limits: [LimitPlan]
  /// The stores of answers.
  let caches: [CachePlan]
  /// How sessions are kept.
  let sessionPlans: [SessionPlan]
  /// The handlers of the program, by their names.
  let handlers: [String: any MartletHandlers.Handler]
  /// The files of all routes, each at its place.
  let filePlans: [FilesPlan]
  /// The addresses at which datagrams are received.
  let datagrams: [UDPPlan]
  /// The access logs, each destination and format once.
  public let logs: [AccessLogSettings]
  /// Where each figure is counted.
  let layout: MetricLayout
  let metrics: ProcessMetrics
  let stateDirectory: String
  private let secret: String
  private let files: TLSFiles
  private let tickets: TicketKeys?
  /// The certificates that are obtained while this runs.
  let automatic: AutomaticCertificates

  /// A secret that this process has made.
  public static let ownSecret: String = {
    var random = SystemRandomNumberGenerator()
    return (0..<4).map { _ in String(random.next() as UInt64, radix: 36) }.joined()
  }()

  /// Compiles a configuration that was checked.
  ///
  /// Members that `previous` has as well are taken from there, so that their counts and addresses go
  /// on, and no figure goes back.
  ///
  /// `secret` is what cookies are sealed with where the configuration has no key; nil: that of `previous`,
  /// or one of this process.
  ///
  /// `files` are what the configuration names for TLS; nil: those of `previous`. `automatic` are the
  /// certificates that are obtained meanwhile; nil: those of `previous`, or none. `handlers` are those of the
  /// program; nil: those of `previous`, or none.
  ///
  /// - Throws: ``MetricLayoutError`` when there are more servers and members than can be counted, or
  ///   ``TLS/TLSError``.
  public init(
    _ configuration: EdgeConfiguration,
    number: UInt64,
    stateDirectory: String,
    secret: String? = nil,
    files: TLSFiles? = nil,
    automatic: AutomaticCertificates? = nil,
    handlers: [String: any MartletHandlers.Handler]? = nil,
    continuing previous: Generation? = nil
  ) throws {
    self.number = number
    self.stateDirectory = stateDirectory
    let secret = secret ?? previous?.secret ?? Self.ownSecret
    self.secret = secret
    let files = files ?? previous?.files ?? .none
    self.files = files
    let automatic = automatic ?? previous?.automatic ?? AutomaticCertificates()
    self.automatic = automatic
    tickets = previous?.tickets ?? TicketKeys(secret: Array(secret.utf8))
    self.configuration = configuration
    self.handlers = handlers ?? previous?.handlers ?? [:]
    var layout = MetricLayout.Builder(continuing: previous?.layout)
    metrics = ProcessMetrics(&layout)
    let before = (previous?.upstreams ?? []).reduce(into: [:]) { $0[$1.name] = $1 }
    var plans: Plans = [:]
    for (index, settings) in configuration.upstreams.enumerated() {
      let plan = UpstreamPlan(
        settings,
        index: index,
        stateDirectory: stateDirectory,
        secret: secret,
        tls: try settings.tls.map {
          try MemberTLSPlan($0, of: settings.name, speaksHTTP2: settings.http2 != nil, files)
        },
        continuing: before[settings.name],
        &layout
      )
      plans[settings.name] = (plan, settings)
    }
    upstreams = configuration.upstreams.compactMap { plans[$0.name]?.plan }
    var logs: [AccessLogSettings] = []
    var members: [Address: [SiteMember]] = [:]
    var limits = LimitPlans(continuing: previous?.limits ?? [])
    let caches = CachePlans(configuration.caches, continuing: previous?.caches ?? [], &layout)
    sessionPlans = try Self.sessions(configuration, secret, stateDirectory, previous, &layout)
    var filePlans: [FilesPlan] = []
    for server in configuration.provingServers {
      let site = Site(
        server,
        upstreams: plans,
        logIndex: Self.place(of: server.accessLog, in: &logs),
        limits: &limits,
        caches: caches,
        sessions: sessionPlans,
        files: &filePlans,
        &layout
      )
      for listener in server.listeners {
        members[listener.address, default: []].append((site, server, listener.isFallback))
      }
    }
    let tls = (files: files, automatic: automatic, tickets: tickets)
    var listeners = try Self.listeners(configuration, members, tls, &layout)
    listeners += Self.streams(configuration, plans, previous, &limits, &logs, &layout)
    datagrams = Self.datagrams(configuration, plans, &limits, &logs, &layout)
    (self.caches, self.limits, self.filePlans) = (caches.all, limits.all, filePlans)
    (self.logs, self.listeners) = (logs, listeners)
    self.layout = try layout.finished()
  }

  /// Where a log stands among all, to which it is added if it is new.
  private static func place(
    of log: AccessLogSettings?,
    in logs: inout [AccessLogSettings]
  ) -> Int? {
    guard let log else { return nil }
    if let known = logs.firstIndex(of: log) { return known }
    logs.append(log)
    return logs.count - 1
  }

  private static func sessions(
    _ configuration: EdgeConfiguration,
    _ secret: String,
    _ stateDirectory: String,
    _ previous: Generation?,
    _ layout: inout MetricLayout.Builder
  ) throws(SystemError) -> [SessionPlan] {
    let before = previous?.sessionPlans ?? []
    var plans: [SessionPlan] = []
    for (index, settings) in configuration.sessions.enumerated() {
      let same = before.first { $0.name == settings.name }
      plans.append(
        try SessionPlan(
          settings,
          index: index,
          secret: secret,
          stateDirectory: stateDirectory,
          continuing: same,
          &layout
        )
      )
    }
    return plans
  }

  /// A server at an address.
  typealias SiteMember = (site: Site, settings: ServerSettings, isFallback: Bool)

  /// The upstreams by name.
  private typealias Plans = [String: (plan: UpstreamPlan, settings: UpstreamSettings)]

  private static func listeners(
    _ configuration: EdgeConfiguration,
    _ members: [Address: [SiteMember]],
    _ tls: (files: TLSFiles, automatic: AutomaticCertificates, tickets: TicketKeys?),
    _ layout: inout MetricLayout.Builder
  ) throws -> [ListenerPlan] {
    try configuration.listeningAddresses.map { address in
      let here = members[address] ?? []
      let plan =
        configuration.speaksTLS(at: address)
        ? try TLSPlan(
          address.description,
          here,
          tls.files,
          tls.automatic,
          tls.tickets,
          &layout
        ) : nil
      return ListenerPlan(
        key: address.description,
        proxy: configuration.proxyReception(at: address),
        sites: here,
        tls: plan,
        &layout
      )
    }
  }

  private static func streams(
    _ configuration: EdgeConfiguration,
    _ plans: Plans,
    _ previous: Generation?,
    _ limits: inout LimitPlans,
    _ logs: inout [AccessLogSettings],
    _ layout: inout MetricLayout.Builder
  ) -> [ListenerPlan] {
    var listeners: [ListenerPlan] = []
    for tcp in configuration.tcp {
      guard let group = plans[tcp.upstream] else { continue }
      let routes = StreamRoutes(tcp) { plans[$0]?.plan }
      if let log = tcp.accessLog, !logs.contains(log) { logs.append(log) }
      let owner = tcp.listeners.first?.key ?? "tcp"
      listeners += ListenerPlan.plans(
        tcp,
        group,
        routes: routes,
        limits: tcp.limits.map { limits.plan($0, of: owner, &layout) },
        continuing: previous,
        &layout
      )
    }
    return listeners
  }

  private static func datagrams(
    _ configuration: EdgeConfiguration,
    _ plans: Plans,
    _ limits: inout LimitPlans,
    _ logs: inout [AccessLogSettings],
    _ layout: inout MetricLayout.Builder
  ) -> [UDPPlan] {
    var datagrams: [UDPPlan] = []
    for udp in configuration.udp {
      guard let group = plans[udp.upstream] else { continue }
      if let log = udp.accessLog, !logs.contains(log) { logs.append(log) }
      let owner = udp.listeners.first.map(UDPSettings.key) ?? "udp"
      let passed = udp.limits.map { limits.plan($0, of: owner, &layout) }
      for address in udp.listeners {
        datagrams.append(
          UDPPlan(udp, at: address, upstream: group.plan, limits: passed, &layout)
        )
      }
    }
    return datagrams
  }

  /// The generation `other` with room for more figures.
  private init(_ other: Generation, layout: MetricLayout) {
    number = other.number
    configuration = other.configuration
    listeners = other.listeners
    upstreams = other.upstreams
    limits = other.limits
    caches = other.caches
    sessionPlans = other.sessionPlans
    handlers = other.handlers
    filePlans = other.filePlans
    datagrams = other.datagrams
    logs = other.logs
    metrics = other.metrics
    stateDirectory = other.stateDirectory
    secret = other.secret
    files = other.files
    automatic = other.automatic
    tickets = other.tickets
    self.layout = layout
  }

  /// The same generation, with other figures.
  ///
  /// - Throws: ``MetricLayoutError`` when there are more than can be counted.
  func counting(
    _ change: (inout MetricLayout.Builder) -> Void
  ) throws(MetricLayoutError) -> Generation {
    var builder = MetricLayout.Builder(extending: layout)
    change(&builder)
    return Generation(self, layout: try builder.finished())
  }
}
