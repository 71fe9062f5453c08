import MartletTelemetry

/// The figures of the edge, each declared once.
enum EdgeMetrics {
  static let accepted = MetricFamily(
    .counter,
    "martlet_connections_accepted_total",
    "Client connections that were accepted.",
    labels: ["listener"]
  )
  static let open = MetricFamily(
    .gauge,
    "martlet_connections_open",
    "Client connections that are open.",
    labels: ["listener"]
  )
  static let proxyHeaders = MetricFamily(
    .counter,
    "martlet_proxy_headers_total",
    "Connections that were to begin with a PROXY header, by what came of that.",
    labels: ["listener", "outcome"]
  )
  static let received = MetricFamily(
    .counter,
    "martlet_received_bytes_total",
    "Bytes of requests, heads and bodies.",
    labels: ["listener"]
  )
  static let sent = MetricFamily(
    .counter,
    "martlet_sent_bytes_total",
    "Bytes of responses, heads and bodies.",
    labels: ["listener"]
  )
  static let duration = MetricFamily(
    .histogram,
    "martlet_request_duration_seconds",
    "From a request's first byte to its response's last.",
    labels: ["listener"]
  )
  static let requests = MetricFamily(
    .counter,
    "martlet_requests_total",
    "Requests by the class of their status.",
    labels: ["server", "class"]
  )
  static let ended = MetricFamily(
    .counter,
    "martlet_requests_ended_total",
    "Requests by the reason for which they ended.",
    labels: ["reason"]
  )
  static let upstreamRequests = MetricFamily(
    .counter,
    "martlet_upstream_requests_total",
    "Responses of members by the class of their status.",
    labels: ["upstream", "member", "class"]
  )
  static let upstreamFailures = MetricFamily(
    .counter,
    "martlet_upstream_failures_total",
    "Tries that ended without a response.",
    labels: ["upstream", "member"]
  )
  static let upstreamConnections = MetricFamily(
    .counter,
    "martlet_upstream_connections_opened_total",
    "Connections to members that were opened.",
    labels: ["upstream", "member"]
  )
  static let upstreamReused = MetricFamily(
    .counter,
    "martlet_upstream_connections_reused_total",
    "Exchanges that found a connection in the pool.",
    labels: ["upstream", "member"]
  )
  static let upstreamIdle = MetricFamily(
    .gauge,
    "martlet_upstream_connections_idle",
    "Connections that wait in the pool.",
    labels: ["upstream", "member"]
  )
  static let upstreamWait = MetricFamily(
    .histogram,
    "martlet_upstream_first_byte_seconds",
    "From a sent request to the first byte of its response.",
    labels: ["upstream"]
  )
  static let droppedLines = MetricFamily(
    .counter,
    "martlet_log_lines_dropped_total",
    "Lines of the access log that were dropped because the log could not be written in time."
  )
  static let retries = MetricFamily(
    .counter,
    "martlet_upstream_retries_total",
    "Requests that were sent to a further member.",
    labels: ["upstream"]
  )
  static let generation = MetricFamily(
    .gauge,
    "martlet_generation",
    "The number of the configuration in force."
  )
  static let uptime = MetricFamily(
    .gauge,
    "martlet_uptime_seconds",
    "How long the edge process has run."
  )

  /// The classes of status, by their first digit from 1 on.
  static let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"]
}

/// The figures of one listener.
struct ListenerMetrics: Sendable {
  let accepted: Counter
  let open: Gauge
  let received: Counter
  let sent: Counter
  let duration: Histogram

  init(_ name: String, _ layout: inout MetricLayout.Builder) {
    accepted = layout.counter(EdgeMetrics.accepted, [name])
    open = layout.gauge(EdgeMetrics.open, [name])
    received = layout.counter(EdgeMetrics.received, [name])
    sent = layout.counter(EdgeMetrics.sent, [name])
    duration = layout.histogram(EdgeMetrics.duration, [name])
  }
}

/// The figures of one member of an upstream.
struct MemberMetrics: Sendable {
  let responses: [Counter]
  let failures: Counter
  let opened: Counter
  let reused: Counter
  let idle: Gauge

  init(_ upstream: String, _ member: String, _ layout: inout MetricLayout.Builder) {
    let labels = [upstream, member]
    responses = layout.counters(
      EdgeMetrics.upstreamRequests,
      labels,
      each: EdgeMetrics.classes
    )
    failures = layout.counter(EdgeMetrics.upstreamFailures, labels)
    opened = layout.counter(EdgeMetrics.upstreamConnections, labels)
    reused = layout.counter(EdgeMetrics.upstreamReused, labels)
    idle = layout.gauge(EdgeMetrics.upstreamIdle, labels)
  }
}

/// The figures that belong to nothing in the configuration.
struct ProcessMetrics: Sendable {
  /// By the order of ``EndReason/allCases``.
  let ended: [Counter]
  let droppedLines: Counter

  init(_ layout: inout MetricLayout.Builder) {
    ended = layout.counters(EdgeMetrics.ended, each: EndReason.allCases.map(\.rawValue))
    droppedLines = layout.counter(EdgeMetrics.droppedLines)
  }
}
