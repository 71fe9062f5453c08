import Configuration
import MartletSystem
import OutlierDetection
import Synchronization

/// Takes members of one upstream out of service whose answers show that they do not serve, and brings
/// them back.
///
/// A loop counts what its requests came to in an ``OutlierTally`` of its own. Only a failure that
/// completes a row, and the end of a window, go through the lock here.
final class OutlierWatch: Sendable {
  private struct State {
    var tallies: [Int: [OutlierTally]] = [:]
    /// What the tallies had counted when the window began, by the member's number.
    var before: [Int: WindowCount] = [:]
    var windowEnd: Int64?
  }

  private let policy: EjectionPolicy
  private let windowNanoseconds: Int64
  private let rowLimit: Int
  private let statuses: [ClosedRange<UInt16>]
  private let state = Mutex(State())

  init(_ settings: EjectSettings) {
    var policy = EjectionPolicy()
    policy.failuresInARow = settings.failureCount
    policy.failurePercent = settings.failurePercent
    policy.deviationThousandths = settings.deviationThousandths
    policy.leastRequestCount = settings.leastRequestCount
    policy.leastMemberCount = settings.leastMemberCount
    policy.baseNanoseconds = settings.time.wholeNanoseconds
    policy.longestNanoseconds = settings.longestTime.wholeNanoseconds
    policy.largestPercent = settings.largestPercent
    self.policy = policy
    windowNanoseconds = settings.window.wholeNanoseconds
    rowLimit = settings.failureCount ?? .max
    let ranges = settings.statuses.isEmpty ? EjectSettings.usualStatuses : settings.statuses
    statuses = ranges.map(\.bounds)
  }

  /// What a loop counts in, for the member with this number.
  func tally(of number: Int) -> OutlierTally {
    let tally = OutlierTally()
    state.withLock { $0.tallies[number, default: []].append(tally) }
    return tally
  }

  // MARK: What requests came to

  /// Whether an answer with this status is a failure.
  @inline(__always)
  func isFailure(_ status: UInt16) -> Bool { statuses.contains { $0.contains(status) } }

  /// Takes note of a failure of a member.
  ///
  /// - Returns: Whether its row is complete: ``judgeRow(of:in:at:)`` is to be asked.
  func noteFailure(of record: OutlierRecord, _ tally: OutlierTally) -> Bool {
    tally.countFailure()
    let count = record.failuresInARow.add(1, ordering: .relaxed).newValue
    // A member that must stay is judged again with each further row, not with each failure.
    return count.isMultiple(of: rowLimit)
  }

  /// Ejects the member, unless it must not be.
  func judgeRow(of member: Member, in upstream: UpstreamPlan, at now: Int64) -> [HealthChange] {
    state.withLock { _ in
      let members = upstream.members
      guard let place = members.firstIndex(where: { $0 === member }) else { return [] }
      var ejections = ejections(of: members)
      guard
        let ejection = ejections.noteRow(of: place, unavailable: Self.down(members), at: now)
      else { return [] }
      return [carryOut(ejection, ejections, members, upstream, now)]
    }
  }

  // MARK: Time

  /// Does what the time asks for: members return, and windows are judged.
  func tick(_ upstream: UpstreamPlan, at now: Int64) -> [HealthChange] {
    state.withLock { state in
      let members = upstream.members
      var changes = restoreDue(members, upstream, now)
      guard policy.failurePercent != nil || policy.deviationThousandths != nil else {
        return changes
      }
      guard let end = state.windowEnd else {
        state.windowEnd = now + windowNanoseconds
        return changes
      }
      guard now >= end else { return changes }
      state.windowEnd = now + windowNanoseconds
      let counts = members.map { count(of: $0.number, &state) }
      var ejections = ejections(of: members)
      let ejected = ejections.endWindow(counts, unavailable: Self.down(members), at: now)
      for (member, record) in zip(members, ejections.members) { member.ejection = record }
      changes += ejected.map { carryOut($0, ejections, members, upstream, now) }
      return changes
    }
  }

