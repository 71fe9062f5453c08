/// Sixty-four characters that stand for six bits each, without padding: what both forms of RFC 4648 share.
struct Base64Alphabet: Sendable {
  private let digits: [UInt8]

  /// Letters and numerals, then the two characters in which the forms differ.
  init(_ last: (UInt8, UInt8)) {
    let shared = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    digits = Array(shared.utf8) + [last.0, last.1]
  }

  /// The text of `bytes`, for which so many characters are reserved.
  func encoded(_ bytes: Span<UInt8>, reserving characters: Int) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(characters)
    var bits: UInt32 = 0
    var count: UInt32 = 0
    for index in bytes.indices {
      bits = bits << 8 | UInt32(bytes[index])
      count += 8
      while count >= 6 {
        count -= 6
        text.append(digits[Int(bits >> count & 63)])
      }
    }
    if count > 0 { text.append(digits[Int(bits << (6 - count) & 63)]) }
    return text
  }

  /// The bytes of `text`, or nil when it is not in form; each sequence of bytes has but one text.
  func decoded(_ text: Span<UInt8>) -> [UInt8]? {
    guard text.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count * 3 / 4)
    var bits: UInt32 = 0
    var count: UInt32 = 0
    for index in text.indices {
      guard let value = value(of: text[index]) else { return nil }
      bits = bits << 6 | value
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    // Bits that belong to no byte are zero.
    guard bits & (1 << count - 1) == 0 else { return nil }
    return bytes
  }

  private func value(of character: UInt8) -> UInt32? {
    switch character {
    case 0x41...0x5A: UInt32(character - 0x41)
    case 0x61...0x7A: UInt32(character - 0x61) + 26
    case 0x30...0x39: UInt32(character - 0x30) + 52
    case digits[62]: 62
    case digits[63]: 63
    default: nil
    }
  }
}
