import HTTP1
import HTTPMessage

/// Reads the answer to a POST, whose content is passed over.
struct BulkAnswer {
  private enum State {
    case head
    case fixed(remaining: UInt64)
    case chunked(ChunkedDecoder)
    case untilClose
    case over
  }

  private static let limits = HeadLimits()
  private static let post = Method(Array("POST".utf8).span)

  private var state = State.head
  private var parser = ResponseParser(limits: Self.limits)
  private var head = ResponseHead()
  private var held: [UInt8] = []

  /// The status, once ``isWhole``.
  var status: Int { Int(head.status) }
  /// Whether the connection may be used again.
  var keepsAlive: Bool { head.keepsAlive }
  /// Whether nothing came yet.
  private(set) var isUntouched = true
  /// Whether all of it was read.
  var isWhole: Bool { if case .over = state { true } else { false } }

  /// Takes bytes that came.
  mutating func take(_ bytes: [UInt8]) throws(MessageError) {
    isUntouched = false
    held += bytes
    while case .head = state {
      let text = held
      guard try parser.parse(text.span, answering: Self.post, into: &head) else { return }
      held.removeFirst(head.byteCount)
      if head.isInformational { continue }
      switch head.bodyLength {
      case .none: state = .over
      case .fixed(let length): state = .fixed(remaining: length)
      case .chunked: state = .chunked(ChunkedDecoder(limits: Self.limits))
      case .untilClose: state = .untilClose
      }
    }
    try passBody()
  }

  /// Whether the answer is whole if the connection ends here.
  mutating func end() -> Bool {
    guard case .untilClose = state else { return isWhole }
    head.keepsAlive = false
    state = .over
    return true
  }

  private mutating func passBody() throws(MessageError) {
    switch state {
    case .head, .over: return
    case .untilClose: held = []
    case .fixed(let remaining):
      let count = min(remaining, UInt64(held.count))
      held.removeFirst(Int(count))
      state = remaining == count ? .over : .fixed(remaining: remaining - count)
    case .chunked(var decoder):
      let bytes = held
      var offset = 0
      reading: while true {
        switch try decoder.next(in: bytes.span, at: &offset) {
        case .needBytes: break reading
        case .data, .trailer: continue
        case .end:
          state = .over
          return
        }
      }
      held.removeFirst(offset)
      state = .chunked(decoder)
    }
  }
}
