public import HTTPMessage
import MartletBytes

/// Reads one response of a server as it comes: its head, and its content piece by piece.
///
/// For who asks for itself. What passes answers on uses ``ResponseParser`` and its own buffers, and copies nothing.
///
/// - Source: RFC 9112, sections 4 to 8.
public struct ResponseReader: Sendable {
  /// Where in the response the next byte stands.
  private enum State: Sendable {
    case head
    case fixed(remaining: UInt64)
    case chunked(ChunkedDecoder)
    case untilClose
    case over
  }

  private let method: Method
  private let limits: HeadLimits
  private var state = State.head
  private var parser: ResponseParser
  private var text: [UInt8] = []
  private var held: [UInt8] = []

  /// What the head says, once it is there; that of a 1xx is passed over.
  public private(set) var head = ResponseHead()
  /// Whether nothing came yet.
  public private(set) var isUntouched = true

  /// Creates a reader that stands before the first byte of the answer to a request of this method.
  public init(answering method: String, limits: HeadLimits = HeadLimits()) {
    self.method = Method(Array(method.utf8).span)
    self.limits = limits
    parser = ResponseParser(limits: limits)
  }

  /// Whether all of it was read.
  public var isWhole: Bool { if case .over = state { true } else { false } }

  /// Whether the head is there.
  public var hasHead: Bool { if case .head = state { false } else { true } }

  /// Whether bytes came behind the response, which belong to another or to none.
  public var hasMore: Bool { isWhole && !held.isEmpty }

  /// The value of the first field of this name, at most `limit` bytes of it.
  public func field(_ name: String, limit: Int = 4096) -> String? {
    guard let line = head.field(named: Array(name.utf8).span, in: text.span) else { return nil }
    return String(decoding: text[line.valueRange.range].prefix(limit), as: UTF8.self)
  }

  /// Takes bytes that came.
  ///
  /// - Returns: What is content of them, without the form of chunks.
  /// - Throws: ``HTTPMessage/MessageError``: it is not in form.
  @discardableResult
  public mutating func take(_ bytes: [UInt8]) throws(MessageError) -> [UInt8] {
    isUntouched = false
    held += bytes
    return try readOn()
  }

  /// Stands before the next response, to a request of the same method over the same connection; what came
  /// behind the last one is read.
  ///
  /// - Returns: What is content of that, without the form of chunks.
  /// - Throws: ``HTTPMessage/MessageError``: it is not in form.
  @discardableResult
  public mutating func beginNext() throws(MessageError) -> [UInt8] {
    precondition(isWhole, "a response begins before the last one has ended")
    state = .head
    isUntouched = held.isEmpty
    return isUntouched ? [] : try readOn()
  }

  private mutating func readOn() throws(MessageError) -> [UInt8] {
    while case .head = state {
      // Taken out meanwhile, so that nothing is copied to be changed.
      var bytes: [UInt8] = []
      swap(&bytes, &held)
      let isThere = try parser.parse(bytes.span, answering: method, into: &head)
      if isThere {
        text.removeAll(keepingCapacity: true)
        text += bytes[..<head.byteCount]
        bytes.removeFirst(head.byteCount)
      }
      swap(&bytes, &held)
      guard isThere else { return [] }
      if !head.isInformational { beginBody() }
    }
    return try takeBody()
  }

  /// Says that the connection has ended.
  ///
  /// - Returns: Whether the response is whole then.
  public mutating func end() -> Bool {
    if case .untilClose = state { state = .over }
    return isWhole
  }

  private mutating func beginBody() {
    switch head.bodyLength {
    case .none: state = .over
    case .fixed(let length): state = length == 0 ? .over : .fixed(remaining: length)
    case .chunked: state = .chunked(ChunkedDecoder(limits: limits))
    case .untilClose: state = .untilClose
    }
  }

  private mutating func takeBody() throws(MessageError) -> [UInt8] {
    var content: [UInt8] = []
    switch state {
    case .head, .over: break
    case .untilClose:
      swap(&content, &held)
    case .fixed(let remaining):
      let count = Int(min(remaining, UInt64(held.count)))
      content += held.prefix(count)
      held.removeFirst(count)
      state = remaining == UInt64(count) ? .over : .fixed(remaining: remaining - UInt64(count))
    case .chunked(var decoder):
      let bytes = held
      var offset = 0
      reading: while true {
        switch try decoder.next(in: bytes.span, at: &offset) {
        case .needBytes:
          state = .chunked(decoder)
          break reading
        case .data(let range): content += bytes[range]
        case .trailer: continue
        case .end:
          state = .over
          break reading
        }
      }
      held.removeFirst(offset)
    }
    return content
  }
}
