/// A message that has a head, which says what it is, and a body, which may be longer than memory.
///
/// Four bytes tell how long the head is and eight how long the body is, the most significant byte first; the head
/// follows, and then the body.
public enum HeadedFrame {
  /// How many bytes stand before the head.
  public static let prefixBytes = 12

  /// What goes before a body of so many bytes: the two lengths and the head.
  public static func start(head: [UInt8], bodyBytes: Int) -> [UInt8] {
    precondition(head.count <= Int(UInt32.max) && bodyBytes >= 0, "lengths that cannot be said")
    return number(UInt64(head.count), in: 4) + number(UInt64(bodyBytes), in: 8) + head
  }

  private static func number(_ value: UInt64, in byteCount: Int) -> [UInt8] {
    (0..<byteCount).reversed().map { UInt8(truncatingIfNeeded: value >> (UInt64($0) * 8)) }
  }
}

/// Takes a stream of bytes apart into messages with a head and a body: heads whole, bodies part by part and
/// without keeping any of them.
public struct HeadedDecoder: Sendable {
  /// What a stretch of bytes has.
  public enum Event: Hashable, Sendable {
    /// A head is whole; its body, of so many bytes, follows.
    case head([UInt8], bodyBytes: Int)
    /// Bytes of the body, by their place among those that are decoded.
    case body(Range<Int>)
  }

  /// The most bytes of a head.
  public let headLimit: Int
  /// The most bytes of a body.
  public let bodyLimit: Int
  /// How many bytes of the body are still to come.
  public private(set) var bodyLeft = 0
  /// What has come of the two lengths and the head.
  private var started: [UInt8] = []
  /// How long both are, once the lengths are there.
  private var lengths: (head: Int, body: Int)?

  /// Creates a decoder that stands before a message.
  public init(headLimit: Int, bodyLimit: Int) {
    precondition(headLimit >= 0 && bodyLimit >= 0, "limits are not negative")
    self.headLimit = headLimit
    self.bodyLimit = bodyLimit
  }

  /// Whether a part of a message has come, so that the stream must not end here.
  public var isWithinFrame: Bool { bodyLeft > 0 || !started.isEmpty }

  /// The next event in `bytes`, behind which `offset` stands then; nil when they are used up.
  ///
  /// A body without bytes has no event. What is too long is refused before memory is taken for it.
  ///
  /// - Throws: ``FramingError/tooLong(limit:)``; nothing behind it can be understood.
  public mutating func next(
    in bytes: Span<UInt8>,
    from offset: inout Int
  ) throws(FramingError) -> Event? {
    if bodyLeft > 0 {
      guard offset < bytes.count else { return nil }
      let start = offset
      offset += min(bodyLeft, bytes.count - offset)
      bodyLeft -= offset - start
      return .body(start..<offset)
    }
    if lengths == nil {
      take(HeadedFrame.prefixBytes, bytes, &offset)
      guard started.count == HeadedFrame.prefixBytes else { return nil }
      lengths = try readLengths()
    }
    guard let (head, body) = lengths else { return nil }
    take(HeadedFrame.prefixBytes + head, bytes, &offset)
    guard started.count == HeadedFrame.prefixBytes + head else { return nil }
    let text = Array(started.dropFirst(HeadedFrame.prefixBytes))
    started = []
    lengths = nil
    bodyLeft = body
    return .head(text, bodyBytes: body)
  }

  private mutating func take(_ count: Int, _ bytes: Span<UInt8>, _ offset: inout Int) {
    let end = offset + min(count - started.count, bytes.count - offset)
    started.append(copying: bytes.extracting(offset..<end))
    offset = end
  }

  private func readLengths() throws(FramingError) -> (head: Int, body: Int) {
    func number(_ range: Range<Int>) -> UInt64 {
      started[range].reduce(0) { $0 << 8 | UInt64($1) }
    }
    let (head, body) = (number(0..<4), number(4..<12))
    guard head <= UInt64(headLimit) else { throw .tooLong(limit: headLimit) }
    guard body <= UInt64(bodyLimit) else { throw .tooLong(limit: bodyLimit) }
    return (Int(head), Int(body))
  }
}
