import Applications
import MartletTelemetry

/// The figures of applications.
extension Board {
  /// Adds them to the metrics.
  static func appendApplications(_ generation: Generation, to text: inout PrometheusText) {
    let known = generation.upstreams.compactMap { upstream in
      upstream.application.map { (upstream.name, $0.figures) }
    }
    guard !known.isEmpty else { return }
    func samples(_ value: (Application.Figures) -> Int) -> [MetricSample] {
      known.map { MetricSample([$0.0], Double(value($0.1))) }
    }
    text.append(EdgeMetrics.applicationWorkers, samples(\.readyCount))
    text.append(EdgeMetrics.applicationWanted, samples(\.wantedCount))
    text.append(EdgeMetrics.applicationActive, samples(\.activeCount))
    text.append(EdgeMetrics.applicationWaiting, samples(\.waitingCount))
    text.append(EdgeMetrics.applicationStarted, samples(\.startedCount))
    text.append(EdgeMetrics.applicationLockLooks, samples(\.lockLookCount))
    let seconds = known.map { MetricSample([$0.0], Double($0.1.lockTime) / 1e9) }
    text.append(EdgeMetrics.applicationLockWait, seconds)
  }

  /// Writes what is known of an application into the status of its upstream.
  static func writeApplication(_ application: Application, _ json: inout JSONWriter) {
    let figures = application.figures
    json.object("application") { json in
      json.member("ready", figures.readyCount)
      json.member("wanted", figures.wantedCount)
      json.member("active", figures.activeCount)
      json.member("waiting", figures.waitingCount)
      json.member("started", figures.startedCount)
      json.array("workers") { json in
        for worker in figures.workers {
          json.object { json in
            json.member("process", Int(worker.process))
            json.member("ready", worker.isReady)
            json.member("active", worker.activeCount)
            json.member("answered", worker.answeredCount)
            json.member("microseconds", Int(worker.requestTime / 1000))
            json.member("lock_microseconds", Int(worker.lockTime / 1000))
          }
        }
      }
    }
  }
}
