import Balancing
import Configuration
import FailurePolicies
import HTTPMessage
import MartletLoop
import MartletTelemetry

/// What became of a try with a member.
enum TryOutcome {
  /// The head of its final answer has come; its status is the exchange's.
  case answered
  /// The member is at fault: ``ExchangeError/isOfUpstream``.
  ///
  /// An answer that breaks off was told of as ``answered`` before.
  case failed(ExchangeError)
}

/// The one place where it is noted how members do.
extension ReverseProxy {
  /// Counts what became of a try with the member of `pool`.
  @inline(__always)
  func note(_ outcome: TryOutcome, of pool: MemberPool) {
    switch outcome {
    case .answered:
      noteAnswer(from: pool)
      if let tally = pool.tally, let outliers = pool.upstream.health.outliers {
        let failed = outliers.isFailure(judgedStatus)
        client.worker.noteOutcome(of: pool, tally, failed: failed)
      }
    case .failed(let error):
      noteFailure(error, of: pool)
      if let tally = pool.tally { client.worker.noteOutcome(of: pool, tally, failed: true) }
    }
  }

  private func noteAnswer(from pool: MemberPool) {
    exchange.answeredAt = loop.now
    exchange.status = exchange.response.status
    let counters = client.worker.counters
    if let responses = pool.metrics.responses[exchange.status] { counters.add(to: responses) }
    counters.record(
      nanoseconds: UInt64(max(0, exchange.answeredAt - exchange.sentAt)),
      in: upstream.plan.wait
    )
    if upstream.plan.measuresTime { noteTime(of: pool, hasFailed: false) }
  }

  /// Tells the balancer how long the member took.
  @inline(never)
  private func noteTime(of pool: MemberPool, hasFailed: Bool) {
    let now = loop.now
    let time = exchange.sentAt == 0 ? 0 : now - exchange.sentAt
    pool.member.noteTime {
      hasFailed ? $0.withFailure(after: time, at: now) : $0.with(time, at: now)
    }
  }

  private func noteFailure(_ error: ExchangeError, of pool: MemberPool) {
    if upstream.plan.measuresTime { noteTime(of: pool, hasFailed: true) }
    client.worker.counters.add(to: pool.metrics.failures)
    tellBreaker(.failed, of: pool)
    // A member that is gone fails with every request: the log says so once a second.
    guard let omitted = pool.failureNotes.admits(at: loop.now) else { return }
    var fields = [
      LogLine.Field("upstream", upstream.plan.name),
      LogLine.Field("member", pool.member.name),
      LogLine.Field("reason", error.reason.rawValue),
      LogLine.Field("detail", error.detail),
    ]
    if omitted > 0 { fields.append(LogLine.Field("more_before", "\(omitted)")) }
    client.worker.board.log.note(.warning, "a member failed", fields)
  }

  // MARK: Breakers and quantiles

  /// Tells breaker and quantile of an answer, where tries are watched.
  @inline(never)
  func watchAnswer(from pool: MemberPool) {
    let wait = max(0, loop.now - exchange.sentAt)
    upstream.failures.noteAnswer(nanoseconds: wait)
    let isFailed =
      upstream.failures.plan.breaker?.statuses
      .contains(judgedStatus) ?? false
    tellBreaker(isFailed ? .failed : .answered(nanoseconds: wait), of: pool)
  }

  /// Tells a member's breaker how the present try has ended, once.
  func tellBreaker(_ outcome: Breaker.Outcome, of pool: MemberPool) {
    guard let admission = exchange.hand.admission.take(), let breaker = pool.breaker else { return }
    let worker = client.worker
    let random = worker.random.next()
    if let state = breaker.note(outcome, of: admission, at: loop.now, random: random) {
      worker.note(state, breaker, of: pool, in: upstream)
    }
  }

  /// Lets go of the present try, of which nothing is to be told any more.
  func endWatch(of pool: MemberPool) {
    if exchange.hand.admission != nil { tellBreaker(.unknown, of: pool) }
  }
}
