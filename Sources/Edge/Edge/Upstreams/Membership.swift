import Balancing
public import Configuration
public import Directives
import MartletTelemetry

/// A member as a generation, or a change at run time, states it.
public struct MemberPlan: Sendable {
  /// The member itself, and what happens to it.
  public let member: Member
  /// What was said of it.
  public let settings: MemberSettings
  let metrics: MemberMetrics

  /// The most exchanges at once, over all loops; 0: no limit.
  public var connectionLimit: Int { settings.maxConnectionCount ?? 0 }
  /// Its share now, 0 and more; 0: no new requests.
  public var weight: Int { member.state.weight ?? settings.weight }

  /// As the table of keys knows it: by what is written, so that all nodes have the same table.
  ///
  /// A member that is drained has places too: it may be given a weight.
  var owner: HashPlaces.Owner {
    HashPlaces.Owner(number: member.number, name: member.name, weight: max(1, weight))
  }
}

/// The members that an upstream has at one time: immutable, replaced as a whole.
public final class Membership: Sendable {
  /// The members, in the order written; those that were added later behind them.
  public let plans: [MemberPlan]
  /// Whether one of them may be full.
  let hasLimits: Bool
  /// More than the largest ``Member/number``.
  let numberCount: Int

  /// Where keys belong, if members are chosen by one.
  let places: HashPlaces?

  init(_ plans: [MemberPlan], _ algorithm: Balancer.Algorithm) {
    self.plans = plans
    if case .hash(let form, _) = algorithm {
      places = HashPlaces(plans.map(\.owner), form: form)
    } else {
      places = nil
    }
    hasLimits = plans.contains { $0.connectionLimit > 0 }
    numberCount = (plans.lazy.map(\.member.number).max() ?? -1) + 1
  }

  /// The one at an address as written, or nil.
  ///
  /// - Complexity: O(*n*) in the members.
  public func plan(at address: Address) -> MemberPlan? {
    plans.first { $0.settings.address == address }
  }
}
