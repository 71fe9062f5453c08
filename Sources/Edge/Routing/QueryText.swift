import MartletBytes

/// The name or the value of a query parameter, as it is meant: `+` is a space and `%XX` a byte.
///
/// A `%` that two hexadecimal digits do not follow stands for itself.
///
/// - Source: URL Standard, section 5.1 (`application/x-www-form-urlencoded`).
public enum QueryText {
  /// Whether `text`, as it came, means `plain`.
  ///
  /// - Complexity: O(*n*), with no allocation.
  public static func isEqual(_ text: Span<UInt8>, to plain: Span<UInt8>) -> Bool {
    // No byte takes less than one, none more than three.
    guard text.count >= plain.count, text.count <= plain.count &* 3 else { return false }
    var offset = 0
    for position in plain.indices {
      guard offset < text.count, next(in: text, at: &offset) == plain[position] else {
        return false
      }
    }
    return offset == text.count
  }

  /// Calls `body` with what `text` means: with the text itself where nothing is escaped.
  ///
  /// - Complexity: O(*n*), with no allocation for up to 256 bytes or when nothing is escaped.
  public static func withDecoded<Result>(
    _ text: Span<UInt8>,
    _ body: (Span<UInt8>) -> Result
  ) -> Result {
    let percent = ByteSearch.Block(repeating: UInt8(ascii: "%"))
    let plus = ByteSearch.Block(repeating: UInt8(ascii: "+"))
    let escape = ByteSearch.firstIndex(in: text, from: 0, to: text.count) { block in
      (block .== percent) .| (block .== plus)
    }
    guard escape != nil else { return body(text) }
    return withScratch(text.count) { buffer in
      var offset = 0
      var count = 0
      while offset < text.count {
        buffer[count] = next(in: text, at: &offset)
        count &+= 1
      }
      return count
    } body: {
      body($0)
    }
  }

  @inline(__always)
  private static func next(in text: Span<UInt8>, at offset: inout Int) -> UInt8 {
    let byte = text[offset]
    if byte == UInt8(ascii: "%"), let value = escapedByte(text, at: offset) {
      offset &+= 3
      return value
    }
    offset &+= 1
    return byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte
  }
}
