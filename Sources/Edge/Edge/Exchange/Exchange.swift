import Compression
import FailurePolicies
import HTTPCaching
import HTTPMessage
import MartletLoop
import MartletTelemetry
import Sessions

/// One request and its response, on their way through the edge.
///
/// Exchanges are kept by their worker and used again: an idle connection has none. The bytes that
/// the ranges of ``request`` point into are in the buffer that is passed along with the exchange.
final class Exchange {
  var request = RequestHead()
  var response = ResponseHead()
  var body = MessageBody()
  /// Where the request ends in the buffer that its head is in.
  var requestEnd = 0
  var site: Site?
  var route: Route?

  /// When the connection began to wait for the request.
  var restedAt: Int64 = 0
  /// Nanoseconds of the loop's clock at which each step began; 0: it was not reached.
  var startedAt: Int64 = 0
  var headAt: Int64 = 0
  var routedAt: Int64 = 0
  var connectedAt: Int64 = 0
  var sentAt: Int64 = 0
  var answeredAt: Int64 = 0

  /// The status that was sent, or would have been.
  var status: UInt16 = 0
  /// The outcome of a call of gRPC; 255: it is none, or nothing is known.
  var callStatus = UInt8.max
  /// Whether the first byte of the final response was sent.
  var responseStarted = false
  /// Whether the client's connection ends with this exchange.
  var closesClient = false
  /// Whether a body is left that nobody reads, for another request has taken the place of the client's.
  var leavesBody = false
  /// Whether the end of the connection is what ends the response.
  var endsWithConnection = false
  var bytesReceived: UInt64 = 0
  var bytesSent: UInt64 = 0
  /// The bytes of the response's head, which ``bytesSent`` counts too.
  var headBytesSent = 0

  /// The next one that waits for a request, while this one does.
  var next: Exchange?
  /// What a cache did with it; of use only where its route has one.
  var cacheOutcome = CacheOutcome.bypass
  var cacheStatus: CacheStatus?
  /// What is in hand while the exchange rests, and what a coroutine takes over from there.
  var hand = Hand()

  /// What an authorizer has said of the client; nil: none was asked.
  var grants: [Grant]?
  /// The client's session, where the route has some and it was looked for.
  var session: Session?
  /// The line that tells the client of it.
  var sessionLine: [UInt8] = []

  /// Whether it has passed limits.
  var isLimited = false
  /// What it has taken of limits until its end.
  var held: [HeldPlace] = []
  /// How fast the answer may be sent; nil: as fast as the client takes it.
  var pace: Pace?
  /// What the answer's body passes through; nil: it is sent as it is.
  var coding: BodyCoding?
  /// What the request's body passes through; nil: it is passed on as it is.
  var decoding: RequestDecoding?
  /// The coding that the answer was put into, and how long its body was before.
  var coded = ContentCoding.identity
  var plainBytes: UInt64 = 0

  /// How long it has waited for places at members.
  var queuedNanoseconds: UInt64 = 0
  /// What is known of the client, where clients stay with their members.
  var acquaintance = Acquaintance()
  /// How many members were tried.
  var tryCount = 0
  /// Why tries have failed, and what became of a hedge.
  var trail = TryTrail()
  /// Whether the member's connection had carried a request before.
  var isReused = false
  /// The member that was tried last.
  var member: Member?
  var error: ExchangeError?
  /// Why the head could not be read.
  var refusal: MessageError.Reason?
  /// The number that names this request; all zeros until it is asked for.
  private(set) var requestID = RequestID(high: 0, low: 0)

  /// Makes the exchange ready for another request.
  ///
  /// Its connection has waited for it since `restedAt`.
  func reset(at now: Int64, after restedAt: Int64) {
    self.restedAt = restedAt
    body = MessageBody()
    requestEnd = 0
    startedAt = now
    headAt = 0
    routedAt = 0
    connectedAt = 0
    sentAt = 0
    answeredAt = 0
    status = 0
    callStatus = .max
    responseStarted = false
    closesClient = false
    leavesBody = false
    endsWithConnection = false
    bytesReceived = 0
    bytesSent = 0
    headBytesSent = 0
    queuedNanoseconds = 0
    coded = .identity
    acquaintance = Acquaintance()
    tryCount = 0
    trail = TryTrail()
    isReused = false
    isGathered = false
    if hand.gateway != nil { hand.gateway = nil }
    if error != nil { error = nil }
    refusal = nil
    requestID = RequestID(high: 0, low: 0)
  }

  /// Whether the body was received as a whole because its length was not known.
  var isGathered = false

  /// Whether the member gets the body in chunks.
  var sendsChunks: Bool {
    (request.bodyLength == .chunked || decoding != nil) && !isGathered
  }

  /// Lets go of what belongs to a generation, so that an idle exchange keeps none alive.
  func release() {
    site = nil
    route = nil
    member = nil
    startedAt = 0
    if session != nil { (session, sessionLine) = (nil, []) }
    if grants != nil { grants = nil }
    if isLimited { leaveLimits() }
  }

  /// A number that names this request in the log, in headers and in traces; made when first asked.
  func requestID(from random: inout RandomSource) -> RequestID {
    if requestID.high == 0 { requestID = RequestID(high: random.next() | 1, low: random.next()) }
    return requestID
  }
}
