import Limiting
import MartletLoop
import MartletNet
import MartletTelemetry

/// How fast an answer may be sent, where a limit says so.
final class Pace {
  private struct Part {
    let table: ByteTable?
    let rate: ByteRate
    let key: UInt64
    /// What is sent without being counted.
    var freeBytes: UInt64
    /// When the bucket of an answer that has its own is full again.
    var full: UInt64 = 0
  }

  private var parts: [Part] = []
  /// How many bytes are sent at a time.
  private(set) var pieceBytes = 65_536

  /// Adds a limit.
  func add(_ table: ByteTable?, _ rate: ByteRate, key: UInt64, freeBytes: UInt64) {
    parts.append(Part(table: table, rate: rate, key: key, freeBytes: freeBytes))
    pieceBytes = min(pieceBytes, rate.pieceBytes)
  }

  /// Books `count` bytes with every limit.
  ///
  /// - Returns: The moment at which they may be sent.
  func book(_ count: Int, at now: UInt64) -> UInt64 {
    var moment = now
    for index in parts.indices {
      let free = min(parts[index].freeBytes, UInt64(count))
      parts[index].freeBytes -= free
      let paid = UInt64(count) - free
      guard paid > 0 else { continue }
      let part = parts[index]
      let time =
        part.table?.book(paid, for: part.key, at: now)
        ?? part.rate.book(paid, in: &parts[index].full, at: now)
      moment = max(moment, time)
    }
    return moment
  }
}

/// Sending at a pace: in pieces, each of which waits for its time.
extension HTTP1Connection {
  /// Sends a part of `block` as fast as `pace` allows.
  func send(
    _ block: borrowing Lent,
    _ range: Range<Int>,
    _ exchange: Exchange,
    at pace: Pace
  ) async throws(ExchangeError) {
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(start + pace.pieceBytes, range.upperBound)
      try await wait(for: pace.book(end - start, at: UInt64(loop.now)))
      exchange.responseStarted = true
      do throws(StreamError) {
        try await stream.write(block, start..<end, by: sendDeadline(exchange))
      } catch {
        throw ExchangeError(sending: error)
      }
      exchange.bytesSent &+= UInt64(end - start)
      start = end
    }
  }

  /// Sends the bytes of an array as fast as `pace` allows.
  func send(
    _ bytes: [UInt8],
    _ exchange: Exchange,
    at pace: Pace
  ) async throws(ExchangeError) {
    var start = 0
    while start < bytes.count {
      var block = loop.lend(.head)
      let end = min(start + block.freeCount, bytes.count)
      block.append(bytes.span.extracting(start..<end))
      try await send(block, 0..<block.count, exchange, at: pace)
      start = end
    }
  }

  /// Waits for a moment, and looks now and then whether the client is still there.
  private func wait(for moment: UInt64) async throws(ExchangeError) {
    while moment > UInt64(loop.now) {
      if stream.isClosed || worker.isOver { throw ExchangeError(.clientClosed) }
      let rest = min(Int64(moment) - loop.now, Self.lookNanoseconds)
      do throws(WaitError) {
        try await loop.sleep(for: .nanoseconds(rest))
      } catch {
        throw ExchangeError(.overloaded)
      }
    }
  }

  private static let lookNanoseconds: Int64 = 1_000_000_000
}
