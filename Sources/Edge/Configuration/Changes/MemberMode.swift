import Directives

/// What a member is wanted for.
public enum MemberMode: String, Hashable, Sendable, CaseIterable, Comparable {
  /// Everything.
  case ready
  /// What is under way, and clients that belong to it.
  case draining
  /// Nothing new at all.
  case disabled

  /// Whether `left` takes more than `right`.
  public static func < (left: MemberMode, right: MemberMode) -> Bool {
    let order = allCases
    return (order.firstIndex(of: left) ?? 0) < (order.firstIndex(of: right) ?? 0)
  }
}

extension ValueKind where Value == MemberMode {
  /// What a member is wanted for.
  static var memberMode: ValueKind {
    .choice(MemberMode.allCases.map { ($0.rawValue, $0) })
  }
}
