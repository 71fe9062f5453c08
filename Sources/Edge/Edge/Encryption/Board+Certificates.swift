import MartletTelemetry
import TLS

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
