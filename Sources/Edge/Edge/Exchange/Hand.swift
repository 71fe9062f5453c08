import FailurePolicies
import MartletLoop

/// How far an exchange is, and what it holds, between two steps.
///
/// The usual exchange is two steps without a coroutine: the request comes and is sent to a member, the
/// answer comes and is sent to the client. Whatever else happens is done by a coroutine, which goes on
/// from here: what is there is not done again.
struct Hand: ~Copyable {
  /// The buffer with the request's head and what came behind it.
  var head: Lent?
  /// What the head's buffer holds of the body; it belongs to the member's try.
  var part = MessageBody.Part()
  /// The hash of the request's key; of use only where the upstream has one.
  var keyHash: UInt64?
  /// The member that is being tried, and when the time for the whole exchange is over.
  var upstream: Upstream?
  var pool: MemberPool?
  var total = Deadline.never
  /// When the time is over that the client has given a call of gRPC, in nanoseconds of the loop's clock, of
  /// which members are told; 0: it has given none.
  var callEnd: Int64 = 0
  /// Whether it is a call of gRPC; of use only where the upstream speaks HTTP/2.
  var isCall = false
  /// How a browser calls; of use only where the upstream speaks HTTP/2.
  var browser: BrowserCall?
  /// What the answer's status is to rules about answers; of use only where the upstream speaks HTTP/2.
  var judgedStatus: UInt16 = 0
  /// When the present try is to have the head of its answer; only where tries are watched.
  var limit = Deadline.never
  /// When the answer is to have begun, and when a second member is asked before that.
  var first = Deadline.never
  var hedgeAt = Deadline.never
  /// What the breaker of the member has said, until it is told how the try has ended.
  var admission: Breaker.Admission?
  /// How far the tries are, once one has not gone as usual.
  var tries = Tries()
  /// What is kept of the body so that it can be sent again.
  var replay: Replay?
  /// What the body stands for in the key of a cache; empty: it does not count, or is not there yet.
  var bodyKey: [UInt8] = []
  /// What of an application the request is for; nil: that is not known yet, or a server of HTTP is asked.
  var gateway: GatewayTarget?
  /// The request's body, while an authorizer is asked, which is not shown it.
  var askedBody: MessageBody?
  /// What is to be done in the place of passing the member's answer on.
  var diversion: Diversion?
  /// The file that a member has named, while it is sent.
  var named: NamedFile?
  /// The connection over which the request is sent.
  var connection: UpstreamConnection?
  /// What came of the member's answer.
  var answer: Lent?
  /// What is to be sent, from ``sent`` on: before the answer the request, and then the response.
  var out: Lent?
  var sent = 0
  /// What is to be sent of a file behind ``out``.
  var file: FileBody?
  /// What is to be sent of an answer that is kept, behind ``out``.
  var stored: StoredPart?
  /// What went wrong.
  var failure: ExchangeError?

  /// Whether a member is being tried.
  var isTrying: Bool { pool != nil }

  /// Lets go of everything.
  mutating func clear() {
    head = nil
    upstream = nil
    pool = nil
    connection = nil
    answer = nil
    out = nil
    file = nil
    stored = nil
    failure = nil
    admission = nil
    replay = nil
    if !bodyKey.isEmpty { bodyKey = [] }
    if gateway != nil { gateway = nil }
    if diversion != nil { diversion = nil }
    if named != nil { named = nil }
    if askedBody != nil { askedBody = nil }
  }
}
