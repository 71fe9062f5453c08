public import FailurePolicies

/// What is done when a try with a member fails.
public struct RetrySettings: Hashable, Sendable {
  /// The failures that are followed by another try.
  public var rules: RetryRules
  /// For one try, up to the head of its answer; nil means no limit of its own.
  public var tryTimeout: Duration?
  /// How long to wait before a further try; nil: not at all, and no member is tried twice.
  public var backoff: Backoff?
  /// How many retries the upstream may have in all; nil means no limit.
  public var budget: RetryBudget.Terms?
  /// How much of a request's body is kept for a further try, beyond what came with its head.
  public var replayByteCount: Int

  /// Creates what an upstream has that is told nothing.
  public init(
    rules: RetryRules = .standard,
    tryTimeout: Duration? = nil,
    backoff: Backoff? = nil,
    budget: RetryBudget.Terms? = RetryBudget.Terms(percent: 100),
    replayByteCount: Int = 0
  ) {
    self.rules = rules
    self.tryTimeout = tryTimeout
    self.backoff = backoff
    self.budget = budget
    self.replayByteCount = replayByteCount
  }
}

/// When members are left alone for a while.
public struct BreakerSettings: Hashable, Sendable {
  /// What has a breaker.
  public enum Scope: String, CaseIterable, Hashable, Sendable {
    /// Each member.
    case member
    /// The upstream as a whole.
    case upstream
  }

  /// When it opens, and for how long.
  public var terms: Breaker.Terms
  /// The statuses that count as failures.
  public var statuses: StatusSet
  /// What has one.
  public var scope: Scope

  /// Creates the settings of a breaker that is told nothing.
  public init(
    terms: Breaker.Terms = Breaker.Terms(),
    statuses: StatusSet = [502, 503, 504],
    scope: Scope = .member
  ) {
    self.terms = terms
    self.statuses = statuses
    self.scope = scope
  }
}
