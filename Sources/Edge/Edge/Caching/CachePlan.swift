import Cache
import Configuration
import HTTPCaching
import HTTPMessage
import MartletLoop
import MartletTelemetry
import Synchronization

/// A store of answers, compiled: all loops share it, and a reload that leaves its settings keeps it.
final class CachePlan: Sendable {
  let name: String
  let settings: CacheSettings
  let store: CacheStore
  let metrics: CacheMetrics
  /// What the keys of its routes begin with, and whether more than the URL stands in some.
  let spaces = Mutex<(all: Set<[UInt8]>, hasMore: Bool)>(([], false))
  private let quotas: CacheQuotas

  init(
    _ settings: CacheSettings,
    continuing previous: CachePlan?,
    _ layout: inout MetricLayout.Builder
  ) {
    name = settings.name
    self.settings = settings
    metrics = CacheMetrics(settings.name, &layout)
    if let previous, previous.settings == settings {
      store = previous.store
      quotas = previous.quotas
    } else {
      quotas = CacheQuotas()
      store = CacheStore(
        CacheLimits(
          memoryBytes: settings.memoryBytes,
          objectBytes: settings.objectLimit,
          keyBytes: settings.keyBytes,
          variantCount: settings.variantCount
        ),
        disk: Self.disk(settings, continuing: previous)
      )
    }
  }
}

/// The quotas of a store, by what the keys begin with that they are for.
final class CacheQuotas: Sendable {
  private let all = Mutex<[[UInt8]: CacheQuota]>([:])

  /// The quota for keys that begin so, which has this limit from now on.
  func quota(for space: [UInt8], limit: Int) -> CacheQuota {
    all.withLock { all in
      if let known = all[space] {
        known.limit = limit
        return known
      }
      let made = CacheQuota(limit: limit)
      all[space] = made
      return made
    }
  }
}

extension CachePlan {
  /// What bounds the answers of a route; nil: the store alone does.
  func quota(of settings: RouteCacheSettings, for space: [UInt8]) -> CacheQuota? {
    settings.quota.map { quotas.quota(for: space, limit: $0) }
  }
}

/// The stores of a generation while it is compiled.
struct CachePlans {
  let all: [CachePlan]

  init(
    _ settings: [CacheSettings],
    continuing previous: [CachePlan],
    _ layout: inout MetricLayout.Builder
  ) {
    var plans: [CachePlan] = []
    for settings in settings {
      let before = previous.first { $0.name == settings.name }
      plans.append(CachePlan(settings, continuing: before, &layout))
    }
    all = plans
  }

  func plan(named name: String) -> CachePlan? { all.first { $0.name == name } }
}

/// What a route keeps of the answers of its upstream, compiled.
final class RouteCache: Sendable {
  let plan: CachePlan
  let policy: CachePolicy
  /// Who is asked for what is not there.
  let upstream: UpstreamPlan
  /// The route as answers that are to be kept are asked for by it: without limits, and without what is added
  /// for one client.
  let fillRoute: Route
  /// What is left out of answers before they are kept.
  let dropped: FieldNameSet
  /// What keys begin with, so that routes whose answers may differ do not share them.
  let space: [UInt8]
  /// What bounds its answers besides the store; nil: nothing does.
  let quota: CacheQuota?
  /// For how many milliseconds requests do not wait for each other after an answer that could not be kept.
  let passTime: Int64
  let showsStatus: Bool
  /// What of a request tells answers apart; nil: its whole URL.
  let keyRule: KeyRule?
  /// How long the body of a request may be by which its answer is kept.
  let bodyLimit: Int
  /// What is asked for when a part is wanted that is not there.
  let ranges: CacheRangeRule

  init(
    _ settings: RouteCacheSettings,
    of route: RouteSettings,
    plan: CachePlan,
    upstream: UpstreamPlan,
    fillRoute: Route,
    dropped: FieldNameSet
  ) {
    self.plan = plan
    self.upstream = upstream
    self.fillRoute = fillRoute
    self.dropped = dropped
    policy = CachePolicy(settings)
    space = Self.space(of: route)
    quota = plan.quota(of: settings, for: space)
    passTime = Int64(clamping: settings.passTime.nanoseconds / 1_000_000)
    showsStatus = settings.showsStatus
    bodyLimit = settings.bodyLimit
    ranges = settings.ranges
    keyRule = settings.key == CacheKeySettings() ? nil : KeyRule(settings.key)
    let (space, hasMore) = (space, keyRule != nil)
    plan.spaces.withLock { spaces in
      spaces.all.insert(space)
      if hasMore { spaces.hasMore = true }
    }
  }

