import FailurePolicies
import MartletLoop
import MartletTelemetry

/// What an upstream knows of failures on one loop.
final class UpstreamFailures {
  let plan: FailurePlan
  private var latency: LatencyQuantile?
  private let fixedDelay: Timeout?

  init(_ plan: FailurePlan) {
    self.plan = plan
    switch plan.hedge {
    case .after(let delay)?:
      fixedDelay = Timeout(delay)
    case .quantile(let percent, _)?:
      fixedDelay = nil
      latency = LatencyQuantile(percent: percent)
    case nil:
      fixedDelay = nil
    }
  }

  /// Notes how long a member took to answer.
  func noteAnswer(nanoseconds: Int64) {
    if latency != nil { latency?.add(nanoseconds) }
  }

  /// How long to wait for a member before another one is asked as well; nil: there is no hedge now.
  var hedgeDelay: Timeout? {
    if let fixedDelay { return fixedDelay }
    guard let latency, let wait = plan.hedge?.nanoseconds(latency) else { return nil }
    return Timeout(.nanoseconds(wait))
  }
}

/// The retry budget, which is told of requests a few times a second and before it is asked.
extension Upstream {
  /// Takes a retry from the budget, if there is one left.
  func takeRetry(at now: Int64, _ counters: CounterTable) -> Bool {
    guard let budget = failures.plan.budget else { return true }
    tellRequests(at: now)
    if budget.take(at: now) { return true }
    if let refused = failures.plan.metrics.refused { counters.add(to: refused) }
    return false
  }

  /// Tells the budget of the requests since it was told last.
  func tellRequests(at now: Int64) {
    guard requestCount > 0 else { return }
    failures.plan.budget?.add(requests: requestCount, at: now)
    requestCount = 0
  }
}

/// Breakers, as far as they are to be seen outside of a request.
extension Worker {
  /// Lets breakers go on whose time is over, and tells the budgets what was sent.
  func advanceFailures() {
    for upstream in upstreams {
      upstream.tellRequests(at: loop.now)
      guard upstream.failures.plan.breaker != nil else { continue }
      for pool in upstream.pools {
        if let breaker = pool.breaker, breaker.advance(at: loop.now) {
          note(.halfOpen, breaker, of: pool, in: upstream)
        }
      }
    }
  }

  /// Tells of a breaker that has another state.
  func note(_ state: Breaker.State, _ breaker: Breaker, of pool: MemberPool, in upstream: Upstream)
  {
    let plan = upstream.failures.plan
    let isOpen = state == .open
    if !plan.sharesBreaker { pool.member.change(at: loop.now) { $0.isOpen = isOpen } }
    if isOpen, let opened = plan.metrics.opened { counters.add(to: opened) }
    let text =
      switch state {
      case .open: "a breaker has opened"
      case .halfOpen: "a breaker lets probes through"
      case .closed: "a breaker has closed"
      }
    var fields = [LogLine.Field("upstream", upstream.plan.name)]
    if !plan.sharesBreaker { fields.append(LogLine.Field("member", pool.member.name)) }
    if isOpen { fields.append(LogLine.Field("times", "\(breaker.openCount)")) }
    board.log.note(isOpen ? .warning : .notice, text, fields)
  }
}

/// Lets a line of the log be written once a second, and counts those that are not.
struct NoteLimit {
  private var next: Int64 = 0
  private var omitted = 0

  /// How many lines were left out before this one; nil: it is left out too.
  mutating func admits(at now: Int64) -> Int? {
    guard now >= next else {
      omitted += 1
      return nil
    }
    defer { omitted = 0 }
    next = now + 1_000_000_000
    return omitted
  }
}
