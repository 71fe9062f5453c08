/// What came of a run, printed as one line of JSON.
struct Report {
  var answers = 0
  var warmupAnswers = 0
  var seconds = 0.0
  /// Connections that the server closed while nothing was asked of them.
  var idleCloses = 0
  var times = Histogram()
  private var failures = [Int](repeating: 0, count: Connection.Failure.allCases.count)

  mutating func fail(_ failure: Connection.Failure) {
    failures[failure.rawValue] += 1
  }

  var json: String {
    let named = Connection.Failure.allCases.map { "\"\($0)\": \(failures[$0.rawValue])" }
    let shares = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)]
    let times = shares.map { "\"\($0.0)\": \(microseconds(self.times.percentile($0.1)))" }
    return """
      {"answers": \(answers), "warmup_answers": \(warmupAnswers), "seconds": \(seconds), \
      "idle_closes": \(idleCloses), "failures": {\(named.joined(separator: ", "))}, \
      "microseconds": {\(times.joined(separator: ", ")), "max": \(microseconds(self.times.largest))}}
      """
  }

  private func microseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1000 }
}
