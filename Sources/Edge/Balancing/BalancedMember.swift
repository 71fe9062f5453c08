/// What a balancer is told about one member of an upstream.
public struct BalancedMember: Hashable, Sendable {
  /// What speaks for or against a member.
  public enum Condition: Hashable, Sendable {
    /// It may be chosen.
    case usable
    /// Checks or failures speak against it: it is chosen only when too few are usable.
    case unwell
    /// It is not wanted, or has no address: it is not chosen at all.
    case unavailable
  }

  /// The most that a weight counts; a larger one counts as this.
  public static let maxWeight = 1 << 20

  /// What ``ramp`` is for a member that has its whole weight.
  public static let fullRamp = 64

  /// What the answer is when this member is chosen; from 0 on, best without gaps.
  public var number: Int

  /// Its share of the requests, in relation to the other members; with 0 (or less) it is drained and
  /// never chosen.
  public var weight: Int

  /// Members are chosen only while no member of a lower tier can be; from 1 on.
  public var tier: Int

  /// Whether it is chosen only when no other member can be, of whatever tier.
  public var isBackup: Bool

  /// What speaks for or against it.
  public var condition: Condition

  /// Which part of its weight it has while it starts slowly: 1 to ``fullRamp``.
  public var ramp: Int

  /// Creates the description of a member.
  public init(
    number: Int = 0,
    weight: Int = 1,
    tier: Int = 1,
    isBackup: Bool = false,
    condition: Condition = .usable,
    ramp: Int = BalancedMember.fullRamp
  ) {
    self.number = number
    self.weight = weight
    self.tier = tier
    self.isBackup = isBackup
    self.condition = condition
    self.ramp = ramp
  }
}
