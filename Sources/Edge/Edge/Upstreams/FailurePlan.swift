import Configuration
import FailurePolicies
import MartletLoop
import MartletTelemetry
import Synchronization

/// What an upstream does about members that fail, compiled from the configuration: shared by all loops.
///
/// Budgets and breakers are those of the generation before, where it had the same terms.
final class FailurePlan: Sendable {
  let retry: RetrySettings
  let breaker: BreakerSettings?
  let hedge: HedgeTerms?
  let budget: RetryBudget?
  let metrics: FailureMetrics
  /// Whether tries are looked at more closely than an upstream needs that is told nothing.
  let watchesTries: Bool
  /// For one try; none: it may take as long as the exchange.
  let tryTimeout: Timeout
  /// The breakers of members, by their place and name.
  private let breakers: Mutex<[Member.Location: Breaker]>
  private let shared: Breaker?

  init(
    _ settings: UpstreamSettings,
    continuing previous: FailurePlan?,
    _ layout: inout MetricLayout.Builder
  ) {
    retry = settings.retry
    breaker = settings.breaker
    hedge = settings.hedge
    budget = settings.retry.budget.map { terms in
      if let old = previous?.budget, old.terms == terms { return old }
      return RetryBudget(terms)
    }
    let isSame = settings.breaker == previous?.breaker
    breakers = Mutex(isSame ? previous?.breakers.withLock { $0 } ?? [:] : [:])
    if let settings = settings.breaker, settings.scope == .upstream {
      shared = isSame ? previous?.shared : Breaker(settings.terms)
    } else {
      shared = nil
    }
    metrics = FailureMetrics(settings, &layout)
    tryTimeout = settings.retry.tryTimeout.map { Timeout($0) } ?? .none
    watchesTries =
      settings.breaker != nil || settings.hedge != nil || settings.retry.rules.listsStatus
      || settings.retry.tryTimeout != nil
  }

  /// Whether all members have one breaker.
  var sharesBreaker: Bool { shared != nil }

  /// The breaker that a member has; nil without breakers.
  func breaker(of member: Member) -> Breaker? {
    guard let breaker else { return nil }
    if let shared { return shared }
    return breakers.withLock { breakers in
      if let there = breakers[member.location] { return there }
      let made = Breaker(breaker.terms)
      breakers[member.location] = made
      return made
    }
  }
}

/// The figures of what is done about failures; those of what is not configured are not there.
struct FailureMetrics: Sendable {
  /// Retries that the budget did not allow.
  let refused: Counter?
  /// By the order of ``TryTrail/Hedge``, without `none`.
  let hedges: [Counter]
  let opened: Counter?

  init(_ settings: UpstreamSettings, _ layout: inout MetricLayout.Builder) {
    let name = settings.name
    refused =
      settings.retry.budget == nil ? nil : layout.counter(EdgeMetrics.retriesRefused, [name])
    hedges =
      settings.hedge == nil
      ? [] : layout.counters(EdgeMetrics.hedges, [name], each: ["lost", "won"])
    opened = settings.breaker == nil ? nil : layout.counter(EdgeMetrics.breakerOpened, [name])
  }
}
