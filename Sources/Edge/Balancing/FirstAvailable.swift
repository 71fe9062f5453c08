/// The first member in the order written that can take a request.
///
/// The others are left alone until it is full, so that they can be switched off when there is little to
/// do. Weights mean nothing to it.
public struct FirstAvailable: Sendable {
  @usableFromInline let numbers: [Int]
  // Whether each member's number is its place, so that the set of excluded ones can be asked.
  @usableFromInline let isPlain: Bool

  /// Creates the algorithm for `candidates`, in their order.
  public init(_ candidates: [Candidate]) {
    numbers = candidates.map(\.number)
    isPlain = numbers.enumerated().allSatisfy { $0.offset == $0.element }
  }

  /// The number of the first member that is not excluded, or nil when all are.
  ///
  /// - Complexity: O(*n*) in the excluded members before it, 64 at a time in the usual case.
  @inlinable
  public func choose(excluding excluded: borrowing MemberSet) -> Int? {
    if isPlain {
      let first = excluded.firstAbsent
      return first < numbers.count ? first : nil
    }
    for number in numbers where !excluded.contains(number) { return number }
    return nil
  }
}
