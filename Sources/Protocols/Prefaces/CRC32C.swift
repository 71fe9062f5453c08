/// The checksum of Castagnoli's polynomial.
///
/// - Source: RFC 9260, appendix A.
public struct CRC32C: Sendable {
  private var state: UInt32 = 0xFFFF_FFFF

  /// Creates the checksum of no bytes.
  public init() {}

  /// The checksum of what was given.
  public var value: UInt32 { ~state }

  /// Adds bytes.
  public mutating func update(_ bytes: Span<UInt8>) {
    for index in bytes.indices { add(bytes[index]) }
  }

  /// Adds `count` bytes that are zero.
  public mutating func updateZeros(_ count: Int) {
    for _ in 0..<count { add(0) }
  }

  private mutating func add(_ byte: UInt8) {
    state = Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ state >> 8
  }

  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0x82F6_3B78 : sum >> 1 }
  }
}
