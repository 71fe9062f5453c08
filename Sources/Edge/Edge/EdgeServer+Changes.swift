public import Configuration
import Directives
import MartletLoop
import MartletSystem

// What makes the upstreams and members that run be those of a configuration.
extension EdgeServer {
  /// Makes upstreams and members be as `configuration` says, without a reload: all loops choose by it
  /// when this returns.
  ///
  /// Nothing but upstreams may differ from the configuration in force. What is under way goes on.
  ///
  /// - Throws: ``MembershipError`` or what compiling throws; what was not done yet is not done then.
  public func assume(_ configuration: EdgeConfiguration) async throws {
    if differs(configuration) {
      try await publish(sockets: NamedDescriptors(), logs: NamedDescriptors()) { previous in
        let next = try Generation(
          configuration,
          number: previous.number,
          stateDirectory: previous.stateDirectory,
          continuing: previous
        )
        next.order(configuration)
        return next
      }
    } else {
      for settings in configuration.upstreams { try await assumeMembers(of: settings) }
      generation.order(configuration)
    }
    // A loop that has come here chooses by what was said before.
    for local in workers { await local.perform { _ in } }
  }

  /// Whether there are other upstreams, or one has other settings than the members'.
  private func differs(_ configuration: EdgeConfiguration) -> Bool {
    let present = generation.configuration.upstreams
    guard present.map(\.name) == configuration.upstreams.map(\.name) else { return true }
    return zip(present, configuration.upstreams).contains { before, after in
      var before = before
      before.members = after.members
      return before != after
    }
  }

  private func assumeMembers(of settings: UpstreamSettings) async throws(MembershipError) {
    guard let upstream = generation.upstreams.first(where: { $0.name == settings.name }) else {
      return
    }
    let present = Dictionary(
      upstream.membership.plans.map { ($0.settings.address, $0.settings) },
      uniquingKeysWith: { first, _ in first }
    )
    let wanted = Dictionary(
      settings.members.map { ($0.address, $0) },
      uniquingKeysWith: { first, _ in first }
    )
    for (address, before) in present where wanted[address].map(\.fixed) != before.fixed {
      try await remove(address, from: settings.name)
    }
    for member in settings.members where present[member.address].map(\.fixed) != member.fixed {
      // One that stands twice was added with the first.
      guard upstream.membership.plan(at: member.address) == nil else { continue }
      try await add(member, to: settings.name)
    }
  }
}

extension Generation {
  /// Gives members the mode and the weight that `configuration` says.
  public func order(_ configuration: EdgeConfiguration) {
    let now = SystemClock.monotonicNanoseconds()
    for upstream in upstreams {
      guard let settings = configuration.upstream(named: upstream.name) else { continue }
      let wanted = Dictionary(
        settings.members.map { ($0.address, $0) },
        uniquingKeysWith: { first, _ in first }
      )
      for plan in upstream.membership.plans {
        guard let member = wanted[plan.settings.address] else { continue }
        plan.member.change(at: now) { state in
          state.mode = MemberState.Mode(member.mode)
          state.weight = member.weight == plan.settings.weight ? nil : member.weight
        }
      }
    }
  }
}

extension MemberSettings {
  /// What cannot change while the member is there.
  fileprivate var fixed: MemberSettings {
    var settings = self
    settings.weight = 1
    settings.mode = .ready
    return settings
  }
}

extension MemberState.Mode {
  /// The mode that a configuration says.
  init(_ mode: MemberMode) {
    switch mode {
    case .ready: self = .ready
    case .draining: self = .draining
    case .disabled: self = .disabled
    }
  }
}
