// The one file of this module with unsafe code. Invariant: `RawSpan.unsafeLoadUnaligned` checks its
// bounds; it is unsafe only because a type may have invalid bit patterns, which SIMD16<UInt8> has not.

/// Searches that look at sixteen bytes at once.
///
/// - Complexity: O(*n*) in the bytes looked at, with no allocation.
public enum ByteSearch {
  /// The bit index, counted in bytes, of the first lane that is set.
  @inlinable @inline(__always)
  static func firstLane(_ mask: SIMDMask<SIMD16<Int8>>) -> Int? {
    // Safe: a mask is sixteen bytes of all ones or all zeros, as are two words of eight.
    let words = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
    if words[0] != 0 { return words[0].trailingZeroBitCount &>> 3 }
    if words[1] != 0 { return 8 &+ words[1].trailingZeroBitCount &>> 3 }
    return nil
  }

  @inlinable @inline(__always)
  static func sixteen(_ bytes: RawSpan, at offset: Int) -> SIMD16<UInt8> {
    // Safe: bounds-checked; every bit pattern is a valid SIMD16<UInt8>.
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
  }

  /// The offset of the first byte equal to `byte`, from `start` on.
  @inlinable
  public static func firstIndex(of byte: UInt8, in bytes: Span<UInt8>, from start: Int) -> Int? {
    var offset = start
    let count = bytes.count
    // Safe: only bytes are read from it, at offsets that are checked.
    let raw = unsafe bytes.bytes
    let wanted = SIMD16<UInt8>(repeating: byte)
    while offset &+ 16 <= count {
      if let lane = firstLane(sixteen(raw, at: offset) .== wanted) { return offset &+ lane }
      offset &+= 16
    }
    while offset < count {
      if bytes[offset] == byte { return offset }
      offset &+= 1
    }
    return nil
  }

  /// The offset of the first control byte (below 0x20 but not HTAB, or DEL), from `start` on.
  ///
  /// In a field line of HTTP this is where the line ends, or what makes the line malformed.
  @inlinable
  public static func firstControl(in bytes: Span<UInt8>, from start: Int) -> Int? {
    var offset = start
    let count = bytes.count
    // Safe: only bytes are read from it, at offsets that are checked.
    let raw = unsafe bytes.bytes
    let space = SIMD16<UInt8>(repeating: 0x20)
    let tab = SIMD16<UInt8>(repeating: 0x09)
    let delete = SIMD16<UInt8>(repeating: 0x7F)
    while offset &+ 16 <= count {
      let block = sixteen(raw, at: offset)
      let controls = ((block .< space) .& (block .!= tab)) .| (block .== delete)
      if let lane = firstLane(controls) { return offset &+ lane }
      offset &+= 16
    }
    while offset < count {
      let byte = bytes[offset]
      if (byte < 0x20 && byte != 0x09) || byte == 0x7F { return offset }
      offset &+= 1
    }
    return nil
  }
}
