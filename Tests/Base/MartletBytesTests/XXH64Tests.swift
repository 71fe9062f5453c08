import MartletBytes
import Testing

@Suite("XXH64")
struct XXH64Tests {
  @Test(
    "gives the sums that everyone gives",
    arguments: [
      ("", 0, 0xEF46_DB37_51D8_E999), ("a", 0, 0xD24E_C4F1_A98C_6E5B),
      ("abc", 0, 0x44BC_2CF5_AD77_0999), ("abc", 1, 0xBEA9_CA81_9932_8908),
      ("I want an unsigned 32-bit seed!", 0, 0xD1A8_42B5_5FAD_D854),
      (
        "Call me Ishmael. Some years ago--never mind how long precisely-", 0,
        0x02A2_E854_70D6_FD96
      ),
    ] as [(String, UInt64, UInt64)]
  )
  func sums(text: String, seed: UInt64, sum: UInt64) {
    let bytes = Array(text.utf8)
    #expect(XXH64.sum(of: bytes.span, seed: seed) == sum)
  }

  @Test("is another one for each flipped bit, each cut, and each seed", arguments: 0..<70)
  func differs(count: Int) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
    let sum = XXH64.sum(of: bytes.span)
    #expect(XXH64.sum(of: bytes.span, seed: 1) != sum)
    for index in bytes.indices {
      #expect(XXH64.sum(of: bytes.span.extracting(0..<index)) != sum)
      for bit in 0..<8 {
        var other = bytes
        other[index] ^= 1 << bit
        #expect(XXH64.sum(of: other.span) != sum)
      }
    }
  }
}
