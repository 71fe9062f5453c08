import MartletTelemetry

/// The figures of one listener.
struct ListenerMetrics: Sendable {
  let accepted: Counter
  let open: Gauge
  let received: Counter
  let sent: Counter
  let duration: Histogram

  /// With `isStream` it is a listener of layer 4, which has no requests.
  init(_ name: String, isStream: Bool, _ layout: inout MetricLayout.Builder) {
    accepted = layout.counter(EdgeMetrics.accepted, [name])
    open = layout.gauge(EdgeMetrics.open, [name])
    received = layout.counter(EdgeMetrics.received, [name])
    sent = layout.counter(EdgeMetrics.sent, [name])
    duration = layout.histogram(
      isStream ? EdgeMetrics.streamDuration : EdgeMetrics.duration,
      [name]
    )
  }
}

/// The figures that a listener of layer 4 has besides.
struct StreamMetrics: Sendable {
  /// By the order of ``reasons``.
  let ended: [Counter]

  /// Why a connection of layer 4 can end.
  static let reasons: [EndReason] = [
    .complete, .clientReset, .upstreamReset, .idleTimeout, .totalTimeout, .noMember,
    .upstreamConnectFailed, .upstreamConnectTimeout, .overloaded, .drained, .refused,
    .clientTimeout, .noRoute, .limited, .cut, .internalError,
  ]

  init(_ name: String, _ layout: inout MetricLayout.Builder) {
    ended = layout.counters(EdgeMetrics.streamsEnded, [name], each: Self.reasons.map(\.rawValue))
  }

  /// The place of a reason; what is not foreseen counts as a defect.
  func place(of reason: EndReason) -> Int {
    reason == .complete ? 0 : Self.reasons.firstIndex(of: reason) ?? Self.reasons.count - 1
  }
}
