public import Edge

/// What the checks of a member have come to: whether it is up, and how far it is on its way to the
/// other state.
///
/// ```
///              first check passes                 `fall` fail in a row
///   unknown ───────────────────────▶ up ───────────────────────────▶ down
///      │                              ◀────────────────────────────   ▲
///      │  first check fails               `rise` pass in a row        │
///      └──────────────────────────────────────────────────────────────┘
/// ```
public struct CheckHistory: Hashable, Sendable {
  /// What the checks so far have come to.
  public private(set) var health: MemberState.Health
  /// How many of the last checks, one behind the other, speak for the other state.
  public private(set) var contraryCount: Int

  /// Creates the history of a member, by default of one that nothing is known of.
  public init(_ health: MemberState.Health = .unknown, contraryCount: Int = 0) {
    self.health = health
    self.contraryCount = health == .unknown ? 0 : max(contraryCount, 0)
  }

  /// Takes note of a check.
  ///
  /// - Returns: Whether the member's health is another now.
  public mutating func take(passed: Bool, rise: Int, fall: Int) -> Bool {
    let claim: MemberState.Health = passed ? .up : .down
    guard claim != health else {
      contraryCount = 0
      return false
    }
    contraryCount += 1
    // Nothing is known yet: the first check decides alone.
    guard health == .unknown || contraryCount >= (passed ? rise : fall) else { return false }
    health = claim
    contraryCount = 0
    return true
  }

  /// Whether the last check contradicts the state.
  public var isChanging: Bool { contraryCount > 0 }
}
