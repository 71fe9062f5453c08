import Applications
import Balancing
import Configuration
import Directives
import MartletLoop
import MartletSystem
import MartletTelemetry
import Synchronization

/// A named group of servers, compiled from the configuration and shared by all loops: immutable but for
/// which members it has.
public final class UpstreamPlan: Sendable {
  /// Its name.
  public let name: String
  /// Its place in the generation.
  let index: Int
  /// What it shares with those of its name in other generations.
  let state: UpstreamState
  private let current: Mutex<Membership>
  let wait: Histogram
  let retries: Counter
  /// What came of calls of gRPC; nil where HTTP/2 is not spoken.
  let calls: CallMetrics?
  /// How a member is chosen.
  let algorithm: Balancer.Algorithm
  /// What requests are spread by, if they are.
  let key: TextTemplate?
  let slowStart: SlowStart
  /// In percent.
  let panicThreshold: Int
  /// Whether the requests of all members together are counted.
  let countsAll: Bool
  /// Whether it is noted how long members take.
  let measuresTime: Bool
  let pooling: Pooling
  let host: UpstreamHost
  /// How TLS is spoken with members; nil: it is not.
  let tls: MemberTLSPlan?
  /// Whether HTTP/2 is spoken with members.
  let speaksHTTP2: Bool
  /// How connections to a member carry several exchanges at once; nil: they do not.
  let sharing: SharingPlan?
  /// Whether they may; each request asks.
  let sharesConnections: Bool
  /// What runs the application that it is; nil: it has members.
  let application: Application?
  /// What is spoken with members that are no servers of HTTP; nil: they are.
  let gateway: MemberGatewayPlan?
  /// The PROXY header that each connection begins with; nil: none, and connections are shared.
  let proxySending: ProxySendingPlan?
  let resolveInterval: Duration
  /// How requests wait for a place; nil: they do not.
  let queue: QueuePlan?
  /// How clients stay with their members; nil: they do not.
  let affinity: AffinityPlan?
  /// What is done about members that fail.
  let failures: FailurePlan
  /// What it says about the health of its members.
  public let health: HealthPlan

  /// How connections to members are kept between requests, on each loop.
  struct Pooling: Sendable {
    let idleCount: Int
    let idleTime: Timeout
    let age: Timeout
    let requestCount: Int
  }

  init(
    _ settings: UpstreamSettings,
    index: Int,
    stateDirectory: String,
    secret: String,
    tls: MemberTLSPlan? = nil,
    continuing previous: UpstreamPlan?,
    _ layout: inout MetricLayout.Builder
  ) {
    name = settings.name
    self.index = index
    self.tls = tls
    gateway = MemberGatewayPlan(settings, &layout)
    speaksHTTP2 = settings.http2 != nil
    sharing =
      settings.http2.map { .http2(HTTP2MemberPlan($0, of: settings)) }
      ?? MultiplexingPlan(gateway, of: settings).map { .fastCGI($0) }
    sharesConnections = sharing != nil
    let state = previous?.state ?? UpstreamState()
    self.state = state
    application = settings.application.map { application in
      state.application.use(ApplicationTerms(application))
      return state.application
    }
    let written = state.changes.applied(to: settings.members)
    let members = state.members(written, stateDirectory: stateDirectory)
    let plans = Self.plans(members, written, of: settings, &layout)
    algorithm = Balancer.Algorithm(settings.balance)
    key = settings.balance.hash.map { TextTemplate($0.key) }
    slowStart = SlowStart(nanoseconds: Int64(clamping: settings.slowStart?.nanoseconds ?? 0))
    panicThreshold = settings.panicThreshold
    countsAll = settings.balance.hash?.settings.bound != nil
    measuresTime = settings.balance == .latency
    current = Mutex(Membership(plans, algorithm))
    wait = layout.histogram(EdgeMetrics.upstreamWait, [settings.name])
    retries = layout.counter(EdgeMetrics.retries, [settings.name])
    calls = settings.http2 == nil ? nil : CallMetrics(settings.name, &layout)
    pooling = Pooling(
      idleCount: settings.pool.idleCount,
      idleTime: Timeout(settings.pool.idleTime),
      age: Timeout(settings.pool.maxAge),
      requestCount: settings.pool.maxRequestCount
    )
    host = settings.host
    proxySending = settings.proxyProtocol.map { ProxySendingPlan($0) }
    queue = settings.queue.map { QueuePlan($0, of: settings.name, &layout) }
    affinity = settings.sticky.map {
      AffinityPlan(
        $0,
        keys: settings.stickyKeys.isEmpty ? [secret] : settings.stickyKeys,
        of: settings.name,
        continuing: previous?.affinity,
        &layout
      )
    }
    resolveInterval = settings.resolveInterval
    failures = FailurePlan(settings, continuing: previous?.failures, &layout)
    if let before = previous?.failures, before.breaker != settings.breaker {
      // These breakers are gone, and nobody else would let the members in again.
      let now = SystemClock.monotonicNanoseconds()
      for member in members { member.change(at: now) { $0.isOpen = false } }
    }
    health = HealthPlan(settings)
  }

  private static func plans(
    _ members: [Member],
    _ written: [MemberSettings],
    of upstream: UpstreamSettings,
    _ layout: inout MetricLayout.Builder
  ) -> [MemberPlan] {
    var plans: [MemberPlan] = []
    for (member, settings) in zip(members, written) {
      let metrics = MemberMetrics(
        upstream.name,
        member.name,
        hasHTTP2: upstream.http2 != nil,
        &layout
      )
      plans.append(MemberPlan(member: member, settings: settings, metrics: metrics))
    }
    return plans
  }

  /// The members that it has now.
  public var membership: Membership { current.withLock { $0 } }

  /// The members that it has now, in the order written.
  public var members: [Member] { membership.plans.map(\.member) }

  /// Gives the upstream other members: every loop has them with its next request.
  ///
  /// What they count must be in the tables of all loops already.
  func replace(_ membership: Membership) {
    current.withLock { $0 = membership }
    state.version.noteChange()
  }
}

extension ApplicationTerms {
  /// What a configuration says.
  init(_ settings: ApplicationSettings) {
    self.init()
    threadCount = settings.threadCount
    aheadCount = settings.aheadCount
    queueLength = settings.queueLength
    tellsOfLeaving = settings.interface == .asgi
    streamsBodies = settings.streamsBodies
    queueTime = Int64(clamping: settings.queueTime.nanoseconds)
    workerCounts = settings.processCounts
    idleTime = Int64(clamping: settings.idleTime.nanoseconds)
    requestTime = settings.requestTime.map { Int64(clamping: $0.nanoseconds) } ?? 0
  }
}
