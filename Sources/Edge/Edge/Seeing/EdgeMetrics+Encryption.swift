import MartletTelemetry

/// The figures of TLS, of HTTP/2 and of certificates.
extension EdgeMetrics {
  static let tlsHandshakes = MetricFamily(
    .counter,
    "martlet_tls_handshakes_total",
    "TLS handshakes with clients, by what came of them.",
    labels: ["listener", "outcome"]
  )
  static let tlsVersions = MetricFamily(
    .counter,
    "martlet_tls_sessions_total",
    "TLS handshakes that came to their end, by the version that was agreed on.",
    labels: ["listener", "version"]
  )
  static let tlsFaults = MetricFamily(
    .counter,
    "martlet_tls_faults_total",
    "Clients that have broken the rules of TLS behind their handshake.",
    labels: ["listener", "reason"]
  )
  static let certificateExpiry = MetricFamily(
    .gauge,
    "martlet_certificate_expiry_seconds",
    "When a certificate ends to be good, in seconds since 1970.",
    labels: ["listener", "certificate"]
  )
  static let http2Connections = MetricFamily(
    .counter,
    "martlet_http2_connections_total",
    "Client connections that turned out to speak HTTP/2."
  )
  static let http2Streams = MetricFamily(
    .counter,
    "martlet_http2_streams_total",
    "Requests that came as streams of HTTP/2."
  )
  static let http2Resets = MetricFamily(
    .counter,
    "martlet_http2_resets_total",
    "Streams of HTTP/2 that the client has reset."
  )
  static let http2Refused = MetricFamily(
    .counter,
    "martlet_http2_refused_total",
    "Requests, streams and connections of HTTP/2 that were refused for what the client did.",
    labels: ["reason"]
  )
  static let memberHTTP2Connections = MetricFamily(
    .gauge,
    "martlet_upstream_http2_connections",
    "Connections of HTTP/2 to a member that are open.",
    labels: ["upstream", "member"]
  )
  static let memberHTTP2Streams = MetricFamily(
    .gauge,
    "martlet_upstream_http2_streams",
    "Requests that are under way on connections of HTTP/2 to a member.",
    labels: ["upstream", "member"]
  )
  static let memberHTTP2Refused = MetricFamily(
    .counter,
    "martlet_upstream_http2_refused_total",
    "Requests that a member has not looked at, as it said: they were sent again where that was possible.",
    labels: ["upstream", "member"]
  )
  static let upstreamCalls = MetricFamily(
    .counter,
    "martlet_upstream_grpc_calls_total",
    "Calls of gRPC by what members have said of them.",
    labels: ["upstream", "status"]
  )
  static let certificateOrders = MetricFamily(
    .counter,
    "martlet_certificate_orders_total",
    "Tries to obtain a certificate, by what came of them.",
    labels: ["certificate", "outcome"]
  )
  static let certificateFailing = MetricFamily(
    .gauge,
    "martlet_certificate_failing",
    "Whether the last try to obtain a certificate has failed.",
    labels: ["certificate"]
  )
  static let authorityCertificates = MetricFamily(
    .counter,
    "martlet_authority_certificates_total",
    "Certificates that the authority of this machine has given to others, or revoked.",
    labels: ["outcome"]
  )
  static let authorityAnswers = MetricFamily(
    .counter,
    "martlet_authority_answers_total",
    "What those were told who have asked what became of its certificates.",
    labels: ["answer"]
  )
  static let stapleFetches = MetricFamily(
    .counter,
    "martlet_ocsp_fetches_total",
    "Questions about a certificate to its authority, by what came of them.",
    labels: ["certificate", "outcome"]
  )
  static let stapleExpiry = MetricFamily(
    .gauge,
    "martlet_ocsp_expiry_seconds",
    "Until when the response counts that is shown with a certificate, in seconds since 1970; 0: none is.",
    labels: ["certificate"]
  )
  static let stapleRevoked = MetricFamily(
    .gauge,
    "martlet_ocsp_revoked",
    "Whether its authority says that a certificate was revoked.",
    labels: ["certificate"]
  )
}
