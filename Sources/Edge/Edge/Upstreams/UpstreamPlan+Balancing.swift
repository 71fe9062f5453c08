public import Balancing
public import Configuration
import MartletSystem

// What a plan tells the algorithms.
extension UpstreamPlan {
  /// A member as the algorithms know it at `now`.
  func described(_ plan: MemberPlan, at now: Int64) -> BalancedMember {
    let member = plan.member
    let state = member.state
    let condition: BalancedMember.Condition =
      if state.mode != .ready || !member.isResolved {
        .unavailable
      } else {
        state.isWell ? .usable : .unwell
      }
    return BalancedMember(
      number: member.number,
      weight: state.weight ?? plan.settings.weight,
      tier: plan.settings.tier,
      isBackup: plan.settings.isBackup,
      condition: condition,
      ramp: slowStart.ramp(since: state.upSince, at: now)
    )
  }
}

extension UpstreamPlan {
  /// The hash of a client's address where requests are spread by a key: a stream has no other.
  func keyHash(of peer: SocketAddress) -> UInt64? {
    key == nil ? nil : KeyHash.value(of: peer.hostText)
  }
}

extension Balancer.Algorithm {
  /// The algorithm that a configuration states.
  public init(_ balance: Balance) {
    switch balance {
    case .roundRobin: self = .roundRobin
    case .leastConnections: self = .leastConnections
    case .weightedLeastConnections: self = .weightedLeastConnections
    case .random: self = .randomOfTwo
    case .latency: self = .peakEWMA
    case .first: self = .firstAvailable
    case .sourceHash(let settings), .hash(_, let settings):
      self = .hash(HashPlaces.Form(settings.form), bound: settings.bound)
    }
  }
}

extension HashPlaces.Form {
  /// The form that a configuration states.
  public init(_ form: HashSettings.Form) { self = form == .maglev ? .maglev : .ring }
}
