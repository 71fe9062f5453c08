/// Whose turn it is among many members with weights, found without looking at all of them.
///
/// Members own pieces of a circle, as long as their weights say, and each turn goes on by a fixed step
/// and takes the owner of the place it comes to. The step has no divisor in common with the circle, so
/// over a period (the sum of the weights, without their common divisor) every place is met once: the
/// shares are exact. It is close to the golden section of the circle, which spreads the visits to each
/// piece as evenly as a fixed step can: a member is at most four turns ahead of its share or behind.
@usableFromInline
struct StridedTurns: Sendable {
  /// The places of the circle.
  private let length: UInt64
  private let step: UInt64
  private var position: UInt64
  private let pieces: Pieces

  /// The state after `start` turns without exclusion.
  @usableFromInline
  init(_ candidates: [Candidate], start: Int) {
    pieces = Pieces(candidates)
    length = pieces.length
    step = Self.step(around: length)
    let turns = UInt64(start.magnitude) % max(1, length)
    let (high, low) = step.multipliedFullWidth(by: turns)
    position = length == 0 ? 0 : length.dividingFullWidth((high, low)).remainder
  }

  /// The number of the member whose turn it is, or nil when all are excluded.
  ///
  /// - Complexity: O(1), or O(*n*) when nearly all are excluded.
  @usableFromInline
  mutating func next(excluding excluded: borrowing MemberSet) -> Int? {
    guard length > 0 else { return nil }
    if excluded.isEmpty { return pieces.number(at: advance()) }
    for _ in 0..<Self.strideLimit {
      let number = pieces.number(at: advance())
      if !excluded.contains(number) { return number }
    }
    return pieces.firstNumber(from: advance(), excluding: excluded)
  }

  // After so many excluded members in a row, the next one beside the last is taken.
  private static let strideLimit = 8

  /// The step near 0.6180339887 of the length that meets every place and spreads visits best: the one
  /// whose continued fraction with the length has the smallest terms.
  private static func step(around length: UInt64) -> UInt64 {
    let golden = length.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15).high
    var best: (step: UInt64, terms: UInt64) = (1, .max)
    for distance in 0..<searchedSteps {
      for step in [golden &+ distance, golden &- distance] where step > 0 && step < length {
        var (terms, left, right) = (0 as UInt64, length, step)
        while right != 0 {
          terms += left / right
          (left, right) = (right, left % right)
        }
        if left == 1, terms < best.terms { best = (step, terms) }
      }
    }
    return best.step
  }

  private static let searchedSteps: UInt64 = 48

  private mutating func advance() -> UInt64 {
    let place = position
    let next = place &+ step
    position = next >= length ? next &- length : next
    return place
  }
}

/// Who owns which piece of a circle, found in constant time.
struct Pieces: Sendable {
  /// The places of the circle: the sum of the weights, without their common divisor.
  let length: UInt64
  // Where each piece begins, and the length behind the last one.
  private let starts: [UInt64]
  private let numbers: [Int]
  // For each of as many parts of the circle as there are members: the last piece that begins in a
  // part before it. The owner of a place in the part is that piece or one soon behind it.
  private let guide: [UInt32]
  private let scale: UInt64

  init(_ candidates: [Candidate]) {
    let divisor = candidates.reduce(0) { greatestCommonDivisor($0, $1.weight) }
    var starts: [UInt64] = []
    var length: UInt64 = 0
    for candidate in candidates {
      starts.append(length)
      length += UInt64(candidate.weight / max(1, divisor))
    }
    starts.append(length)
    numbers = candidates.map(\.number)
    self.starts = starts
    self.length = length
    let scale = length == 0 ? 0 : UInt64.max / length * UInt64(candidates.count)
    self.scale = scale
    var guide: [UInt32] = Array(repeating: 0, count: candidates.count + 1)
    for index in candidates.indices {
      let part = Int(starts[index].multipliedFullWidth(by: scale).high)
      guide[part + 1] = UInt32(index)
    }
    for part in guide.indices.dropFirst() { guide[part] = max(guide[part], guide[part - 1]) }
    self.guide = guide
  }

  private func index(at place: UInt64) -> Int {
    let part = Int(truncatingIfNeeded: place.multipliedFullWidth(by: scale).high)
    var index = Int(guide[part])
    while starts[index &+ 1] <= place { index &+= 1 }
    return index
  }

  /// The owner of a place.
  func number(at place: UInt64) -> Int { numbers[index(at: place)] }

  /// The first owner from a place on that is not excluded, or nil when all are.
  func firstNumber(from place: UInt64, excluding excluded: borrowing MemberSet) -> Int? {
    var index = index(at: place)
    for _ in numbers.indices {
      if !excluded.contains(numbers[index]) { return numbers[index] }
      index = index + 1 == numbers.count ? 0 : index + 1
    }
    return nil
  }
}
