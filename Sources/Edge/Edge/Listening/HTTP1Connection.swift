import HTTP1
import HTTPMessage
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// A client's connection that speaks HTTP/1: one exchange after the other.
///
/// While it waits for the next request it has no buffer, no exchange and no coroutine.
final class HTTP1Connection {
  let stream: Stream
  let peer: SocketAddress
  let worker: Worker
  let acceptor: Acceptor
  /// What came behind the last request: the beginning of the next one.
  var carried: Lent?
  /// Whether it waits for its next request.
  private(set) var isIdle = false
  /// When it began to wait.
  private var restedAt: Int64 = 0
  private(set) var requestCount = 0

  init(stream: Stream, peer: SocketAddress, worker: Worker, acceptor: Acceptor) {
    self.stream = stream
    self.peer = peer
    self.worker = worker
    self.acceptor = acceptor
  }

  var loop: EventLoop { worker.loop }

  /// Rests until the next request, or its first one, begins.
  func rest() {
    let plan = acceptor.plan
    let limit = requestCount == 0 ? plan.headTimeout : plan.idleTimeout
    isIdle = true
    restedAt = loop.now
    stream.rest(until: loop.deadline(after: limit))
  }

  /// Answers the requests that are there.
  ///
  /// - Returns: Whether the connection can carry further ones.
  func serve() async -> Bool {
    isIdle = false
    repeat {
      let exchange = worker.takeExchange()
      let isKept = await answer(exchange)
      worker.giveBack(exchange)
      guard isKept else { return false }
    } while carried != nil || stream.hasEvent
    return true
  }

  /// Reads one request and answers it.
  ///
  /// - Returns: Whether the connection can carry another one.
  private func answer(_ exchange: Exchange) async -> Bool {
    let plan = acceptor.plan
    var parser = plan.parser
    let buffer: Lent?
    do throws(StreamError) {
      buffer = try firstBytes()
    } catch {
      return false
    }
    // Without bytes the event was about something else, or the client has closed.
    guard var head = buffer else { return true }
    if head.isEmpty { return false }
    requestCount &+= 1
    exchange.reset(at: loop.now, after: restedAt)
    restedAt = loop.now
    do throws(MessageError) {
      if !(try parser.parse(head.bytes, into: &exchange.request)) {
        guard await receiveRest(exchange, &head, &parser) else { return false }
      }
    } catch {
      await refuse(exchange, error, head)
      return false
    }
    exchange.bytesReceived = UInt64(exchange.request.byteCount)
    exchange.headAt = loop.now
    do throws(ExchangeError) {
      let route = try findRoute(exchange, head.bytes)
      if let upstream = route.upstream {
        let part = try exchange.body.take(from: &head, at: exchange.request.byteCount)
        exchange.requestEnd = part.end
        exchange.bytesReceived &+= UInt64(part.end - exchange.request.byteCount)
        let proxy = ReverseProxy(
          client: self,
          exchange: exchange,
          route: route,
          upstream: worker.upstreams[upstream.index]
        )
        try await proxy.run(head, part)
      } else {
        try await respond(exchange, route, head)
        try await discardBody(exchange, &head)
      }
    } catch {
      await fail(exchange, error, head)
    }
    worker.record(exchange, head, of: self)
    if exchange.closesClient || !exchange.body.hasEnded {
      // An end in order would make a part of the body look like all of it.
      let isCut = exchange.error != nil && exchange.responseStarted && exchange.endsWithConnection
      if !isCut { await close(mayHaveInput: !exchange.body.hasEnded || exchange.error != nil) }
      return false
    }
    if carried == nil, head.count > exchange.requestEnd {
      head.removeFirst(exchange.requestEnd)
      carried = consume head
    }
    return true
  }

  // MARK: The head

  private func firstBytes() throws(StreamError) -> Lent? {
    if let kept = carried.take() { return kept }
    return try stream.readNow(.head)
  }

  /// Reads until the head is complete, or answers why that cannot be.
  ///
  /// - Returns: Whether the head is complete; if not, the connection has ended.
  private func receiveRest(
    _ exchange: Exchange,
    _ head: inout Lent,
    _ parser: inout RequestParser
  ) async -> Bool {
    let deadline = loop.deadline(after: acceptor.plan.headTimeout)
    while true {
      if head.freeCount == 0 { head = loop.enlarged(head) }
      do throws(StreamError) {
        if try await stream.more(&head, by: deadline) == 0 { throw StreamError.cancelled }
      } catch {
        await giveUp(exchange, ExchangeError(receiving: error), head)
        return false
      }
      do throws(MessageError) {
        if try parser.parse(head.bytes, into: &exchange.request) { return true }
      } catch {
        await refuse(exchange, error, head)
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
    await close(mayHaveInput: true)
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
      || worker.isDraining || acceptor.isClosing
    if plan.limitsDiffer { try checkLimits(exchange, site) }
    if exchange.request.hasUnderscore { try judgeUnderscores(exchange, site, head) }
    let method = exchange.request.method
    if method == .connect || method == .trace { throw ExchangeError(.methodNotAllowed) }
    guard let route = site.route(for: exchange, head, of: self) else {
      throw ExchangeError(.noRoute)
    }
    exchange.route = route
    exchange.routedAt = loop.now
    exchange.body.allowance = route.bodyLimit
    if case .fixed(let length) = exchange.request.bodyLength, length > route.bodyLimit {
      throw ExchangeError(.bodyTooLarge)
    }
    return route
  }

  /// Checks what the listener's widest limits have let through.
  private func checkLimits(_ exchange: Exchange, _ site: Site) throws(ExchangeError) {
    let limits = site.headLimits
    let request = exchange.request
    let longest = request.fields.lazy.map { $0.lineRange.range.count - 2 }.max() ?? 0
    if Int(request.target.count) > limits.targetBytes {
      throw ExchangeError(.refused, status: 414, detail: "target_too_long")
    }
    if request.byteCount > limits.headBytes || request.fields.count > limits.fieldCount
      || longest > limits.lineBytes
    {
      throw ExchangeError(.refused, status: 431, detail: "head_too_large")
    }
  }

  // MARK: The end

  /// Tells the client what went wrong, as far as it can still be told.
  func fail(
    _ exchange: Exchange,
    _ error: ExchangeError,
    _ head: borrowing Lent
  ) async {
    // Its waits were ended for want of time; the client has not left.
    let error =
      worker.isOver && error.reason == .clientClosed && !stream.isClosed
      ? ExchangeError(.drained) : error
    exchange.error = error
    if exchange.responseStarted {
      // The client must not take a part for the whole.
      if exchange.endsWithConnection { stream.abort() }
      exchange.closesClient = true
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

  /// Closes the connection so that the client still reads the answer.
  ///
  /// A socket that is closed while input is unread resets the connection, and the reset may destroy
  /// the answer on its way (RFC 9112, section 9.6): what comes is read for a while.
  private func close(mayHaveInput: Bool) async {
    guard mayHaveInput else { return }
    stream.shutdownWrite()
    let deadline = loop.deadline(after: Self.lingerTime)
    var rest = Self.lingerBytes
    do throws(StreamError) {
      while rest > 0 {
        let block = try await stream.read(.head, by: deadline)
        if block.isEmpty { return }
        rest -= block.count
      }
    } catch {
      return
    }
  }

  private static let lingerTime = Timeout(.seconds(2))
  private static let lingerBytes = 1 << 20
}

extension EventLoop {
  /// The bytes of `head` in a larger buffer.
  func enlarged(_ head: borrowing Lent) -> Lent {
    var larger = lend(.body)
    larger.append(head.bytes)
    return larger
  }
}
