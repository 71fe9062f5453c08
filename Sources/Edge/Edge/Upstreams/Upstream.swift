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
  /// What is known of failures here.
  let failures: UpstreamFailures
  /// Whether tries are looked at more closely than an upstream needs that is told nothing.
  let watchesTries: Bool
  /// Requests that the retry budget was not told of yet.
  var requestCount = 0
  /// Whether requests wait for a place.
  let hasQueue: Bool
  /// The pools in the order of the members.
  private(set) var pools: [MemberPool] = []
  private let keeper: Affinity?
  /// What each member may have of those that belong to it, by number.
  private var standings: [Standing] = []
  private let changes: UpstreamVersion
  private let loop: EventLoop
  private unowned let worker: Worker
  private let start: Int
  private var membership: Membership
  /// The version that everything below was worked out from; 0 before the first time.
  private var version: UInt64 = 0
  private var refreshedAt: Int64 = 0
  /// Whether a member has not its whole weight yet.
  private var isStarting = false
  /// The member, if there is but one that is next, and nothing has to be counted for it.
  private var only: MemberPool?
  /// The pools by their members' numbers.
  private var numbered: [MemberPool?] = []
  /// One for each tier that has a member to choose.
  private var balancers: [Balancer] = []
  /// The members that were full when last looked at.
  private var full = MemberSet()
  private var lookedAt = 0
  /// How many choices the balancers were asked for.
  private var turn = 0

  /// Takes over the pools that `previous` has of the same members.
  init(_ plan: UpstreamPlan, worker: Worker, continuing previous: Upstream?) {
    self.plan = plan
    failures = UpstreamFailures(plan.failures)
    watchesTries = plan.failures.watchesTries
    hasQueue = plan.queue != nil
    changes = plan.state.version
    keeper = plan.affinity.map { Affinity($0) }
    loop = worker.loop
    self.worker = worker
    start = worker.index
    membership = plan.membership
    turn = previous?.turn ?? 0
    makePools(adopting: previous?.numbered ?? [])
  }

  /// Keeps clients with their members; nil: nobody does.
  ///
  /// It knows the members that there are now: a client is asked about before a member is chosen, so what
  /// has changed since the last choice is looked at here.
  var affinity: Affinity? {
    guard let keeper else { return nil }
    update()
    return keeper
  }

  /// Counts a request in at the member that is to have it, or gives nil when none may have it.
  ///
  /// `hash` is that of the key by which the upstream spreads requests, if it does.
  func take(excluding tried: MemberSet, hash: UInt64? = nil) -> MemberPool? {
    update()
    if let only, tried.isEmpty {
      only.beginUnlimited()
      return only
    }
    return takeOne(excluding: tried, hash)
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
    update()
    guard standings.indices.contains(number), let pool = numbered[number] else { return .isOut }
    switch standings[number] {
    case .everything: break
    case .whileDraining: if !whileDraining { return .isOut }
    case .nothing: return .isOut
    }
    return pool.begin() ? .taken(pool) : .isFull
  }

  // MARK: Choices

  @inline(never)
  private func takeOne(excluding tried: MemberSet, _ hash: UInt64?) -> MemberPool? {
    turn &+= 1
    let request = BalancingRequest(hash: hash, now: loop.now)
    if membership.hasLimits { return takeWithinLimits(excluding: tried, request) }
    guard let pool = choose(for: request, excluding: tried) else { return nil }
    pool.beginUnlimited()
    return pool
  }

  @inline(__always)
  private func choose(
    for request: BalancingRequest,
    excluding excluded: MemberSet
  ) -> MemberPool? {
    for tier in balancers.indices {
      if let number = balancers[tier].choose(for: request, excluding: excluded, self) {
        return numbered[number]
      }
    }
    return nil
  }

  /// Chooses among members that may be full; the one chosen is asked, then the next best.
  private func takeWithinLimits(
    excluding tried: MemberSet,
    _ request: BalancingRequest
  ) -> MemberPool? {
    let isFew = pools.count <= Self.fewMembers
    lookAtFull(isFew ? pools.count : Self.looksPerChoice)
    var looksAgain = !isFew
    while true {
      var excluded = full
      if !tried.isEmpty { excluded.formUnion(tried) }
      if let pool = choose(for: request, excluding: excluded) {
        if pool.begin() { return pool }
        full.insert(pool.index)
      } else {
        // What is known of many members may be a little old.
        guard looksAgain else { return nil }
        looksAgain = false
        lookAtFull(pools.count)
      }
    }
  }

  /// Whether there is a member besides these that may be used.
  ///
  /// - Complexity: O(*n*) in the members.
  func hasOther(than tried: MemberSet) -> Bool {
    pools.contains { !tried.contains($0.index) && $0.member.state.isUsable }
  }

  /// Looks again at some of the members that were full.
  private func lookAtFull(_ count: Int) {
    guard !full.isEmpty else { return }
    // One more, for going back to the first.
    for _ in 0...count {
      guard let number = full.first(from: lookedAt) else {
        lookedAt = 0
        if full.isEmpty { return }
        continue
      }
      lookedAt = number + 1
      if number >= numbered.count || numbered[number]?.isFull != true { full.remove(number) }
    }
  }

  private static let fewMembers = 16
  private static let looksPerChoice = 2

  // MARK: Changes

  /// Looks at the members anew if something has changed.
  @inline(__always)
  func update() { if changes.peeked != version { refreshUnlessJustDone() } }

  /// Works out anew who may be chosen, unless that was done just now and there are many members: when
  /// many change in a row, not every one of them costs a look at all.
  private func refreshUnlessJustDone() {
    if membership.plans.count > Self.manyMembers, version != 0,
      loop.now - refreshedAt < Self.refreshPause
    {
      return
    }
    refresh()
  }

  private static let manyMembers = 64
  private static let refreshPause: Int64 = 2_000_000

  private func refresh() {
    version = changes.current
    refreshedAt = loop.now
    let present = plan.membership
    if present !== membership {
      membership = present
      makePools(adopting: numbered)
    }
    standings = Array(repeating: .nothing, count: membership.numberCount)
    for (pool, plan) in zip(pools, membership.plans) {
      let state = pool.member.state
      guard state.isWell, state.mode != .disabled, pool.member.isResolved else { continue }
      let hasWeight = (state.weight ?? plan.settings.weight) > 0
      standings[pool.index] = state.mode == .ready && hasWeight ? .everything : .whileDraining
    }
    keeper?.update(pools)
    let members = zip(pools, membership.plans).map { pool, plan in
      self.plan.described(plan, at: loop.now)
    }
    isStarting = members.contains { $0.ramp < BalancedMember.fullRamp }
    let tiers = Tiers(members, panicThreshold: plan.panicThreshold).tiers
    balancers = tiers.map { tier in
      Balancer(
        plan.algorithm,
        tier.candidates,
        start: start &+ turn,
        places: membership.places
      )
    }
    only = nil
    for pool in pools { pool.tree = nil }
    for (tier, balancer) in zip(tiers, balancers) {
      guard let tree = balancer.tree else { continue }
      for candidate in tier.candidates {
        numbered[candidate.number]?.tree = tree
        tree.note(activeCount(of: candidate.number), of: candidate.number)
      }
    }
    guard let first = tiers.first, first.candidates.count == 1, !plan.countsAll,
      let pool = numbered[first.candidates[0].number], !pool.hasLimit
    else { return }
    only = pool
  }

  /// Makes the pools of the membership; what `old` has of the same members is kept.
  private func makePools(adopting old: [MemberPool?]) {
    numbered = Array(repeating: nil, count: membership.numberCount)
    full = MemberSet()
    pools = membership.plans.map { plan in
      let number = plan.member.number
      let pool: MemberPool
      if number < old.count, let there = old[number], there.member === plan.member {
        if there.upstream === self.plan {
          pool = there
        } else {
          pool = MemberPool(plan, of: self.plan, worker)
          pool.adopt(from: there)
        }
      } else {
        pool = MemberPool(plan, of: self.plan, worker)
      }
      numbered[number] = pool
      return pool
    }
  }

  // MARK: Idle connections

  /// Closes what was idle too long, and shows what is left.
  func sweep(_ counters: CounterTable) {
    // Without requests, nobody else would let go of members that were removed; and members that start
    // slowly have more of their weight by now.
    if changes.peeked != version || isStarting { refresh() }
    for pool in pools {
      pool.sweep(counters)
      counters.set(pool.metrics.idle, to: Int64(pool.idleCount))
    }
  }

  /// Closes all idle connections.
  func closeIdle() {
    for pool in pools { pool.closeIdle() }
  }
}

extension Upstream: MemberLoads {
  func activeCount(of number: Int) -> Int { numbered[number]?.member.activeCount ?? 0 }

  func responseTime(of number: Int) -> ResponseTime {
    numbered[number]?.member.responseTime ?? ResponseTime()
  }

  var totalCount: Int { plan.state.total.count }
}
