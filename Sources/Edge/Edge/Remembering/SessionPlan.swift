import Configuration
import Directives
import HTTPMessage
import MartletSystem
import MartletTelemetry
import Sessions

/// How the sessions of some routes are kept, compiled: shared by all loops.
final class SessionPlan: Sendable {
  let name: String
  /// Its place among those of its generation.
  let index: Int
  let terms: SessionTerms
  /// The name of the cookie.
  let cookieName: [UInt8]
  let store: SessionStore
  let keys: [String]
  let metrics: SessionMetrics
  private let settings: SessionSettings

  /// What is remembered goes on as long as the same keeps it.
  ///
  /// - Throws: ``SystemError`` when a folder cannot be made.
  init(
    _ settings: SessionSettings,
    index: Int,
    secret: String,
    stateDirectory: String,
    continuing previous: SessionPlan?,
    _ layout: inout MetricLayout.Builder
  ) throws(SystemError) {
    self.settings = settings
    name = settings.name
    keys = settings.keys.isEmpty ? [secret] : settings.keys
    self.index = index
    terms = SessionTerms(settings)
    cookieName = Array(settings.cookie.name.utf8)
    metrics = SessionMetrics(settings.name, &layout)
    if let previous, previous.settings.store == settings.store {
      store = previous.store
      return
    }
    switch settings.store {
    case .memory(let limit): store = .memory(SessionMemory(byteLimit: limit))
    case .files(let path, let limit):
      store = .files(try SessionFiles(path: path, countLimit: limit))
    case .redis(let redis):
      var place = RedisPlace(Self.address(redis.address, stateDirectory))
      place.database = redis.database
      place.password = redis.password
      place.prefix = redis.prefix
      store = .redis(place)
    }
  }

  /// How many sessions are kept; nil: that is not known here.
  var keptCount: Int? {
    switch store {
    case .memory(let memory): memory.count
    case .files(let files): files.knownCount
    case .redis: nil
    }
  }

  private static func address(_ address: Address, _ stateDirectory: String) -> SocketAddress {
    switch address {
    case .ip(.ipv4(let host), let port): .ipv4(host, port: port)
    case .ip(.ipv6(let high, let low), let port): .ipv6(high, low, port: port, scope: 0)
    case .unix: .unix(address.unixPath(in: stateDirectory) ?? "")
    case .any(let port), .name(_, let port):
      // The configuration was checked; neither can come here.
      .ipv4(0x7F00_0001, port: port)
    }
  }
}

extension SessionTerms {
  init(_ settings: SessionSettings) {
    self.init()
    cookieName = settings.cookie.name
    path = settings.cookie.path
    domain = settings.cookie.domain
    sameSite =
      switch settings.cookie.sameSite {
      case .strict: .strict
      case .lax: .lax
      case .none: .none
      }
    isSecure = settings.cookie.isSecure
    isPersistent = settings.isPersistent
    idleSeconds = settings.idleTime.components.seconds
    absoluteSeconds = settings.absoluteTime.components.seconds
    byteLimit = settings.byteLimit
  }
}

/// The figures of the sessions of some routes.
struct SessionMetrics: Sendable {
  /// Requests with a session that was known.
  let known: Counter
  /// Requests without one.
  let unknown: Counter
  /// Sessions that began.
  let begun: Counter
  /// Sessions that got another number.
  let changed: Counter
  /// Sessions that were ended.
  let ended: Counter
  /// Requests whose session could not be had, or kept.
  let failed: Counter

  init(_ name: String, _ layout: inout MetricLayout.Builder) {
    known = layout.counter(EdgeMetrics.sessions, [name, "known"])
    unknown = layout.counter(EdgeMetrics.sessions, [name, "unknown"])
    begun = layout.counter(EdgeMetrics.sessions, [name, "begun"])
    changed = layout.counter(EdgeMetrics.sessions, [name, "changed"])
    ended = layout.counter(EdgeMetrics.sessions, [name, "ended"])
    failed = layout.counter(EdgeMetrics.sessions, [name, "failed"])
  }
}

extension Board {
  /// Appends how many sessions are kept, where that is known.
  static func appendSessions(_ generation: Generation, to text: inout PrometheusText) {
    let samples = generation.sessionPlans.compactMap { plan in
      plan.keptCount.map { MetricSample([plan.name], Double($0)) }
    }
    if !samples.isEmpty { text.append(EdgeMetrics.sessionsKept, samples) }
  }

  /// Writes what the status says of sessions, where there are some.
  static func writeSessions(
    _ generation: Generation,
    _ tables: [CounterTable],
    _ json: inout JSONWriter
  ) {
    guard !generation.sessionPlans.isEmpty else { return }
    json.array("sessions") { json in
      for plan in generation.sessionPlans {
        json.object { json in
          json.member("name", plan.name)
          if let count = plan.keptCount { json.member("kept", count) }
          json.member("known", tables.value(of: plan.metrics.known))
          json.member("unknown", tables.value(of: plan.metrics.unknown))
          json.member("failed", tables.value(of: plan.metrics.failed))
        }
      }
    }
  }
}

extension Worker {
  /// Takes over how sessions are kept.
  func publishSessions(_ generation: Generation) {
    let before = sessionKeepers
    sessionKeepers = generation.sessionPlans.map { plan in
      if let known = before.first(where: { $0.plan === plan }) { return known }
      return (plan, SessionKeeper(plan.terms, plan.store, keys: plan.keys, on: loop))
    }
  }

  /// What keeps the sessions of a plan, which may be of an earlier generation; nil: there are none of its name any
  /// more.
  func sessions(of plan: SessionPlan) -> (plan: SessionPlan, keeper: SessionKeeper)? {
    if plan.index < sessionKeepers.count, sessionKeepers[plan.index].plan === plan {
      return sessionKeepers[plan.index]
    }
    return sessionKeepers.first { $0.plan.name == plan.name }
  }

  /// Removes sessions from folders that are over, once a minute.
  func sweepSessions() {
    guard index == 0, clock.seconds >= nextSessionSweep else { return }
    nextSessionSweep = clock.seconds + 60
    for plan in generation.sessionPlans {
      if case .files(let files) = plan.store { files.sweep(at: clock.seconds) }
    }
  }
}
