/// Numbers that look random and are the same in every run.
struct Numbers: RandomNumberGenerator {
  var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value &>> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value &>> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value &>> 31
  }
}

/// Nanoseconds of some milliseconds.
func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }

/// Does `body` on several threads at once, and adds up what it counts.
func together(_ threads: Int, _ body: @escaping @Sendable (Int) -> Int) async -> Int {
  await withTaskGroup(of: Int.self) { group in
    for thread in 0..<threads { group.addTask { @concurrent in body(thread) } }
    return await group.reduce(0, +)
  }
}
