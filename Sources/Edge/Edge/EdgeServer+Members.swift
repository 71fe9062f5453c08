public import Configuration
public import Directives
import MartletLoop
import MartletSystem
import MartletTelemetry

/// Why the members of an upstream could not be changed.
public enum MembershipError: Error, Hashable, Sendable {
  /// There is no upstream of this name.
  case noUpstream(String)
  /// The upstream has the member already.
  case memberExists(Address)
  /// The upstream has no such member.
  case noMember(Address)
  /// There are more members than can be counted.
  case tooManyMembers
}

/// How long a change lasts that was made while the server runs.
public enum ChangeScope: Hashable, Sendable {
  /// Until the next reload, which goes by the configuration alone.
  case untilReload
  /// As long as the process runs.
  case overReloads
}

// What changes the members of an upstream, without another configuration.
extension EdgeServer {
  /// Adds a member to an upstream; all loops may choose it when this returns.
  ///
  /// It begins as one of which nothing is known, and its slow start begins now.
  ///
  /// - Throws: ``MembershipError``; nothing has changed then.
  public func add(
    _ settings: MemberSettings,
    to upstream: String,
    lasting scope: ChangeScope = .untilReload
  ) async throws(MembershipError) {
    await turns.perform { await $0.take() }
    let failure = await added(settings, to: upstream, scope)
    await turns.perform { $0.giveBack() }
    if let failure { throw failure }
  }

  /// Removes a member from an upstream; no loop chooses it any more when this returns.
  ///
  /// What is under way with it goes on to its end.
  ///
  /// - Throws: ``MembershipError``; nothing has changed then.
  public func remove(
    _ address: Address,
    from upstream: String,
    lasting scope: ChangeScope = .untilReload
  ) async throws(MembershipError) {
    await turns.perform { await $0.take() }
    let failure = await removed(address, from: upstream, scope)
    await turns.perform { $0.giveBack() }
    if let failure { throw failure }
  }

  /// Gives a member another weight, 0 to ``MemberState/maxWeight``; nil: the configured one.
  ///
  /// - Throws: ``MembershipError``; nothing has changed then.
  public func weigh(
    _ address: Address,
    in upstream: String,
    _ weight: Int?
  ) async throws(MembershipError) {
    await turns.perform { await $0.take() }
    let failure = weighed(address, in: upstream, weight)
    await turns.perform { $0.giveBack() }
    if let failure { throw failure }
  }

  private func weighed(
    _ address: Address,
    in name: String,
    _ weight: Int?
  ) -> MembershipError? {
    guard let upstream = generation.upstreams.first(where: { $0.name == name }) else {
      return .noUpstream(name)
    }
    let present = upstream.membership
    guard let member = present.plan(at: address)?.member else { return .noMember(address) }
    member.change(at: SystemClock.monotonicNanoseconds()) { $0.weight = weight }
    // Keys belong by weight: the table is another one.
    if present.places != nil { upstream.replace(Membership(present.plans, upstream.algorithm)) }
    return nil
  }

  private func added(
    _ settings: MemberSettings,
    to name: String,
    _ scope: ChangeScope
  ) async -> MembershipError? {
    let generation = generation
    guard let upstream = generation.upstreams.first(where: { $0.name == name }) else {
      return .noUpstream(name)
    }
    let present = upstream.membership
    guard present.plan(at: settings.address) == nil else { return .memberExists(settings.address) }
    let label = settings.address.description
    var metrics: MemberMetrics?
    let next: Generation
    do throws(MetricLayoutError) {
      next = try generation.counting {
        metrics = MemberMetrics(name, label, hasHTTP2: upstream.speaksHTTP2, &$0)
      }
    } catch {
      return .tooManyMembers
    }
    guard let metrics else { return .tooManyMembers }
    // First the places to count in, on every loop; then the member that is counted.
    await count(next)
    let members = upstream.state.members(
      present.plans.map(\.settings) + [settings],
      stateDirectory: generation.stateDirectory
    )
    guard let member = members.last else { return .tooManyMembers }
    member.forget()
    upstream.replace(
      Membership(
        present.plans + [MemberPlan(member: member, settings: settings, metrics: metrics)],
        upstream.algorithm
      )
    )
    if scope == .overReloads {
      upstream.state.changes.removed.remove(settings.address)
      upstream.state.changes.added.removeAll { $0.address == settings.address }
      upstream.state.changes.added.append(settings)
    }
    await names.perform { $0.follow(member, in: upstream) }
    return nil
  }

  private func removed(
    _ address: Address,
    from name: String,
    _ scope: ChangeScope
  ) async -> MembershipError? {
    let generation = generation
    guard let upstream = generation.upstreams.first(where: { $0.name == name }) else {
      return .noUpstream(name)
    }
    let present = upstream.membership
    guard present.plan(at: address) != nil else { return .noMember(address) }
    upstream.replace(
      Membership(present.plans.filter { $0.settings.address != address }, upstream.algorithm)
    )
    upstream.state.changes.added.removeAll { $0.address == address }
    if scope == .overReloads { upstream.state.changes.removed.insert(address) }
    let label = address.description
    do throws(MetricLayoutError) {
      await count(try generation.counting { $0.hide([("upstream", name), ("member", label)]) })
    } catch {
      // With less to show there is no more to count; the figures would merely stay in sight.
      return nil
    }
    return nil
  }

  /// Has all loops count what `generation` counts.
  private func count(_ generation: Generation) async {
    for local in workers { await local.perform { $0.count(generation) } }
    board.publish(generation)
  }
}
