import MartletSystem
import MartletTelemetry
import OutlierDetection
import Synchronization

// What is told of the health of members: log, metrics, state.
extension Board {
  /// Writes a change to the log.
  func note(_ change: HealthChange) {
    let (level, message): (LogLine.Level, String) =
      switch change.event {
      case .up: (.notice, "a member is up")
      case .down: (.warning, "a member is down")
      case .ejected: (.warning, "a member is ejected")
      case .returned: (.notice, "a member serves again")
      case .unchecked: (.error, "a member could not be checked")
      }
    log.note(
      level,
      message,
      [
        LogLine.Field("upstream", change.subject.upstream),
        LogLine.Field("member", change.subject.member),
        LogLine.Field("reason", change.reason),
        LogLine.Field("detail", change.detail),
      ]
    )
  }

  /// Writes changes to the log, and keeps those for whoever runs programs.
  func take(_ changes: [HealthChange]) {
    for change in changes {
      note(change)
      guard !change.subject.command.isEmpty else { continue }
      healthChanges.withLock { waiting in
        if waiting.count < Self.waitingChangeCount { waiting.append(change) }
      }
    }
  }

  private static let waitingChangeCount = 256

  /// Appends the figures of all members that are checked or may be ejected.
  static func append(health generation: Generation, to text: inout PrometheusText) {
    var checks: [MetricSample] = []
    var up: [MetricSample] = []
    var seconds: [MetricSample] = []
    var changes: [MetricSample] = []
    var ejected: [MetricSample] = []
    for upstream in generation.upstreams {
      // A member that is written twice is shown once.
      var names: Set<String> = []
      for member in upstream.members where names.insert(member.name).inserted {
        let labels = [upstream.name, member.name]
        func add(_ count: UInt64, _ label: String, to samples: inout [MetricSample]) {
          samples.append(MetricSample(labels + [label], Double(count)))
        }
        if let report = member.checkReport {
          up.append(MetricSample(labels, report.health == .down ? 0 : 1))
          add(report.passedCount, "passed", to: &checks)
          add(report.failedCount, "failed", to: &checks)
          add(report.upCount, "up", to: &changes)
          add(report.downCount, "down", to: &changes)
          let nanoseconds = report.last?.nanoseconds ?? 0
          seconds.append(MetricSample(labels, Double(nanoseconds) / 1e9))
        }
        if upstream.health.outliers != nil {
          ejected.append(MetricSample(labels, member.state.isEjected ? 1 : 0))
          add(member.outlier.ejectionCount.load(ordering: .relaxed), "ejected", to: &changes)
          add(member.outlier.returnCount.load(ordering: .relaxed), "returned", to: &changes)
        }
      }
    }
    let families = [
      (EdgeMetrics.memberUp, up), (EdgeMetrics.memberChecks, checks),
      (EdgeMetrics.memberCheckSeconds, seconds), (EdgeMetrics.memberEjected, ejected),
      (EdgeMetrics.memberHealthChanges, changes),
    ]
    for (family, samples) in families where !samples.isEmpty { text.append(family, samples) }
  }

  /// Writes what is known of a member's health into its object.
  static func write(
    health member: Member,
    of upstream: UpstreamPlan,
    _ json: inout JSONWriter
  ) {
    let now = SystemClock.wallMicroseconds()
    if let report = member.checkReport {
      if let since = report.since {
        json.key("health_seconds")
        json.seconds(nanoseconds: UInt64(max(0, now - since)) * 1000)
      }
      if let last = report.last {
        json.member("check", [last.reason, last.detail].compactMap(\.self).joined(separator: ": "))
        json.key("check_seconds")
        json.seconds(nanoseconds: UInt64(max(0, last.nanoseconds)))
        json.key("checked_seconds_ago")
        json.seconds(nanoseconds: UInt64(max(0, now - last.time)) * 1000)
      }
    }
    guard upstream.health.outliers != nil else { return }
    json.member("ejections", member.outlier.ejectionCount.load(ordering: .relaxed))
    if member.state.isEjected, let until = member.ejection.until {
      json.key("ejected_for_seconds")
      json.seconds(nanoseconds: UInt64(max(0, until - SystemClock.monotonicNanoseconds())))
    }
  }
}

extension EdgeServer {
  /// Writes a change of a member's health to the log.
  public func note(_ change: HealthChange) { board.note(change) }

  /// Writes to the log that the program of a change could not be run, or has failed.
  public func complain(_ problem: String, of change: HealthChange) {
    board.log.note(
      .warning,
      "a change of health was told to nobody",
      [
        LogLine.Field("upstream", change.subject.upstream),
        LogLine.Field("member", change.subject.member),
        LogLine.Field("event", change.event.rawValue),
        LogLine.Field("error", problem),
      ]
    )
  }

  /// The changes since the last call that loops have made and that a program is to be told of.
  public func takeHealthChanges() -> [HealthChange] {
    board.healthChanges.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}
