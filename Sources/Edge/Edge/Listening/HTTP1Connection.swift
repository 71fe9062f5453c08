import Balancing
import HTTP1
import HTTPMessage
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import Prefaces
import TLS

/// A client's connection that speaks HTTP/1: one exchange after the other.
///
/// While it waits for the next request it has no buffer, no exchange and no coroutine. The usual
/// exchange has no coroutine either: see ``serveNow()``.
final class HTTP1Connection {
  let stream: Stream
  /// Who has connected, or for whom a proxy has, as its PROXY header says.
  var peer: SocketAddress
  let worker: Worker
  let acceptor: Acceptor
  /// The connection of HTTP/2 of which it serves a stream; nil when its client speaks HTTP/1.
  let carrier: HTTP2Connection?
  /// What a proxy in front has said of the client.
  var preface: ConnectionPreface?
  /// Whether something goes before the first request: a PROXY header, TLS, or an answer to who speaks
  /// neither.
  var isOpening = false
  /// Whether a PROXY header is to come.
  var awaitsPreface = false
  /// TLS with the client; nil: bytes pass as they are.
  var tls: TLSSession?
  /// How long the handshake may take.
  var handshakeUntil = Deadline.never
  /// A connection to a member that serves this client alone.
  var ownConnection: OwnConnection?
  /// What applications are told of the client.
  var clientVariables: ClientVariables?
  /// What came behind the last request: the beginning of the next one.
  var carried: Lent?
  /// The exchange that rests, or that a coroutine is to go on with.
  private var exchange: Exchange?
  /// Whether it waits for its next request.
  var isIdle = false
  /// When it began to wait.
  var restedAt: Int64 = 0
  private(set) var requestCount = 0
  /// What it has taken of limits until its end.
  var places: [HeldPlace] = []
  /// The exchange that a coroutine goes on with.
  private var serving: Exchange?
  /// By what it is known to whoever looks at connections, and since when it is open.
  let number: UInt64
  let openedAt: Int64
  /// Whether somebody has asked for its end: with the next answer, or now.
  var endsSoon = false
  var isCut = false
  /// Whether nothing but its end is left to be done.
  var isLingering = false

  init(
    stream: Stream,
    peer: SocketAddress,
    worker: Worker,
    acceptor: Acceptor,
    preface: ConnectionPreface? = nil,
    tls: TLSSession? = nil
  ) {
    number = worker.nextConnectionNumber()
    openedAt = worker.loop.now
    self.stream = stream
    self.peer = peer
    self.worker = worker
    self.acceptor = acceptor
    (self.preface, self.tls) = (preface, tls)
    carrier = nil
  }

  /// Serves a stream of HTTP/2.
  init(stream: Stream, carriedBy carrier: HTTP2Connection) {
    number = 0
    openedAt = carrier.loop.now
    self.stream = stream
    (peer, worker, acceptor) = (carrier.peer, carrier.worker, carrier.acceptor)
    (preface, tls) = (carrier.preface, carrier.tls)
    self.carrier = carrier
  }

  var loop: EventLoop { worker.loop }

  /// The exchange that is under way; nil while it waits for the next one.
  var current: Exchange? { exchange ?? serving }

  /// Rests until the next request, or its first one, begins.
  func rest() {
    if isOpening { return goOn() }
    let limit = requestCount == 0 ? headTimeout : acceptor.plan.idleTimeout
    isIdle = true
    restedAt = loop.now
    stream.rest(until: loop.deadline(after: limit))
  }

  /// How long the first request may take to come.
  var headTimeout: Timeout { acceptor.plan.headTimeout }

  // MARK: Without a coroutine

