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

  @inlinable @inline(__always)
  static func sixteen(_ bytes: RawSpan, at offset: Int) -> Block {
    // Safe: bounds-checked; every bit pattern is a valid SIMD16<UInt8>.
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: Block.self)
  }

  /// The block that ends the span: its last sixteen bytes, or all of them with zeros behind.
  ///
  /// - Returns: The block and the offset of its first lane.
  @inlinable @inline(__always)
  static func last(of bytes: Span<UInt8>) -> (block: Block, offset: Int) {
    let count = bytes.count
    if count >= 16 {
      // Safe: only bytes are read from it, at offsets that are checked.
      let raw = unsafe bytes.bytes
      return (sixteen(raw, at: count &- 16), count &- 16)
    }
    var block = Block()
    for index in bytes.indices { block[index] = bytes[index] }
    return (block, 0)
  }

  /// The offset of the first byte from `start` on, and before `end`, that `matches` marks.
  ///
  /// `matches` sees blocks of sixteen bytes and answers for all of them; its answers for bytes
  /// outside of the range are ignored.
  @inlinable @inline(__always)
  public static func firstIndex(
    in bytes: Span<UInt8>,
    from start: Int,
    to end: Int,
    where matches: (Block) -> Lanes
  ) -> Int? {
    var offset = start
    let count = bytes.count
    // Safe: only bytes are read from it, at offsets that are checked.
    let raw = unsafe bytes.bytes
    while offset < end {
      guard offset &+ 16 <= count else {
        // The last bytes of the span: a block that overlaps what was searched already.
        let (block, blockOffset) = last(of: bytes)
        let searched = UInt8(truncatingIfNeeded: offset &- blockOffset)
        let lanes = matches(block) .& (numbers .>= Block(repeating: searched))
        guard let lane = firstLane(lanes), blockOffset &+ lane < end else { return nil }
        return blockOffset &+ lane
      }
      if let lane = firstLane(matches(sixteen(raw, at: offset))) {
        let found = offset &+ lane
        return found < end ? found : nil
      }
      offset &+= 16
    }
    return nil
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
  @inlinable
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

/// Up to sixteen bytes in lower case, as two words that are compared and hashed at once.
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
    precondition(offset >= 0 && count >= 0 && offset &+ count <= bytes.count, "within the bytes")
    var block: ByteSearch.Block
    if offset &+ 16 <= bytes.count {
      // Safe: only bytes are read from it, at offsets that are checked.
      block = ByteSearch.sixteen(unsafe bytes.bytes, at: offset)
    } else {
      block = ByteSearch.Block()
      for index in 0..<min(count, 16) { block[index] = bytes[offset &+ index] }
    }
    let isUpper = (block &- 0x41) .< ByteSearch.Block(repeating: 26)
    block.replace(with: block | 0x20, where: isUpper)
    let isBehind = ByteSearch.numbers .>= UInt8(truncatingIfNeeded: min(count, 16))
    block.replace(with: 0, where: isBehind)
    // Safe: both are sixteen bytes, of which every bit pattern is valid.
    let words = unsafe unsafeBitCast(block, to: SIMD2<UInt64>.self)
    low = UInt64(littleEndian: words[0])
    high = UInt64(littleEndian: words[1])
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
