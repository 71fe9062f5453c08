/// What came of a run, printed as one line of JSON.
struct Report {
  var answers = 0
  var warmupAnswers = 0
  var seconds = 0.0
  /// Connections that the server closed while nothing was asked of them.
  var idleCloses = 0
  var times = Histogram()
  /// The times of requests that were meant to start in a window with an odd number.
  var oddTimes = Histogram()
  private var failures = [Int](repeating: 0, count: Connection.Failure.allCases.count)

  mutating func fail(_ failure: Connection.Failure) {
    failures[failure.rawValue] += 1
  }

  var json: String {
    let named = Connection.Failure.allCases.map { "\"\($0)\": \(failures[$0.rawValue])" }
    return """
      {"answers": \(answers), "warmup_answers": \(warmupAnswers), "seconds": \(seconds), \
      "idle_closes": \(idleCloses), "failures": {\(named.joined(separator: ", "))}, \
      "microseconds": \(microseconds(times)), "odd_microseconds": \(microseconds(oddTimes))}
      """
  }

  private func microseconds(_ times: Histogram) -> String {
    let shares = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)]
    var named = shares.map { ($0.0, times.percentile($0.1)) }
    named.append(("max", times.largest))
    let members = named.map { "\"\($0.0)\": \(Double($0.1) / 1000)" }
    return "{\(members.joined(separator: ", "))}"
  }
}
