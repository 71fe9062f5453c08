/// Sixteen bytes as two words, which are searched, masked and compared at once.
public struct SixteenBytes: Hashable, Sendable {
  /// The first eight bytes, the first one lowest.
  public var low: UInt64

  /// The next eight bytes, the first one lowest.
  public var high: UInt64

  /// Creates the bytes from two words.
  @inlinable @inline(__always)
  public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  /// Reads the bytes from `offset` on; behind the end of `bytes` there are zeros.
  ///
  /// - Precondition: `offset` is not negative.
  @inlinable @inline(__always)
  public init(_ bytes: Span<UInt8>, at offset: Int) {
    precondition(offset >= 0, "bytes lie within their span")
    if offset <= bytes.count &- 16 {
      self.init(loading: bytes, at: offset)
    } else {
      self.init(endOf: bytes, from: offset)
    }
  }

  /// The first sixteen bytes of a literal, with zeros behind a shorter one.
  @inlinable @inline(__always)
  public init(_ text: StaticString) {
    self.init(low: 0, high: 0)
    for index in 0..<min(text.utf8CodeUnitCount, 16) {
      // Safe: the index is below the number of bytes, and a literal lives for ever.
      let byte = unsafe UInt64(text.utf8Start[index]) &<< UInt64((index & 7) &* 8)
      if index < 8 { low |= byte } else { high |= byte }
    }
  }

  /// Reads sixteen bytes that lie within the span.
  @inlinable @inline(__always)
  init(loading bytes: Span<UInt8>, at offset: Int) {
    // Safe: the caller has compared; any eight bytes are a valid number.
    unsafe low = UInt64(
      littleEndian: bytes.bytes.unsafeLoadUnaligned(
        fromUncheckedByteOffset: offset,
        as: UInt64.self
      )
    )
    unsafe high = UInt64(
      littleEndian: bytes.bytes.unsafeLoadUnaligned(
        fromUncheckedByteOffset: offset &+ 8,
        as: UInt64.self
      )
    )
  }

  /// Reads the last bytes of a span, fewer than sixteen.
  @inlinable
  init(endOf bytes: Span<UInt8>, from offset: Int) {
    self.init(low: 0, high: 0)
    if bytes.count >= 16 {
      let all = SixteenBytes(loading: bytes, at: bytes.count &- 16)
      let bits = UInt64(truncatingIfNeeded: (offset &- (bytes.count &- 16)) &* 8)
      // A shift by 64 or more gives 0 where the operator is `>>` and not `&>>`.
      low = all.low >> bits | (bits < 64 ? all.high << (64 - bits) : all.high >> (bits - 64))
      high = all.high >> bits
    } else {
      var index = bytes.count
      while index > offset {
        index -= 1
        high = high << 8 | low >> 56
        low = low << 8 | UInt64(bytes[index])
      }
    }
  }

  /// The index of the first byte that is `byte`.
  @inlinable @inline(__always)
  public func firstIndex(of byte: UInt8) -> Int? {
    let lowMark = Self.marks(low, byte)
    if lowMark != 0 { return lowMark.trailingZeroBitCount &>> 3 }
    let highMark = Self.marks(high, byte)
    return highMark == 0 ? nil : 8 &+ highMark.trailingZeroBitCount &>> 3
  }

  /// The highest bit of each byte that is `byte`, and perhaps of bytes above the first such.
  @inlinable @inline(__always)
  static func marks(_ word: UInt64, _ byte: UInt8) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let difference = word ^ (ones &* UInt64(byte))
    return (difference &- ones) & ~difference & (ones &<< 7)
  }

  /// The first `count` bytes, at most sixteen, with the bit 0x20 set in each, and zeros behind.
  ///
  /// Bytes that differ in the case of letters alone become the same. So do a control byte and the
  /// byte 0x20 above it, and nothing else that a token may hold.
  @inlinable @inline(__always)
  public func folded(_ count: Int) -> SixteenBytes {
    let fold: UInt64 = 0x2020_2020_2020_2020
    return SixteenBytes(low: low | fold, high: high | fold).first(count)
  }

  /// The first `count` bytes, at most sixteen, and zeros behind.
  @inlinable @inline(__always)
  public func first(_ count: Int) -> SixteenBytes {
    let bits = UInt64(truncatingIfNeeded: count &* 8)
    let lowMask = count >= 8 ? UInt64.max : (1 &<< bits) &- 1
    let highMask = count >= 16 ? UInt64.max : count <= 8 ? 0 : (1 &<< (bits &- 64)) &- 1
    return SixteenBytes(low: low & lowMask, high: high & highMask)
  }
}
