/// A table of slots, which members fill in turns, each in an order of its own.
///
/// Each slot is as likely for a key as every other, so shares are as exact as the number of slots
/// allows: a hundred and more for each member.
///
/// - Source: Maglev of Eisenbud and others, 2016, section 3.4; turns go by weight.
struct MaglevTable: Sendable {
  private let slots: [UInt16]

  // Primes, so that every step meets every slot. With another size nearly all keys move: there are but
  // two, far apart.
  private static let smallSize = 65_521
  private static let largeSize = 131_071
  private static let slotsPerMember = 100

  init(_ owners: [HashPlaces.Owner]) {
    guard !owners.isEmpty else {
      slots = []
      return
    }
    let isSmall = owners.count * Self.slotsPerMember <= Self.smallSize
    let size = isSmall ? Self.smallSize : Self.largeSize
    let hashes = owners.map { KeyHash.value(of: $0.name) }
    let steps = hashes.map { 1 + scaled(mixed($0 ^ 0x5851_F42D_4C95_7F2D), to: size - 1) }
    var next = hashes.map { scaled($0, to: size) }
    var slots: [UInt16] = Array(repeating: 0, count: size)
    var isTaken = Array(repeating: false, count: size)
    // Which owner fills the next slot: its place in the order of names stands for its number.
    var turns = StridedTurns(
      owners.enumerated().map { Candidate(number: $0.offset, weight: $0.element.weight) },
      start: 0
    )
    let everybody = MemberSet()
    for _ in 0..<size {
      guard let owner = turns.next(excluding: everybody) else { break }
      while isTaken[next[owner]] {
        next[owner] += steps[owner]
        if next[owner] >= size { next[owner] -= size }
      }
      isTaken[next[owner]] = true
      slots[next[owner]] = UInt16(owners[owner].number)
    }
    self.slots = slots
  }

  /// The slot of a key.
  func place(of hash: UInt64) -> Int { scaled(hash, to: slots.count) }

  /// The number of the member that has a slot.
  func number(at place: Int) -> Int { Int(slots[place]) }
}
