/// The form of bytes as text that stands in cookies and URLs as it is.
///
/// No padding is written, and none is read. RFC 4648, section 5.
public enum Base64URL {
  // `-` and `_`.
  private static let alphabet = Base64Alphabet((0x2D, 0x5F))

  /// How many characters so many bytes have.
  public static func encodedCount(_ count: Int) -> Int { (count * 4 + 2) / 3 }

  /// The text of `bytes`.
  public static func encoded(_ bytes: Span<UInt8>) -> [UInt8] {
    alphabet.encoded(bytes, reserving: encodedCount(bytes.count))
  }

  /// The bytes of `text`, or nil when it is not in form; each sequence of bytes has but one text.
  public static func decoded(_ text: Span<UInt8>) -> [UInt8]? { alphabet.decoded(text) }
}
