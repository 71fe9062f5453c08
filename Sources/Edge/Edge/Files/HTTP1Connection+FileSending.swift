import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import StaticFiles

/// Sending what is in hand of a file.
extension HTTP1Connection {
  /// How far a call has come.
  enum FileProgress {
    /// All was sent.
    case all
    /// The socket takes no more for now.
    case full
    /// Much was sent at a time: others come first.
    case pause
  }

  /// Whether the kernel can send files to the socket by itself: not where bytes pass TLS, nor on a stream
  /// of HTTP/2.
  var passesFiles: Bool { tls == nil && carrier == nil }

  /// Sends what is in hand, as far as nothing has to be waited for.
  func sendFileNow(_ exchange: Exchange) throws(ExchangeError) -> FileProgress {
    exchange.responseStarted = true
    var rest = Self.bytesAtOnce
    while rest > 0 {
      if let isSent = try sendBufferNow(exchange) {
        guard isSent else { return .full }
        continue
      }
      guard let body = exchange.hand.file else { return .all }
      if body.count == 0 {
        guard try nextPart(exchange) else { return .all }
        continue
      }
      if let kept = body.keptRange, let bytes = body.representation.bytes {
        let count = try noted(exchange) { () throws(StreamError) in
          try stream.writeNow(bytes.span.extracting(kept))
        }
        if count == 0 { return .full }
        exchange.hand.file?.take(count)
        rest -= count
      } else if passesFiles, let file = body.representation.file {
        guard let count = try sendByKernel(exchange, file, body, upTo: rest) else { return .full }
        rest -= count
      } else {
        rest -= try fillBuffer(exchange)
      }
    }
    return .pause
  }

  /// As much as is sent to one client before others have their turn.
  private static let bytesAtOnce = 2 << 20

  /// Sends what is left in the buffer, together with kept bytes where they go with it.
  ///
  /// - Returns: Whether the socket has taken all; nil when there is nothing in the buffer.
  private func sendBufferNow(_ exchange: Exchange) throws(ExchangeError) -> Bool? {
    guard let out = exchange.hand.out.take() else { return nil }
    let sent = exchange.hand.sent
    let body = exchange.hand.file
    var count: Int
    if let body, let kept = body.keptRange, let bytes = body.representation.bytes, !kept.isEmpty {
      count = try noted(exchange) { () throws(StreamError) in
        try stream.writeNow(out, from: sent, bytes.span.extracting(kept))
      }
      let ofBody = max(0, count - (out.count - sent))
      exchange.hand.file?.take(ofBody)
      count -= ofBody
    } else if sent == 0, body != nil, passesFiles {
      // The file's first bytes go into the packet of the head.
      count = try noted(exchange) { () throws(StreamError) in
        try stream.writeNow(out, endsNext: true)
      }
    } else {
      count = try noted(exchange) { () throws(StreamError) in try stream.writeNow(out, from: sent) }
    }
    exchange.hand.sent = sent + count
    if exchange.hand.sent == out.count { return true }
    exchange.hand.out = consume out
    return false
  }

  /// - Returns: How many bytes the kernel has sent; nil when the socket is full.
  private func sendByKernel(
    _ exchange: Exchange,
    _ file: OpenFile,
    _ body: FileBody,
    upTo limit: Int
  ) throws(ExchangeError) -> Int? {
    let sent: Int?
    do throws(StreamError) {
      sent = try stream.sendFileNow(file, from: body.offset, count: min(body.count, limit))
    } catch {
      throw ExchangeError(sending: error)
    }
    guard let sent else { return nil }
    // What the head has promised is no longer there.
    guard sent > 0 else { throw ExchangeError(.fileFailed, detail: "became shorter") }
    exchange.bytesSent &+= UInt64(sent)
    exchange.hand.file?.take(sent)
    return sent
  }

  /// Reads the next bytes of the file into a buffer.
  private func fillBuffer(_ exchange: Exchange) throws(ExchangeError) -> Int {
    guard var body = exchange.hand.file else { return 0 }
    var out = loop.lend(.body)
    try fill(&out, from: &body)
    let count = out.count
    exchange.hand.file = body
    exchange.hand.out = consume out
    exchange.hand.sent = 0
    return count
  }

  /// Reads as many of the next bytes of a file as `out` has room for.
  func fill(_ out: inout Lent, from body: inout FileBody) throws(ExchangeError) {
    guard let file = body.representation.file else { return }
    let count: Int
    do throws(SystemError) {
      count = try out.fill(from: file, at: body.offset, upTo: min(body.count, out.freeCount))
    } catch {
      throw ExchangeError(.fileFailed, detail: "\(error)")
    }
    // What the head has promised is no longer there.
    guard count > 0 else { throw ExchangeError(.fileFailed, detail: "became shorter") }
    body.take(count)
  }

  /// Puts the lines of the next range into a buffer.
  ///
  /// - Returns: False when there is none.
  private func nextPart(_ exchange: Exchange) throws(ExchangeError) -> Bool {
    guard var body = exchange.hand.file else { return false }
    var out = loop.lend(.head)
    let hasMore = try body.advance(&out)
    exchange.hand.file = hasMore ? body : nil
    guard hasMore else { return false }
    exchange.hand.out = consume out
    exchange.hand.sent = 0
    return true
  }

  /// Sends what is in hand a buffer at a time: as fast as a pace allows, or in a coding.
  func sendBuffers(_ exchange: Exchange) async throws(ExchangeError) {
    while true {
      if let out = exchange.hand.out.take() {
        try await send(out, exchange.hand.sent..<out.count, exchange)
        continue
      }
      guard let body = exchange.hand.file else { break }
      if body.count == 0 {
        guard try nextPart(exchange) else { break }
      } else if let kept = body.keptRange, let bytes = body.representation.bytes {
        var out = loop.lend(.body)
        let count = min(kept.count, out.freeCount)
        out.append(bytes.span.extracting(kept.lowerBound..<kept.lowerBound + count))
        exchange.hand.file?.take(count)
        exchange.hand.out = consume out
        exchange.hand.sent = 0
      } else {
        _ = try fillBuffer(exchange)
      }
    }
    if exchange.coding != nil { try await finishCoding(exchange) }
  }
}
