import HTTPMessage
import MartletBytes

/// Finds the lines of a head, one after the other, and never looks at a byte twice.
///
/// How the bytes arrive makes no difference: the search never goes past a limit, so that the same
/// defect is found whether the bytes come one by one or all at once.
struct LineScanner: Sendable {
  /// Where the current line begins.
  private(set) var lineStart = 0

  /// Up to where the current line holds no control byte.
  private var searched = 0

  /// Whether nothing was searched so far.
  var isFresh: Bool { searched == 0 }

  /// The end of the current line, which is the offset of its CRLF, or nil when more bytes are needed.
  ///
  /// - Parameters:
  ///   - bytes: All bytes of the message so far.
  ///   - lineBytes: How long the line may be without its CRLF, and the error when it is longer.
  ///   - totalBytes: Where the line has to end with its CRLF, and the error when it does not.
  /// - Returns: The offset of the CRLF, or nil.
  /// - Throws: ``MessageError`` for a control byte, a bare CR or LF, and what is too long.
  @inline(__always)
  mutating func lineEnd(
    in bytes: Span<UInt8>,
    lineBytes: (limit: Int, reason: MessageError.Reason),
    totalBytes: (limit: Int, reason: MessageError.Reason)
  ) throws(MessageError) -> Int? {
    let limit = min(lineStart &+ lineBytes.limit &+ 2, totalBytes.limit)
    let bound = min(bytes.count, limit)
    if searched == lineStart, lineStart &+ 1 < bound, bytes[lineStart] == 0x0D,
      bytes[lineStart &+ 1] == 0x0A
    {
      // The empty line, which every head ends with.
      return lineStart
    }
    if let hit = ByteSearch.firstControl(in: bytes, from: searched, to: bound) {
      guard bytes[hit] == 0x0D else { throw Self.control(bytes[hit]) }
      if hit &+ 1 < bound {
        guard bytes[hit &+ 1] == 0x0A else { throw MessageError(.bareCarriageReturn) }
        return hit
      }
      searched = hit
    } else {
      searched = bound
    }
    guard bound == limit else { return nil }
    throw MessageError(limit == totalBytes.limit ? totalBytes.reason : lineBytes.reason)
  }

  /// Goes on behind the line that ends at `end`.
  @inline(__always)
  mutating func advance(behind end: Int) {
    lineStart = end &+ 2
    searched = lineStart
  }

  /// Goes on at `start`; used where the caller drops the bytes before it.
  mutating func restart(at start: Int) {
    searched = searched &- lineStart &+ start
    lineStart = start
  }

  @inline(never)
  private static func control(_ byte: UInt8) -> MessageError {
    switch byte {
    case 0x0A: MessageError(.bareLineFeed)
    case 0x00: MessageError(.nulByte)
    default: MessageError(.controlByte)
    }
  }
}
