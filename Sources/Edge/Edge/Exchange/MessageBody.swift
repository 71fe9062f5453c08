import HTTP1
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry

/// How much of a message's body is still to come.
struct MessageBody {
  enum State {
    case ended
    case fixed(remaining: UInt64)
    case chunked(Decoder)
    case untilClose
  }

  /// The state between two chunks: of its own, because it is large and most bodies have none.
  final class Decoder {
    var decoder: ChunkedDecoder
    init(limits: HeadLimits) { decoder = ChunkedDecoder(limits: limits) }
  }

  /// A part of the body that lies in one buffer.
  struct Part {
    /// Where the data lies, already moved together.
    var data = 0..<0
    /// The offset of the first byte that does not belong to what was taken.
    var end = 0
  }

  private(set) var state = State.ended
  /// The bytes of the body that are still allowed.
  var allowance = UInt64.max
  /// Whether the client waits for 100 (Continue).
  private(set) var expectsContinue = false
  /// The trailer lines seen, each with its CRLF.
  private(set) var trailers: [UInt8] = []

  init() {}

  /// Stands at the start of the body of an exchange's request.
  init(of exchange: Exchange, limits: HeadLimits) {
    switch exchange.request.bodyLength {
    case .none: break
    case let length: state = Self.state(length, limits)
    }
    expectsContinue = exchange.request.expectsContinue
  }

  /// Stands at the start of the body of an exchange's response.
  init(answering exchange: Exchange, limits: HeadLimits) {
    state = Self.state(exchange.response.bodyLength, limits)
  }

  private static func state(_ length: BodyLength, _ limits: HeadLimits) -> State {
    switch length {
    case .none, .fixed(0): .ended
    case .fixed(let count): .fixed(remaining: count)
    case .chunked: .chunked(Decoder(limits: limits))
    case .untilClose: .untilClose
    }
  }

  /// Whether everything was taken.
  var hasEnded: Bool {
    if case .ended = state { true } else { false }
  }

  /// Whether it ends when the connection does.
  var endsWithConnection: Bool {
    if case .untilClose = state { true } else { false }
  }

  /// Notes that the client was told to send it.
  mutating func noteContinued() { expectsContinue = false }

  /// How much is to come of a body of known length; 0 for others.
  var fixedRemaining: UInt64 {
    if case .fixed(let remaining) = state { remaining } else { 0 }
  }

  /// Takes `count` bytes of a body of known length that pass without being looked at.
  ///
  /// - Throws: ``ExchangeError`` when the body is too long.
  mutating func pass(_ count: Int) throws(ExchangeError) {
    try allow(count)
    let remaining = fixedRemaining - UInt64(count)
    state = remaining == 0 ? .ended : .fixed(remaining: remaining)
  }

  /// Takes as much of the body as `buffer` holds from `start` on.
  ///
  /// The data of several chunks is moved together, so that one range holds it all. Bytes from
  /// ``Part/end`` on are either the next message's, if the body has ended, or the beginning of
  /// something that is not complete yet.
  ///
  /// - Throws: ``ExchangeError`` when the framing is broken or the body too long.
  mutating func take(from buffer: inout Lent, at start: Int) throws(ExchangeError) -> Part {
    switch state {
    case .ended:
      return Part(data: start..<start, end: start)
    case .untilClose:
      try allow(buffer.count - start)
      return Part(data: start..<buffer.count, end: buffer.count)
    case .fixed(let remaining):
      let count = Int(min(remaining, UInt64(buffer.count - start)))
      try allow(count)
      state = UInt64(count) == remaining ? .ended : .fixed(remaining: remaining - UInt64(count))
      return Part(data: start..<start + count, end: start + count)
    case .chunked(let chunks):
      return try takeChunks(chunks, from: &buffer, at: start)
    }
  }

  private mutating func takeChunks(
    _ chunks: Decoder,
    from buffer: inout Lent,
    at start: Int
  ) throws(ExchangeError) -> Part {
    var part = Part(data: start..<start, end: start)
    do throws(MessageError) {
      scanning: while true {
        switch try chunks.decoder.next(in: buffer.bytes, at: &part.end) {
        case .needBytes: break scanning
        case .data(let range):
          let target = part.data.upperBound
          if range.lowerBound != target { buffer.move(range, to: target) }
          part.data = part.data.lowerBound..<target + range.count
        case .trailer(let name, let value):
          trailers.append(copying: buffer.bytes.extracting(name))
          trailers += [0x3A, 0x20]
          trailers.append(copying: buffer.bytes.extracting(value))
          trailers += [0x0D, 0x0A]
        case .end:
          state = .ended
          break scanning
        }
      }
    } catch {
      throw ExchangeError(.bodyRefused, status: error.status, detail: error.reason.rawValue)
    }
    try allow(part.data.count)
    return part
  }

  private mutating func allow(_ count: Int) throws(ExchangeError) {
    guard UInt64(count) <= allowance else { throw ExchangeError(.bodyTooLarge) }
    allowance -= UInt64(count)
  }
}
