import Configuration
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// Answers that the edge makes itself.
extension HTTP1Connection {
  /// Sends the answer of a route that has no upstream.
  func respond(
    _ exchange: Exchange,
    _ route: Route,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    switch route.handler {
    case .respond(let fixed):
      try await respond(exchange, fixed, head)
    case .redirect(let status, let target):
      try await redirect(exchange, status, target, head)
    case .metrics:
      try await respond(
        exchange,
        status: 200,
        contentType: PrometheusText.mediaType,
        body: worker.board.metrics(),
        head
      )
    case .status:
      try await respond(
        exchange,
        status: 200,
        contentType: "application/json",
        body: worker.board.status(),
        head
      )
    case .proxy: throw ExchangeError(.internalError)
    }
  }

  /// Sends a fixed answer of a route.
  func respond(
    _ exchange: Exchange,
    _ fixed: Route.FixedAnswer,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    exchange.status = fixed.status
    let body = try bytes(of: fixed.body, exchange, head)
    try await send(exchange, fixed.contentType, body, head) { _ throws(ExchangeError) in }
  }

  /// Sends bytes that were made for this exchange.
  func respond(
    _ exchange: Exchange,
    status: UInt16,
    contentType: String,
    body: [UInt8],
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    exchange.status = status
    try await send(exchange, Array(contentType.utf8), body, head) { _ throws(ExchangeError) in }
  }

  /// Sends the client elsewhere.
  func redirect(
    _ exchange: Exchange,
    _ status: UInt16,
    _ target: TextTemplate,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    exchange.status = status
    let location = try bytes(of: target, exchange, head)
    let page = Array("<a href=\"".utf8) + escaped(location) + Array("\">Moved here</a>\n".utf8)
    try await send(exchange, Array("text/html; charset=utf-8".utf8), page, head) {
      (out: inout Lent) throws(ExchangeError) in
      try out.put("Location: ")
      try out.put(location)
      try out.put("\r\n")
    }
  }

  /// Sends the page for a failure: the route's, the site's, or a plain one.
  func respondError(
    _ exchange: Exchange,
    _ error: ExchangeError,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    let status = error.status
    exchange.status = status
    let allowed =
      status == 405 ? exchange.site?.allowedMethods(for: exchange, head.bytes, of: self) : nil
    let addFields: (inout Lent) throws(ExchangeError) -> Void = {
      (out: inout Lent) throws(ExchangeError) in
      if error.retryAfterSeconds > 0 || status == 503 {
        try out.put("Retry-After: ")
        try out.put(decimal: UInt64(max(1, error.retryAfterSeconds)))
        try out.put("\r\n")
      }
      if error.reason == .overloaded, !error.detail.isEmpty {
        try out.put("Martlet-Overload: ")
        try out.put(error.detail)
        try out.put("\r\n")
      }
      if let allowed {
        try out.put("Allow: ")
        try out.put(allowed)
        try out.put("\r\n")
      }
    }
    if let page = exchange.route?.errorPages[status] ?? exchange.site?.errorPages[status] {
      let body = try bytes(of: page.body, exchange, head)
      try await send(exchange, page.contentType, body, head, addFields)
      return
    }
    let text = "\(status) \(ReasonPhrase.text(of: status))\n"
    try await send(
      exchange,
      Array("text/plain; charset=utf-8".utf8),
      Array(text.utf8),
      head,
      addFields
    )
  }

  private func bytes(
    of template: TextTemplate,
    _ exchange: Exchange,
    _ head: borrowing Lent
  ) throws(ExchangeError) -> [UInt8] {
    if let literal = template.literal { return literal }
    var text = loop.lend(.body)
    try template.write(to: &text, exchange, self, head.bytes, answer: Span())
    return Array(copying: text.bytes)
  }

  private func send(
    _ exchange: Exchange,
    _ contentType: [UInt8],
    _ body: [UInt8],
    _ head: borrowing Lent,
    _ addFields: (inout Lent) throws(ExchangeError) -> Void
  ) async throws(ExchangeError) {
    var out = loop.lend(.head)
    let status = exchange.status
    let hasContent = status != 204 && status != 304
    if exchange.body.expectsContinue || !willDiscard(exchange.body) {
      exchange.closesClient = true
    }
    try out.put("HTTP/1.1 ")
    try out.put(decimal: UInt64(status))
    try out.put(" ")
    try out.put(ReasonPhrase.text(of: status))
    try out.put("\r\nDate: ")
    try out.put(worker.clock.httpDate)
    try out.put("\r\n")
    if hasContent {
      if !contentType.isEmpty {
        try out.put("Content-Type: ")
        try out.put(contentType)
        try out.put("\r\n")
      }
      try out.put("Content-Length: ")
      try out.put(decimal: UInt64(body.count))
      try out.put("\r\n")
    }
    try addFields(&out)
    for rule in exchange.route?.response.added ?? [] {
      try out.put(rule.name)
      try out.put(": ")
      try rule.value.write(to: &out, exchange, self, head.bytes, answer: Span())
      try out.put("\r\n")
    }
    try putConnection(exchange, &out)
    try out.put("\r\n")
    exchange.headBytesSent = out.count
    let sendsBody = hasContent && exchange.request.method != .head && !body.isEmpty
    if sendsBody, body.count <= out.freeCount {
      out.append(body.span)
      try await send(out, exchange)
    } else {
      try await send(out, exchange)
      if sendsBody { try await send(body, exchange) }
    }
  }

