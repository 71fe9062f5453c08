/// Many members with what they have to do, the least loaded one at the top: a tournament.
///
/// Each member is a leaf, and each inner node holds the lesser key of its two sides: what the member has
/// to do above its turn above its place, in one word. A change plays the matches from the leaf up again,
/// all of them: to guess where the outcome stays as it was costs more than to write it down. Members that
/// have equally little take turns: the one whose last turn, prolonged by its weight, is the furthest back
/// wins.
public final class LoadTree {
  /// A member.
  private struct Leaf {
    let number: Int
    /// What a request of it counts.
    let unit: UInt64
    let turnLength: UInt64
    var turn: UInt64
    var count: UInt64 = 0
  }

  /// The most members; of more the first are chosen among.
  private static let memberLimit = 1 << Int(placeBits)

  private var leaves: [Leaf]
  // The place of the leaf of each number; -1: none.
  private let places: [Int32]
  // Node 1 is the top, the sides of node n are 2n and 2n + 1, and the leaves follow from `base` on.
  private var keys: [UInt64]
  private let base: Int
  // The turn that the last winner had.
  private var present: UInt64 = 0
  private var cursor = 0
  private var parked: [Int32] = []

  private static let placeBits: UInt64 = 18
  private static let turnBits: UInt64 = 22
  private static let mostLoad: UInt64 = 1 << 24 - 2
  // A request counts as so much of the strongest member, and a turn of the heaviest; those of others
  // are longer, up to a limit.
  private static let unit: UInt64 = 1 << 8
  private static let turnUnit: UInt64 = 1 << 12
  private static let longestTurn: UInt64 = 1 << 20
  private static let halfOfTurns: UInt64 = 1 << (turnBits - 1)
  private static let nobody = UInt64.max
  private static let parkedLimit = 8

  init(_ candidates: [Candidate], strengths: [Int], start: Int) {
    let candidates = candidates.prefix(Self.memberLimit)
    let count = candidates.count
    var base = 1
    while base < count { base *= 2 }
    self.base = base
    var places: [Int32] = Array(
      repeating: -1,
      count: (candidates.lazy.map(\.number).max() ?? -1) + 1
    )
    for (place, candidate) in candidates.enumerated() { places[candidate.number] = Int32(place) }
    self.places = places
    let strongest = UInt64(max(1, strengths.max() ?? 1))
    let heaviest = UInt64(max(1, candidates.lazy.map(\.weight).max() ?? 1))
    // Whoever has the most weight has the first turn; loops begin at different members.
    let shift = Int(start.magnitude % UInt(max(1, count)))
    leaves = candidates.enumerated().map { place, candidate in
      let length = min(
        Self.longestTurn,
        Self.turnUnit * heaviest / UInt64(max(1, candidate.weight))
      )
      return Leaf(
        number: candidate.number,
        unit: min(Self.mostLoad, Self.unit * strongest / UInt64(max(1, strengths[place]))),
        turnLength: length,
        turn: length / 2 + UInt64((place + count - shift) % count) % 1024
      )
    }
    keys = Array(repeating: Self.nobody, count: 2 * base)
    parked.reserveCapacity(Self.parkedLimit)
    rebuild()
  }

  /// The number of the member that has the least to do, which has one request more then.
  @inlinable
  func choose<Loads: MemberLoads>(
    excluding excluded: borrowing MemberSet,
    _ loads: Loads
  ) -> Int? {
    // What other loops do is looked at a little late.
    for _ in 0..<2 {
      let number = nextToLookAt()
      note(loads.activeCount(of: number), of: number)
    }
    var isParked = false
    defer { if isParked { unpark() } }
    // Each round sets a count right or puts a member aside; counts may change all the time.
    for _ in 0..<16 {
      guard let number = top() else { break }
      if note(loads.activeCount(of: number), of: number) { continue }
      if excluded.contains(number) {
        isParked = true
        guard park(number) else { break }
        continue
      }
      noteBegin(of: number)
      return number
    }
    isParked = true
    guard let number = leastOfAll(excluding: excluded) else { return nil }
    noteBegin(of: number)
    return number
  }

