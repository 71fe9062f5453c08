/// Why an exchange could not be finished as it was asked for.
///
/// One form for everything that can go wrong on a request's way: the code decides the status, and
/// the log and the metrics count by it.
struct ExchangeError: Error, Sendable {
  /// What went wrong.
  var code: Code
  /// Whether the same request may be sent to another member.
  var retry: Retry
  /// The status that tells the client; 499 is for the log alone, nobody is there to read it.
  var status: UInt16
  /// Names, numbers and addresses; never a secret.
  var detail: String

  /// Creates an error with the status of its code, unless another is given.
  init(_ code: Code, status: UInt16? = nil, retry: Retry = .never, detail: String = "") {
    self.code = code
    self.retry = retry
    self.status = status ?? code.status
    self.detail = detail
  }

  /// What can go wrong, by the names that logs and metrics use.
  enum Code: String, Sendable, CaseIterable {
    /// The head breaks the rules of HTTP.
    case badRequest = "bad_request"
    /// The client closed its connection before it had its answer.
    case clientClosed = "client_closed"
    /// The client did not send its request, or its body, in time.
    case clientTimedOut = "client_timed_out"
    /// The client did not take its answer in time.
    case clientTooSlow = "client_too_slow"
    /// The request's body breaks the rules of its framing.
    case badBody = "bad_body"
    /// The request's body is longer than the route allows.
    case bodyTooLarge = "body_too_large"
    /// No server of the listener answers for the host.
    case noSite = "no_site"
    /// No route matches.
    case noRoute = "no_route"
    /// CONNECT and TRACE are not for a reverse proxy.
    case methodNotAllowed = "method_not_allowed"
    /// The rewritten request or response does not fit a head.
    case headTooLarge = "head_too_large"
    /// No member may be used now.
    case noMember = "no_member"
    /// The connection to the member was refused or broke while it was opened.
    case connectFailed = "connect_failed"
    /// The connection to the member was not open in time.
    case connectTimedOut = "connect_timed_out"
    /// The member closed or broke the connection before its answer began.
    case upstreamClosed = "upstream_closed"
    /// The member's answer did not begin, or did not go on, in time.
    case upstreamTimedOut = "upstream_timed_out"
    /// The member's answer breaks the rules of HTTP.
    case badResponse = "bad_response"
    /// The member's answer broke off.
    case responseCut = "response_cut"
    /// The whole exchange took longer than it may.
    case totalTimedOut = "total_timed_out"
    /// Something that only a full loop runs out of.
    case overloaded = "overloaded"

    /// The status that fits.
    var status: UInt16 {
      switch self {
      case .badRequest, .badBody: 400
      case .clientClosed: 499
      case .clientTimedOut, .clientTooSlow: 408
      case .bodyTooLarge: 413
      case .noSite: 421
      case .noRoute: 404
      case .methodNotAllowed: 405
      case .headTooLarge: 500
      case .noMember, .overloaded: 503
      case .connectFailed, .upstreamClosed, .badResponse, .responseCut: 502
      case .connectTimedOut, .upstreamTimedOut, .totalTimedOut: 504
      }
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