  /// Writes what becomes of the connection.
  func putConnection(_ exchange: Exchange, _ out: inout Lent) throws(ExchangeError) {
    if exchange.closesClient {
      try out.put("Connection: close\r\n")
    } else if exchange.request.version == .http10 {
      try out.put("Connection: keep-alive\r\n")
    }
  }

  private func escaped(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    for byte in text {
      switch byte {
      case 0x22: result += Array("&quot;".utf8)
      case 0x26: result += Array("&amp;".utf8)
      case 0x3C: result += Array("&lt;".utf8)
      case 0x3E: result += Array("&gt;".utf8)
      default: result.append(byte)
      }
    }
    return result
  }

  // MARK: The body nobody asked for

  /// Whether the rest of a body is short enough to be read and thrown away.
  private func willDiscard(_ body: MessageBody) -> Bool {
    switch body.state {
    case .ended: true
    case .fixed(let remaining): remaining <= Self.discardedBytes
    case .chunked, .untilClose: false
    }
  }

  /// Reads the rest of a request's body, so that the next request can be found.
  func discardBody(_ exchange: Exchange, _ head: inout Lent) async throws(ExchangeError) {
    exchange.body.allowance = .max
    let part = try exchange.body.take(from: &head, at: exchange.request.byteCount)
    exchange.requestEnd = part.end
    guard !exchange.closesClient, let timeout = exchange.route?.timeouts.body else { return }
    while !exchange.body.hasEnded {
      do {
        var block = try await stream.read(.head, by: loop.deadline(after: timeout))
        guard !block.isEmpty else { throw ExchangeError(.clientClosed) }
        let part = try exchange.body.take(from: &block, at: 0)
        if exchange.body.hasEnded, block.count > part.end {
          block.removeFirst(part.end)
          carried = consume block
        }
      } catch {
        // The answer was given; that the connection ends is all that is left to say.
        exchange.closesClient = true
        return
      }
    }
  }

  private static let discardedBytes: UInt64 = 64 << 10
}

/// Sending to the client, with failures in the exchange's terms.
extension HTTP1Connection {
  private var sendTimeout: Timeout { acceptor.plan.sendTimeout }

  func sendDeadline(_ exchange: Exchange) -> Deadline {
    loop.deadline(after: exchange.route?.timeouts.send ?? sendTimeout)
  }

  /// Sends all bytes of `out`.
  func send(_ out: borrowing Lent, _ exchange: Exchange) async throws(ExchangeError) {
    if let pace = exchange.pace {
      return try await send(out, 0..<out.count, exchange, at: pace)
    }
    let sent = try sendNow(out, exchange)
    if sent < out.count { try await sendRest(out, from: sent, exchange) }
  }

  /// Sends as much of `out` as the socket takes at once, and returns how much that was.
  func sendNow(_ out: borrowing Lent, _ exchange: Exchange) throws(ExchangeError) -> Int {
    exchange.responseStarted = true
    do throws(StreamError) {
      let sent = try stream.writeNow(out)
      exchange.bytesSent &+= UInt64(sent)
      return sent
    } catch {
      throw ExchangeError(sending: error)
    }
  }

  /// Sends the bytes of `out` from `offset` on, when the socket takes them.
  func sendRest(
    _ out: borrowing Lent,
    from offset: Int,
    _ exchange: Exchange
  ) async throws(ExchangeError) {
    do throws(StreamError) {
      try await stream.write(out, from: offset, by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
    exchange.bytesSent &+= UInt64(out.count - offset)
  }

  /// Sends a part of `block`.
  func send(
    _ block: borrowing Lent,
    _ range: Range<Int>,
    _ exchange: Exchange
  ) async throws(ExchangeError) {
    if let pace = exchange.pace { return try await send(block, range, exchange, at: pace) }
    do throws(StreamError) {
      try await stream.write(block, range, by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
    exchange.bytesSent &+= UInt64(range.count)
  }

  /// Sends `out`, a part of `block` and `tail` at once.
  func send(
    _ out: borrowing Lent,
    _ block: borrowing Lent,
    _ range: Range<Int>,
    tail: StaticString = "",
    _ exchange: Exchange
  ) async throws(ExchangeError) {
    if let pace = exchange.pace {
      try await send(out, 0..<out.count, exchange, at: pace)
      try await send(block, range, exchange, at: pace)
      guard tail.utf8CodeUnitCount > 0 else { return }
      var end = loop.lend(.head)
      end.append(tail)
      return try await send(end, 0..<end.count, exchange, at: pace)
    }
    exchange.responseStarted = true
    do throws(StreamError) {
      try await stream.write(out, block, range, tail: tail, by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
    exchange.bytesSent &+= UInt64(out.count + range.count + tail.utf8CodeUnitCount)
  }

  /// Sends the bytes of an array.
  func send(_ bytes: [UInt8], _ exchange: Exchange) async throws(ExchangeError) {
    if let pace = exchange.pace { return try await send(bytes, exchange, at: pace) }
    do throws(StreamError) {
      try await stream.write(bytes, by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
    exchange.bytesSent &+= UInt64(bytes.count)
  }
}

extension ExchangeError {
  /// The failure of a write to the client.
  init(sending error: StreamError) {
    switch error {
    case .timedOut: self.init(.clientTooSlow)
    case .cancelled, .failed: self.init(.clientClosed)
    }
  }
}
