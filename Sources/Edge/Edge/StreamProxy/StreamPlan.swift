import Configuration
import Directives
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import Synchronization

/// What becomes of the connections of a `tcp` block: compiled from the configuration, immutable but for
/// its count, shared by all loops.
final class StreamPlan: Sendable {
  /// Where the bytes go that no route takes.
  let upstream: UpstreamPlan
  /// Where the bytes of some connections go; nil: there are no routes.
  let routes: StreamRoutes?
  /// What connections have to pass.
  let limits: [LimitPlan]
  let connectTimeout: Timeout
  let idleTimeout: Timeout
  let totalTimeout: Timeout
  let tryCount: Int
  let source: Source
  /// Where connections are recorded.
  let log: AccessLogSettings?
  let labels: StreamLabels
  /// The listener's address as written.
  let listener: String
  let metrics: StreamMetrics
  private let connectionLimit: Int
  private let connections: Count

  /// From where members are connected to.
  enum Source: Sendable {
    case any
    case address(ConnectionSource)
    /// The client's address.
    case client
  }

  /// How many connections a block has, over all loops and generations.
  private final class Count: Sendable {
    let open = Atomic<Int>(0)
  }

  init(
    _ settings: TCPSettings,
    listener: StreamListener,
    upstream: UpstreamPlan,
    settings group: UpstreamSettings,
    routes: StreamRoutes?,
    limits: [LimitPlan],
    beside sibling: StreamPlan?,
    _ layout: inout MetricLayout.Builder
  ) {
    self.upstream = upstream
    self.routes = routes
    self.limits = limits
    connectTimeout = Timeout(settings.connectTimeout ?? group.timeouts.connect)
    idleTimeout = Timeout(settings.idleTimeout)
    totalTimeout = settings.totalTimeout.map { Timeout($0) } ?? .none
    tryCount = settings.tryCount ?? group.tryCount
    source =
      switch settings.source {
      case .any: .any
      case .address(let address): .address(.own(SocketAddress(address, port: 0)))
      case .transparent: .client
      }
    log = settings.accessLog
    self.listener = listener.key
    labels = StreamLabels(listener: listener.key, upstream: upstream.name)
    metrics = StreamMetrics(listener.key, &layout)
    connectionLimit = settings.maxConnectionCount ?? .max
    connections = sibling?.connections ?? Count()
  }

  /// Whether the block has as many connections as it may have.
  var isFull: Bool { connections.open.load(ordering: .relaxed) >= connectionLimit }

  /// Counts a connection that was opened.
  func noteOpened() { connections.open.add(1, ordering: .relaxed) }

  /// Counts a connection that is over.
  func noteClosed() { connections.open.subtract(1, ordering: .relaxed) }

  /// The address from which a member is connected to on behalf of `client`; nil: any.
  func source(for client: SocketAddress) -> ConnectionSource? {
    switch source {
    case .any: nil
    case .address(let source): source
    case .client: .foreign(client.withoutPort)
    }
  }
}

extension ListenerPlan {
  /// The listeners of a `tcp` block, which goes to the upstream of `group`.
  static func plans(
    _ settings: TCPSettings,
    _ group: (plan: UpstreamPlan, settings: UpstreamSettings),
    routes: StreamRoutes?,
    limits: [LimitPlan],
    continuing previous: Generation?,
    _ layout: inout MetricLayout.Builder
  ) -> [ListenerPlan] {
    var plans: [ListenerPlan] = []
    for listener in settings.listeners {
      // The listeners of a block are limited together, and so are its generations.
      let old = previous?.listeners.first { $0.key == listener.key }?.stream
      let stream = StreamPlan(
        settings,
        listener: listener,
        upstream: group.plan,
        settings: group.settings,
        routes: routes,
        limits: limits,
        beside: plans.first?.stream ?? old,
        &layout
      )
      plans.append(
        ListenerPlan(key: listener.key, proxy: listener.proxy, stream: stream, &layout)
      )
    }
    return plans
  }
}

extension SocketAddress {
  /// The same host, with the port left to the kernel.
  fileprivate var withoutPort: SocketAddress {
    switch self {
    case .ipv4(let host, _): .ipv4(host, port: 0)
    case .ipv6(0, let low, _, _) where low >> 32 == 0xFFFF:
      // A client over IPv4 of a listener for both.
      .ipv4(UInt32(truncatingIfNeeded: low), port: 0)
    case .ipv6(let high, let low, _, let scope): .ipv6(high, low, port: 0, scope: scope)
    case .unix: self
    }
  }
}
