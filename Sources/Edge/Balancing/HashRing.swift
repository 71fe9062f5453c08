/// Points on a ring, many for each member; a key belongs to the first point behind its hash.
///
/// A member's points depend on its name alone and, in their number, on its weight. About 128 to 256 for
/// each member leave its share within a few parts in a hundred of what its weight says.
///
/// - Source: consistent hashing of Karger and others, 1997, in the form of ketama.
struct HashRing: Sendable {
  // The high 48 bits of each point's hash, and the member's number; in order.
  private let points: [UInt64]
  // The first point of each of the equal parts that the ring is cut into, and their number behind.
  private let guide: [UInt32]
  private let guideShift: UInt64

  private static let pointsPerMember = 256
  private static let pointLimit = 1 << 17

  init(_ owners: [HashPlaces.Owner]) {
    var unsorted: [UInt64] = []
    let exponent = Self.exponent(owners)
    for owner in owners {
      let count = max(1, exponent < 0 ? owner.weight >> -exponent : owner.weight << exponent)
      let name = KeyHash.value(of: owner.name)
      for replica in 0..<count {
        let hash = mixed(name &+ UInt64(replica) &* 0x9E37_79B9_7F4A_7C15)
        unsorted.append(hash & ~0xFFFF | UInt64(owner.number))
      }
    }
    // Hashes are spread evenly: cut into as many parts as there are points, they are nearly sorted.
    var bits: UInt64 = 1
    while bits < 17, 1 << bits < unsorted.count { bits += 1 }
    guideShift = 64 - bits
    var guide: [UInt32] = Array(repeating: 0, count: 1 << bits + 1)
    for point in unsorted { guide[Int(point >> guideShift) + 1] += 1 }
    for part in 1..<guide.count { guide[part] += guide[part - 1] }
    var next = guide
    var points: [UInt64] = Array(repeating: 0, count: unsorted.count)
    for point in unsorted {
      let part = Int(point >> guideShift)
      points[Int(next[part])] = point
      next[part] += 1
    }
    for part in 0..<guide.count - 1 where guide[part + 1] - guide[part] > 1 {
      points[Int(guide[part])..<Int(guide[part + 1])].sort()
    }
    self.points = points
    self.guide = guide
  }

  /// The power of two that makes points of a weight: steps, so that members that come and go seldom
  /// change how many points the others have.
  private static func exponent(_ owners: [HashPlaces.Owner]) -> Int {
    let total = owners.reduce(0) { $0 + $1.weight }
    guard total > 0 else { return 0 }
    let wanted = min(pointsPerMember * owners.count, pointLimit)
    var exponent = 0
    while total << (exponent + 1) <= wanted { exponent += 1 }
    while exponent <= 0, total >> -exponent > wanted { exponent -= 1 }
    return exponent
  }

  /// The place of the point that a key belongs to.
  func place(of hash: UInt64) -> Int {
    let wanted = hash & ~0xFFFF
    var place = Int(guide[Int(truncatingIfNeeded: hash &>> guideShift)])
    while place < points.count, points[place] < wanted { place &+= 1 }
    return place == points.count ? 0 : place
  }

  /// The place behind another one.
  func place(after place: Int) -> Int { place &+ 1 == points.count ? 0 : place &+ 1 }

  /// The number of the member whose point stands at a place.
  func number(at place: Int) -> Int { Int(truncatingIfNeeded: points[place] & 0xFFFF) }
}
