import Balancing
import Configuration
import FailurePolicies
import HTTPMessage
import MartletLoop
import MartletNet
import MartletTelemetry

/// How far the tries of one exchange are.
struct Tries {
  /// The members that have failed.
  var tried = MemberSet()
  /// Whether the present try may have a connection that has carried a request.
  var takesIdle = true
  /// How many retries there were; a stale connection is none.
  var retryCount = 0
  /// Whether all of the request's body lies in the buffer of its head.
  var isRepeatable = true
  /// How often the request was begun anew because the member had not looked at it.
  var refusalCount = 0
  /// Whether a further try was allowed, and paid for, while the answer was still in hand.
  var isPermitted = false
}

/// What is done when a try has failed.
extension ReverseProxy {
  /// Prepares another try after one with the member of `pool` that has failed.
  ///
  /// - Throws: The error, when the request is not to be tried again.
  func tryAgain(
    after error: ExchangeError,
    _ pool: MemberPool,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    let isPermitted = exchange.hand.tries.isPermitted
    exchange.hand.tries.isPermitted = false
    if try await beginAnew(after: error, pool, head) { return }
    if error.isOfUpstream { note(.failed(error), of: pool) }
    endWatch(of: pool)
    guard let failure = error.tryFailure else { throw error }
    exchange.hand.tries.tried.insert(pool.index)
    guard isPermitted || mayTryAgain(after: failure) else { throw error }
    exchange.trail.add(failure)
    exchange.error = error
    exchange.hand.tries.retryCount += 1
    exchange.hand.tries.takesIdle = true
    let hasOther = upstream.hasOther(than: exchange.hand.tries.tried)
    try await backOff(after: error, onAnother: hasOther)
    if !hasOther { exchange.hand.tries.tried = MemberSet() }
    try await beginOrWait(excluding: exchange.hand.tries.tried, head)
    client.worker.counters.add(to: upstream.plan.retries)
  }

  /// Begins the same try anew over a fresh connection, if the one that it had was stale.
  ///
  /// That a member has closed a connection between two requests says nothing about the member, and is
  /// no failure that rules are about.
  private func beginAnew(
    after error: ExchangeError,
    _ pool: MemberPool,
    _ head: borrowing Lent
  ) async throws(ExchangeError) -> Bool {
    guard error.reason == .upstreamReset, wasRefused(error) || exchange.isReused,
      let failure = error.tryFailure,
      isRepeatable, !exchange.responseStarted, !loop.hasPassed(exchange.hand.total),
      !client.stream.isClosed
    else { return false }
    if failure.mayBeSeen {
      guard exchange.request.method.isIdempotent,
        upstream.takeRetry(at: loop.now, client.worker.counters)
      else { return false }
    }
    endWatch(of: pool)
    exchange.hand.tries.takesIdle = false
    exchange.tryCount &-= 1
    try await beginAgain(pool, excluding: exchange.hand.tries.tried, head)
    return true
  }

  /// Whether the member has said that it has not looked at the request, on a connection that is shared:
  /// it takes no further ones there, and is asked again, though not for ever.
  private func wasRefused(_ error: ExchangeError) -> Bool {
    // An application that has refused to share a connection is given another one at once.
    let limit = upstream.plan.speaksHTTP2 ? Self.refusalLimit : 1
    guard upstream.plan.sharesConnections, error.retry == .always,
      exchange.hand.tries.refusalCount < limit
    else { return false }
    exchange.hand.tries.refusalCount += 1
    return true
  }

  private static let refusalLimit = 50

  /// Whether the request may be sent once more, which is paid for then.
  func mayTryAgain(after failure: TryFailure) -> Bool {
    let plan = upstream.failures.plan
    guard !exchange.responseStarted, isRepeatable,
      plan.retry.rules.allow(failure, isIdempotent: exchange.request.method.isIdempotent),
      exchange.tryCount < route.tryCount, !loop.hasPassed(exchange.hand.total)
    else { return false }
    if !upstream.hasOther(than: exchange.hand.tries.tried) {
      guard plan.retry.backoff != nil else { return false }
      // The member has said when it is to be asked again: the client is told that.
      if failure.kind == .status, exchange.response.first(.retryAfter) != nil { return false }
    }
    return !failure.mayBeSeen || upstream.takeRetry(at: loop.now, client.worker.counters)
  }

  private var isRepeatable: Bool {
    exchange.hand.tries.isRepeatable || exchange.hand.replay?.isComplete ?? false
  }

  /// Waits before a further try, as long as there is time and the client is there.
  private func backOff(
    after error: ExchangeError,
    onAnother: Bool
  ) async throws(ExchangeError) {
    guard let backoff = upstream.failures.plan.retry.backoff else { return }
    let wait = backoff.nanoseconds(
      beforeRetry: exchange.hand.tries.retryCount,
      onAnother: onAnother,
      random: client.worker.random.next()
    )
    guard wait > 0 else { return }
    let end = loop.deadline(after: Timeout(.nanoseconds(wait)))
    // A wait to no end helps nobody.
    guard end.earlier(exchange.hand.total) == end else { throw error }
    do throws(StreamError) {
      // Nobody else reads from the client now; what it sends ends the wait, and so does its leaving.
      if !client.stream.hasEvent { try await client.stream.readable(by: end) }
    } catch {
      guard error == .timedOut else { throw ExchangeError(.clientClosed) }
      return
    }
    if client.stream.isClosed { throw ExchangeError(.clientClosed) }
    do throws(WaitError) {
      try await loop.sleep(until: end)
    } catch {
      // No timer is left: the try comes early.
      return
    }
  }

  // MARK: Answers with a listed status

  /// Gives up an answer whose head is complete, if its status is to be tried again and may be.
  ///
  /// - Throws: ``EndReason/upstreamStatus`` then.
  func rejectListed(
    _ answer: borrowing Lent,
    from source: borrowing AnswerSource
  ) throws(ExchangeError) {
    let status = judgedStatus
    guard upstream.failures.plan.retry.rules.lists(status: status) else { return }
    // The member that has answered is not another one.
    exchange.hand.tries.tried.insert(source.pool.index)
    guard mayTryAgain(after: TryFailure(.status, status: status)) else { return }
    exchange.hand.tries.isPermitted = true
    let start = exchange.response.byteCount
    switch exchange.response.bodyLength {
    case .none: settle(source, isClean: answer.count == start)
    case .fixed(let length):
      settle(source, isClean: UInt64(answer.count - start) == length)
    case .chunked, .untilClose: break
    }
    throw ExchangeError(.upstreamStatus, status: status, detail: "\(status)")
  }
}

extension ExchangeError {
  /// The failure, as far as trying again goes; nil: it is not one, or too late for that.
  var tryFailure: TryFailure? {
    switch reason {
    case .upstreamConnectFailed: TryFailure(.connectFailed)
    case .upstreamConnectTimeout: TryFailure(.connectTimeout)
    case .upstreamReset: retry == .never ? nil : TryFailure(.reset, mayBeSeen: retry != .always)
    case .upstreamTimeout:
      retry == .never ? nil : TryFailure(.firstByteTimeout, mayBeSeen: retry != .always)
    case .upstreamMalformed: TryFailure(.malformed)
    case .upstreamStatus: TryFailure(.status, status: status)
    default: nil
    }
  }
}