  /// Bytes that differ where the answers of two routes may.
  private static func space(of route: RouteSettings) -> [UInt8] {
    let text = """
      \(route.handler) \(route.headers) \(route.queries) \(route.clients) \
      \(route.stripPrefix ?? "") \(route.rewrite?.description ?? "") \
      \(route.requestHeaders) \(route.responseHeaders.filter { $0.action != .add }.map(\.name)) \
      \(route.cache?.cookies.rawValue ?? "") \(route.cache?.key ?? CacheKeySettings())
      """
    // FNV-1a: these texts are the operator's.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return (0..<CacheKey.spaceCount).map { UInt8(truncatingIfNeeded: hash >> UInt64($0 * 8)) }
  }
}

extension Route {
  /// What is kept of the answers of a route's upstream; nil: nothing.
  static func cache(
    _ settings: RouteSettings,
    _ server: ServerSettings,
    _ upstreams: [String: (plan: UpstreamPlan, settings: UpstreamSettings)],
    _ caches: CachePlans,
    _ response: FieldRules,
    _ files: inout [FilesPlan],
    _ layout: inout MetricLayout.Builder
  ) -> RouteCache? {
    guard let cache = settings.cache, let plan = caches.plan(named: cache.store),
      case .proxy(let name) = settings.handler, let group = upstreams[name]
    else { return nil }
    var filling = settings
    filling.cache = nil
    // What is kept is kept as it comes; each client gets it in the coding that it likes.
    filling.overrides.compression = .off
    filling.overrides.decompression = .off
    filling.responseHeaders = []
    filling.crossOrigin = nil
    // Who asks was let pass already.
    filling.authorizer = nil
    let fillRoute = Route(
      filling,
      of: server,
      upstreams: upstreams,
      limits: [],
      caches: caches,
      // What is kept for all depends on nobody's.
      sessions: [],
      files: &files,
      &layout
    )
    return RouteCache(
      cache,
      of: settings,
      plan: plan,
      upstream: group.plan,
      fillRoute: fillRoute,
      dropped: response.dropped
    )
  }
}

extension CachePolicy {
  fileprivate init(_ settings: RouteCacheSettings) {
    self.init()
    defaults = settings.times.map { entry in
      StatusLifetime(status: entry.status.map { UInt16($0) }, seconds: entry.time.wholeSeconds)
    }
    staleWhileRevalidate = settings.staleWhileRevalidate.wholeSeconds
    staleIfError = settings.staleIfError.wholeSeconds
    client = settings.client == .honored ? .honored : .ignored
    for method in settings.bodyMethods {
      switch method {
      case .query: bodyMethods.insert(.query)
      case .post: bodyMethods.insert(.post)
      }
    }
    setCookie =
      switch settings.cookies {
      case .public: .keptWhenPublic
      case .refuse: .refused
      case .remove: .removed
      case .keep: .kept
      }
  }
}

extension KeyRule {
  fileprivate init(_ settings: CacheKeySettings) {
    self.init()
    query =
      switch settings.query {
      case .all: .all
      case .none: .none
      case .only(let names): .only(names.map { Name($0) })
      case .except(let names): .except(names.map { Name($0) })
      }
    // As Vary would name them.
    let names = Array(Set(settings.fields).sorted().joined(separator: ",").utf8)
    fields = names.isEmpty ? nil : VaryRule(encoded: names.span)
    cookies = settings.cookies.map { Array($0.utf8) }
  }
}

extension Duration {
  fileprivate var wholeSeconds: Int64 { components.seconds }
}

/// What a cache did with a request, as metrics and logs call it.
enum CacheOutcome: Int, CaseIterable, Sendable {
  /// It sent what it had.
  case hit
  /// It sent what it had though that was stale.
  case stale
  /// The upstream said that what it had still holds.
  case validated
  /// It asked the upstream.
  case miss
  /// It sent what another request got.
  case collapsed
  /// It did not wait for others: answers to such requests could not be kept before.
  case pass
  /// The request was not for it.
  case bypass

  var word: String {
    switch self {
    case .hit: "hit"
    case .stale: "stale"
    case .validated: "validated"
    case .miss: "miss"
    case .collapsed: "collapsed"
    case .pass: "pass"
    case .bypass: "bypass"
    }
  }
}
