/// How messages are told apart in a stream of bytes, which cuts and joins them as it likes.
public enum FrameForm: Hashable, Sendable {
  /// Each has so many bytes, at least one.
  case fixed(Int)
  /// Each ends with these bytes, at least one, which are no part of it.
  case delimited([UInt8])
  /// Each begins with a number that says how long it is.
  case counted(LengthField)

  /// One line each, with a line feed at its end.
  public static let lines = FrameForm.delimited([0x0A])
}

/// The number in front of a message that says how long it is.
public struct LengthField: Hashable, Sendable {
  /// How the bytes of a number are ordered.
  public enum Order: Hashable, Sendable {
    /// The most significant byte first, as protocols of the Internet have it (RFC 1700).
    case bigEndian
    /// The least significant byte first.
    case littleEndian
  }

  /// How many bytes the number has: 1 to 8.
  public var byteCount: Int
  /// The order of its bytes.
  public var order: Order
  /// How many bytes stand before it, such as a kind or flags; see ``FrameDecoder/head``.
  public var offset: Int
  /// How many bytes it counts that are not behind it: those of itself, or also those before it.
  public var surplus: Int

  /// Creates the description of a number.
  public init(
    byteCount: Int,
    order: Order = .bigEndian,
    offset: Int = 0,
    surplus: Int = 0
  ) {
    precondition((1...8).contains(byteCount), "a number of one to eight bytes")
    precondition(offset >= 0 && surplus >= 0, "bytes are counted from nothing on")
    self.byteCount = byteCount
    self.order = order
    self.offset = offset
    self.surplus = surplus
  }

  /// How many bytes stand in front of a message.
  var headBytes: Int { offset + byteCount }

  /// How many bytes follow a head of ``headBytes``; nil when the number is less than what it counts
  /// already, or beyond all numbers.
  func length(in head: [UInt8]) -> Int? {
    var number: UInt64 = 0
    for index in 0..<byteCount {
      let place = order == .bigEndian ? offset + index : headBytes - 1 - index
      number = number << 8 | UInt64(head[place])
    }
    guard let counted = Int(exactly: number), counted >= surplus else { return nil }
    return counted - surplus
  }

  /// The bytes of the number in front of a message of `length` bytes; nil when it does not fit.
  func number(for length: Int) -> [UInt8]? {
    let number = UInt64(length) + UInt64(surplus)
    guard byteCount == 8 || number >> (UInt64(byteCount) * 8) == 0 else { return nil }
    let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: number >> (UInt64($0) * 8)) }
    return order == .bigEndian ? bytes.reversed() : bytes
  }
}

/// Why a stream of bytes cannot be taken apart, or a message not be put into one.
public enum FramingError: Error, Hashable, Sendable {
  /// A message has more bytes than are allowed; where it ends is not looked for.
  case tooLong(limit: Int)
  /// The number in front of a message is less than what it counts already.
  case malformedLength
  /// A message has another length than all of them have, or one that its number cannot say.
  case unfitLength(Int)
  /// A message has in it what ends messages.
  case containsDelimiter
}

extension FrameForm {
  /// The bytes that a message has in the stream.
  ///
  /// - head: What stands before the number that says its length, as ``LengthField/offset`` has it.
  /// - Throws: ``FramingError/unfitLength(_:)`` or ``FramingError/containsDelimiter``: who reads would
  ///   find another message.
  public func frame(
    _ message: [UInt8],
    head: [UInt8] = []
  ) throws(FramingError) -> [UInt8] {
    switch self {
    case .fixed(let count):
      guard message.count == count else { throw .unfitLength(message.count) }
      return message
    case .delimited(let delimiter):
      // Not in the message alone: a part of it may end together with the delimiter.
      let bytes = message + delimiter
      guard DelimiterSearch(delimiter).firstEnd(in: bytes.span) == bytes.count else {
        throw .containsDelimiter
      }
      return bytes
    case .counted(let field):
      precondition(head.count == field.offset, "what stands before the number has its length")
      guard let number = field.number(for: message.count) else {
        throw .unfitLength(message.count)
      }
      return head + number + message
    }
  }
}
