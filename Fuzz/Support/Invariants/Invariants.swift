/// What must hold for every input of a parser: it never traps, every split of the bytes gives the
/// same result, every range lies within the message, and what was accepted is what a naive reader
/// sees too.
///
/// Its one difficulty is to be right where the parsers may be wrong: ``NaiveHead`` shares no code
/// with them, copies everything, and knows nothing but CRLF and colons.

/// Stops the fuzzer unless the sentence holds; it then keeps the input.
public func require(_ isTrue: Bool, _ sentence: StaticString) {
  // A precondition of an optimised program ends it without its sentence.
  guard isTrue else { fatalError("not so: \(sentence)") }
}

/// Ways to cut `bytes` in pieces: byte by byte where that is affordable, and a few that depend on the
/// bytes alone, so that a failure can be seen again.
public func cuts(of bytes: [UInt8]) -> [[Int]] {
  var state: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  func next(below bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(truncatingIfNeeded: (state >> 33) % UInt64(bound))
  }
  var ways: [[Int]] = bytes.count <= 1024 ? [Array(0..<bytes.count)] : []
  for count in [1, 1, 2, 5] {
    ways.append((0..<count).map { _ in next(below: bytes.count + 1) }.sorted())
  }
  return ways
}

/// Reads the bytes that libFuzzer gives.
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
  guard let start = unsafe start else { return [] }
  // Safe: libFuzzer keeps `count` bytes at `start` until the call ends, and they are copied.
  return unsafe Array(UnsafeBufferPointer(start: start, count: count))
}