  /// Returns a member to service that nobody ejects any more.
  static func release(_ member: Member, of upstream: UpstreamPlan, at now: Int64) -> HealthChange? {
    member.ejection = Ejections.MemberRecord()
    guard member.state.isEjected else { return nil }
    return restore(member, upstream, now, detail: "nobody ejects here any more")
  }

  private func restoreDue(
    _ members: [Member],
    _ upstream: UpstreamPlan,
    _ now: Int64
  ) -> [HealthChange] {
    // Nobody is ejected: most of the time there is nothing to do.
    guard members.contains(where: { $0.state.isEjected }) else { return [] }
    var ejections = ejections(of: members)
    _ = ejections.takeDue(at: now)
    return zip(members, ejections.members).compactMap { member, record in
      member.ejection = record
      guard record.until == nil, member.state.isEjected else { return nil }
      return Self.restore(member, upstream, now, detail: "the time is over")
    }
  }

  private static func restore(
    _ member: Member,
    _ upstream: UpstreamPlan,
    _ now: Int64,
    detail: String
  ) -> HealthChange {
    member.outlier.failuresInARow.store(0, ordering: .relaxed)
    member.outlier.returnCount.add(1, ordering: .relaxed)
    member.change(at: now) { $0.isEjected = false }
    return HealthChange(.returned, subject(member, upstream), reason: "time", detail: detail)
  }

  // MARK: Parts

  private func ejections(of members: [Member]) -> Ejections {
    Ejections(policy, members: members.map(\.ejection))
  }

  private static func down(_ members: [Member]) -> Set<Int> {
    Set(
      members.indices.filter { index in
        let state = members[index].state
        return state.health == .down || state.mode != .ready
      }
    )
  }

  private func count(of number: Int, _ state: inout State) -> WindowCount {
    var total = WindowCount()
    for tally in state.tallies[number] ?? [] {
      total.successCount &+= tally.successCount
      total.failureCount &+= tally.failureCount
    }
    let before = state.before.updateValue(total, forKey: number) ?? WindowCount()
    return WindowCount(
      successCount: total.successCount &- before.successCount,
      failureCount: total.failureCount &- before.failureCount
    )
  }

  private func carryOut(
    _ ejection: Ejection,
    _ ejections: Ejections,
    _ members: [Member],
    _ upstream: UpstreamPlan,
    _ now: Int64
  ) -> HealthChange {
    let member = members[ejection.member]
    member.ejection = ejections.members[ejection.member]
    member.outlier.failuresInARow.store(0, ordering: .relaxed)
    member.outlier.ejectionCount.add(1, ordering: .relaxed)
    member.change(at: now) { $0.isEjected = true }
    let seconds = (ejection.nanoseconds + 500_000_000) / 1_000_000_000
    return HealthChange(
      .ejected,
      Self.subject(member, upstream),
      reason: ejection.cause.name,
      detail: "\(ejection.cause.detail), for \(seconds) s"
    )
  }

  private static func subject(_ member: Member, _ upstream: UpstreamPlan) -> HealthChange.Subject {
    HealthChange.Subject(
      upstream: upstream.name,
      member: member.name,
      command: upstream.health.changeCommand
    )
  }
}

extension Duration {
  fileprivate var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}

extension Worker {
  /// Takes note of what a request to a member came to.
  func noteOutcome(of pool: MemberPool, _ tally: OutlierTally, failed: Bool) {
    let record = pool.member.outlier
    guard failed, let outliers = pool.upstream.health.outliers else {
      tally.countSuccess()
      // A store where there was nothing to end would take the line from the other loops.
      if record.failuresInARow.load(ordering: .relaxed) != 0 {
        record.failuresInARow.store(0, ordering: .relaxed)
      }
      return
    }
    guard outliers.noteFailure(of: record, tally) else { return }
    let now = SystemClock.monotonicNanoseconds()
    board.take(outliers.judgeRow(of: pool.member, in: pool.upstream, at: now))
  }
}
