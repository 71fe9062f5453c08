public import MartletBytes

/// The words of HTTP's grammar that several parsers share.
///
/// - Source: RFC 9110, section 5.6.
public enum HTTPGrammar {
  /// The bytes of a token: names of methods, fields and options (RFC 9110, section 5.6.2).
  public static let token = ByteClass { byte in
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    // ! # $ % & ' * + - . ^ _ ` | ~
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
    default: false
    }
  }

  /// Whether `bytes` is a token: one or more of the bytes of ``token``.
  public static func isToken(_ bytes: Span<UInt8>) -> Bool {
    guard !bytes.isEmpty else { return false }
    let token = token
    for index in bytes.indices where !token.contains(bytes[index]) { return false }
    return true
  }

  /// Whether `byte` is optional whitespace: a space or a tab (RFC 9110, 5.6.3).
  @inlinable @inline(__always)
  public static func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  /// `range` without the optional whitespace at its ends.
  @inlinable @inline(__always)
  public static func trimmed(_ range: Range<Int>, in bytes: Span<UInt8>) -> Range<Int> {
    var start = range.lowerBound
    var end = range.upperBound
    while start < end, isWhitespace(bytes[start]) { start &+= 1 }
    while end > start, isWhitespace(bytes[end &- 1]) { end &-= 1 }
    return start..<end
  }
}
