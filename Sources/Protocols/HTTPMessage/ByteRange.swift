/// A range of the bytes of a head, in four bytes.
///
/// A head is at most 65,535 bytes long, so that both numbers fit.
public struct ByteRange: Hashable, Sendable {
  /// The offset of the first byte.
  public var start: UInt16

  /// How many bytes there are.
  public var count: UInt16

  /// The empty range at the offset 0.
  @inlinable @inline(__always)
  public init() {
    start = 0
    count = 0
  }

  /// The same range in less room.
  ///
  /// - Precondition: `range.upperBound` is at most 65,535.
  @inlinable @inline(__always)
  public init(_ range: Range<Int>) {
    start = UInt16(range.lowerBound)
    count = UInt16(range.upperBound &- range.lowerBound)
  }

  /// The range between two offsets, in order and at most 65,535, which the caller has seen to; of
  /// larger ones the low sixteen bits count.
  @inlinable @inline(__always)
  public init(from lowerBound: Int, to upperBound: Int) {
    start = UInt16(truncatingIfNeeded: lowerBound)
    count = UInt16(truncatingIfNeeded: upperBound &- lowerBound)
  }

  /// The offset of the first byte.
  @inlinable @inline(__always)
  public var lowerBound: Int { Int(start) }

  /// The offset behind the last byte.
  @inlinable @inline(__always)
  public var upperBound: Int { Int(start) &+ Int(count) }

  /// Whether there is no byte.
  @inlinable @inline(__always)
  public var isEmpty: Bool { count == 0 }

  /// The same range as the standard library's.
  @inlinable @inline(__always)
  public var range: Range<Int> {
    let start = Int(start)
    return start..<start &+ Int(count)
  }
}
