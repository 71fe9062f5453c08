import Configuration
import Directives
import HTTPMessage
import MartletSystem
import MartletTelemetry
import Sessions

/// How the sessions of some routes are kept, compiled: shared by all loops.
final class SessionPlan: Sendable {
  let name: String
  let terms: SessionTerms
  let store: SessionStore
  let keys: [String]
  let metrics: SessionMetrics
  private let settings: SessionSettings

  /// What is remembered goes on as long as the same keeps it.
  ///
  /// - Throws: ``SystemError`` when a folder cannot be made.
  init(
    _ settings: SessionSettings,
    secret: String,
    stateDirectory: String,
    continuing previous: SessionPlan?,
    _ layout: inout MetricLayout.Builder
  ) throws(SystemError) {
    self.settings = settings
    name = settings.name
    keys = settings.keys.isEmpty ? [secret] : settings.keys
    terms = SessionTerms(settings)
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

extension Worker {
  /// Takes over how sessions are kept.
  func publishSessions(_ generation: Generation) {
    let before = sessionKeepers
    sessionKeepers = [:]
    for plan in generation.sessionPlans {
      if let known = before[plan.name], known.plan === plan {
        sessionKeepers[plan.name] = known
        continue
      }
      let keeper = SessionKeeper(plan.terms, plan.store, keys: plan.keys, on: loop)
      sessionKeepers[plan.name] = (plan, keeper)
    }
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
