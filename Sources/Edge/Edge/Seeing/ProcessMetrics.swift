import MartletTelemetry

/// Answers, counted by the class of their status.
struct StatusCounters: Sendable {
  // In place: an array would be one more reference to count for each request.
  let all: InlineArray<5, Counter>

  init(_ family: MetricFamily, _ labels: [String], _ layout: inout MetricLayout.Builder) {
    let counters = layout.counters(family, labels, each: EdgeMetrics.classes)
    all = InlineArray { counters[$0] }
  }

  /// The counter for a status; nil for what is none.
  subscript(status: UInt16) -> Counter? {
    let place = Int(status) / 100 - 1
    return all.indices.contains(place) ? all[place] : nil
  }

  /// How many answers there were, whatever their status.
  func sum(in tables: [CounterTable]) -> UInt64 {
    all.indices.reduce(0) { $0 &+ tables.value(of: all[$1]) }
  }
}

/// The figures of one member of an upstream.
struct MemberMetrics: Sendable {
  let responses: StatusCounters
  let failures: Counter
  let opened: Counter
  let reused: Counter
  let idle: Gauge
  /// Connections of layer 4.
  let streams: Gauge
  /// Nil where HTTP/2 is not spoken.
  let http2: MemberHTTP2Metrics?

  init(
    _ upstream: String,
    _ member: String,
    hasHTTP2: Bool,
    _ layout: inout MetricLayout.Builder
  ) {
    let labels = [upstream, member]
    responses = StatusCounters(EdgeMetrics.upstreamRequests, labels, &layout)
    failures = layout.counter(EdgeMetrics.upstreamFailures, labels)
    opened = layout.counter(EdgeMetrics.upstreamConnections, labels)
    reused = layout.counter(EdgeMetrics.upstreamReused, labels)
    idle = layout.gauge(EdgeMetrics.upstreamIdle, labels)
    streams = layout.gauge(EdgeMetrics.upstreamStreams, labels)
    http2 = hasHTTP2 ? MemberHTTP2Metrics(labels, &layout) : nil
  }
}

/// The figures that belong to nothing in the configuration.
struct ProcessMetrics: Sendable {
  /// By the order of ``EndReason/allCases``.
  let ended: [Counter]
  /// That of them whose requests ended as they should.
  let completed: Counter
  let droppedLines: Counter
  /// By priority.
  let shed: [Counter]
  let http2: HTTP2Metrics
  let compression: CompressionMetrics

  init(_ layout: inout MetricLayout.Builder) {
    compression = CompressionMetrics(&layout)
    ended = layout.counters(EdgeMetrics.ended, each: EndReason.allCases.map(\.rawValue))
    completed = ended[Worker.place(of: .complete)]
    droppedLines = layout.counter(EdgeMetrics.droppedLines)
    shed = layout.counters(EdgeMetrics.overloadShed, each: (0...9).map { "\($0)" })
    http2 = HTTP2Metrics(&layout)
  }
}
