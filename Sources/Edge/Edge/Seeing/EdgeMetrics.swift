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
  static let applicationWorkers = MetricFamily(
    .gauge,
    "martlet_application_workers",
    "Processes of an application that take requests.",
    labels: ["application"]
  )
  static let applicationWanted = MetricFamily(
    .gauge,
    "martlet_application_workers_wanted",
    "Processes that an application is to have.",
    labels: ["application"]
  )
  static let applicationActive = MetricFamily(
    .gauge,
    "martlet_application_requests_active",
    "Requests that processes of an application are at.",
    labels: ["application"]
  )
  static let applicationWaiting = MetricFamily(
    .gauge,
    "martlet_application_requests_waiting",
    "Requests that wait for a process of an application.",
    labels: ["application"]
  )
  static let applicationStarted = MetricFamily(
    .counter,
    "martlet_application_workers_started_total",
    "Processes of an application that were started.",
    labels: ["application"]
  )
  static let applicationLockLooks = MetricFamily(
    .counter,
    "martlet_application_lock_looks_total",
    "How often it was looked how long a thread waits for the interpreter's lock.",
    labels: ["application"]
  )
  static let applicationLockWait = MetricFamily(
    .counter,
    "martlet_application_lock_wait_seconds_total",
    "How long threads that were looked at have waited for the interpreter's lock.",
    labels: ["application"]
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
