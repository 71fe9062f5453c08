import GRPC
import MartletTelemetry

/// What came of calls of gRPC.
extension Exchange {
  /// Notes what a member has said of a call, in the trailers or in a head that nothing follows.
  func noteOutcome(in lines: Span<UInt8>, worker: Worker) {
    guard let status = CallStatus(inLines: lines) else { return }
    callStatus = status.rawValue
    if let calls = route?.upstream?.calls { worker.counters.add(to: calls[status]) }
  }
}

/// The calls of gRPC to an upstream, by what members have said of them.
struct CallMetrics: Sendable {
  private let all: [Counter]

  init(_ upstream: String, _ layout: inout MetricLayout.Builder) {
    all = layout.counters(
      EdgeMetrics.upstreamCalls,
      [upstream],
      each: CallStatus.allCases.map(\.name)
    )
  }

  subscript(status: CallStatus) -> Counter { all[Int(status.rawValue)] }

  /// How many calls have had each status, where there were any.
  func counts(_ tables: [CounterTable]) -> [(status: String, count: UInt64)] {
    zip(CallStatus.allCases, all).map { ($0.name, tables.value(of: $1)) }.filter { $0.1 > 0 }
  }
}
