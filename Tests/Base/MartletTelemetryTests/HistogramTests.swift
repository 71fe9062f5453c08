import MartletTelemetry
import Testing

private func histogram(_ durations: [UInt64], tables: Int = 1) throws -> HistogramValue {
  var builder = MetricLayout.Builder()
  let latency = builder.histogram(latencyFamily, ["a"])
  let layout = try builder.finished()
  let all = (0..<tables).map { _ in CounterTable(layout) }
  for (index, duration) in durations.enumerated() {
    all[index % tables].record(nanoseconds: duration, in: latency)
  }
  return all.value(of: latency)
}

/// Durations whose magnitudes are spread evenly, from nanoseconds to a minute.
private func spread(_ count: Int) -> [UInt64] {
  (0..<count).map { _ in
    let magnitude = UInt64(1) << UInt64.random(in: 0..<36)
    return magnitude + UInt64.random(in: 0..<magnitude)
  }
}

@Suite("Histogram")
struct HistogramTests {
  @Test("a quantile is within 6.25 % of the true one", arguments: 1...40)
  func quantiles(round: Int) throws {
    let durations = spread(round * round)
    let value = try histogram(durations, tables: 1 + round % 3)
    let sorted = durations.sorted()
    for fraction in [0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1] {
      let rank = max(1, Int((fraction * Double(sorted.count)).rounded(.up)))
      let truth = Double(sorted[rank - 1])
      let estimate = Double(try #require(value.quantile(fraction)))
      #expect(
        abs(estimate - truth) <= max(truth * 0.0625, 64),
        "\(fraction): \(truth), \(estimate)"
      )
    }
    #expect(value.count == UInt64(durations.count))
    #expect(value.nanoseconds == durations.reduce(0, +))
  }

  @Test("each bound counts exactly what does not exceed it", arguments: 0..<20)
  func bounds(round: Int) throws {
    let edges = HistogramScale.bounds.flatMap { [$0 - 1, $0, $0 + 1] }
    let durations = edges + spread(500) + [0, 1, .max >> 8]
    let value = try histogram(durations)
    let counts = value.cumulativeCounts
    #expect(counts.count == HistogramScale.bounds.count)
    for (bound, count) in zip(HistogramScale.bounds, counts) {
      #expect(count == UInt64(durations.count { $0 <= bound }), "\(bound)")
    }
  }

  @Test("buckets are in the order of durations and have no gap")
  func buckets() {
    let scale = HistogramScale.shared
    var last = scale.bucket(of: 0)
    #expect(last == 0)
    var duration: UInt64 = 1
    var jumps: [UInt64] = []
    while duration < 1 << 38 {
      let bucket = scale.bucket(of: duration)
      if bucket != last && bucket != last + 1 { jumps.append(duration) }
      last = bucket
      duration += max(1, duration / 4096)
    }
    #expect(jumps.isEmpty)
    #expect(last == scale.bucketCount - 1)
    #expect(scale.bucket(of: .max) == last)
  }

  @Test("knows nothing of nothing, and of the endless only that it is long")
  func extremes() throws {
    #expect(try histogram([]).quantile(0.5) == nil)
    #expect(try histogram([.max >> 1]).quantile(0.5) == 1 << 36)
    #expect(try histogram([0]).quantile(1).map { $0 <= 64 } == true)
  }
}
