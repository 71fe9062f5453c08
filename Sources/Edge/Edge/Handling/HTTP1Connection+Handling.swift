import HTTPMessage
import MartletBytes
import MartletHandlers
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// Answers by handlers: Martlet's own, and those of the program.
extension HTTP1Connection {
  /// The handler of a route; nil: something else answers.
  func handler(of route: Route) throws(ExchangeError) -> (any MartletHandlers.Handler)? {
    switch route.handler {
    case .own(let handler): return handler
    case .program(let name):
      guard let handler = worker.generation.handlers[name] else {
        throw ExchangeError(.handlerFailed, detail: "the program has no handler `\(name)`")
      }
      return handler
    default: return nil
    }
  }

  /// Has a handler answer.
  func run(
    _ handler: any MartletHandlers.Handler,
    _ exchange: Exchange,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    var own = loop.lend(.head)
    swap(&own, &head)
    let facts = facts(of: exchange, own.bytes)
    let carrier = HandlerCarrier(self, exchange, head: own)
    let request = MartletHandlers.Request(facts, of: carrier, session: exchange.session)
    let response = Response(to: carrier)
    let problem = await problem(of: handler, request, response, carrier)
    swap(&carrier.head, &head)
    if let problem { throw problem }
    if carrier.hasBegunBody {
      if !exchange.body.hasEnded { exchange.closesClient = true }
    } else if !carrier.hasBecomeWebSocket {
      try await discardBody(exchange, &head)
    }
  }

  /// Calls a handler, and ends what it has begun.
  private func problem(
    of handler: any MartletHandlers.Handler,
    _ request: MartletHandlers.Request,
    _ response: Response,
    _ carrier: HandlerCarrier
  ) async -> ExchangeError? {
    let exchange = carrier.exchange
    do {
      try await handler.handle(request, response)
      guard response.hasBegun || response.hasEnded else {
        return ExchangeError(.handlerFailed, detail: "the handler has given no answer")
      }
      try await response.end()
      return nil
    } catch let refusal as Refusal where !response.hasBegun {
      do throws(ExchangeError) {
        let error = ExchangeError(.complete, status: refusal.status, detail: refusal.detail)
        try await respondError(exchange, error, carrier.head)
        return nil
      } catch {
        return error
      }
    } catch let error as ExchangeError {
      return error
    } catch {
      if carrier.hasBecomeWebSocket { return nil }
      if let failure = carrier.failure { return failure }
      worker.board.log.note(
        .error,
        "a handler has failed",
        [
          LogLine.Field("request_id", request.facts.identifier),
          LogLine.Field("path", request.path), LogLine.Field("error", "\(error)"),
        ]
      )
      return ExchangeError(.handlerFailed, detail: "\(error)")
    }
  }

  private func facts(
    of exchange: Exchange,
    _ head: Span<UInt8>
  ) -> MartletHandlers.Request.Facts {
    func text(_ range: Range<Int>) -> String {
      String(decoding: Array(copying: head.extracting(range)), as: UTF8.self)
    }
    var facts = MartletHandlers.Request.Facts()
    let request = exchange.request
    facts.method = text(request.methodRange.range)
    facts.rawPath = String(
      decoding: Array(copying: filePath(exchange, head)),
      as: UTF8.self
    )
    if !facts.rawPath.hasPrefix("/") { facts.rawPath = "/" + facts.rawPath }
    if request.hasQuery { facts.query = text(request.query.range) }
    for line in request.fields {
      facts.fields.append((text(line.nameRange.range), text(line.valueRange.range)))
    }
    facts.host = text(request.authority.range)
    facts.scheme = scheme.description
    facts.client = clientAddress(of: exchange, head).hostText
    facts.identifier = exchange.requestID(from: &worker.random).text
    facts.wantsWebSocket = exchange.wantsWebSocket(head)
    return facts
  }

  /// The next piece of a request's body; nil: it has ended.
  func nextPiece(
    of exchange: Exchange,
    _ carrier: HandlerCarrier
  ) async throws(ExchangeError) -> [UInt8]? {
    if !carrier.hasBegunBody {
      carrier.hasBegunBody = true
      try await tellToContinue(exchange)
      let first = try exchange.body.take(from: &carrier.head, at: exchange.request.byteCount)
      exchange.requestEnd = first.end
      exchange.bytesReceived &+= UInt64(first.end - exchange.request.byteCount)
      if !exchange.body.hasEnded {
        var block = loop.lend(.body)
        HandlerCarrier.append(carrier.head, first.end..<carrier.head.count, to: &block)
        exchange.requestEnd = carrier.head.count
        carrier.block = consume block
      }
      if !first.data.isEmpty {
        return HandlerCarrier.bytes(of: carrier.head, first.data)
      }
    }
    while !exchange.body.hasEnded {
      guard var block = carrier.block.take() else { return nil }
      try await receiveMore(exchange, &block)
      let part = try exchange.body.take(from: &block, at: 0)
      exchange.bytesReceived &+= UInt64(part.end)
      let piece = Array(copying: block.bytes.extracting(part.data))
      block.removeFirst(part.end)
      if !exchange.body.hasEnded {
        carrier.block = consume block
      } else if !block.isEmpty {
        carried = consume block
      }
      if !piece.isEmpty { return piece }
    }
    return nil
  }

  /// Sends the head of an answer whose body comes piece by piece.
  ///
  /// - Returns: Whether that comes in chunks.
  func beginAnswer(
    _ exchange: Exchange,
    _ head: borrowing Lent,
    _ addFields: (inout Lent) throws(ExchangeError) -> Void
  ) async throws(ExchangeError) -> Bool {
    var out = loop.lend(.head)
    let hasContent = exchange.status != 204 && exchange.status != 304
    if !exchange.body.hasEnded, exchange.body.expectsContinue { exchange.closesClient = true }
    try out.put("HTTP/1.1 ")
    try out.put(decimal: UInt64(exchange.status))
    try out.put(" ")
    try out.put(ReasonPhrase.text(of: exchange.status))
    try out.put("\r\nDate: ")
    try out.put(worker.clock.httpDate)
    try out.put("\r\n")
    try addFields(&out)
    if let rules = exchange.route?.response, rules.adds {
      try rules.put(exchange, self, head.bytes, answer: Span(), into: &out)
    }
    let isChunked = hasContent && exchange.request.version == .http11
    if isChunked {
      try out.put("Transfer-Encoding: chunked\r\n")
    } else if hasContent {
      exchange.endsWithConnection = true
      exchange.closesClient = true
    }
    try putConnection(exchange, &out)
    try out.put("\r\n")
    exchange.headBytesSent = out.count
    if let plan = exchange.route?.compression {
      try beginCoding(plan, exchange, head.bytes, &out)
    }
    if exchange.coding == nil {
      try await send(out, exchange)
    } else {
      try await sendCodedHead(exchange)
    }
    return isChunked
  }
}
