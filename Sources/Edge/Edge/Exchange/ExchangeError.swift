import MartletTelemetry

/// Why an exchange could not be finished as it was asked for.
///
/// One form for everything that can go wrong on a request's way: the reason decides the status, and
/// the log and the metrics count by it.
struct ExchangeError: Error, Sendable {
  /// What went wrong.
  var reason: EndReason
  /// Whether the same request may be sent to another member.
  var retry: Retry
  /// The status that tells the client; 499 is for the log alone, nobody is there to read it.
  var status: UInt16
  /// Names, numbers and addresses; never a secret.
  var detail: String
  /// What the client is told to wait; 0: nothing.
  var retryAfterSeconds: UInt32 = 0

  /// Creates an error with the status of its reason, unless another is given.
  init(_ reason: EndReason, status: UInt16? = nil, retry: Retry = .never, detail: String = "") {
    self.reason = reason
    self.retry = retry
    self.status = status ?? reason.status
    self.detail = detail
  }

  /// Whether a member is at fault.
  var isOfUpstream: Bool {
    switch reason {
    case .upstreamConnectFailed, .upstreamConnectTimeout, .upstreamReset, .upstreamTimeout,
      .upstreamMalformed, .upstreamCut:
      true
    default: false
    }
  }

  /// When a request may be sent again.
  enum Retry: Sendable {
    /// Never: the member may have acted on it, or the answer has begun.
    case never
    /// If the method is idempotent: the member may have acted on it, which then does no harm.
    case ifIdempotent
    /// Always: the member has seen nothing of it.
    case always
  }
}

extension EndReason {
  /// The status that fits.
  var status: UInt16 {
    switch self {
    case .complete: 200
    case .refused, .bodyRefused: 400
    case .clientCertificate, .fileForbidden: 403
    case .noRoute, .fileMissing: 404
    case .methodNotAllowed: 405
    case .clientTimeout, .clientTooSlow, .idleTimeout: 408
    case .fileConflict: 409
    case .preconditionFailed: 412
    case .bodyTooLarge: 413
    case .codingNotSupported: 415
    case .rangeNotSatisfiable: 416
    case .noSite: 421
    case .limited: 429
    case .clientClosed, .clientReset: 499
    case .headTooLarge, .internalError, .fileFailed, .handlerFailed: 500
    case .upstreamConnectFailed, .upstreamReset, .upstreamMalformed, .upstreamCut: 502
    case .noMember, .breakerOpen, .upstreamStatus, .queueFull, .queueTimeout, .overloaded, .drained,
      .cut, .sessionFailed:
      503
    case .upstreamConnectTimeout, .upstreamTimeout, .totalTimeout, .notKept: 504
    }
  }
}
