/// What a balancer knows about one member of an upstream.
public struct BalancedMember: Hashable, Sendable {
  /// The most that a weight counts; a larger one counts as this.
  public static let maxWeight = 1 << 20

  /// Its share of the requests, in relation to the other members; with 0 (or less) it is drained and
  /// never chosen.
  public var weight: Int

  /// Whether it is chosen only when no other member can be.
  public var isBackup: Bool

  /// Creates the description of a member.
  public init(weight: Int = 1, isBackup: Bool = false) {
    self.weight = weight
    self.isBackup = isBackup
  }
}
