import MartletBytes

/// The path and query of a request target, checked so that every reader sees the same resource.
///
/// - Source: RFC 3986, sections 2.1, 3.3 and 5.2.4; RFC 9112, section 3.2.1.
public struct TargetPath: Hashable, Sendable {
  /// The path.
  public var path: Range<Int>

  /// The query without its question mark, where there is one.
  public var query: Range<Int>?

  /// The offset behind path and query.
  public var end: Int

  /// Reads the path and query that begin at `start`; they end with the first space, or at `end`.
  ///
  /// In the path, malformed escapes, escaped controls and backslashes, and dot segments are refused,
  /// also where they only appear to a reader that takes `%2F` for a slash or `..;x` for `..`.
  /// Browsers send `|^[]{}` and the backtick as they are: these pass.
  ///
  /// - Throws: ``MessageError``.
  /// - Complexity: O(*n*), with no allocation.
  public init(_ bytes: Span<UInt8>, from start: Int, to end: Int) throws(MessageError) {
    var isPlain = true
    var offset = start
    var stop = end
    while let hit = Self.firstOfInterest(in: bytes, from: offset, to: end) {
      let byte = bytes[hit]
      if byte == 0x2E {
        // Only a dot that begins a segment can make a dot segment without escapes.
        if hit == start || bytes[hit &- 1] == 0x2F { isPlain = false }
        offset = hit &+ 1
      } else if byte == 0x25 {
        isPlain = false
        offset = hit &+ 1
      } else {
        stop = hit
        break
      }
    }
    path = start..<stop
    query = nil
    if stop < end, bytes[stop] == 0x3F {
      let first = stop + 1
      stop = Self.firstForeign(in: bytes, from: first, to: end) ?? end
      query = first..<stop
    }
    self.end = stop
    if stop < end, bytes[stop] != 0x20 {
      throw MessageError(bytes[stop] == 0x23 ? .targetFragment : .targetByte)
    }
    if !isPlain { try Self.check(bytes, path) }
  }

  /// The bytes that no target may hold, among them the space behind it.
  @inline(__always)
  private static func isForeign(_ block: ByteSearch.Block) -> ByteSearch.Lanes {
    let beyond = (block &- 0x21) .> ByteSearch.Block(repeating: 0x5D)
    // 0x22 and 0x23 are `"` and `#`, 0x3C and 0x3E are the angle brackets.
    let quotes = (block & 0xFE) .== ByteSearch.Block(repeating: 0x22)
    let angles = (block & 0xFD) .== ByteSearch.Block(repeating: 0x3C)
    return beyond .| quotes .| angles .| (block .== ByteSearch.Block(repeating: 0x5C))
  }

  @inline(__always)
  private static func firstForeign(in bytes: Span<UInt8>, from start: Int, to end: Int) -> Int? {
    ByteSearch.firstIndex(in: bytes, from: start, to: end) { isForeign($0) }
  }

  /// The first byte that ends the path, escapes another or may begin a dot segment.
  @inline(__always)
  private static func firstOfInterest(in bytes: Span<UInt8>, from start: Int, to end: Int) -> Int? {
    ByteSearch.firstIndex(in: bytes, from: start, to: end) { block in
      isForeign(block) .| (block .== ByteSearch.Block(repeating: 0x3F))
        .| (block .== ByteSearch.Block(repeating: 0x25))
        .| (block .== ByteSearch.Block(repeating: 0x2E))
    }
  }

  /// Refuses dot segments and the escapes that hide something.
  private static func check(_ bytes: Span<UInt8>, _ path: Range<Int>) throws(MessageError) {
    // How many dots the segment consists of so far; 3 when it can no longer be a dot segment.
    var dots = 3
    var index = path.lowerBound
    while index < path.upperBound {
      var byte = bytes[index]
      index += 1
      if byte == 0x25 {
        guard index + 2 <= path.upperBound, let high = hexDigit(bytes[index]),
          let low = hexDigit(bytes[index + 1])
        else { throw MessageError(.malformedPercentEncoding) }
        byte = high << 4 | low
        index += 2
        if byte < 0x20 || byte == 0x7F { throw MessageError(.encodedControl) }
        if byte == 0x5C { throw MessageError(.encodedBackslash) }
      }
      switch byte {
      case 0x2F:
        if dots == 1 || dots == 2 { throw MessageError(.dotSegment) }
        dots = 0
      case 0x3B:
        if dots == 1 || dots == 2 { throw MessageError(.dotSegment) }
        dots = 3
      case 0x2E: dots = min(dots + 1, 3)
      default: dots = 3
      }
    }
    if dots == 1 || dots == 2 { throw MessageError(.dotSegment) }
  }
}
