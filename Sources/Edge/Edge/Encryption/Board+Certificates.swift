import Configuration
import MartletTelemetry
public import TLS

/// What the board tells of TLS.
extension Board {
  /// Appends until when certificates are good.
  static func appendCertificates(_ generation: Generation, to text: inout PrometheusText) {
    let samples = generation.listeners.flatMap { listener in
      (listener.tls?.certificates ?? []).map { entry in
        MetricSample([listener.key, entry.path], Double(entry.certificates.validity.upperBound))
      }
    }
    if !samples.isEmpty { text.append(EdgeMetrics.certificateExpiry, samples) }
    appendStaples(generation.automatic.staples, to: &text)
    if generation.automatic.authority != nil {
      append(generation.automatic.authorityCounts, to: &text)
    }
    let reports = generation.automatic.reports
    guard !reports.isEmpty else { return }
    text.append(
      EdgeMetrics.certificateOrders,
      reports.flatMap { report in
        [("obtained", report.obtainedCount), ("failed", report.failedCount)].map {
          MetricSample([report.need.name, $0.0], Double($0.1))
        }
      }
    )
    text.append(
      EdgeMetrics.certificateFailing,
      reports.map { MetricSample([$0.need.name], $0.state == .failing ? 1 : 0) }
    )
  }

  private static let authorityDeeds: [AuthorityCounts.Deed] = [.given, .revoked]
  private static let authorityAnswers: [(AuthorityCounts.Deed, String)] = [
    (.good, "good"), (.isRevoked, "revoked"), (.unknown, "unknown"), (.kept, "kept"),
    (.malformed, "malformed"),
  ]

  private static func append(_ counts: AuthorityCounts, to text: inout PrometheusText) {
    text.append(
      EdgeMetrics.authorityCertificates,
      authorityDeeds.map { MetricSample([$0.rawValue], Double(counts[$0])) }
    )
    text.append(
      EdgeMetrics.authorityAnswers,
      authorityAnswers.map { MetricSample([$1], Double(counts[$0])) }
    )
  }

  private static func write(_ counts: AuthorityCounts, _ json: inout JSONWriter) {
    json.key("authority")
    json.object { json in
      for deed in authorityDeeds { json.member(deed.rawValue, counts[deed]) }
      json.key("answers")
      json.object { json in
        for (deed, name) in authorityAnswers { json.member(name, counts[deed]) }
      }
    }
  }

  private static func appendStaples(_ staples: [StapleReport], to text: inout PrometheusText) {
    guard !staples.isEmpty else { return }
    text.append(
      EdgeMetrics.stapleFetches,
      staples.flatMap { report in
        [("fetched", report.fetchedCount), ("failed", report.failedCount)].map {
          MetricSample([report.certificate, $0.0], Double($0.1))
        }
      }
    )
    text.append(
      EdgeMetrics.stapleExpiry,
      staples.map { MetricSample([$0.certificate], Double($0.validity?.upperBound ?? 0)) }
    )
    text.append(
      EdgeMetrics.stapleRevoked,
      staples.map { MetricSample([$0.certificate], $0.state == .revoked ? 1 : 0) }
    )
  }

  private static func writeStaples(_ staples: [StapleReport], _ json: inout JSONWriter) {
    guard !staples.isEmpty else { return }
    json.array("ocsp") { json in
      for report in staples {
        json.object { json in
          json.member("certificate", report.certificate)
          json.member("state", report.state.rawValue)
          if !report.responder.isEmpty { json.member("responder", report.responder) }
          if report.isRequired { json.member("required", true) }
          json.times(of: report.validity, next: report.next)
          json.failures(report.failureCount, report.problem)
        }
      }
    }
  }

  /// Writes what is known of the certificates that are obtained, and of what responders say.
  static func writeCertificates(_ generation: Generation, _ json: inout JSONWriter) {
    writeStaples(generation.automatic.staples, &json)
    if generation.automatic.authority != nil { write(generation.automatic.authorityCounts, &json) }
    let reports = generation.automatic.reports
    guard !reports.isEmpty else { return }
    json.array("certificates") { json in
      for report in reports {
        json.object { json in
          json.member("name", report.need.name)
          json.member("state", report.state.rawValue)
          json.member("issuer", report.issuer)
          json.times(of: report.validity, next: report.next)
          json.failures(report.failureCount, report.problem)
        }
      }
    }
  }

  /// Writes what is known of TLS at a listener.
  static func write(_ plan: TLSPlan, _ tables: [CounterTable], _ json: inout JSONWriter) {
    json.key("tls")
    json.object { json in
      json.key("handshakes")
      json.object { json in
        for (outcome, count) in plan.counts(tables) { json.member(outcome, count) }
      }
      json.array("certificates") { json in
        for entry in plan.certificates {
          json.object { json in
            json.member("file", entry.path)
            json.member("names", entry.certificates.names.joined(separator: " "))
            json.member("from", Int(entry.certificates.validity.lowerBound))
            json.member("until", Int(entry.certificates.validity.upperBound))
          }
        }
      }
    }
  }
}

extension EdgeServer {
  /// Shows clients the certificates that are obtained, as they are now, from the next handshake on.
  ///
  /// - Throws: ``TLS/TLSError``; those of listeners that it could not be done for stay.
  public func showCertificates() throws(TLSError) {
    for listener in generation.listeners { try listener.tls?.refresh() }
  }

  /// Writes to the log what happened to a certificate.
  public func note(_ event: CertificateEvent) {
    let (level, message): (LogLine.Level, String) =
      switch event.kind {
      case .obtained: (.notice, "a certificate was obtained")
      case .found: (.notice, "a certificate was found")
      case .failed: (.error, "a certificate could not be obtained")
      case .turned: (.warning, "a certificate is tried for in another way")
      case .noted: (.warning, "a certificate needs a look")
      case .vouched: (.notice, "a certificate is shown with what its authority says of it")
      case .unasked: (.warning, "an authority could not be asked about a certificate")
      case .revoked: (.error, "a certificate was revoked")
      case .ending: (.warning, "a certificate ends soon")
      case .untimely: (.error, "a certificate is not good at this time")
      case .misnamed: (.warning, "a certificate is not good for a host")
      }
    board.log.note(
      level,
      message,
      [LogLine.Field("certificate", event.name), LogLine.Field("detail", event.detail)]
    )
  }
}

extension JSONWriter {
  /// Writes from when until when something holds, and when it is seen to next, as far as that is known.
  fileprivate mutating func times(of validity: ClosedRange<Int64>?, next: Int64?) {
    if let validity {
      member("from", Int(validity.lowerBound))
      member("until", Int(validity.upperBound))
    }
    if let next { member("next", Int(next)) }
  }

  /// Writes how often something has failed, and why last, if it has.
  fileprivate mutating func failures(_ count: Int, _ problem: String) {
    if count > 0 { member("failures", count) }
    if !problem.isEmpty { member("problem", problem) }
  }
}
