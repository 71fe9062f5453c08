/// Makes a word of the bytes of a key, so that nobody outside can choose two keys with one word.
///
/// Two keys share a word by chance alone: of a million keys with a probability of 3 in 100 million.
///
/// - Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", SipHash-2-4.
public struct KeyHash: Hashable, Sendable {
  private let low: UInt64
  private let high: UInt64

  /// Creates a hash with this secret.
  public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  /// A hash with a secret of its own.
  public static func random() -> KeyHash {
    var system = SystemRandomNumberGenerator()
    return KeyHash(low: system.next(), high: system.next())
  }

  /// The word of everything that has no key.
  public static let common: UInt64 = 1

  /// The word of a key; never 0.
  ///
  /// - Complexity: O(*n*) in the bytes.
  public func key(of bytes: Span<UInt8>) -> UInt64 { max(1, hash(bytes)) }

  /// The word of a key of two words, such as an address; never 0.
  public func key(of first: UInt64, _ second: UInt64) -> UInt64 {
    var state = State(low: low, high: high)
    state.take(first)
    state.take(second)
    state.take(16 << 56)
    return max(1, state.finished())
  }

  /// SipHash-2-4 of the bytes.
  public func hash(_ bytes: Span<UInt8>) -> UInt64 {
    var state = State(low: low, high: high)
    var offset = 0
    while offset &+ 8 <= bytes.count {
      state.take(word(of: bytes, at: offset, count: 8))
      offset &+= 8
    }
    let rest = word(of: bytes, at: offset, count: bytes.count &- offset)
    state.take(rest | UInt64(truncatingIfNeeded: bytes.count) << 56)
    return state.finished()
  }

  private func word(of bytes: Span<UInt8>, at offset: Int, count: Int) -> UInt64 {
    var word: UInt64 = 0
    for step in 0..<count { word |= UInt64(bytes[offset &+ step]) << UInt64(step &* 8) }
    return word
  }

  private struct State {
    var v0: UInt64
    var v1: UInt64
    var v2: UInt64
    var v3: UInt64

    init(low: UInt64, high: UInt64) {
      v0 = low ^ 0x736f_6d65_7073_6575
      v1 = high ^ 0x646f_7261_6e64_6f6d
      v2 = low ^ 0x6c79_6765_6e65_7261
      v3 = high ^ 0x7465_6462_7974_6573
    }

    mutating func take(_ word: UInt64) {
      v3 ^= word
      mix()
      mix()
      v0 ^= word
    }

    mutating func finished() -> UInt64 {
      v2 ^= 0xFF
      for _ in 0..<4 { mix() }
      return v0 ^ v1 ^ v2 ^ v3
    }

    private mutating func mix() {
      v0 &+= v1
      v1 = rotated(v1, 13) ^ v0
      v0 = rotated(v0, 32)
      v2 &+= v3
      v3 = rotated(v3, 16) ^ v2
      v0 &+= v3
      v3 = rotated(v3, 21) ^ v0
      v2 &+= v1
      v1 = rotated(v1, 17) ^ v2
      v2 = rotated(v2, 32)
    }

    private func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 {
      word << count | word >> (64 - count)
    }
  }
}
