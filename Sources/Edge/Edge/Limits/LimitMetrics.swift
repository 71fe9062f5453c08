import Configuration
import Limiting
import MartletTelemetry

/// The figures of one limit.
struct LimitMetrics: Sendable {
  let admitted: Counter
  let refused: Counter
  let wouldRefuse: Counter

  init(_ label: String, _ layout: inout MetricLayout.Builder) {
    admitted = layout.counter(EdgeMetrics.limitAdmitted, [label])
    refused = layout.counter(EdgeMetrics.limitRefused, [label])
    wouldRefuse = layout.counter(EdgeMetrics.limitWouldRefuse, [label])
  }
}

/// The figures of the queue of one upstream.
struct QueueMetrics: Sendable {
  let served: Counter
  let full: Counter
  let timedOut: Counter
  let left: Counter
  let wait: Histogram

  init(_ upstream: String, _ layout: inout MetricLayout.Builder) {
    func ended(_ outcome: String) -> Counter {
      layout.counter(EdgeMetrics.queueEnded, [upstream, outcome])
    }
    served = ended("served")
    full = ended("full")
    timedOut = ended("timeout")
    left = ended("client_closed")
    wait = layout.histogram(EdgeMetrics.queueWait, [upstream])
  }
}

extension Board {
  /// Appends what limits and overload show beside their counters.
  static func append(
    _ generation: Generation,
    _ overload: OverloadController,
    at now: UInt64,
    to text: inout PrometheusText
  ) {
    if !generation.limits.isEmpty {
      text.append(
        EdgeMetrics.limitKeys,
        generation.limits.map { MetricSample([$0.label], Double($0.keyCount(at: now))) }
      )
      text.append(
        EdgeMetrics.limitOverflow,
        generation.limits.map { MetricSample([$0.label], Double($0.overflowCount)) }
      )
    }
    let queues = generation.upstreams.filter { $0.queue != nil }
    if !queues.isEmpty {
      text.append(
        EdgeMetrics.queueWaiting,
        queues.map { MetricSample([$0.name], Double($0.state.queue.count)) }
      )
    }
    Board.appendApplications(generation, to: &text)
    let shown = overload.shown
    text.append(EdgeMetrics.overloadLevel, [MetricSample([], Double(shown.level))])
    if !shown.figures.isEmpty {
      text.append(
        EdgeMetrics.overloadRatio,
        shown.figures.map { MetricSample([$0.cause.rawValue], $0.value / $0.limit) }
      )
    }
  }

  /// Writes the limits and the overload of a status.
  static func write(
    _ generation: Generation,
    _ tables: [CounterTable],
    _ overload: OverloadController,
    at now: UInt64,
    _ json: inout JSONWriter
  ) {
    if !generation.limits.isEmpty {
      json.array("limits") { json in
        for limit in generation.limits {
          json.object { json in
            json.member("name", limit.label)
            json.member("dry_run", limit.settings.isDryRun)
            json.member("keys", limit.keyCount(at: now))
            json.member("admitted", tables.value(of: limit.metrics.admitted))
            json.member("refused", tables.value(of: limit.metrics.refused))
            json.member("would_refuse", tables.value(of: limit.metrics.wouldRefuse))
            json.member("overflow", limit.overflowCount)
          }
        }
      }
    }
    guard overload.isWatching else { return }
    let shown = overload.shown
    json.object("overload") { json in
      json.member("level", shown.level)
      json.member("cause", shown.cause?.rawValue ?? "")
      for figure in shown.figures {
        let percent = Int((figure.value / figure.limit * 100).rounded())
        json.member("\(figure.cause.percentName)", percent)
      }
    }
  }
}
