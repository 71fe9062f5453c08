import MartletTelemetry

/// The figures of the edge, each declared once.
enum EdgeMetrics {
  static let accepted = MetricFamily(
    .counter,
    "martlet_connections_accepted_total",
    "Client connections that were accepted.",
    labels: ["listener"]
  )
  static let open = MetricFamily(
    .gauge,
    "martlet_connections_open",
    "Client connections that are open.",
    labels: ["listener"]
  )
  static let proxyHeaders = MetricFamily(
    .counter,
    "martlet_proxy_headers_total",
    "Connections that were to begin with a PROXY header, by what came of that.",
    labels: ["listener", "outcome"]
  )
  static let received = MetricFamily(
    .counter,
    "martlet_received_bytes_total",
    "Bytes of requests, heads and bodies; of layer 4, bytes passed to members.",
    labels: ["listener"]
  )
  static let sent = MetricFamily(
    .counter,
    "martlet_sent_bytes_total",
    "Bytes of responses, heads and bodies; of layer 4, bytes passed to clients.",
    labels: ["listener"]
  )
  static let duration = MetricFamily(
    .histogram,
    "martlet_request_duration_seconds",
    "From a request's first byte to its response's last.",
    labels: ["listener"]
  )
  static let requests = MetricFamily(
    .counter,
    "martlet_requests_total",
    "Requests by the class of their status.",
    labels: ["server", "class"]
  )
  static let ended = MetricFamily(
    .counter,
    "martlet_requests_ended_total",
    "Requests by the reason for which they ended.",
    labels: ["reason"]
  )
  static let upstreamRequests = MetricFamily(
    .counter,
    "martlet_upstream_requests_total",
    "Responses of members by the class of their status.",
    labels: ["upstream", "member", "class"]
  )
  static let upstreamFailures = MetricFamily(
    .counter,
    "martlet_upstream_failures_total",
    "Tries that ended without a response.",
    labels: ["upstream", "member"]
  )
  static let upstreamConnections = MetricFamily(
    .counter,
    "martlet_upstream_connections_opened_total",
    "Connections to members that were opened.",
    labels: ["upstream", "member"]
  )
  static let upstreamReused = MetricFamily(
    .counter,
    "martlet_upstream_connections_reused_total",
    "Exchanges that found a connection in the pool.",
    labels: ["upstream", "member"]
  )
  static let upstreamIdle = MetricFamily(
    .gauge,
    "martlet_upstream_connections_idle",
    "Connections that wait in the pool.",
    labels: ["upstream", "member"]
  )
  static let upstreamWait = MetricFamily(
    .histogram,
    "martlet_upstream_first_byte_seconds",
    "From a sent request to the first byte of its response.",
    labels: ["upstream"]
  )
  static let droppedLines = MetricFamily(
    .counter,
    "martlet_log_lines_dropped_total",
    "Lines of the access log that were dropped because the log could not be written in time."
  )
  static let retries = MetricFamily(
    .counter,
    "martlet_upstream_retries_total",
    "Requests that were sent to a further member.",
    labels: ["upstream"]
  )
  static let streamsEnded = MetricFamily(
    .counter,
    "martlet_stream_ended_total",
    "Connections of layer 4 by the reason for which they ended.",
    labels: ["listener", "reason"]
  )
  static let streamDuration = MetricFamily(
    .histogram,
    "martlet_stream_duration_seconds",
    "How long connections of layer 4 lasted.",
    labels: ["listener"]
  )
  static let upstreamStreams = MetricFamily(
    .gauge,
    "martlet_upstream_streams_open",
    "Connections of layer 4 to members that are open.",
    labels: ["upstream", "member"]
  )
  static let limitAdmitted = MetricFamily(
    .counter,
    "martlet_limit_admitted_total",
    "Requests and connections that a limit let pass.",
    labels: ["limit"]
  )
  static let limitRefused = MetricFamily(
    .counter,
    "martlet_limit_refused_total",
    "Requests and connections that a limit refused.",
    labels: ["limit"]
  )
  static let limitWouldRefuse = MetricFamily(
    .counter,
    "martlet_limit_would_refuse_total",
    "Requests and connections that a limit with dry_run would have refused.",
    labels: ["limit"]
  )
  static let limitKeys = MetricFamily(
    .gauge,
    "martlet_limit_keys",
    "Keys of a limit of which something is remembered.",
    labels: ["limit"]
  )
  static let limitOverflow = MetricFamily(
    .counter,
    "martlet_limit_overflow_total",
    "How often a key of a limit found no place, so that another one was forgotten or it not counted.",
    labels: ["limit"]
  )
  static let queueWaiting = MetricFamily(
    .gauge,
    "martlet_queue_waiting",
    "Requests that wait for a place at a member.",
    labels: ["upstream"]
  )
  static let sticky = MetricFamily(
    .counter,
    "martlet_sticky_requests_total",
    "Requests to an upstream whose clients stay with a member, by what became of that.",
    labels: ["upstream", "outcome"]
  )
  static let stickyClients = MetricFamily(
    .gauge,
    "martlet_sticky_clients",
    "Clients whose member is remembered.",
    labels: ["upstream"]
  )
  static let queueEnded = MetricFamily(
    .counter,
    "martlet_queue_ended_total",
    "Requests that had to wait for a place, by what became of that.",
    labels: ["upstream", "outcome"]
  )
  static let queueWait = MetricFamily(
    .histogram,
    "martlet_queue_wait_seconds",
    "How long requests waited that got a place.",
    labels: ["upstream"]
  )
  static let overloadLevel = MetricFamily(
    .gauge,
    "martlet_overload_level",
    "How overloaded the process is: 0 is not at all, 4 the worst."
  )
  static let overloadRatio = MetricFamily(
    .gauge,
    "martlet_overload_ratio",
    "What the process is short of, as a share of its limit.",
    labels: ["cause"]
  )
  static let overloadShed = MetricFamily(
    .counter,
    "martlet_overload_shed_total",
    "Requests that were refused because of overload, by their priority.",
    labels: ["priority"]
  )
  static let retriesRefused = MetricFamily(
    .counter,
    "martlet_upstream_retries_refused_total",
    "Further tries that the retry budget did not allow.",
    labels: ["upstream"]
  )
  static let hedges = MetricFamily(
    .counter,
    "martlet_upstream_hedges_total",
    "Requests that were sent to a second member as well, by which one of them came first.",
    labels: ["upstream", "result"]
  )
  static let breakerOpened = MetricFamily(
    .counter,
    "martlet_upstream_breaker_opened_total",
    "How often a breaker has opened.",
    labels: ["upstream"]
  )
  static let memberUp = MetricFamily(
    .gauge,
    "martlet_upstream_member_up",
    "Whether checks let a member have requests: 0 when it is down.",
    labels: ["upstream", "member"]
  )
  static let memberChecks = MetricFamily(
    .counter,
    "martlet_upstream_checks_total",
    "Checks of members by their result.",
    labels: ["upstream", "member", "result"]
  )
  static let memberCheckSeconds = MetricFamily(
    .gauge,
    "martlet_upstream_check_seconds",
    "How long the last check of a member took.",
    labels: ["upstream", "member"]
  )
  static let memberEjected = MetricFamily(
    .gauge,
    "martlet_upstream_member_ejected",
    "Whether a member is ejected.",
    labels: ["upstream", "member"]
  )
  static let memberHealthChanges = MetricFamily(
    .counter,
    "martlet_upstream_health_changes_total",
    "How often a member came up, went down, was ejected and returned.",
    labels: ["upstream", "member", "to"]
  )
  static let datagrams = MetricFamily(
    .counter,
    "martlet_datagrams_total",
    "Datagrams that were received from clients, and sent to them.",
    labels: ["listener", "direction"]
  )
  static let droppedDatagrams = MetricFamily(
    .counter,
    "martlet_datagrams_dropped_total",
    "Datagrams that were not passed on, by the cause.",
    labels: ["listener", "cause"]
  )
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
  static let fileLookups = MetricFamily(
    .counter,
    "martlet_file_lookups_total",
    "Paths that were looked up below the roots of files, by what came of that.",
    labels: ["outcome"]
  )
  static let filesKept = MetricFamily(
    .gauge,
    "martlet_files_kept",
    "Files that are kept open or in memory."
  )
  static let fileBytesKept = MetricFamily(
    .gauge,
    "martlet_file_bytes_kept",
    "Bytes of files that are kept in memory."
  )
  static let uploads = MetricFamily(
    .counter,
    "martlet_uploads_total",
    "Uploads that go on after an interruption, by what has come of them.",
    labels: ["outcome"]
  )
  static let uploadsOpen = MetricFamily(
    .gauge,
    "martlet_uploads_open",
    "Such uploads that are not complete."
  )
  static let uploadBytesOpen = MetricFamily(
    .gauge,
    "martlet_upload_bytes_open",
    "Bytes that have come of such uploads."
  )
  static let diskUsable = MetricFamily(
    .gauge,
    "martlet_cache_disk_usable",
    "Whether the disk of a cache can be used.",
    labels: ["cache"]
  )
  static let diskObjects = MetricFamily(
    .gauge,
    "martlet_cache_disk_objects",
    "Answers on the disk of a cache.",
    labels: ["cache"]
  )
  static let diskBytes = MetricFamily(
    .gauge,
    "martlet_cache_disk_bytes",
    "Bytes of the files on the disk of a cache.",
    labels: ["cache"]
  )
  static let diskHits = MetricFamily(
    .counter,
    "martlet_cache_disk_hits_total",
    "Answers that were read from the disk of a cache.",
    labels: ["cache"]
  )
  static let diskWrites = MetricFamily(
    .counter,
    "martlet_cache_disk_writes_total",
    "Answers for the disk of a cache, by what became of them.",
    labels: ["cache", "outcome"]
  )
  static let diskEvictions = MetricFamily(
    .counter,
    "martlet_cache_disk_evictions_total",
    "Answers that had to make room on the disk of a cache.",
    labels: ["cache"]
  )
  static let diskFaults = MetricFamily(
    .counter,
    "martlet_cache_disk_faults_total",
    "What on the disk of a cache was not what was written, and calls to it that have failed.",
    labels: ["cache", "kind"]
  )
  static let cacheRequests = MetricFamily(
    .counter,
    "martlet_cache_requests_total",
    "Requests of routes that keep answers, by what the cache did.",
    labels: ["cache", "outcome"]
  )
  static let cacheSentBytes = MetricFamily(
    .counter,
    "martlet_cache_sent_bytes_total",
    "Bytes of bodies that were sent out of a cache.",
    labels: ["cache"]
  )
  static let cacheObjects = MetricFamily(
    .gauge,
    "martlet_cache_objects",
    "Answers that are kept.",
    labels: ["cache"]
  )
  static let cacheBytes = MetricFamily(
    .gauge,
    "martlet_cache_bytes",
    "Bytes of the answers that are kept, with what is needed to find them.",
    labels: ["cache"]
  )
  static let cacheFillingBytes = MetricFamily(
    .gauge,
    "martlet_cache_filling_bytes",
    "Bytes of answers that are being received and are to be kept.",
    labels: ["cache"]
  )
  static let cacheLimit = MetricFamily(
    .gauge,
    "martlet_cache_limit_bytes",
    "How many bytes a cache may hold.",
    labels: ["cache"]
  )
  static let cacheEvictions = MetricFamily(
    .counter,
    "martlet_cache_evictions_total",
    "Answers that had to make room.",
    labels: ["cache"]
  )
  static let cacheRefusals = MetricFamily(
    .counter,
    "martlet_cache_refusals_total",
    "Answers that were not kept because what would have had to go is asked for more often.",
    labels: ["cache"]
  )
  static let compressionTaken = MetricFamily(
    .counter,
    "martlet_compression_taken_bytes_total",
    "Bytes of bodies that were sent in a coding, before they were put into it.",
    labels: ["coding"]
  )
  static let compressionMade = MetricFamily(
    .counter,
    "martlet_compression_made_bytes_total",
    "Bytes of bodies that were sent in a coding, in that coding.",
    labels: ["coding"]
  )
  static let compressionTime = MetricFamily(
    .histogram,
    "martlet_compression_seconds",
    "How long it took to put a body into a coding, all of its parts together.",
    labels: ["coding"]
  )
  static let compressionReused = MetricFamily(
    .counter,
    "martlet_compression_reused_total",
    "Bodies of files and of kept answers that were sent as they were coded before.",
    labels: ["coding"]
  )
  static let compressionRefused = MetricFamily(
    .counter,
    "martlet_compression_refused_total",
    "Answers that were sent as they are though the client would have taken a coding.",
    labels: ["reason"]
  )
  static let decompressionTaken = MetricFamily(
    .counter,
    "martlet_decompression_taken_bytes_total",
    "Bytes of bodies that were taken out of a coding, in that coding.",
    labels: ["coding"]
  )
  static let decompressionMade = MetricFamily(
    .counter,
    "martlet_decompression_made_bytes_total",
    "Bytes of bodies that were taken out of a coding, without it.",
    labels: ["coding"]
  )
  static let compressionCoders = MetricFamily(
    .gauge,
    "martlet_compression_coders",
    "Bodies that are on their way through a coder."
  )
  static let compressionMemory = MetricFamily(
    .gauge,
    "martlet_compression_memory_bytes",
    "Bytes of memory that coders hold."
  )
  static let generation = MetricFamily(
    .gauge,
    "martlet_generation",
    "The number of the configuration in force."
  )
  static let uptime = MetricFamily(
    .gauge,
    "martlet_uptime_seconds",
    "How long the edge process has run."
  )

