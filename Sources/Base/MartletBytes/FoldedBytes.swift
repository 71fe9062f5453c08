/// Up to sixteen bytes in lower case, as two words that are compared and hashed at once.
///
/// Only ASCII letters are changed. Where control bytes cannot occur, ``SixteenBytes/folded(_:)``
/// costs less.
public struct FoldedBytes: Hashable, Sendable {
  /// The first eight bytes, the first one lowest; zeros where there are none.
  public var low: UInt64

  /// The next eight bytes, the first one lowest; zeros where there are none.
  public var high: UInt64

  /// Reads `count` bytes, at most sixteen, of `bytes` from `offset` on, ASCII letters in lower case.
  ///
  /// The range must lie within `bytes`.
  @inlinable @inline(__always)
  public init(_ bytes: Span<UInt8>, at offset: Int, count: Int) {
    precondition(count >= 0 && offset &+ count <= bytes.count, "bytes lie within their span")
    let all = SixteenBytes(bytes, at: offset).first(count)
    low = Self.lowercased(all.low)
    high = Self.lowercased(all.high)
  }

  @inlinable @inline(__always)
  static func lowercased(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let lowBits = word & (ones &* 0x7F)
    // The highest bit of a lane: at least `A`, and more than `Z`, among the bytes below 0x80.
    let isFromA = lowBits &+ ones &* (0x80 - 0x41)
    let isBehindZ = lowBits &+ ones &* (0x80 - 0x5B)
    let isUpper = isFromA & ~isBehindZ & ~word & (ones &* 0x80)
    return word | isUpper &>> 2
  }
}
