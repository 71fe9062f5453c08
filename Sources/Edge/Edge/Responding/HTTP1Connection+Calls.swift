import GRPC
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// What clients of gRPC are told: the outcome of a call stands in trailers, or in a head that nothing
/// follows.
extension HTTP1Connection {
  /// Whether a request is a call of gRPC, be it of a browser.
  func isCall(_ exchange: Exchange, _ head: Span<UInt8>) -> Bool {
    guard exchange.refusal == nil, let line = exchange.request.first(.contentType),
      line.valueRange.upperBound <= head.count
    else { return false }
    let type = head.extracting(line.valueRange.range)
    return CallStatus.isCall(contentType: type) || WebForm(contentType: type) != nil
  }

  /// How a browser calls; nil: nobody does, or in the way of gRPC.
  func browserCall(_ exchange: Exchange, _ head: Span<UInt8>) -> BrowserCall? {
    guard let line = exchange.request.first(.contentType), line.valueRange.upperBound <= head.count
    else { return nil }
    return BrowserCall(contentType: head.extracting(line.valueRange.range))
  }

  /// Answers a call that has failed; the log has the status that others would have been told.
  func refuseCall(
    _ exchange: Exchange,
    _ error: ExchangeError,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    var out = loop.lend(.head)
    try out.put("HTTP/1.1 200 OK\r\nDate: ")
    try out.put(worker.clock.httpDate)
    try out.put("\r\nContent-Type: ")
    let call = browserCall(exchange, head.bytes)
    try out.put(call?.contentType ?? Self.callType)
    try out.put("\r\nContent-Length: 0\r\n")
    try putCallStatus(exchange, error, into: &out)
    if let rules = exchange.route?.response, rules.adds {
      try rules.put(exchange, self, head.bytes, answer: Span(), into: &out)
    }
    try putConnection(exchange, &out)
    try out.put("\r\n")
    exchange.headBytesSent = out.count
    try await send(out, exchange)
  }

  /// Ends a call with trailers that say why its answer breaks off.
  ///
  /// - Returns: Whether that was possible.
  func endCall(
    _ exchange: Exchange,
    _ error: ExchangeError,
    _ head: borrowing Lent
  ) async -> Bool {
    switch error.reason {
    case .clientClosed, .clientReset, .clientTooSlow, .cut, .drained: return false
    default: break
    }
    switch exchange.response.bodyLength {
    case .chunked, .untilClose: break
    case .none, .fixed: return false
    }
    guard exchange.request.version == .http11, !stream.isClosed else { return false }
    do throws(ExchangeError) {
      var out = loop.lend(.head)
      if let call = browserCall(exchange, head.bytes) {
        try putCallStatus(exchange, error, into: &out)
        let message = call.form.encoded(WebForm.message(of: Array(copying: out.bytes)))
        out.truncate(to: 0)
        try out.putChunkSize(message.count)
        try out.put(message)
        try out.put("\r\n0\r\n\r\n")
      } else {
        try out.put("0\r\n")
        try putCallStatus(exchange, error, into: &out)
        try out.put("\r\n")
      }
      try await send(out, exchange)
      return true
    } catch {
      return false
    }
  }

  private static let callType = Array("application/grpc".utf8)

  private func putCallStatus(
    _ exchange: Exchange,
    _ error: ExchangeError,
    into out: inout Lent
  ) throws(ExchangeError) {
    let status = CallStatus(http: error.status).rawValue
    exchange.callStatus = status
    try out.put("grpc-status: ")
    try out.put(decimal: UInt64(status))
    try out.put("\r\ngrpc-message: ")
    let text = "\(ReasonPhrase.text(of: error.status)) (\(error.reason.rawValue))"
    try out.put(CallStatus.encoded(message: text))
    try out.put("\r\n")
  }
}
