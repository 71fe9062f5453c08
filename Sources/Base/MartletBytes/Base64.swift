/// The form of bytes as text that stands in fields of messages.
///
/// Padding is written; where it is missing that is let pass. RFC 4648, section 4; RFC 9651, section 4.2.7.
public enum Base64 {
  // `+` and `/`.
  private static let alphabet = Base64Alphabet((0x2B, 0x2F))

  /// The text of `bytes`.
  public static func encoded(_ bytes: Span<UInt8>) -> [UInt8] {
    var text = alphabet.encoded(bytes, reserving: (bytes.count + 2) / 3 * 4)
    while text.count % 4 != 0 { text.append(0x3D) }
    return text
  }

  /// The bytes of `text`, or nil when it is not in form.
  public static func decoded(_ text: Span<UInt8>) -> [UInt8]? {
    var end = text.count
    while end > 0, text.count - end < 2, text[end - 1] == 0x3D { end -= 1 }
    guard end == text.count || text.count % 4 == 0 else { return nil }
    return alphabet.decoded(text.extracting(0..<end))
  }
}