  /// Goes on with the exchange in hand and answers the requests that are there, as far as nothing has
  /// to be waited for; a coroutine does what is left.
  ///
  /// A proxied request usually takes two calls: the first sends it to a member, the second passes the
  /// answer on. In between the member's connection rests.
  func serveNow() {
    isIdle = false
    if isOpening { return openNow() }
    repeat {
      let current = exchange.take() ?? worker.takeExchange()
      switch current.hand.isTrying ? finish(current) : start(current) {
      case .rests:
        exchange = current
        return
      case .needsCoroutine:
        exchange = current
        return worker.serve(self)
      case .ended(let isKept):
        worker.giveBack(current)
        guard isKept else { return worker.forget(self) }
      }
    } while carried != nil || stream.hasEvent
    if worker.closesIdle { worker.forget(self) } else { rest() }
  }

  /// Goes on with what goes before the first request.
  private func openNow() {
    guard awaitsPreface else { return handshakeNow() }
    guard let plan = acceptor.plan.proxyReception else { return worker.forget(self) }
    readPrefaceNow(plan)
  }

  /// Where a step has led to.
  enum Progress {
    /// The answer is awaited; the connection to the member rests.
    case rests
    /// What comes next may have to wait.
    case needsCoroutine
    /// The exchange is over; `isKept`: the connection can carry another one.
    case ended(isKept: Bool)
  }

  /// Reads the request and sends it to a member, if all of it is there and so is a connection.
  private func start(_ exchange: Exchange) -> Progress {
    switch arrive(exchange) {
    case .nothing: return .ended(isKept: true)
    case .end: return .ended(isKept: false)
    case .request: break
    }
    guard var head = exchange.hand.head.take() else { return .ended(isKept: false) }
    let progress = send(exchange, &head)
    if case .ended = progress { return .ended(isKept: conclude(exchange, head) == .kept) }
    exchange.hand.head = consume head
    return progress
  }

  /// Sends the request that begins in `head` to a member, or a file that answers it to the client.
  ///
  /// If not all of it was sent, the exchange's hand tells how far it came.
  private func send(_ exchange: Exchange, _ head: inout Lent) -> Progress {
    do throws(MessageError) {
      guard try acceptor.parser.parse(head.bytes, into: &exchange.request) else {
        acceptor.parser.reset()
        return .needsCoroutine
      }
    } catch {
      acceptor.parser.reset()
      // The coroutine finds the same, and can wait until the client knows.
      return .needsCoroutine
    }
    noteHead(exchange)
    do throws(ExchangeError) {
      let route = try findRoute(exchange, head.bytes)
      if route.authorizer != nil { return .needsCoroutine }
      if route.sessions != nil {
        guard route.upstream != nil, try openSessionNow(exchange, head.bytes) else {
          return .needsCoroutine
        }
      }
      if let gateway = route.gateway {
        if let files = try aim(exchange, at: gateway, head.bytes) {
          let isWhole = try answerFileNow(exchange, files, head.bytes)
          return isWhole ? .ended(isKept: true) : .needsCoroutine
        }
        // Its length has to be known first, or a file to be read.
        if exchange.request.bodyLength == .chunked || gateway.filters { return .needsCoroutine }
      }
      if let plan = route.upstream {
        let proxy = try reverseProxy(exchange, route, plan, &head)
        let isSent = start(proxy, head)
        // Handed on, not copied: it is one reference less to count.
        exchange.hand.upstream = (consume proxy).upstream
        return isSent ? .rests : .needsCoroutine
      }
      guard let files = route.files else { return try answerCached(exchange, route, &head) }
      let isWhole = try answerFileNow(exchange, files, head.bytes)
      return isWhole ? .ended(isKept: true) : .needsCoroutine
    } catch {
      exchange.hand.failure = error
      return .needsCoroutine
    }
  }

  /// Sends the request to a member, or notes why that has failed.
  @inline(__always)
  func start(_ proxy: borrowing ReverseProxy, _ head: borrowing Lent) -> Bool {
    do throws(ExchangeError) {
      return try proxy.startNow(head)
    } catch {
      proxy.exchange.hand.failure = error
      return false
    }
  }

