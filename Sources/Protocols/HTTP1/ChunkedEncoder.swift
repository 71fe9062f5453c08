import HTTPMessage
import MartletBytes

/// The parts of a chunked body that stand around its content.
///
/// ```swift
/// let size = ChunkSize(content.count)
/// write(size.bytes, content.bytes, ChunkedEncoder.dataEnd)
/// // at last, perhaps with trailers between the two:
/// write(ChunkedEncoder.lastChunk, ChunkedEncoder.end)
/// ```
///
/// - Source: RFC 9112, section 7.1.
public enum ChunkedEncoder {
  /// What stands behind the data of a chunk.
  public static let dataEnd: StaticString = "\r\n"

  /// The chunk that says that there are no more; trailers may follow.
  public static let lastChunk: StaticString = "0\r\n"

  /// What ends the body, behind the last chunk and the trailers.
  public static let end: StaticString = "\r\n"

  /// Last chunk and end of a body without trailers.
  public static let endWithoutTrailers: StaticString = "0\r\n\r\n"

  /// Appends a trailer line to `line`.
  ///
  /// - Returns: Whether it was appended: the name is a token that may stand in trailers, and the
  ///   value holds no control byte but tabs.
  public static func append(
    trailer name: Span<UInt8>,
    value: Span<UInt8>,
    to line: inout [UInt8]
  ) -> Bool {
    guard HTTPGrammar.isToken(name), !FieldName(name).isForbiddenInTrailers,
      ByteSearch.firstControl(in: value, from: 0) == nil
    else { return false }
    line.append(copying: name)
    line.append(0x3A)
    line.append(0x20)
    line.append(copying: value)
    line.append(0x0D)
    line.append(0x0A)
    return true
  }
}

/// The line that begins a chunk: its size in hexadecimal, and CRLF.
///
/// - Source: RFC 9112, section 7.1.
public struct ChunkSize: Sendable {
  /// The most bytes that a line has.
  public static let maximalBytes = 18

  private var storage = InlineArray<18, UInt8>(repeating: 0x30)
  private let start: Int

  /// Writes the line of a chunk with `count` bytes.
  ///
  /// - Precondition: `count` is positive: a chunk of 0 bytes ends the body.
  public init(_ count: Int) {
    precondition(count > 0, "an empty chunk ends the body")
    self.init(UInt(count), fromDigit: 16 - (UInt.bitWidth - count.leadingZeroBitCount + 3) / 4)
  }

  /// Writes the line of a chunk with `count` bytes, with zeros before its size to make `digits` of
  /// them, so that its room can be kept before the size is known.
  ///
  /// - Precondition: `count` is positive and has no more than `digits` digits; `digits` is at most
  ///   15, which is what ``ChunkedDecoder`` accepts.
  public init(_ count: Int, digits: Int) {
    precondition(count > 0, "an empty chunk ends the body")
    precondition(1...15 ~= digits && count >> (4 * digits) == 0, "the size has more digits")
    self.init(UInt(count), fromDigit: 16 - digits)
  }

  private init(_ count: UInt, fromDigit first: Int) {
    var rest = count
    var index = 15
    while rest > 0 {
      let digit = UInt8(truncatingIfNeeded: rest & 15)
      storage[index] = digit < 10 ? 0x30 &+ digit : 0x57 &+ digit
      rest &>>= 4
      index &-= 1
    }
    storage[16] = 0x0D
    storage[17] = 0x0A
    start = first
  }

  /// The bytes of the line.
  public var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    get { storage.span.extracting(start..<18) }
  }
}
