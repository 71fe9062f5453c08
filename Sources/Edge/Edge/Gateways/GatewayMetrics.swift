import GatewayProtocols
import MartletTelemetry

/// The figures of members that speak one gateway protocol.
struct GatewayMetrics: Hashable, Sendable {
  /// Answers that name another place of this host.
  let redirects: Counter
  /// Lines that they have said besides their answers.
  let lines: Counter
  /// Requests for which a connection was opened, and those over one that had carried another.
  let opened: Counter
  let reused: Counter
  /// Requests over a connection that others may use at the same time.
  let shared: Counter
  /// Answers that were given up because their clients held up others.
  let givenUp: Counter
  /// What was wrong with answers, by the order of the reasons.
  private let faults: [Counter]

  init(_ form: GatewayProtocol, _ layout: inout MetricLayout.Builder) {
    let name = form.rawValue
    redirects = layout.counter(EdgeMetrics.gatewayRedirects, [name])
    lines = layout.counter(EdgeMetrics.gatewayLines, [name])
    opened = layout.counter(EdgeMetrics.gatewayRequests, [name, "opened"])
    reused = layout.counter(EdgeMetrics.gatewayRequests, [name, "reused"])
    shared = layout.counter(EdgeMetrics.gatewayRequests, [name, "shared"])
    givenUp = layout.counter(EdgeMetrics.gatewayGivenUp, [name])
    faults = layout.counters(
      EdgeMetrics.gatewayFaults,
      [name],
      each: GatewayFault.allCases.map(\.rawValue)
    )
  }

  /// What was wrong with an answer.
  subscript(fault: GatewayFault) -> Counter {
    faults[GatewayFault.allCases.firstIndex(of: fault) ?? 0]
  }

  /// Writes what the status says of them.
  func write(_ form: GatewayProtocol, _ tables: [CounterTable], _ json: inout JSONWriter) {
    let (openedCount, reusedCount) = (tables.value(of: opened), tables.value(of: reused))
    let sharedCount = tables.value(of: shared)
    json.object { json in
      json.member("protocol", form.rawValue)
      json.member("requests", openedCount &+ reusedCount &+ sharedCount)
      json.member("connections_opened", openedCount)
      json.member("connections_reused", reusedCount)
      json.member("requests_shared", sharedCount)
      json.member("given_up", tables.value(of: givenUp))
      json.member("redirects", tables.value(of: redirects))
      json.member("lines", tables.value(of: lines))
      json.member("faults", faults.reduce(0) { $0 &+ tables.value(of: $1) })
    }
  }
}

extension Board {
  /// Writes what the status says of members that are no servers of HTTP, where there are some.
  static func writeGateways(
    _ generation: Generation,
    _ tables: [CounterTable],
    _ json: inout JSONWriter
  ) {
    let plans = generation.upstreams.compactMap(\.gateway)
    guard !plans.isEmpty else { return }
    json.array("gateways") { json in
      for form in GatewayProtocol.allCases {
        plans.first { $0.form == form }?.metrics.write(form, tables, &json)
      }
    }
  }
}
