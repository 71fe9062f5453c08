import Balancing
import Configuration
import MartletLoop
import MartletTelemetry

/// An upstream on one loop: the pools of its members, and who is next.
///
/// Who may be chosen, and with which weight, is worked out when something has changed, not for each
/// request: a request compares one number, ``UpstreamVersion``.
final class Upstream {
  let plan: UpstreamPlan
  /// The pools in the order of the members.
  private(set) var pools: [MemberPool] = []
  /// Keeps clients with their members; nil: nobody does.
  let affinity: Affinity?
  /// What each member may have of those that belong to it, by number.
  private var standings: [Standing] = []
  private let changes: UpstreamVersion
  private let loop: EventLoop
  private let start: Int
  private var membership: Membership
  /// The version that everything below was worked out from; 0 before the first time.
  private var version: UInt64 = 0
  /// The member, if there is but one that may be used, and it is never full.
  private var only: MemberPool?
  /// The pools by their members' numbers.
  private var numbered: [MemberPool?] = []
  private var balancer = Balancer.roundRobin(RoundRobin([]))
  private var activeCounts: [UInt32] = []
  /// How many choices the balancer was asked for.
  private var turn = 0

  /// Takes over the pools that `previous` has of the same members.
  init(_ plan: UpstreamPlan, worker: Worker, continuing previous: Upstream?) {
    self.plan = plan
    changes = plan.state.version
    affinity = plan.affinity.map { Affinity($0) }
    loop = worker.loop
    start = worker.index
    membership = plan.membership
    turn = previous?.turn ?? 0
    makePools(adopting: previous?.numbered ?? [])
  }

  /// Counts a request in at the member that is to have it, or gives nil when none may have it.
  func take(excluding tried: MemberSet) -> MemberPool? {
    if changes.peeked != version { refresh() }
    if let only, tried.isEmpty {
      only.member.begin()
      return only
    }
    return takeOne(excluding: tried)
  }

  /// What a member may have of its own clients.
  private enum Standing {
    case everything, whileDraining, nothing
  }

  /// What came of a request for one member.
  enum Admission {
    /// It is counted in there.
    case taken(MemberPool)
    /// It has no place left.
    case isFull
    /// It is gone, or may not be used.
    case isOut
  }

  /// Counts a request in at the member with this number; `whileDraining`: even if it drains.
  func take(_ number: Int, whileDraining: Bool) -> Admission {
    if changes.peeked != version { refresh() }
    guard standings.indices.contains(number), let pool = numbered[number] else { return .isOut }
    switch standings[number] {
    case .everything: break
    case .whileDraining: if !whileDraining { return .isOut }
    case .nothing: return .isOut
    }
    return pool.begin() ? .taken(pool) : .isFull
  }

  @inline(never)
  private func takeOne(excluding tried: MemberSet) -> MemberPool? {
    var excluded = tried
    while let number = choose(excluding: excluded), let pool = numbered[number] {
      if pool.begin() { return pool }
      excluded.insert(number)
    }
    return nil
  }

  private func choose(excluding excluded: MemberSet) -> Int? {
    turn &+= 1
    guard plan.balance == .leastConnections else {
      return balancer.choose(excluding: excluded, active: Span())
    }
    // All loops together: a loop alone does not know what the others have sent to a member.
    for pool in pools {
      activeCounts[pool.index] = UInt32(truncatingIfNeeded: pool.member.activeCount)
    }
    let counts = activeCounts
    return balancer.choose(excluding: excluded, active: counts.span)
  }

  // MARK: Changes

  /// Looks at the members anew if something has changed.
  func update() { if changes.peeked != version { refresh() } }

  /// Works out anew who may be chosen, and with which weight.
  private func refresh() {
    version = changes.current
    let present = plan.membership
    if present !== membership {
      membership = present
      makePools(adopting: numbered)
    }
    var members = Array(repeating: BalancedMember(weight: 0), count: membership.numberCount)
    var usable: [MemberPool] = []
    standings = Array(repeating: .nothing, count: membership.numberCount)
    for (pool, plan) in zip(pools, membership.plans) {
      let state = pool.member.state
      let weight = state.weight ?? plan.settings.weight
      if state.isWell, state.mode != .disabled, pool.member.isResolved {
        standings[pool.index] = state.mode == .ready && weight > 0 ? .everything : .whileDraining
      }
      guard state.isUsable, weight > 0, pool.member.isResolved else { continue }
      members[pool.index] = BalancedMember(weight: weight, isBackup: plan.settings.isBackup)
      usable.append(pool)
    }
    affinity?.update(pools)
    only = usable.count == 1 && !usable[0].hasLimit ? usable[0] : nil
    balancer = Balancer(plan.balance, members, start: start &+ turn)
    activeCounts = Array(repeating: 0, count: members.count)
  }

  /// Makes the pools of the membership; what `old` has of the same members is kept.
  private func makePools(adopting old: [MemberPool?]) {
    numbered = Array(repeating: nil, count: membership.numberCount)
    pools = membership.plans.map { plan in
      let number = plan.member.number
      let pool: MemberPool
      if number < old.count, let there = old[number], there.member === plan.member {
        if there.upstream === self.plan {
          pool = there
        } else {
          pool = MemberPool(plan, of: self.plan, loop: loop)
          pool.adopt(from: there)
        }
      } else {
        pool = MemberPool(plan, of: self.plan, loop: loop)
      }
      numbered[number] = pool
      return pool
    }
  }

  // MARK: Idle connections

  /// Closes what was idle too long, and shows what is left.
  func sweep(_ counters: CounterTable) {
    // Without requests, nobody else would let go of members that were removed.
    if changes.peeked != version { refresh() }
    for pool in pools {
      pool.sweep()
      counters.set(pool.metrics.idle, to: Int64(pool.idleCount))
    }
  }

  /// Closes all idle connections.
  func closeIdle() {
    for pool in pools { pool.closeIdle() }
  }
}

extension Balancer {
  /// The way of choosing that a configuration states.
  init(_ balance: Balance, _ members: [BalancedMember], start: Int) {
    if balance == .leastConnections {
      self = .leastConnections(LeastConnections(members, start: start))
    } else {
      self = .roundRobin(RoundRobin(members, start: start))
    }
  }
}
