import MartletLoop
import MartletNet
import MartletTelemetry

/// When bytes pass through a pipe, without being copied, instead of through a buffer.
///
/// A pipe costs as much as a small block, so that it pays only while much comes at a time.
struct Bulk {
  /// A body with less to come is copied.
  private static let leastRemaining: UInt64 = 64 << 10
  /// A pipe with less in it was not worth its calls.
  private static let leastPiece = 16 << 10

  /// Whether the next bytes are to take the pipe.
  private(set) var isOn: Bool

  /// Starts with what is known of a body; a length that is not known is 0.
  init(remaining: UInt64) { isOn = remaining >= Self.leastRemaining }

  /// Takes a block into account that was read into a buffer.
  mutating func took(_ block: borrowing Lent, remaining: UInt64 = .max) {
    isOn = block.freeCount == 0 && remaining >= Self.leastRemaining
  }

  /// Takes a piece into account that came in a pipe; with 0 there was none.
  mutating func took(_ piece: Int) { isOn = piece >= Self.leastPiece }
}

extension ReverseProxy {
  /// Passes a piece of the answer's body through a pipe.
  ///
  /// - Returns: How many bytes passed; 0 when there was no pipe.
  func splice(
    _ remaining: inout UInt64,
    _ source: borrowing AnswerSource,
    by total: Deadline
  ) async throws(ExchangeError) -> Int {
    let stream = source.connection.stream
    guard client.stream.passesPipes else { return 0 }
    let piece: LentPipe?
    do throws(StreamError) {
      let limit = loop.deadline(after: route.timeouts.read).earlier(total)
      piece = try await stream.readPipe(upTo: Int(clamping: remaining), by: limit)
    } catch {
      throw ExchangeError(reading: error, hasBegun: true)
    }
    guard var pipe = piece else { return 0 }
    let count = pipe.count
    guard count > 0 else { throw ExchangeError(.upstreamCut, detail: "\(remaining) missing") }
    remaining -= UInt64(count)
    if remaining == 0 { settle(source, isClean: !stream.hasUnreadInput()) }
    try await client.send(&pipe, exchange)
    return count
  }
}

extension HTTP1Connection {
  /// Sends what is in `pipe`.
  func send(_ pipe: inout LentPipe, _ exchange: Exchange) async throws(ExchangeError) {
    let count = pipe.count
    defer { exchange.bytesSent &+= UInt64(count - pipe.count) }
    do throws(StreamError) {
      let limit = exchange.route?.timeouts.send ?? acceptor.plan.sendTimeout
      try await stream.write(&pipe, pause: limit)
    } catch {
      throw ExchangeError(sending: error)
    }
  }
}

extension Upload {
  /// Passes a piece of a body of known length through a pipe.
  ///
  /// - Returns: How many bytes passed; 0 when there was no pipe, nil when the member takes no more.
  func splice(_ remaining: UInt64) async throws(ExchangeError) -> Int? {
    guard connection.stream.passesPipes else { return 0 }
    let piece: LentPipe?
    do throws(StreamError) {
      let limit = client.loop.deadline(after: route.timeouts.body)
      piece = try await client.stream.readPipe(upTo: Int(clamping: remaining), by: limit)
    } catch {
      throw ExchangeError(receiving: error)
    }
    guard var pipe = piece else { return 0 }
    let count = pipe.count
    guard count > 0 else { throw ExchangeError(.clientClosed) }
    try exchange.body.pass(count)
    exchange.bytesReceived &+= UInt64(count)
    if exchange.body.hasEnded { _ = client.stream.hasUnreadInput() }
    do throws(StreamError) {
      try await connection.stream.write(&pipe, pause: route.timeouts.write)
    } catch {
      return nil
    }
    return count
  }
}
