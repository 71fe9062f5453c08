/// A set of byte values, asked in constant time.
///
/// Build one once, as a `static let` or a global, from a predicate.
public struct ByteClass: Sendable {
  // Four words of 64 bits: one load, one shift and one mask per question.
  @usableFromInline let words: SIMD4<UInt64>

  /// Creates the class of the bytes for which `contains` is true.
  public init(where contains: (UInt8) -> Bool) {
    var words = SIMD4<UInt64>()
    for byte in UInt8.min...UInt8.max where contains(byte) {
      words[Int(byte &>> 6)] |= 1 &<< UInt64(byte & 63)
    }
    self.words = words
  }

  /// Whether `byte` belongs to the class.
  @inlinable @inline(__always)
  public func contains(_ byte: UInt8) -> Bool {
    words[Int(byte &>> 6)] &>> UInt64(byte & 63) & 1 == 1
  }
}

/// The value of a hexadecimal digit, or nil.
@inlinable
public func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case 0x30...0x39: byte &- 0x30
  case 0x41...0x46: byte &- 0x41 &+ 10
  case 0x61...0x66: byte &- 0x61 &+ 10
  default: nil
  }
}

/// The lower-case form of an ASCII letter; every other byte as it is.
@inlinable @inline(__always)
public func lowercased(_ byte: UInt8) -> UInt8 {
  byte &- 0x41 < 26 ? byte | 0x20 : byte
}
