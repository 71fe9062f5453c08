/// A sum of 64 bits that tells whether bytes are those that were written; it proves nothing against an attacker.
///
/// - Source: Collet, "xxHash fast digest algorithm", specification 0.1.1, XXH64.
public enum XXH64 {
  private static let first: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let second: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let third: UInt64 = 0x1656_67B1_9E37_79F9
  private static let fourth: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let fifth: UInt64 = 0x27D4_EB2F_1656_67C5

  /// The sum of bytes; another seed makes another sum.
  ///
  /// - Complexity: O(*n*) in the bytes, 32 of them at a time.
  public static func sum(of bytes: Span<UInt8>, seed: UInt64 = 0) -> UInt64 {
    var offset = 0
    var sum = seed &+ fifth
    if bytes.count >= 32 {
      var lanes = (seed &+ first &+ second, seed &+ second, seed, seed &- first)
      while offset <= bytes.count &- 32 {
        let low = SixteenBytes(bytes, at: offset)
        let high = SixteenBytes(bytes, at: offset &+ 16)
        lanes.0 = round(lanes.0, low.low)
        lanes.1 = round(lanes.1, low.high)
        lanes.2 = round(lanes.2, high.low)
        lanes.3 = round(lanes.3, high.high)
        offset &+= 32
      }
      sum =
        rotated(lanes.0, 1) &+ rotated(lanes.1, 7) &+ rotated(lanes.2, 12)
        &+ rotated(lanes.3, 18)
      for lane in [lanes.0, lanes.1, lanes.2, lanes.3] {
        sum = (sum ^ round(0, lane)) &* first &+ fourth
      }
    }
    sum &+= UInt64(truncatingIfNeeded: bytes.count)
    while bytes.count &- offset >= 8 {
      sum = rotated(sum ^ round(0, SixteenBytes(bytes, at: offset).low), 27) &* first &+ fourth
      offset &+= 8
    }
    if bytes.count &- offset >= 4 {
      let word = SixteenBytes(bytes, at: offset).low & 0xFFFF_FFFF
      sum = rotated(sum ^ word &* first, 23) &* second &+ third
      offset &+= 4
    }
    while offset < bytes.count {
      sum = rotated(sum ^ UInt64(bytes[offset]) &* fifth, 11) &* first
      offset &+= 1
    }
    sum = (sum ^ sum &>> 33) &* second
    sum = (sum ^ sum &>> 29) &* third
    return sum ^ sum &>> 32
  }

  @inline(__always)
  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotated(lane &+ word &* second, 31) &* first
  }

  @inline(__always)
  private static func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 {
    word &<< count | word &>> (64 &- count)
  }
}
