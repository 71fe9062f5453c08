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
    case .answered: noteAnswer(from: pool)
    case .failed(let error): noteFailure(error, of: pool)
    }
  }

  private func noteAnswer(from pool: MemberPool) {
    exchange.answeredAt = loop.now
    exchange.status = exchange.response.status
    let counters = client.worker.counters
    counters.add(to: pool.metrics.responses[Int(exchange.status) / 100 - 1])
    counters.record(
      nanoseconds: UInt64(max(0, exchange.answeredAt - exchange.sentAt)),
      in: upstream.plan.wait
    )
  }

  private func noteFailure(_ error: ExchangeError, of pool: MemberPool) {
    client.worker.counters.add(to: pool.metrics.failures)
    client.worker.board.log.note(
      .warning,
      "a member failed",
      [
        LogLine.Field("upstream", upstream.plan.name),
        LogLine.Field("member", pool.member.name),
        LogLine.Field("reason", error.reason.rawValue),
        LogLine.Field("detail", error.detail),
      ]
    )
  }
}
