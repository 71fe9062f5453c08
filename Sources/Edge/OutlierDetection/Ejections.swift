/// The members of one upstream that are ejected, and how they came to be.
public struct Ejections: Sendable {
  /// What is remembered of a member.
  public struct MemberRecord: Hashable, Sendable {
    /// When it returns, in nanoseconds of the caller's clock; nil: it serves.
    public var until: Int64?
    /// How many ejections are remembered; it decides how long the next one takes.
    public var number = 0
    /// When it returned last, or when the last remembered ejection was forgotten.
    public var servesSince: Int64 = .min

    /// Creates the record of a member that was never ejected.
    public init() {}
  }

  /// By what is decided.
  public let policy: EjectionPolicy
  /// The members in their order.
  public private(set) var members: [MemberRecord]

  /// Creates the ejections of so many members, none of which is ejected.
  public init(_ policy: EjectionPolicy, memberCount: Int) {
    self.init(policy, members: Array(repeating: MemberRecord(), count: memberCount))
  }

  /// Goes on with what is remembered of members, perhaps by another policy.
  public init(_ policy: EjectionPolicy, members: [MemberRecord]) {
    self.policy = policy
    self.members = members
  }

  /// How many are ejected.
  public var ejectedCount: Int { members.count { $0.until != nil } }

  /// Whether a member is ejected.
  public func isEjected(_ member: Int) -> Bool { members[member].until != nil }

  /// Takes note that a member has failed as often in a row as the policy allows.
  ///
  /// - Parameters:
  ///   - member: Its place.
  ///   - unavailable: The members that do not serve for other reasons.
  ///   - now: Nanoseconds of a clock that never goes back.
  /// - Returns: The ejection, or nil when it is ejected already or must not be.
  public mutating func noteRow(
    of member: Int,
    unavailable: Set<Int>,
    at now: Int64
  ) -> Ejection? {
    guard let limit = policy.failuresInARow else { return nil }
    return eject(member, .failuresInARow(limit), unavailable, now)
  }

  /// Judges the members by what they did in a window, the worst first.
  ///
  /// - Parameters:
  ///   - counts: One for each member.
  ///   - unavailable: The members that do not serve for other reasons.
  ///   - now: Nanoseconds of a clock that never goes back.
  /// - Returns: The members that are ejected now.
  public mutating func endWindow(
    _ counts: [WindowCount],
    unavailable: Set<Int>,
    at now: Int64
  ) -> [Ejection] {
    precondition(counts.count == members.count, "a count for each member")
    forget(at: now)
    let least = UInt64(max(policy.leastRequestCount, 1))
    let judged = counts.indices.filter { counts[$0].requestCount >= least && !isEjected($0) }
    let threshold = leastShare(judged.map { counts[$0].successShare })
    // The worst first: where not all of them may go, those should.
    let worstFirst = judged.sorted { left, right in
      let shares = (counts[left].successShare, counts[right].successShare)
      return shares.0 == shares.1 ? left < right : shares.0 < shares.1
    }
    return worstFirst.compactMap { member in
      cause(of: counts[member], threshold).flatMap { eject(member, $0, unavailable, now) }
    }
  }

  /// Returns the members to service whose time is over.
  ///
  /// - Returns: Their places.
  public mutating func takeDue(at now: Int64) -> [Int] {
    let due = members.indices.filter { index in members[index].until.map { $0 <= now } ?? false }
    for index in due { restore(index, at: now) }
    return due
  }

  /// Returns all members to service.
  ///
  /// - Returns: The places of those that were ejected.
  public mutating func takeAll(at now: Int64) -> [Int] {
    let ejected = members.indices.filter(isEjected)
    for index in ejected { restore(index, at: now) }
    return ejected
  }

  private mutating func restore(_ member: Int, at now: Int64) {
    members[member].until = nil
    members[member].servesSince = now
  }

  // MARK: Decisions

  /// The least share of successes that the deviation allows, or nil where too few are compared.
  private func leastShare(_ shares: [Double]) -> Double? {
    guard let factor = policy.deviationThousandths,
      shares.count >= max(policy.leastMemberCount, 2)
    else { return nil }
    let mean = shares.reduce(0, +) / Double(shares.count)
    let variance =
      shares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(shares.count)
    return mean - variance.squareRoot() * Double(factor) / 1000
  }

  private func cause(of count: WindowCount, _ threshold: Double?) -> Ejection.Cause? {
    if let limit = policy.failurePercent,
      count.failureCount * 100 >= UInt64(limit) * count.requestCount
    {
      let percent = Int(count.failureCount * 100 / count.requestCount)
      return .failurePercent(percent, requestCount: count.requestCount)
    }
    // Members that all do the same deviate by nothing: what is lost to rounding is no difference.
    guard let threshold, count.successShare < threshold - 1e-9 else { return nil }
    return .deviation(
      successPercent: Int(count.successShare * 100),
      leastPercent: Int(max(threshold, 0) * 100)
    )
  }

  private mutating func eject(
    _ member: Int,
    _ cause: Ejection.Cause,
    _ unavailable: Set<Int>,
    _ now: Int64
  ) -> Ejection? {
    guard !isEjected(member), ejectedCount < policy.largestCount(of: members.count) else {
      return nil
    }
    let othersServe = members.indices.contains { other in
      other != member && !isEjected(other) && !unavailable.contains(other)
    }
    guard othersServe || policy.largestPercent == 100 else { return nil }
    members[member].number = min(members[member].number + 1, 64)
    let number = members[member].number
    let time = policy.nanoseconds(ofEjection: number)
    members[member].until = now + time
    return Ejection(member: member, cause: cause, number: number, nanoseconds: time)
  }

  /// Forgets an ejection of each member that has served since for as long as that took.
  private mutating func forget(at now: Int64) {
    for index in members.indices where members[index].number > 0 && !isEjected(index) {
      let time = policy.nanoseconds(ofEjection: members[index].number)
      guard members[index].servesSince <= now - time else { continue }
      members[index].number -= 1
      members[index].servesSince = now
    }
  }
}
