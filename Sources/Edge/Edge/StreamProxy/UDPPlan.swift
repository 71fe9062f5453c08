import Configuration
import Directives
import MartletLoop
import MartletTelemetry

/// What becomes of the datagrams that reach one address: compiled, immutable, shared by all loops.
final class UDPPlan: Sendable {
  /// What logs and metrics call the address.
  let key: String
  let address: Address
  /// Whether the address is all of the machine's, so that replies must be told where to leave from.
  let isWildcard: Bool
  let upstream: UpstreamPlan
  let flowTimeout: Timeout
  let flowNanoseconds: Int64
  /// How many replies a datagram has; nil: any number.
  let replyCount: Int?
  /// How many flows there may be, all loops together.
  let flowLimit: Int
  /// What flows have to pass.
  let flowLimits: [LimitPlan]
  /// What each datagram of a client has to pass.
  let datagramLimits: [LimitPlan]
  /// Where flows are recorded.
  let log: AccessLogSettings?
  let labels: StreamLabels
  let listener: ListenerMetrics
  let ended: StreamMetrics
  let metrics: UDPMetrics

  init(
    _ settings: UDPSettings,
    at address: Address,
    upstream: UpstreamPlan,
    limits: [LimitPlan],
    _ layout: inout MetricLayout.Builder
  ) {
    key = UDPSettings.key(of: address)
    self.address = address
    isWildcard =
      switch address {
      case .any, .ip(.ipv4(0), _), .ip(.ipv6(0, 0), _): true
      default: false
      }
    self.upstream = upstream
    flowTimeout = Timeout(settings.flowTimeout)
    let (seconds, attoseconds) = settings.flowTimeout.components
    flowNanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    replyCount = settings.replyCount
    flowLimit = settings.maxFlowCount
    flowLimits = limits.filter { !$0.isOfDatagrams }
    datagramLimits = limits.filter(\.isOfDatagrams)
    log = settings.accessLog
    labels = StreamLabels(listener: key, upstream: upstream.name)
    listener = ListenerMetrics(key, isStream: true, &layout)
    ended = StreamMetrics(key, &layout)
    metrics = UDPMetrics(key, &layout)
  }
}

/// The figures that a listener for datagrams has besides.
struct UDPMetrics: Sendable {
  /// Datagrams of clients, and of members.
  let received: Counter
  let sent: Counter
  private let dropped: [Counter]

  /// Why a datagram was dropped.
  enum Cause: String, CaseIterable {
    /// No member may have it.
    case noMember = "no_member"
    /// There is no socket for another flow.
    case noSocket = "no_socket"
    /// The kernel did not take it: it is too large for the way, or too many wait.
    case notSent = "not_sent"
    /// The member said that nobody is there.
    case refused
    /// A limit did not let it pass.
    case limited
  }

  init(_ key: String, _ layout: inout MetricLayout.Builder) {
    received = layout.counter(EdgeMetrics.datagrams, [key, "received"])
    sent = layout.counter(EdgeMetrics.datagrams, [key, "sent"])
    dropped = layout.counters(
      EdgeMetrics.droppedDatagrams,
      [key],
      each: Cause.allCases.map(\.rawValue)
    )
  }

  /// The counter of a cause.
  func dropped(_ cause: Cause) -> Counter {
    dropped[Cause.allCases.firstIndex(of: cause) ?? 0]
  }
}