  /// Passes the answer on, if all of it is there and the client takes it.
  private func finish(_ exchange: Exchange) -> Progress {
    guard let route = exchange.route, let upstream = exchange.hand.upstream.take(),
      let head = exchange.hand.head.take()
    else { return .needsCoroutine }
    let proxy = ReverseProxy(client: self, exchange: exchange, route: route, upstream: upstream)
    let progress = proxy.finishNow(head)
    guard case .ended = progress else {
      exchange.hand.head = consume head
      exchange.hand.upstream = (consume proxy).upstream
      return progress
    }
    return .ended(isKept: conclude(exchange, head) == .kept)
  }

  // MARK: With a coroutine

  /// Goes on with the exchange in hand, and answers the requests that are there.
  ///
  /// - Returns: Whether the connection can carry further ones.
  func serve() async -> Bool {
    isIdle = false
    if isOpening {
      if isLingering {
        await linger()
        return false
      }
      guard let plan = acceptor.plan.proxyReception, await receivePreface(plan) else {
        return false
      }
      if isOpening || carried == nil && !stream.hasEvent { return true }
    }
    repeat {
      let current = exchange.take() ?? worker.takeExchange()
      serving = current
      let isKept = await answer(current)
      serving = nil
      // What was in hand when something failed; two steps without a failure leave nothing.
      current.hand.clear()
      worker.giveBack(current)
      guard isKept else { return false }
    } while carried != nil || stream.hasEvent
    return true
  }

  /// Does what is left to do of an exchange.
  ///
  /// - Returns: Whether the connection can carry another one.
  private func answer(_ exchange: Exchange) async -> Bool {
    if exchange.hand.head == nil {
      switch arrive(exchange) {
      case .nothing: return true
      case .end: return false
      case .request: break
      }
    }
    guard var head = exchange.hand.head.take() else { return false }
    if exchange.headAt == 0 {
      guard await receiveHead(exchange, &head) else { return false }
      noteHead(exchange)
    }
    do throws(ExchangeError) {
      try await handle(exchange, &head)
      if exchange.hand.diversion != nil { try await followDiversions(exchange, &head) }
    } catch {
      await fail(exchange, error, head)
    }
    switch conclude(exchange, head) {
    case .kept: return true
    case .over: return false
    case .lingers:
      await linger()
      return false
    }
  }

  /// Does what the route of a request says.
  func handle(_ exchange: Exchange, _ head: inout Lent) async throws(ExchangeError) {
    if !exchange.hand.isTrying, let failure = exchange.hand.failure.take() { throw failure }
    let route: Route
    if let found = exchange.route {
      route = found
    } else {
      route = try findRoute(exchange, head.bytes)
    }
    if let authorizer = route.authorizer, exchange.grants == nil {
      guard try await authorize(exchange, by: authorizer, &head) else { return }
    }
    let handler = try handler(of: route)
    if route.sessions != nil, exchange.session == nil {
      try await openSession(exchange, head.bytes)
      if route.upstream == nil, handler == nil { try await commitSession(exchange) }
    }
    if let gateway = route.gateway, !exchange.hand.isTrying {
      if let files = try aim(exchange, at: gateway, head.bytes) {
        try await answerFile(exchange, files, head)
        try await discardBody(exchange, &head)
        return
      }
      let isOpen = exchange.request.bodyLength == .chunked
      if isOpen || gateway.filters, !exchange.isGathered {
        try await gatherBody(exchange, for: gateway, &head)
      }
    }
    if let plan = route.upstream {
      let proxy = try reverseProxy(exchange, route, plan, &head)
      try await proxy.run(head)
    } else if let files = route.files, files.isChange(exchange.request, in: head.bytes) {
      try await changeFile(exchange, files, &head)
    } else if case .authority(let prefix) = route.handler {
      try await answerAuthority(exchange, prefix, &head)
    } else if let handler {
      try await run(handler, exchange, &head)
    } else if let cache = route.cache {
      try await answerCached(exchange, route, cache, &head)
    } else {
      try await respond(exchange, route, head)
      try await discardBody(exchange, &head)
    }
  }

  // MARK: The head

  /// What there is to read.
  private enum Arrival {
    case nothing, request, end
  }

