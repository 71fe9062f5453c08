/// Why an exchange ended: the names that logs and metrics count by.
public enum EndReason: String, CaseIterable, Hashable, Sendable {
  /// The answer was sent whole.
  case complete

  // What the client did.

  /// The head breaks the rules of HTTP; the record's detail names the rule.
  case refused
  /// The body breaks the rules of its framing; the record's detail names the rule.
  case bodyRefused = "body_refused"
  /// The body is longer than the route allows.
  case bodyTooLarge = "body_too_large"
  /// The client closed its connection before it had its answer: 499.
  case clientClosed = "client_closed"
  /// The client did not send its request in time: 408.
  case clientTimeout = "client_timeout"
  /// The client did not take its answer in time.
  case clientTooSlow = "client_too_slow"
  /// The client reset its connection of layer 4.
  case clientReset = "client_reset"

  // What Martlet decided.

  /// No server of the listener answers for the host.
  case noSite = "no_site"
  /// No route matches.
  case noRoute = "no_route"
  /// CONNECT and TRACE are not for a reverse proxy.
  case methodNotAllowed = "method_not_allowed"
  /// The route wants a certificate of the client, which has shown none.
  case clientCertificate = "client_certificate"
  /// There is no file for the path; the record's detail may say why.
  case fileMissing = "file_missing"
  /// The file may not be read, or lies behind a link that is not allowed.
  case fileForbidden = "file_forbidden"
  /// The file could not be opened or read, or became shorter while it was sent.
  case fileFailed = "file_failed"
  /// A file cannot be written or removed there: it is a folder, or there is no folder for it.
  case fileConflict = "file_conflict"
  /// What the request asks to be true is not: `If-Match` or `If-Unmodified-Since`.
  case preconditionFailed = "precondition_failed"
  /// The part that was asked for is not there.
  case rangeNotSatisfiable = "range_not_satisfiable"
  /// The rewritten head does not fit.
  case headTooLarge = "head_too_large"
  /// The body of the request is in a content coding that is not known; the record's detail names it.
  case codingNotSupported = "coding_not_supported"
  /// The client wants what is kept alone (`only-if-cached`), and nothing is that may be sent.
  case notKept = "not_kept"
  /// A limit of the configuration does not let the request pass; the record's detail names it.
  case limited
  /// The process has too much to do, and the request is not important enough: the record's detail
  /// names what it is short of.
  case overloaded
  /// Neither side of a connection of layer 4 sent anything for as long as it may.
  case idleTimeout = "idle_timeout"
  /// The exchange took longer than it may.
  case totalTimeout = "total_timeout"
  /// The process was told to end, and the time for that was over.
  case drained
  /// Somebody had the connection closed.
  case cut
  /// The store of sessions does not answer, or a session would remember more than it may; the record's detail
  /// says which.
  case sessionFailed = "session_failed"
  /// A handler of the program has failed, or given no answer; the record's detail says what it says.
  case handlerFailed = "handler_failed"
  /// A defect of Martlet's own.
  case internalError = "internal_error"

  // What the upstream did.

  /// No member may be used now.
  case noMember = "no_member"
  /// All members are full, and as many requests wait as may.
  case queueFull = "queue_full"
  /// All members were full for as long as a request may wait.
  case queueTimeout = "queue_timeout"
  /// The upstream is left alone for a while: its breaker is open.
  case breakerOpen = "breaker_open"
  /// The member's answer has a status that was to be tried again, and no further try gave another.
  case upstreamStatus = "upstream_status"
  /// A connection to the member could not be opened.
  case upstreamConnectFailed = "upstream_connect_failed"
  /// A connection to the member was not open in time.
  case upstreamConnectTimeout = "upstream_connect_timeout"
  /// The member closed or broke the connection before its answer began.
  case upstreamReset = "upstream_reset"
  /// The member's answer did not come in time.
  case upstreamTimeout = "upstream_timeout"
  /// The member's answer breaks the rules of HTTP; the record's detail names the rule.
  case upstreamMalformed = "upstream_malformed"
  /// The member's answer broke off.
  case upstreamCut = "upstream_cut"
}
