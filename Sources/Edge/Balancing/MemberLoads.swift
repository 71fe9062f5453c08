/// What members have to do now, as a balancer asks for it: members by their numbers.
public protocol MemberLoads {
  /// How many requests a member works on, for all loops together.
  func activeCount(of number: Int) -> Int
  /// How long a member took for its answers.
  func responseTime(of number: Int) -> ResponseTime
  /// How many requests all members together work on.
  var totalCount: Int { get }
}

/// What a choice is made for.
public struct BalancingRequest: Hashable, Sendable {
  /// The hash of the key that decides; nil when the request has none: then members take turns.
  public var hash: UInt64?
  /// Nanoseconds of the monotonic clock.
  public var now: Int64

  /// Creates a request.
  @inlinable
  public init(hash: UInt64? = nil, now: Int64 = 0) {
    self.hash = hash
    self.now = now
  }
}
