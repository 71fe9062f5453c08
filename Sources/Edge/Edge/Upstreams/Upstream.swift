import Balancing
import Configuration
import MartletLoop
import MartletTelemetry

/// An upstream on one loop: the pools of its members, and who is next.
final class Upstream {
  let plan: UpstreamPlan
  let pools: [MemberPool]
  private var balancer: Balancer
  private var activeCounts: [UInt32]
  /// The member, if there is but one and it may always be used.
  private let only: MemberPool?

  /// Takes over the pools that `previous` has of the same members.
  init(_ plan: UpstreamPlan, worker: Worker, continuing previous: Upstream?) {
    self.plan = plan
    pools = plan.members.enumerated().map { index, member in
      let pool = MemberPool(member, index: index, plan: plan, loop: worker.loop)
      if let old = previous?.pools.first(where: { $0.member === member }) {
        pool.adopt(from: old)
      }
      return pool
    }
    let isAlone = plan.members.count == 1 && !plan.mayExclude && plan.members[0].weight > 0
    only = isAlone ? pools[0] : nil
    balancer = Balancer(plan, start: worker.index)
    activeCounts = Array(repeating: 0, count: plan.members.count)
  }

  /// The member that is to have the next request, or nil when none may have it.
  func choose(excluding tried: MemberSet) -> MemberPool? {
    if let only, tried.isEmpty { return only }
    var excluded = tried
    if plan.mayExclude {
      for pool in pools where pool.member.isFull || !pool.isResolved { excluded.insert(pool.index) }
    }
    let choice: Int?
    if plan.needsActiveCounts {
      // All loops together: a loop alone does not know what the others have sent to a member.
      for pool in pools {
        activeCounts[pool.index] = UInt32(truncatingIfNeeded: pool.member.activeCount)
      }
      let counts = activeCounts
      choice = balancer.choose(excluding: excluded, active: counts.span)
    } else {
      choice = balancer.choose(excluding: excluded, active: Span())
    }
    guard let index = choice else { return nil }
    return pools[index]
  }

  /// Closes what was idle too long, and shows what is left.
  func sweep(_ counters: CounterTable) {
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
  /// The way of choosing that the plan states, over its members.
  init(_ plan: UpstreamPlan, start: Int) {
    let members = plan.members.map { BalancedMember(weight: $0.weight, isBackup: $0.isBackup) }
    if plan.balance == .leastConnections {
      self = .leastConnections(LeastConnections(members, start: start))
    } else {
      self = .roundRobin(RoundRobin(members, start: start))
    }
  }
}
