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
    case .files(let plan): try await answerFile(exchange, plan, head)
    case .proxy, .authority, .own, .program: throw ExchangeError(.internalError)
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
    try await sendAnswer(exchange, fixed.contentType, body, head) { _ throws(ExchangeError) in }
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
    try await sendAnswer(exchange, Array(contentType.utf8), body, head) { _ throws(ExchangeError) in
    }
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
    try await sendAnswer(exchange, Array("text/html; charset=utf-8".utf8), page, head) {
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
    if exchange.coding != nil { endCoding(exchange) }
    if isCall(exchange, head.bytes) { return try await refuseCall(exchange, error, head) }
    let allowed =
      status == 405
      ? exchange.route?.files?.allowed
        ?? exchange.site?.allowedMethods(for: exchange, head.bytes, of: self) : nil
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
      if error.reason == .rangeNotSatisfiable {
        try out.put("Content-Range: bytes */")
        try out.put(error.detail)
        try out.put("\r\n")
      }
      if status == 413, let plan = exchange.route?.files {
        try self.putLimits(of: exchange, plan, &out)
      }
      if error.reason == .codingNotSupported {
        try out.put("Accept-Encoding: zstd, br, gzip\r\n")
      }
      if let allowed {
        try out.put("Allow: ")
        try out.put(allowed)
        try out.put("\r\n")
      }
    }
    if let page = exchange.route?.errorPages[status] ?? exchange.site?.errorPages[status] {
      let body = try bytes(of: page.body, exchange, head)
      try await sendAnswer(exchange, page.contentType, body, head, addFields)
      return
    }
    let text = "\(status) \(ReasonPhrase.text(of: status))\n"
    try await sendAnswer(
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

  /// Sends an answer that was made for this exchange, with the fields that `addFields` writes.
  func sendAnswer(
    _ exchange: Exchange,
    _ contentType: [UInt8],
    _ body: [UInt8],
    _ head: borrowing Lent,
    _ addFields: (inout Lent) throws(ExchangeError) -> Void
  ) async throws(ExchangeError) {
    var out = loop.lend(.head)
    let status = exchange.status
    let hasContent = status != 204 && status != 304
    closeUnlessBodyIsShort(exchange)
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
    if let rules = exchange.route?.response, rules.adds {
      try rules.put(exchange, self, head.bytes, answer: Span(), into: &out)
    }
    try putConnection(exchange, &out)
    try out.put("\r\n")
    exchange.headBytesSent = out.count
    if let plan = exchange.route?.compression {
      try beginCoding(plan, exchange, head.bytes, &out)
    }
    let sendsBody = hasContent && exchange.request.method != .head && !body.isEmpty
    if sendsBody, body.count <= out.freeCount {
      out.append(body.span)
      try await send(out, exchange)
    } else {
      try await send(out, exchange)
      if sendsBody { try await send(body, exchange) }
    }
    if exchange.coding != nil { try await finishCoding(exchange) }
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

  /// Sees to it that the connection ends where the rest of the request's body would have to be read.
  func closeUnlessBodyIsShort(_ exchange: Exchange) {
    if exchange.body.expectsContinue || !willDiscard(exchange.body) {
      exchange.closesClient = true
    }
  }

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
