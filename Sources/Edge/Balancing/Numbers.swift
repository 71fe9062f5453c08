/// Numbers that look random and are the same in every run from one seed.
///
/// - Source: SplitMix64 of Steele, Lea and Flood.
@usableFromInline
struct Numbers: Sendable {
  private var state: UInt64

  @usableFromInline
  init(seed: UInt64) { state = seed }

  @usableFromInline
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return mixed(state)
  }
}

/// The number with all its bits mixed; no two numbers give the same.
@usableFromInline
func mixed(_ number: UInt64) -> UInt64 {
  var value = number
  value = (value ^ value &>> 30) &* 0xBF58_476D_1CE4_E5B9
  value = (value ^ value &>> 27) &* 0x94D0_49BB_1331_11EB
  return value ^ value &>> 31
}

/// The number's place among `count`, as far along as the number is among all.
@inlinable @inline(__always)
func scaled(_ number: UInt64, to count: Int) -> Int {
  Int(truncatingIfNeeded: number.multipliedFullWidth(by: UInt64(truncatingIfNeeded: count)).high)
}