  /// The classes of status, by their first digit from 1 on.
  static let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"]
}

/// The figures of one listener.
struct ListenerMetrics: Sendable {
  let accepted: Counter
  let open: Gauge
  let received: Counter
  let sent: Counter
  let duration: Histogram

  /// With `isStream` it is a listener of layer 4, which has no requests.
  init(_ name: String, isStream: Bool, _ layout: inout MetricLayout.Builder) {
    accepted = layout.counter(EdgeMetrics.accepted, [name])
    open = layout.gauge(EdgeMetrics.open, [name])
    received = layout.counter(EdgeMetrics.received, [name])
    sent = layout.counter(EdgeMetrics.sent, [name])
    duration = layout.histogram(
      isStream ? EdgeMetrics.streamDuration : EdgeMetrics.duration,
      [name]
    )
  }
}

/// The figures that a listener of layer 4 has besides.
struct StreamMetrics: Sendable {
  /// By the order of ``reasons``.
  let ended: [Counter]

  /// Why a connection of layer 4 can end.
  static let reasons: [EndReason] = [
    .complete, .clientReset, .upstreamReset, .idleTimeout, .totalTimeout, .noMember,
    .upstreamConnectFailed, .upstreamConnectTimeout, .overloaded, .drained, .refused,
    .clientTimeout, .noRoute, .limited, .cut, .internalError,
  ]

  init(_ name: String, _ layout: inout MetricLayout.Builder) {
    ended = layout.counters(EdgeMetrics.streamsEnded, [name], each: Self.reasons.map(\.rawValue))
  }

  /// The place of a reason; what is not foreseen counts as a defect.
  func place(of reason: EndReason) -> Int {
    reason == .complete ? 0 : Self.reasons.firstIndex(of: reason) ?? Self.reasons.count - 1
  }
}
