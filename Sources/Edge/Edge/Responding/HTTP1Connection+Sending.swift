import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// Sending to the client, with failures in the exchange's terms.
extension HTTP1Connection {
  private var sendTimeout: Timeout { acceptor.plan.sendTimeout }

  func sendDeadline(_ exchange: Exchange) -> Deadline {
    loop.deadline(after: exchange.route?.timeouts.send ?? sendTimeout)
  }

  /// Sends all bytes of `out`.
  func send(_ out: borrowing Lent, _ exchange: Exchange) async throws(ExchangeError) {
    if let coding = exchange.coding {
      return try await encode(out, 0..<out.count, exchange, coding)
    }
    if let pace = exchange.pace {
      return try await send(out, 0..<out.count, exchange, at: pace)
    }
    let sent = try sendNow(out, exchange)
    if sent < out.count { try await sendRest(out, from: sent, exchange) }
  }

  /// Counts what was sent, and tells of failures in the exchange's terms.
  func noted(
    _ exchange: Exchange,
    _ send: () throws(StreamError) -> Int
  ) throws(ExchangeError) -> Int {
    do throws(StreamError) {
      let count = try send()
      exchange.bytesSent &+= UInt64(count)
      return count
    } catch {
      throw ExchangeError(sending: error)
    }
  }

  /// Sends as much of `out` as the socket takes at once, and returns how much that was.
  ///
  /// With `endsNext` the connection ends behind it: its end may go in the same packet.
  @inline(__always)
  func sendNow(
    _ out: borrowing Lent,
    _ exchange: Exchange,
    endsNext: Bool = false
  ) throws(ExchangeError) -> Int {
    exchange.responseStarted = true
    do throws(StreamError) {
      let sent = try stream.writeNow(out, endsNext: endsNext)
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
    if let coding = exchange.coding { return try await encode(block, range, exchange, coding) }
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
    if let coding = exchange.coding {
      try await encode(out, 0..<out.count, exchange, coding)
      return try await encode(block, range, exchange, coding)
    }
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
    if let coding = exchange.coding {
      return try await encode(bytes, 0..<bytes.count, exchange, coding)
    }
    if let pace = exchange.pace { return try await send(bytes, exchange, at: pace) }
    do throws(StreamError) {
      try await stream.write(bytes, by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
    exchange.bytesSent &+= UInt64(bytes.count)
  }

  /// Sends what is in the buffer, and then a part of a piece.
  func send(
    _ out: borrowing Lent,
    _ bytes: [UInt8],
    _ place: Range<Int>,
    _ exchange: Exchange
  ) async throws(ExchangeError) {
    if let coding = exchange.coding {
      try await encode(out, 0..<out.count, exchange, coding)
      return try await encode(bytes, place, exchange, coding)
    }
    try await sendPlain(out, bytes, place, exchange)
  }

  /// Sends what is in the buffer, and then a part of a piece, as they are.
  func sendPlain(
    _ out: borrowing Lent,
    _ bytes: [UInt8],
    _ place: Range<Int>,
    _ exchange: Exchange
  ) async throws(ExchangeError) {
    exchange.responseStarted = true
    if let pace = exchange.pace {
      try await send(out, 0..<out.count, exchange, at: pace)
      return try await send(Array(bytes[place]), exchange, at: pace)
    }
    var sent = 0
    while sent < out.count + place.count {
      let count = try noted(exchange) { () throws(StreamError) in
        let start = place.lowerBound + max(0, sent - out.count)
        let rest = bytes.span.extracting(start..<place.upperBound)
        return sent < out.count
          ? try stream.writeNow(out, from: sent, rest) : try stream.writeNow(rest)
      }
      sent += count
      if sent < out.count + place.count, count == 0 || tls == nil {
        try await waitForRoom(exchange)
      }
    }
  }

  /// Waits until the socket takes bytes again.
  func waitForRoom(_ exchange: Exchange) async throws(ExchangeError) {
    do throws(StreamError) {
      try await stream.writable(by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
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
