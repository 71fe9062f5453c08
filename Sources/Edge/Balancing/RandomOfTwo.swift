/// The less busy one of two members that are drawn at random, by weight.
///
/// Two are enough that no member gets many more than others, and many loops or nodes that know little
/// of each other do not all run to the same member.
public struct RandomOfTwo: Sendable {
  @usableFromInline var draw: RandomDraw

  /// Creates the algorithm for `candidates`; equal seeds draw equally.
  public init(_ candidates: [Candidate], seed: UInt64 = 0) {
    draw = RandomDraw(candidates, seed: seed)
  }

  /// The number of the member chosen, or nil when none can be.
  ///
  /// - Complexity: O(1), with no allocation; O(*n*) when nearly all are excluded.
  @inlinable
  public mutating func choose<Loads: MemberLoads>(
    excluding excluded: borrowing MemberSet,
    _ loads: Loads
  ) -> Int? {
    guard let (one, other) = draw.two(excluding: excluded) else { return nil }
    if one == other { return one }
    // Of two that are equally busy the first one drawn, which is the heavier one more often.
    let load = loads.activeCount(of: one) &* draw.weight(of: other)
    let otherLoad = loads.activeCount(of: other) &* draw.weight(of: one)
    return load <= otherLoad ? one : other
  }
}

/// Draws members at random, by their weights.
@usableFromInline
struct RandomDraw: Sendable {
  private let pieces: Pieces
  private var numbers: Numbers
  // By number; 0: no candidate.
  private let weights: [Int]
  private let first: Int?
  private let second: Int?

  @usableFromInline
  init(_ candidates: [Candidate], seed: UInt64) {
    pieces = Pieces(candidates)
    numbers = Numbers(seed: seed)
    var weights = Array(repeating: 0, count: (candidates.map(\.number).max() ?? -1) + 1)
    for candidate in candidates { weights[candidate.number] = candidate.weight }
    self.weights = weights
    first = candidates.first?.number
    second = candidates.count == 2 ? candidates.last?.number : nil
  }

  @usableFromInline
  func weight(of number: Int) -> Int { weights[number] }

  /// Two members that are not excluded; the same one twice if there is but one, or by rare chance.
  @usableFromInline
  mutating func two(excluding excluded: borrowing MemberSet) -> (Int, Int)? {
    if let first, let second, excluded.isEmpty { return (first, second) }
    guard let one = draw(excluding: excluded) else { return nil }
    for _ in 0..<3 {
      guard let other = draw(excluding: excluded) else { return (one, one) }
      if other != one { return (one, other) }
    }
    return (one, one)
  }

  private mutating func draw(excluding excluded: borrowing MemberSet) -> Int? {
    guard pieces.length > 0 else { return nil }
    var place: UInt64 = 0
    for _ in 0..<4 {
      place = numbers.next().multipliedFullWidth(by: pieces.length).high
      let number = pieces.number(at: place)
      if !excluded.contains(number) { return number }
    }
    return pieces.firstNumber(from: place, excluding: excluded)
  }
}
