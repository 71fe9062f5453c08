/// Many members with what they have to do, the least loaded one at the top: a tournament.
///
/// Each member is a leaf, and each inner node names the one of its two sides that has less to do. A
/// change plays the matches from the leaf up again, and ends where the outcome is as it was. Members
/// that have equally little take turns: the one whose last turn, prolonged by its weight, is the
/// furthest back wins.
public final class LoadTree {
  private let numbers: [Int]
  // The leaf of each number; -1: none.
  private let leaves: [Int32]
  private let units: [UInt64]
  private let turnLengths: [UInt64]
  private var counts: [Int32]
  private var turns: [UInt64]
  // Of each node the load of its winner, above its turn, in one word; node 1 is the top, the sides of
  // node n are 2n and 2n + 1, and the leaves follow from `base` on.
  private var keys: [UInt64]
  private var winners: [Int32]
  private let base: Int
  // The turn that the last winner had.
  private var present: UInt64 = 0
  private var cursor = 0
  private var parked: [Int32] = []

  // A request counts as so much of the strongest member, and a turn of the heaviest; those of others
  // are longer, up to a limit.
  private static let unit: UInt64 = 1 << 12
  private static let longestTurn: UInt64 = 1 << 24
  private static let halfOfTurns: UInt64 = 1 << 31
  private static let nobody = UInt64.max
  private static let parkedLimit = 8

  init(_ candidates: [Candidate], strengths: [Int], start: Int) {
    let count = candidates.count
    var base = 1
    while base < count { base *= 2 }
    self.base = base
    numbers = candidates.map(\.number)
    var leaves: [Int32] = Array(repeating: -1, count: (numbers.max() ?? -1) + 1)
    for (leaf, number) in numbers.enumerated() { leaves[number] = Int32(leaf) }
    self.leaves = leaves
    let strongest = UInt64(max(1, strengths.max() ?? 1))
    units = strengths.map { Self.unit * strongest / UInt64(max(1, $0)) }
    let heaviest = UInt64(max(1, candidates.lazy.map(\.weight).max() ?? 1))
    turnLengths = candidates.map {
      min(Self.longestTurn, Self.unit * heaviest / UInt64(max(1, $0.weight)))
    }
    counts = Array(repeating: 0, count: count)
    // Whoever has the most weight has the first turn; loops begin at different members.
    let shift = Int(start.magnitude % UInt(max(1, count)))
    turns = turnLengths.enumerated().map { place, length in
      length / 2 + UInt64((place + count - shift) % count) % 1024
    }
    keys = Array(repeating: Self.nobody, count: 2 * base)
    winners = Array(repeating: 0, count: 2 * base)
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
    let leaf = Int(leaves[number])
    guard Int(counts[leaf]) != count else { return false }
    counts[leaf] = Int32(truncatingIfNeeded: max(0, min(count, Int(Int32.max) - 1)))
    play(from: leaf, key(of: leaf))
    return true
  }

  /// Notes that a request of this loop ended at a member.
  public func noteEnd(of number: Int) {
    guard number < leaves.count, leaves[number] >= 0 else { return }
    let leaf = Int(leaves[number])
    guard counts[leaf] > 0 else { return }
    counts[leaf] &-= 1
    play(from: leaf, key(of: leaf))
  }

  /// Notes that a request begins at the member that was chosen, whose turn is over with it.
  @usableFromInline
  func noteBegin(of number: Int) {
    let leaf = Int(leaves[number])
    counts[leaf] &+= 1
    present = max(present, turns[leaf])
    // Whoever was not chosen for long because it was busy does not make up for it.
    turns[leaf] = present &+ turnLengths[leaf]
    if present < Self.halfOfTurns {
      play(from: leaf, key(of: leaf))
    } else {
      turnBack()
    }
  }

  @usableFromInline
  func nextToLookAt() -> Int {
    let number = numbers[cursor]
    cursor = cursor &+ 1 == numbers.count ? 0 : cursor &+ 1
    return number
  }

  @usableFromInline
  func top() -> Int? { keys[1] == Self.nobody ? nil : numbers[Int(winners[1])] }

  /// Puts a member aside until the choice is made, unless many are.
  @usableFromInline
  func park(_ number: Int) -> Bool {
    guard parked.count < Self.parkedLimit else { return false }
    parked.append(leaves[number])
    play(from: Int(leaves[number]), Self.nobody)
    return true
  }

  @usableFromInline
  func unpark() {
    while let leaf = parked.popLast() { play(from: Int(leaf), key(of: Int(leaf))) }
  }

  /// The one of all that has the least to do, found by looking at each.
  @usableFromInline
  func leastOfAll(excluding excluded: borrowing MemberSet) -> Int? {
    unpark()
    var best: (number: Int, key: UInt64)?
    for leaf in numbers.indices where !excluded.contains(numbers[leaf]) {
      if let other = best, keys[base + leaf] >= other.key { continue }
      best = (numbers[leaf], keys[base + leaf])
    }
    return best?.number
  }

  private func key(of leaf: Int) -> UInt64 {
    let load = min(UInt64(counts[leaf]) &* units[leaf], UInt64(UInt32.max) - 1)
    return load &<< 32 | turns[leaf]
  }

  /// Plays the matches of a leaf that has another key.
  private func play(from leaf: Int, _ key: UInt64) {
    var node = base &+ leaf
    var key = key
    var winner = Int32(truncatingIfNeeded: leaf)
    keys[node] = key
    while node > 1 {
      let rival = node ^ 1
      let rivalKey = keys[rival]
      let rivalWinner = winners[rival]
      // Without a jump: who wins is not to be guessed.
      winner = rivalKey < key ? rivalWinner : winner
      key = min(key, rivalKey)
      node &>>= 1
      if keys[node] == key, winners[node] == winner { return }
      keys[node] = key
      winners[node] = winner
    }
  }

  /// Counts turns from the present one on, before their numbers are too large for half a word.
  private func turnBack() {
    for leaf in turns.indices { turns[leaf] -= min(turns[leaf], present) }
    present = 0
    rebuild()
  }

  private func rebuild() {
    for leaf in numbers.indices {
      keys[base + leaf] = key(of: leaf)
      winners[base + leaf] = Int32(leaf)
    }
    for node in stride(from: base - 1, to: 0, by: -1) {
      let side = keys[2 * node + 1] < keys[2 * node] ? 2 * node + 1 : 2 * node
      keys[node] = keys[side]
      winners[node] = winners[side]
    }
  }
}
