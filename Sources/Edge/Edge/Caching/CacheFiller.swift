import Cache
import HTTP1
import HTTPCaching
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// Asks a member for an answer that is to be kept, and puts what comes where its readers find it.
///
/// It is a client of its own: the other end of an inner socket, on which the proxy answers. So a fill has
/// everything that a request has, tries, limits of time, checks of the answer, and whoever led to it may be slow or
/// leave.
final class CacheFiller: InnerSocket {
  /// What was kept turned out to be something else: those who wait begin anew.
  struct Superseded: Error {}

  let fill: Fill
  let cache: RouteCache
  let worker: Worker
  /// The request as it is sent: by GET where the client's method is HEAD.
  let request: CacheRequest
  /// What is asked about, if something is kept.
  let validating: CachedAnswer?
  /// The parts that are there of what is asked for.
  let completing: CachedAnswer?
  /// The head that is sent.
  let requestBytes: [UInt8]
  /// When it was.
  let askedAt: Moment
  let exchange = Exchange()
  /// The head of the answer.
  var response = ResponseHead()
  /// What the answer may be kept by, as long as it may.
  var terms: StoredTerms?
  var vary: VaryRule?
  var variant: [UInt8] = []
  var tags: [UInt64] = []
  /// Which part comes; nil: the whole does.
  var part: FillPart?
  /// The head as clients get it, if the answer is kept.
  var storedHead: AnswerHead?
  /// Whether nothing more is taken.
  var isOver = false
  /// Whether only who led reads.
  private(set) var isAlone = false
  /// Whether it goes to the disk while it comes.
  var isSpooled = false
  private var framing = StreamFraming()
  private var descriptor: Int32 = -1
  private var connection: HTTP1Connection?
  private var head: Lent?
  private(set) var room: Signal?
  /// The member that was asked, when nothing is left to be done.
  private var member: Member?

  /// Prepares to ask in the place of a client, whose request `leading` is.
  ///
  /// - Returns: nil when there is no number for a socket, or the head cannot be read: nothing was begun.
  init?(
    _ fill: Fill,
    _ cache: RouteCache,
    _ head: consuming Lent,
    _ cause: FillCause,
    for client: HTTP1Connection,
    leading: Exchange
  ) {
    self.fill = fill
    self.cache = cache
    validating = cause.validating
    completing = cause.completing
    worker = client.worker
    requestBytes = Array(copying: head.bytes)
    askedAt = client.moment
    exchange.reset(at: worker.loop.now, after: worker.loop.now)
    var parser = client.acceptor.plan.parser
    do throws(MessageError) {
      guard try parser.parse(head.bytes, into: &exchange.request) else { return nil }
    } catch {
      return nil
    }
    request = CacheRequest(exchange.request, in: head.bytes, by: cache.policy)
    exchange.requestEnd = exchange.request.byteCount
    // Who led may leave, or send it by itself: what is sent here is kept here.
    if request.isKeyedByBody { exchange.hand.replay = leading.hand.replay?.copy }
    exchange.site = leading.site
    exchange.route = cache.fillRoute
    exchange.headAt = worker.loop.now
    exchange.routedAt = worker.loop.now
    self.head = consume head
    guard let socket = worker.loop.openInner(self) else { return nil }
    descriptor = socket.number
    do throws(SystemError) {
      let stream = try Stream(adopting: socket, on: worker.loop)
      connection = HTTP1Connection(
        stream: stream,
        peer: client.peer,
        worker: worker,
        acceptor: client.acceptor,
        preface: client.preface,
        tls: client.tls
      )
    } catch {
      isOver = true
      return nil
    }
  }

  /// Asks, until the answer has come or cannot.
  func run() async {
    guard let connection, let head = head.take() else { return }
    do throws(ExchangeError) {
      try await connection.fill(exchange, cache, head)
      fail(ExchangeError(.upstreamCut))
    } catch {
      fail(error)
    }
    exchange.hand.clear()
    member = exchange.member
    exchange.release()
    self.connection = nil
  }

  // MARK: Readers

  /// Tells who led which member has answered.
  func tell(_ leading: Exchange) {
    leading.member = exchange.member ?? member
    leading.tryCount = exchange.tryCount
    leading.isReused = exchange.isReused
    leading.connectedAt = exchange.connectedAt
    leading.sentAt = exchange.sentAt
    leading.answeredAt = exchange.answeredAt
  }

  /// Notes that who led reads no more.
  func readerLeft() {
    guard isAlone, !isOver else { return }
    isOver = true
    fill.end(.failed(ExchangeError(.clientClosed)))
    worker.loop.signalClose(descriptor)
  }

