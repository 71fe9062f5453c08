import Sealing
import Testing

/// Some time in 2027.
private let now: Int64 = 1_800_000_000
private let secret = Array("a secret that nobody knows".utf8)

private func sealer(_ secrets: [[UInt8]] = [secret], for purpose: String = "test") throws -> Sealer
{
  try #require(Sealer(secrets: secrets, purpose: purpose))
}

private func seal(_ value: [UInt8], with sealer: Sealer, at time: Int64 = now) -> [UInt8]? {
  sealer.seal(value.span, at: time)
}

private func open(
  _ sealed: [UInt8],
  with sealer: Sealer,
  at time: Int64 = now,
  lifetime: Int64 = 86_400
) -> [UInt8]? {
  sealer.open(sealed.span, at: time, lifetime: lifetime)
}

/// Seconds after the sealing, and whether the value is still opened.
private let lives: [(after: Int64, isOpen: Bool)] = [
  (0, true), (86_400, true), (86_400 + 3 * 65_536, false), (-65_536, true), (-3 * 65_536, false),
  // Epochs begin anew after a hundred and thirty years.
  (65_536 * 65_536, true),
]

@Suite("Sealed values") struct SealerTests {
  @Test("what was sealed is opened, by another sealer too", arguments: [0, 1, 12, 4096])
  func roundTrip(count: Int) throws {
    let value = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let sealed = try #require(try seal(value, with: sealer()))
    #expect(sealed.count == count + Sealer.overhead)
    #expect(try open(sealed, with: sealer()) == value)
  }

  @Test("a value is sealed differently each time, and does not show")
  func differs() throws {
    let value = [UInt8](repeating: 7, count: 12)
    let sealer = try sealer()
    let first = try #require(seal(value, with: sealer))
    let second = try #require(seal(value, with: sealer))
    #expect(first != second)
    // The epoch alone is the same.
    #expect(zip(first, second).filter { $0 == $1 }.count < 12)
  }

  @Test("no bit of it can be changed")
  func forged() throws {
    let sealer = try sealer()
    let sealed = try #require(seal([1, 2, 3, 4], with: sealer))
    for index in sealed.indices {
      for bit in 0..<8 {
        var other = sealed
        other[index] ^= 1 << UInt8(bit)
        #expect(open(other, with: sealer, lifetime: 1 << 40) == nil, "bit \(bit) of \(index)")
      }
    }
    for count in 0..<sealed.count {
      #expect(open(Array(sealed.prefix(count)), with: sealer) == nil)
    }
    #expect(open(sealed + [0], with: sealer) == nil)
  }

  @Test("what was sealed for another purpose, or with another secret, stays shut")
  func others() throws {
    let sealed = try #require(try seal([1], with: sealer()))
    #expect(try open(sealed, with: sealer(for: "tests")) == nil)
    #expect(try open(sealed, with: sealer([Array("another secret".utf8)])) == nil)
  }

  @Test("a secret that is no longer the first still opens")
  func rotation() throws {
    let sealed = try #require(try seal([1], with: sealer()))
    let rotated = try sealer([Array("a new secret".utf8), secret])
    #expect(open(sealed, with: rotated) == [1])
    let later = try #require(seal([2], with: rotated))
    #expect(try open(later, with: sealer()) == nil)
  }

  @Test(
    "it is shut when its time is over, and when it comes from the future",
    arguments: lives
  )
  func times(after: Int64, isOpen: Bool) throws {
    let sealer = try sealer()
    let sealed = try #require(seal([1], with: sealer))
    #expect((open(sealed, with: sealer, at: now + after) != nil) == isOpen)
  }

  @Test("a value that is too long, and no secret or too many, are refused")
  func bounds() throws {
    let long = [UInt8](repeating: 0, count: Sealer.valueLimit + 1)
    #expect(try seal(long, with: sealer()) == nil)
    #expect(Sealer(secrets: [], purpose: "") == nil)
    #expect(Sealer(secrets: Array(repeating: secret, count: 9), purpose: "") == nil)
  }
}
