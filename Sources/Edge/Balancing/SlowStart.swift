/// Which part of its weight a member has that came back a while ago.
///
/// It grows evenly from nearly nothing to the whole: connections, caches and compilers of the member
/// warm up before it has its share.
public struct SlowStart: Hashable, Sendable {
  /// How long it takes, in nanoseconds; 0: no time at all.
  public let duration: Int64

  /// Creates the rule.
  public init(nanoseconds duration: Int64) { self.duration = max(0, duration) }

  /// The part of the weight, from 1 to ``BalancedMember/fullRamp``, of a member that is up since
  /// `start` (0: from the beginning), at `now`.
  public func ramp(since start: Int64, at now: Int64) -> Int {
    guard duration > 0, start > 0, now < start + duration else { return BalancedMember.fullRamp }
    return Int(max(1, max(0, now - start) * Int64(BalancedMember.fullRamp) / duration))
  }
}
