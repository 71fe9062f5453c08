import HTTP1
import HTTPMessage
import MartletBytes

/// Reads the answer to a GET whose connection ends with it; of its content so much is kept as may be.
struct CrawlAnswer {
  private enum State {
    case head
    case fixed(remaining: UInt64)
    case chunked(ChunkedDecoder)
    case untilClose
    case over
  }

  private static let limits: HeadLimits = {
    var limits = HeadLimits()
    limits.headBytes = 65_535
    return limits
  }()
  private static let get = Method(Array("GET".utf8).span)

  private var state = State.head
  private var parser = ResponseParser(limits: Self.limits)
  private var head = ResponseHead()
  private var held: [UInt8] = []
  private let limit: Int

  /// The content, as much as is kept of it.
  private(set) var body: [UInt8] = []
  /// How many bytes of content have come.
  private(set) var byteCount = 0
  /// What the fields say of the kind of the content and of where to ask instead.
  private(set) var contentType = ""
  private(set) var location: String?

  init(limit: Int) { self.limit = limit }

  var status: Int { Int(head.status) }

  /// Whether all of it has come, or all that is looked at.
  var isOver: Bool {
    if case .over = state { return true }
    return byteCount >= limit
  }

  mutating func take(_ bytes: [UInt8]) throws(MessageError) {
    held += bytes
    while case .head = state {
      let text = held
      guard try parser.parse(text.span, answering: Self.get, into: &head) else { return }
      contentType = value("content-type", text) ?? ""
      location = value("location", text)
      held.removeFirst(head.byteCount)
      if head.isInformational { continue }
      switch head.bodyLength {
      case .none: state = .over
      case .fixed(let length): state = length == 0 ? .over : .fixed(remaining: length)
      case .chunked: state = .chunked(ChunkedDecoder(limits: Self.limits))
      case .untilClose: state = .untilClose
      }
    }
    try takeBody()
  }

  /// Whether the answer is whole if the connection ends here.
  mutating func end() -> Bool {
    if case .untilClose = state { return true }
    return isOver
  }

  private func value(_ name: String, _ text: [UInt8]) -> String? {
    guard let line = head.field(named: Array(name.utf8).span, in: text.span) else { return nil }
    let start = Int(line.valueRange.start)
    let end = start + min(Int(line.valueRange.count), 4096)
    return String(decoding: text[start..<end], as: UTF8.self)
  }

  private mutating func keep(_ bytes: some Collection<UInt8>) {
    byteCount += bytes.count
    body += bytes.prefix(max(0, limit - body.count))
  }

  private mutating func takeBody() throws(MessageError) {
    switch state {
    case .head, .over: return
    case .untilClose:
      keep(held)
      held = []
    case .fixed(let remaining):
      let count = min(remaining, UInt64(held.count))
      keep(held.prefix(Int(count)))
      held = []
      state = remaining == count ? .over : .fixed(remaining: remaining - count)
    case .chunked(var decoder):
      let bytes = held
      var offset = 0
      while true {
        switch try decoder.next(in: bytes.span, at: &offset) {
        case .needBytes:
          held.removeFirst(offset)
          state = .chunked(decoder)
          return
        case .data(let range): keep(bytes[range])
        case .trailer: continue
        case .end:
          state = .over
          return
        }
      }
    }
  }
}