  /// Notes how many requests a member has.
  ///
  /// - Returns: Whether they are others than was known.
  @discardableResult
  public func note(_ count: Int, of number: Int) -> Bool {
    let place = Int(places[number])
    guard place >= 0 else { return false }
    let count = UInt64(truncatingIfNeeded: max(0, count))
    guard leaves[place].count != count else { return false }
    leaves[place].count = count
    play(from: place, key(of: place))
    return true
  }

  /// Notes that a request of this loop ended at a member.
  public func noteEnd(of number: Int) {
    guard number < places.count, places[number] >= 0 else { return }
    let place = Int(places[number])
    guard leaves[place].count > 0 else { return }
    leaves[place].count &-= 1
    play(from: place, key(of: place))
  }

  /// Notes that a request begins at the member that was chosen, whose turn is over with it.
  @usableFromInline
  func noteBegin(of number: Int) {
    let place = Int(places[number])
    var leaf = leaves[place]
    leaf.count &+= 1
    present = max(present, leaf.turn)
    // Whoever was not chosen for long because it was busy does not make up for it.
    leaf.turn = present &+ leaf.turnLength
    leaves[place] = leaf
    if present < Self.halfOfTurns {
      play(from: place, Self.key(of: leaf, at: place))
    } else {
      turnBack()
    }
  }

  @usableFromInline
  func nextToLookAt() -> Int {
    let number = leaves[cursor].number
    cursor = cursor &+ 1 == leaves.count ? 0 : cursor &+ 1
    return number
  }

  @usableFromInline
  func top() -> Int? {
    let key = keys[1]
    return key == Self.nobody
      ? nil : leaves[Int(truncatingIfNeeded: key & (1 << Self.placeBits - 1))].number
  }

  /// Puts a member aside until the choice is made, unless many are.
  @usableFromInline
  func park(_ number: Int) -> Bool {
    guard parked.count < Self.parkedLimit else { return false }
    parked.append(places[number])
    play(from: Int(places[number]), Self.nobody)
    return true
  }

  @usableFromInline
  func unpark() {
    while let place = parked.popLast() { play(from: Int(place), key(of: Int(place))) }
  }

  /// The one of all that has the least to do, found by looking at each.
  @usableFromInline
  func leastOfAll(excluding excluded: borrowing MemberSet) -> Int? {
    unpark()
    var best: (number: Int, key: UInt64)?
    for place in leaves.indices where !excluded.contains(leaves[place].number) {
      if let other = best, keys[base + place] >= other.key { continue }
      best = (leaves[place].number, keys[base + place])
    }
    return best?.number
  }

  private func key(of place: Int) -> UInt64 { Self.key(of: leaves[place], at: place) }

  private static func key(of leaf: Leaf, at place: Int) -> UInt64 {
    // A count that large is no count of requests, and the product may not overflow.
    let load = min(min(leaf.count, mostLoad) &* leaf.unit, mostLoad)
    return load &<< (turnBits + placeBits) | leaf.turn &<< placeBits
      | UInt64(truncatingIfNeeded: place)
  }

  /// Plays the matches of a leaf that has another key.
  private func play(from place: Int, _ key: UInt64) { Self.play(&keys, from: base &+ place, key) }

  private static func play(_ keys: inout [UInt64], from leaf: Int, _ key: UInt64) {
    var nodes = keys.mutableSpan
    var node = leaf
    var least = key
    nodes[node] = key
    while node > 1 {
      least = min(least, nodes[node ^ 1])
      node &>>= 1
      nodes[node] = least
    }
  }

  /// Counts turns from the present one on, before their numbers are too large for their bits.
  private func turnBack() {
    for place in leaves.indices { leaves[place].turn -= min(leaves[place].turn, present) }
    present = 0
    rebuild()
  }

  private func rebuild() {
    for place in leaves.indices { keys[base + place] = key(of: place) }
    for node in stride(from: base - 1, to: 0, by: -1) {
      keys[node] = min(keys[2 * node], keys[2 * node + 1])
    }
  }
}