  /// Begins an exchange if there are bytes, which its hand holds then.
  private func arrive(_ exchange: Exchange) -> Arrival {
    if let kept = carried.take() {
      exchange.hand.head = consume kept
    } else {
      do throws(StreamError) {
        // Without bytes the event was about something else, or the client has closed.
        guard let bytes = try stream.readNow(.head) else { return .nothing }
        if bytes.isEmpty { return .end }
        exchange.hand.head = consume bytes
      } catch {
        return .end
      }
    }
    requestCount &+= 1
    exchange.reset(at: loop.now, after: restedAt)
    restedAt = loop.now
    return .request
  }

  /// Notes that the head is complete.
  private func noteHead(_ exchange: Exchange) {
    exchange.bytesReceived = UInt64(exchange.request.byteCount)
    exchange.headAt = loop.now
  }

  /// Reads until the head is complete, or answers why that cannot be.
  ///
  /// - Returns: Whether the head is complete; if not, the connection has ended.
  private func receiveHead(_ exchange: Exchange, _ head: inout Lent) async -> Bool {
    var parser = acceptor.plan.parser
    let deadline = loop.deadline(after: acceptor.plan.headTimeout)
    while true {
      do throws(MessageError) {
        if try parser.parse(head.bytes, into: &exchange.request) { return true }
      } catch {
        if carrier == nil, requestCount == 1, acceptor.plan.allowsHTTP2,
          HTTP2Connection.isPreface(head.bytes)
        {
          becomeHTTP2(&head)
        } else {
          await refuse(exchange, error, head)
        }
        return false
      }
      if head.freeCount == 0 { head = loop.enlarged(head) }
      do throws(StreamError) {
        if try await stream.more(&head, by: deadline) == 0 { throw StreamError.cancelled }
      } catch {
        await giveUp(exchange, ExchangeError(receiving: error), head)
        return false
      }
    }
  }

  /// Answers a request that cannot be read, and closes.
  private func refuse(
    _ exchange: Exchange,
    _ error: MessageError,
    _ head: borrowing Lent
  ) async {
    exchange.refusal = error.reason
    exchange.status = error.status
    await giveUp(
      exchange,
      ExchangeError(.refused, status: error.status, detail: error.reason.rawValue),
      head
    )
  }

  /// Ends the connection in the name of the listener's first site.
  private func giveUp(
    _ exchange: Exchange,
    _ error: ExchangeError,
    _ head: borrowing Lent
  ) async {
    exchange.site = acceptor.plan.anySite
    // What was read of the head is not to be shown as a request.
    if exchange.refusal != nil || exchange.request.byteCount == 0 { exchange.request.reset() }
    await fail(exchange, error, head)
    worker.record(exchange, head, of: self)
    await linger()
  }

  // MARK: The answer

  /// Finds what is to be done with a request.
  ///
  /// - Throws: ``ExchangeError`` when there is nothing, or the request is more than is allowed.
  private func findRoute(
    _ exchange: Exchange,
    _ head: Span<UInt8>
  ) throws(ExchangeError) -> Route {
    let plan = acceptor.plan
    exchange.requestEnd = exchange.request.byteCount
    guard let site = plan.site(for: head.extracting(exchange.request.host.range)) else {
      exchange.body = MessageBody(of: exchange, limits: plan.headLimits)
      exchange.site = plan.anySite
      exchange.closesClient = !exchange.body.hasEnded
      throw ExchangeError(.noSite)
    }
    exchange.site = site
    exchange.body = MessageBody(of: exchange, limits: site.headLimits)
    exchange.closesClient =
      !exchange.request.keepsAlive || requestCount >= site.requestsPerConnection
      || worker.isDraining || acceptor.isClosing || endsSoon
    if site.asksClients { try checkClient(of: site) }
    if plan.limitsDiffer { try checkLimits(exchange, site) }
    if exchange.request.hasUnderscore { try judgeUnderscores(exchange, site, head) }
    let method = exchange.request.method
    if method == .connect || method == .trace { throw ExchangeError(.methodNotAllowed) }
    guard var route = site.route(for: exchange, head, of: self) else {
      throw ExchangeError(.noRoute)
    }
    if method == .options, let permission = route.permission {
      route = try permission.route(for: exchange, head) ?? route
    }
    exchange.route = route
    exchange.routedAt = loop.now
    if site.asksClients, route.needsClientCertificate, tls?.peer == nil {
      throw ExchangeError(.clientCertificate)
    }
    exchange.body.allowance = route.bodyLimit
    if case .fixed(let length) = exchange.request.bodyLength, length > route.bodyLimit {
      throw ExchangeError(.bodyTooLarge)
    }
    if worker.priorityFloor > 0 { try shed(exchange, route, head) }
    if route.hasLimits { try passLimits(of: route, exchange, head) }
    return route
  }

