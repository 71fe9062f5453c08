import MartletTelemetry
import Stickiness

// What is seen of clients that stay with their members.

extension Board {
  /// Appends how many clients are remembered.
  static func appendAffinity(
    _ generation: Generation,
    at now: UInt64,
    to text: inout PrometheusText
  ) {
    let samples = generation.upstreams.compactMap { upstream in
      upstream.affinity?.table.map { table in
        MetricSample([upstream.name], Double(table.count(at: second(now))))
      }
    }
    if !samples.isEmpty { text.append(EdgeMetrics.stickyClients, samples) }
  }

  /// Writes what the status of an upstream says of its clients.
  static func writeAffinity(
    _ plan: AffinityPlan,
    _ tables: [CounterTable],
    at now: UInt64,
    _ json: inout JSONWriter
  ) {
    json.object("sticky") { json in
      if let table = plan.table { json.member("clients", table.count(at: second(now))) }
      json.member("kept", tables.value(of: plan.metrics.kept))
      json.member("new", tables.value(of: plan.metrics.new))
      json.member("moved", tables.value(of: plan.metrics.moved))
      json.member("overflowed", tables.value(of: plan.metrics.overflowed))
      json.member("refused", tables.value(of: plan.metrics.refused))
    }
  }

  private static func second(_ now: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: now / 1_000_000_000)
  }
}
