import HTTPMessage
import MartletLoop
import MartletNet

/// Bodies of requests that are answered here, and not passed on.
extension HTTP1Connection {
  /// Receives a body, and hands on what comes; what stands behind it is kept for the next request.
  ///
  /// A client that waits for that is told to go on. `pause` is called whenever more is to come.
  ///
  /// - Throws: ``ExchangeError``: the body is too long, broken, or does not come in time, or `take` wants no more.
  func receiveBody(
    _ exchange: Exchange,
    _ head: inout Lent,
    _ take: (Span<UInt8>) throws(ExchangeError) -> Void,
    pause: () async throws(ExchangeError) -> Void = { () async throws(ExchangeError) in }
  ) async throws(ExchangeError) {
    _ = try await takeBody(
      exchange,
      &head,
      while: { (bytes: Span<UInt8>) throws(ExchangeError) in
        try take(bytes)
        return true
      },
      pause: pause
    )
  }

  /// Receives a body as long as `take` wants more of it.
  ///
  /// - Returns: What was received and not taken, where the body has not ended.
  func takeBody(
    _ exchange: Exchange,
    _ head: inout Lent,
    while take: (Span<UInt8>) throws(ExchangeError) -> Bool,
    pause: () async throws(ExchangeError) -> Void = { () async throws(ExchangeError) in }
  ) async throws(ExchangeError) -> Lent? {
    try await tellToContinue(exchange)
    let first = try exchange.body.take(from: &head, at: exchange.request.byteCount)
    exchange.requestEnd = first.end
    exchange.bytesReceived &+= UInt64(first.end - exchange.request.byteCount)
    let wantsMore = try take(head.bytes.extracting(first.data))
    guard !exchange.body.hasEnded else { return nil }
    // What the head's buffer holds of a line that is not complete goes on in another one.
    var block = loop.lend(.body)
    block.append(head.bytes.extracting(first.end..<head.count))
    exchange.requestEnd = head.count
    guard wantsMore else { return block }
    while true {
      try await receiveMore(exchange, &block)
      let part = try exchange.body.take(from: &block, at: 0)
      exchange.bytesReceived &+= UInt64(part.end)
      let wantsMore = try take(block.bytes.extracting(part.data))
      block.removeFirst(part.end)
      guard exchange.body.hasEnded else {
        guard wantsMore else { return block }
        try await pause()
        continue
      }
      if !block.isEmpty { carried = consume block }
      return nil
    }
  }

  /// Tells a client to go on that waits for that before it sends its body.
  func tellToContinue(_ exchange: Exchange) async throws(ExchangeError) {
    guard exchange.body.expectsContinue, !exchange.body.hasEnded else { return }
    var out = loop.lend(.head)
    out.append("HTTP/1.1 100 Continue\r\n\r\n")
    do throws(StreamError) {
      try await stream.write(out, by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
    exchange.body.noteContinued()
  }

  /// Receives more of a body behind what `block` holds.
  func receiveMore(
    _ exchange: Exchange,
    _ block: inout Lent
  ) async throws(ExchangeError) {
    do throws(StreamError) {
      let limit = exchange.route?.timeouts.body ?? headTimeout
      let count = try await stream.more(&block, by: loop.deadline(after: limit))
      guard count > 0 else { throw StreamError.cancelled }
    } catch {
      throw ExchangeError(receiving: error)
    }
  }
}
