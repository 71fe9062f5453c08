/// Numbers that are the same in each run.
struct Numbers: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// SplitMix64.
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }

  /// Up to `limit` bytes.
  mutating func bytes(upTo limit: Int, of range: ClosedRange<UInt8> = 0...255) -> [UInt8] {
    (0..<Int.random(in: 0...limit, using: &self)).map { _ in .random(in: range, using: &self) }
  }

  /// Bytes, or nothing.
  mutating func value(upTo limit: Int, of range: ClosedRange<UInt8> = 0...255) -> [UInt8]? {
    Bool.random(using: &self) ? bytes(upTo: limit, of: range) : nil
  }
}