  // MARK: The inner socket

  var hasInput: Bool { false }

  func receive(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> InnerInput {
    isOver ? .ended : .open
  }

  func send(_ bytes: Span<UInt8>) -> Int? {
    guard !isOver else { return nil }
    guard let (all, keptCount) = framing.joined(with: bytes) else { return take(bytes) }
    // What was kept needs no room: only lines that are not complete are kept.
    return take(all.span).map { max(0, $0 - keptCount) }
  }

  private func take(_ bytes: Span<UInt8>) -> Int? {
    var offset = 0
    while true {
      switch framing.next(in: bytes, at: &offset) {
      case .needsBytes: return offset
      case .head(let range):
        guard let body = begin(bytes.extracting(range)) else {
          isOver = true
          return nil
        }
        framing.follow(body)
      case .content(let range):
        guard !isOver, let taken = add(bytes.extracting(range)) else { return nil }
        framing.sent(taken)
        offset += taken
        if taken < range.count { return offset }
      case .end:
        finish()
        return bytes.count
      case .broken:
        fail(ExchangeError(.upstreamMalformed))
        return nil
      }
    }
  }

  func endOfOutput() {
    if framing.isOpen { finish() }
  }

  func willBreak() { fail(ExchangeError(.upstreamCut)) }

  func close() { fail(ExchangeError(.upstreamCut)) }

  // MARK: What comes

  /// Takes a part of the body.
  ///
  /// - Returns: How many bytes; nil: nobody wants them.
  private func add(_ bytes: Span<UInt8>) -> Int? {
    if terms != nil, !isSpooled, response.knownLength == nil,
      !cache.plan.store.grow(fill, by: bytes.count), !spool()
    {
      // Too large, which was not known before: those who read have it from a window.
      keepNothing(isLasting: cache.plan.store.disk == nil)
      fill.slide()
    }
    let taken = fill.append(bytes, writer: terms == nil || isSpooled ? writer() : nil)
    if taken == nil { fail(ExchangeError(.clientClosed)) }
    return taken
  }

  /// Says that the answer is not kept.
  func keepNothing(isLasting: Bool) {
    terms = nil
    let store = cache.plan.store
    if isLasting, cache.passTime > 0 {
      store.pass(fill, until: now.advanced(byMilliseconds: cache.passTime))
    } else {
      store.abandon(fill)
    }
  }

  /// Shows the head of an answer that is not kept to who led.
  func beginAlone(_ head: AnswerHead, part: FillPart? = nil) {
    isAlone = true
    self.part = part
    fill.begin(head, terms: nil, part: part)
  }

  var now: Moment { worker.moment }

  /// Who is woken when readers have made room.
  private func writer() -> FillWaiter? {
    if let room { return FillWaiter(room, on: worker.loop) }
    guard let signal = Signal(on: worker.loop) else { return nil }
    room = signal
    let (loop, filler) = (worker.loop, self)
    loop.spawn(named: "tell a fill of the cache of room") {
      while !filler.isOver {
        do throws(WaitError) { try await signal.wait() } catch { continue }
        if !filler.isOver { loop.signalRoom(filler.descriptor) }
      }
    }
    return FillWaiter(signal, on: worker.loop)
  }

  /// All has come.
  private func finish() {
    guard !isOver else { return }
    if let part { return finish(part) }
    isOver = true
    if isSpooled {
      // It is kept when all of it is on the disk.
      fill.end(.complete)
      room?.set()
      return
    }
    if let terms {
      let body = fill.body()
      if let head = fill.beginning.head {
        let answer = CachedAnswer(
          terms: terms,
          head: head.length == nil ? head.with(length: body.count) : head,
          body: body,
          vary: vary,
          variant: variant,
          tags: tags,
          keyCount: fill.key.count
        )
        _ = cache.plan.store.keep(answer, of: fill)
      }
    }
    cache.plan.store.abandon(fill)
    fill.end(.complete)
    room?.set()
  }

  /// It came to nothing, unless it is over already.
  func fail(_ error: any Error) {
    guard !isOver else {
      room?.set()
      return
    }
    isOver = true
    keepWhatCame()
    cache.plan.store.abandon(fill)
    if let validating, !(error is Superseded), fill.beginning.head == nil,
      validating.terms.mayCover(.unreachable, for: request, at: now)
    {
      fill.end(.replaced(validating, isStale: true))
    } else {
      fill.end(.failed(error))
    }
    room?.set()
  }

  /// Ends it with another answer, which is kept.
  func end(with answer: CachedAnswer, isStale: Bool) {
    isOver = true
    cache.plan.store.abandon(fill)
    fill.end(.replaced(answer, isStale: isStale))
  }
}

extension ResponseHead {
  /// How long the body is, if that is known.
  var knownLength: Int? {
    switch bodyLength {
    case .none: 0
    case .fixed(let length): Int(clamping: length)
    case .chunked, .untilClose: nil
    }
  }
}

extension Worker {
  /// The moment that ages are counted with: nobody can set that clock.
  var moment: Moment { Moment(milliseconds: clock.steadyMilliseconds(of: loop.now)) }