  /// The way to the upstream of a route, with what `head` holds of the body taken out of it.
  @inline(__always)
  func reverseProxy(
    _ exchange: Exchange,
    _ route: Route,
    _ plan: UpstreamPlan,
    _ head: inout Lent
  ) throws(ExchangeError) -> ReverseProxy {
    if let upstream = exchange.hand.upstream.take() {
      return ReverseProxy(client: self, exchange: exchange, route: route, upstream: upstream)
    }
    let start = exchange.request.byteCount
    var part = MessageBody.Part(data: start..<start, end: start)
    // What was received of a body already is sent from where it is kept.
    if exchange.hand.replay == nil {
      if !exchange.body.hasEnded { part = try exchange.body.take(from: &head, at: start) }
      exchange.requestEnd = part.end
      exchange.bytesReceived &+= UInt64(part.end - start)
    }
    let upstream = worker.upstream(of: plan)
    exchange.hand.part = part
    if let affinity = upstream.affinity {
      affinity.recognise(exchange, head.bytes, of: self)
    }
    if let key = plan.key { exchange.hand.keyHash = hash(key, exchange, head.bytes) }
    return ReverseProxy(client: self, exchange: exchange, route: route, upstream: upstream)
  }

  // MARK: The end

  /// Tells the client what went wrong, as far as it can still be told.
  func fail(
    _ exchange: Exchange,
    _ error: ExchangeError,
    _ head: borrowing Lent
  ) async {
    // Its waits were ended for want of time, or because somebody said so; the client has not left.
    let isEnded = isCut || worker.isOver && !stream.isClosed
    let error =
      isEnded && error.reason == .clientClosed ? ExchangeError(isCut ? .cut : .drained) : error
    exchange.error = error
    if exchange.responseStarted {
      exchange.closesClient = true
      if isCall(exchange, head.bytes), await endCall(exchange, error, head) { return }
      // The client must not take a part for the whole.
      if exchange.endsWithConnection { stream.abort() }
      return
    }
    exchange.status = error.status
    guard error.reason != .clientClosed else {
      exchange.closesClient = true
      return
    }
    switch error.reason {
    case .refused, .bodyRefused, .bodyTooLarge, .clientTimeout:
      // Where the next request begins is not known.
      exchange.closesClient = true
    default:
      if !exchange.body.hasEnded { exchange.closesClient = true }
    }
    do throws(ExchangeError) {
      try await respondError(exchange, error, head)
    } catch {
      exchange.closesClient = true
    }
  }

  /// What becomes of the connection.
  private enum Conclusion {
    case kept, over
    /// It ends, but the client may still be sending.
    case lingers
  }

  /// Counts and logs an exchange that is over, and keeps what came behind it.
  private func conclude(_ exchange: Exchange, _ head: consuming Lent) -> Conclusion {
    worker.record(exchange, head, of: self)
    if exchange.closesClient || !exchange.body.hasEnded {
      // An end in order would make a part of the body look like all of it.
      let isCut = exchange.error != nil && exchange.responseStarted && exchange.endsWithConnection
      let isSending = !exchange.body.hasEnded || exchange.leavesBody
      return !isCut && (isSending || exchange.error != nil) ? .lingers : .over
    }
    if carried == nil, head.count > exchange.requestEnd {
      head.removeFirst(exchange.requestEnd)
      carried = consume head
    }
    return .kept
  }
}
