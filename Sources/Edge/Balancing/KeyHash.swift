/// The hash of a key: the same in every process, on every machine and in every version.
///
/// So all nodes send a key to the same member. It is no secret: whoever chooses keys may choose such
/// that meet on one member, which is what bounded load is for.
public struct KeyHash: Sendable {
  private var state: UInt64 = 0x243F_6A88_85A3_08D3
  private var word: UInt64 = 0
  private var count = 0

  /// Creates the hash of no bytes.
  public init() {}

  /// Adds bytes; where one call ends and the next begins makes no difference.
  public mutating func add(_ bytes: Span<UInt8>) {
    for index in bytes.indices { add(bytes[index]) }
  }

  /// Adds one byte.
  public mutating func add(_ byte: UInt8) {
    word |= UInt64(byte) &<< UInt64(truncatingIfNeeded: count &<< 3 & 63)
    count &+= 1
    guard count & 7 == 0 else { return }
    state = Self.folded(state ^ word, 0x9E37_79B9_7F4A_7C15)
    word = 0
  }

  /// The hash of all that was added.
  public var value: UInt64 {
    let last = Self.folded(state ^ word, 0xD6E8_FEB8_6659_FD93)
    return mixed(last ^ UInt64(truncatingIfNeeded: count))
  }

  /// The hash of bytes.
  public static func value(of bytes: Span<UInt8>) -> UInt64 {
    var hash = KeyHash()
    hash.add(bytes)
    return hash.value
  }

  /// The hash of a text's UTF-8 bytes.
  public static func value(of text: String) -> UInt64 {
    var hash = KeyHash()
    for byte in text.utf8 { hash.add(byte) }
    return hash.value
  }

  // Both halves of the product: a product of 64 bits loses what is high.
  private static func folded(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (high, low) = (left ^ 0xA409_3822_299F_31D0).multipliedFullWidth(by: right)
    return high ^ low
  }
}
