import MartletBytes

/// A path in the one form in which it is compared, of the many that mean the same.
///
/// `/%61dmin` and `/admin` are one path to every member, so they have to be one path to the routes:
/// otherwise a client chooses which route answers. An escaped unreserved character is that
/// character, and the digits of every other escape are in upper case.
///
/// - Source: RFC 3986, sections 6.2.2.1 and 6.2.2.2.
public enum PathEscapes {
  private static let unreserved = ByteClass { byte in
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
    default: false
    }
  }

  /// The compared form of a path that is kept.
  public static func normalized(_ path: [UInt8]) -> [UInt8] {
    guard let escape = firstDifference(in: path.span) else { return path }
    var buffer = path
    var span = buffer.mutableSpan
    let count = normalize(path.span, from: escape, into: &span)
    return Array(buffer[..<count])
  }

  /// How many bytes of `path` mean the same as `prefix`, which is in the compared form; nil when the
  /// path does not begin so.
  ///
  /// - Complexity: O(*n*) in the bytes of the prefix, with no allocation.
  public static func count(of prefix: Span<UInt8>, in path: Span<UInt8>) -> Int? {
    var offset = 0
    var position = 0
    while position < prefix.count {
      guard offset < path.count else { return nil }
      if path[offset] == UInt8(ascii: "%"), let value = escapedByte(path, at: offset) {
        if unreserved.contains(value) {
          guard prefix[position] == value else { return nil }
          position &+= 1
        } else {
          guard position &+ 3 <= prefix.count, prefix[position] == UInt8(ascii: "%"),
            prefix[position &+ 1] == uppercased(path[offset &+ 1]),
            prefix[position &+ 2] == uppercased(path[offset &+ 2])
          else { return nil }
          position &+= 3
        }
        offset &+= 3
      } else {
        guard prefix[position] == path[offset] else { return nil }
        position &+= 1
        offset &+= 1
      }
    }
    return offset
  }

  /// Calls `body` with the compared form of `path`, which differs from `escape` on.
  ///
  /// - Complexity: O(*n*), with no allocation for up to 256 bytes.
  @inline(__always)
  static func withNormalized(
    _ path: Span<UInt8>,
    from escape: Int,
    _ body: (Span<UInt8>) -> Void
  ) {
    withScratch(
      path.count,
      fill: { normalize(path, from: escape, into: &$0) },
      body: body
    )
  }

  /// Whether there is any escape in `path`.
  @inline(__always)
  static func areIn(_ path: Span<UInt8>) -> Bool {
    let percent = UInt8(ascii: "%")
    guard path.count < 16 else {
      return ByteSearch.firstIndex(of: percent, in: path, from: 0) != nil
    }
    for index in path.indices where path[index] == percent { return true }
    return false
  }

  /// The first escape that is not as it is compared.
  static func firstDifference(in path: Span<UInt8>) -> Int? {
    var offset = 0
    while let escape = ByteSearch.firstIndex(of: UInt8(ascii: "%"), in: path, from: offset) {
      if let value = escapedByte(path, at: escape) {
        let isUpper =
          path[escape &+ 1] == uppercased(path[escape &+ 1])
          && path[escape &+ 2] == uppercased(path[escape &+ 2])
        if !isUpper || unreserved.contains(value) { return escape }
      }
      offset = escape &+ 1
    }
    return nil
  }

  /// - Returns: How many bytes were written.
  private static func normalize(
    _ path: Span<UInt8>,
    from escape: Int,
    into buffer: inout MutableSpan<UInt8>
  ) -> Int {
    var offset = 0
    var count = 0
    while offset < path.count {
      let byte = path[offset]
      if offset >= escape, byte == UInt8(ascii: "%"), let value = escapedByte(path, at: offset) {
        if unreserved.contains(value) {
          buffer[count] = value
          count &+= 1
        } else {
          buffer[count] = byte
          buffer[count &+ 1] = uppercased(path[offset &+ 1])
          buffer[count &+ 2] = uppercased(path[offset &+ 2])
          count &+= 3
        }
        offset &+= 3
      } else {
        buffer[count] = byte
        count &+= 1
        offset &+= 1
      }
    }
    return count
  }

  /// The upper-case form of a letter; digits as they are.
  private static func uppercased(_ byte: UInt8) -> UInt8 {
    byte &- 0x61 < 26 ? byte & 0xDF : byte
  }
}

/// The byte that the escape at `offset` stands for; nil when two digits do not follow.
func escapedByte(_ bytes: Span<UInt8>, at offset: Int) -> UInt8? {
  guard offset &+ 2 < bytes.count, let high = hexDigit(bytes[offset &+ 1]),
    let low = hexDigit(bytes[offset &+ 2])
  else { return nil }
  return high &<< 4 | low
}

/// Lends room for `capacity` bytes, lets `fill` write some of them and `body` read these.
///
/// - Complexity: O(*n*), with no allocation for up to 256 bytes.
@inline(__always)
func withScratch<Result>(
  _ capacity: Int,
  fill: (inout MutableSpan<UInt8>) -> Int,
  body: (Span<UInt8>) -> Result
) -> Result {
  if capacity <= 256 {
    var buffer = InlineArray<256, UInt8>(repeating: 0)
    var room = buffer.mutableSpan
    let count = fill(&room)
    return body(buffer.span.extracting(0..<count))
  }
  var buffer = [UInt8](repeating: 0, count: capacity)
  var room = buffer.mutableSpan
  let count = fill(&room)
  return body(buffer.span.extracting(0..<count))
}
