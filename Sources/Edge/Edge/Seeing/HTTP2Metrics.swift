import HTTP2
import MartletTelemetry

/// The figures of a member that speaks HTTP/2.
struct MemberHTTP2Metrics: Sendable {
  let connections: Gauge
  let streams: Gauge
  let refused: Counter

  init(_ labels: [String], _ layout: inout MetricLayout.Builder) {
    connections = layout.gauge(EdgeMetrics.memberHTTP2Connections, labels)
    streams = layout.gauge(EdgeMetrics.memberHTTP2Streams, labels)
    refused = layout.counter(EdgeMetrics.memberHTTP2Refused, labels)
  }
}

/// The figures of HTTP/2 with clients.
struct HTTP2Metrics: Sendable {
  let connections: Counter
  let streams: Counter
  let resetsByClient: Counter
  /// By the order of ``reasons``.
  private let refused: [Counter]

  /// Besides floods: requests that are malformed, streams that were reset for what came on them, and
  /// connections that were ended for a breach of the protocol.
  private static let others = ["malformed", "stream_fault", "connection_fault"]

  init(_ layout: inout MetricLayout.Builder) {
    connections = layout.counter(EdgeMetrics.http2Connections)
    streams = layout.counter(EdgeMetrics.http2Streams)
    resetsByClient = layout.counter(EdgeMetrics.http2Resets)
    refused = layout.counters(
      EdgeMetrics.http2Refused,
      each: Self.others + Excess.allCases.map(\.rawValue)
    )
  }

  var malformed: Counter { refused[0] }
  var faults: Counter { refused[1] }
  var connectionFaults: Counter { refused[2] }

  /// The counter of connections that were ended because there was too much of something.
  func excess(_ excess: Excess) -> Counter {
    let index = Excess.allCases.firstIndex(of: excess) ?? 0
    return refused[Self.others.count + index]
  }
}