  /// The time of day, which the dates of answers are compared with.
  var timeOfDay: Moment {
    Moment(milliseconds: Int64(clamping: clock.timestamp(of: loop.now).unixNanoseconds / 1_000_000))
  }
}

extension HTTP1Connection {
  /// Has a member asked for an answer that is to be kept.
  ///
  /// - Returns: Who does; nil when that could not be begun, as readers of the fill are told.
  @discardableResult
  func startFill(
    _ fill: Fill,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ head: Span<UInt8>,
    _ cause: FillCause
  ) -> CacheFiller? {
    let filler: CacheFiller?
    do throws(ExchangeError) {
      let text = try fillHead(exchange, cache, head, cause, cause.scope ?? fill.scope)
      filler = CacheFiller(
        fill,
        cache,
        text,
        cause,
        for: self,
        leading: exchange
      )
    } catch {
      filler = nil
    }
    guard let filler else {
      cache.plan.store.abandon(fill)
      fill.end(.failed(ExchangeError(.overloaded, detail: "cache")))
      return nil
    }
    loop.spawn(named: "fill the cache") { await filler.run() }
    return filler
  }

  /// The head of a request for an answer that is to be kept: without what only this client wants.
  private func fillHead(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ head: Span<UInt8>,
    _ cause: FillCause,
    _ scope: PartScope
  ) throws(ExchangeError) -> Lent {
    let isLarge = exchange.request.byteCount > BufferSize.head.bytes - 2048
    var out = loop.lend(isLarge ? .body : .head)
    let request = exchange.request
    switch request.method {
    case .query: try out.put("QUERY ")
    case .post: try out.put("POST ")
    default: try out.put("GET ")
    }
    if let rule = cache.keyRule, request.hasQuery {
      // What does not count is not sent, so that no answer can depend on it.
      var query: [UInt8] = []
      rule.appendQuery(head.extracting(request.query.range), to: &query)
      let end = Int(request.query.range.lowerBound) - 1
      try out.put(head.extracting(Int(request.target.range.lowerBound)..<end))
      try out.put(query)
    } else {
      try out.put(head.extracting(request.target.range))
    }
    try out.put(" HTTP/1.1\r\n")
    for line in exchange.request.fields
    where !line.isHopByHop && !Validation.leavesOut(line.name) {
      // The body is there, and has a length now.
      if line.name == .contentLength || line.name == .expect { continue }
      try out.put(head.extracting(line.lineRange.range))
    }
    if let body = exchange.hand.replay, !exchange.hand.bodyKey.isEmpty {
      try out.put("Content-Length: ")
      try out.put(decimal: UInt64(body.bytes.count))
      try out.put("\r\n")
    }
    try putRange(cause, scope, exchange, head, &out)
    if let validating = cause.validating, request.method != .post {
      let own = validating.head.bytes
      let bytes = own.span
      var lines: [UInt8] = []
      Validation.append(
        tag: bytes.extracting(validating.head.tag),
        lastModified: bytes.extracting(validating.head.lastModified),
        to: &lines
      )
      try out.put(lines)
    }
    try out.put("\r\n")
    return out
  }

  /// Has the proxy answer a request for an answer that is to be kept.
  func fill(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ head: consuming Lent
  ) async throws(ExchangeError) {
    var head = head
    if let gateway = cache.fillRoute.gateway, gateway.filters {
      _ = try aim(exchange, at: gateway, head.bytes)
      try await gatherBody(exchange, for: gateway, &head)
    }
    let proxy = try reverseProxy(exchange, cache.fillRoute, cache.upstream, &head)
    try await proxy.run(head)
  }

  /// Whether the stream is an inner one: what is written to it is to be seen.
  var isInner: Bool { worker.innerKernel?.isInner(stream.descriptor) ?? false }

  /// Whether it asks for answers that are to be kept.
  var isFilling: Bool { carrier == nil && isInner }
}
