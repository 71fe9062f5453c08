// The one file of this module with unsafe code. Invariant: `RawSpan.unsafeLoadUnaligned` checks its
// bounds; it is unsafe only because a type may have invalid bit patterns, which SIMD16<UInt8> has not.

/// Searches that look at sixteen bytes at once.
///
/// - Complexity: O(*n*) in the bytes looked at, with no allocation.
public enum ByteSearch {
  /// Sixteen bytes side by side.
  public typealias Block = SIMD16<UInt8>

  /// One truth for each byte of a block.
  public typealias Lanes = SIMDMask<SIMD16<Int8>>

  /// The number of each lane.
  @inlinable @inline(__always)
  static var numbers: Block {
    Block(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
  }

  /// The bit index, counted in bytes, of the first lane that is set.
  @inlinable @inline(__always)
  static func firstLane(_ mask: Lanes) -> Int? {
    // Safe: a mask is sixteen bytes of all ones or all zeros, as are two words of eight.
    let words = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
    if words[0] != 0 { return words[0].trailingZeroBitCount &>> 3 }
    if words[1] != 0 { return 8 &+ words[1].trailingZeroBitCount &>> 3 }
    return nil
  }

  /// The bytes behind `start` that stand less than sixteen bytes before the end of the span, in one
  /// block, which overlaps what stands before them or has zeros behind it.
  ///
  /// - Returns: The block and the offset of its first lane.
  @inlinable
  static func last(of bytes: Span<UInt8>) -> (block: Block, offset: Int) {
    let count = bytes.count
    if count >= 16 {
      // Safe: the sixteen bytes lie within the span, and every bit pattern is a valid block.
      let block = unsafe bytes.bytes.unsafeLoadUnaligned(
        fromUncheckedByteOffset: count &- 16,
        as: Block.self
      )
      return (block, count &- 16)
    }
    var block = Block()
    for index in bytes.indices { block[index] = bytes[index] }
    return (block, 0)
  }

  /// The offset of the first byte from `start` on, and before `end`, that `matches` marks.
  ///
  /// `matches` sees blocks of sixteen bytes and answers for all of them; its answers for bytes
  /// outside of the range are ignored. It has to compare blocks with blocks: a comparison with a
  /// single byte is compiled to a loop.
  @inlinable @inline(__always)
  public static func firstIndex(
    in bytes: Span<UInt8>,
    from start: Int,
    to end: Int,
    where matches: (Block) -> Lanes
  ) -> Int? {
    precondition(start >= 0 && end <= bytes.count, "a search stays within its bytes")
    var offset = start
    let raw = unsafe bytes.bytes
    let fullEnd = min(end, bytes.count &- 15)
    while offset < fullEnd {
      // Safe: sixteen bytes from here lie within the span, and every bit pattern is a valid block.
      let block = unsafe raw.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Block.self)
      if let lane = firstLane(matches(block)) {
        let found = offset &+ lane
        return found < end ? found : nil
      }
      offset &+= 16
    }
    guard offset < end else { return nil }
    // The last bytes of the span: a block that overlaps what was searched already.
    let (block, blockOffset) = last(of: bytes)
    let searched = UInt8(truncatingIfNeeded: offset &- blockOffset)
    let lanes = matches(block) .& (numbers .>= Block(repeating: searched))
    guard let lane = firstLane(lanes), blockOffset &+ lane < end else { return nil }
    return blockOffset &+ lane
  }

  /// The offset of the first byte equal to `byte`, from `start` on and before `end`.
  @inlinable
  public static func firstIndex(
    of byte: UInt8,
    in bytes: Span<UInt8>,
    from start: Int,
    to end: Int
  ) -> Int? {
    let wanted = Block(repeating: byte)
    return firstIndex(in: bytes, from: start, to: end) { $0 .== wanted }
  }

  /// The offset of the first byte equal to `byte`, from `start` on.
  @inlinable
  public static func firstIndex(of byte: UInt8, in bytes: Span<UInt8>, from start: Int) -> Int? {
    firstIndex(of: byte, in: bytes, from: start, to: bytes.count)
  }

  /// The offset of the first control byte (below 0x20 but not HTAB, or DEL) from `start` on and
  /// before `end`.
  ///
  /// In a field line of HTTP this is where the line ends, or what makes the line malformed.
  @inlinable @inline(__always)
  public static func firstControl(
    in bytes: Span<UInt8>,
    from start: Int,
    to end: Int
  ) -> Int? {
    let space = Block(repeating: 0x20)
    let tab = Block(repeating: 0x09)
    let delete = Block(repeating: 0x7F)
    return firstIndex(in: bytes, from: start, to: end) { block in
      ((block .< space) .& (block .!= tab)) .| (block .== delete)
    }
  }

  /// The offset of the first control byte (below 0x20 but not HTAB, or DEL), from `start` on.
  @inlinable
  public static func firstControl(in bytes: Span<UInt8>, from start: Int) -> Int? {
    firstControl(in: bytes, from: start, to: bytes.count)
  }
}

/// Whether two ranges of bytes are the same but for the case of ASCII letters.
@inlinable
public func equalIgnoringCase(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
  guard left.count == right.count else { return false }
  for index in left.indices where lowercased(left[index]) != lowercased(right[index]) {
    return false
  }
  return true
}
