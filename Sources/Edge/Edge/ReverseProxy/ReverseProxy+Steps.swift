import Balancing
import Configuration
import FailurePolicies
import HTTP1
import HTTPMessage
import MartletLoop
import MartletNet
import MartletTelemetry

/// The usual exchange in two steps, neither of which waits: send the request, pass the answer on.
extension ReverseProxy {
  /// Sends the whole request to a member over a connection that is there, which rests then.
  ///
  /// - Returns: Whether that was done; if not, what was done is in hand.
  /// - Throws: ``ExchangeError`` when the try has failed.
  @inline(__always)
  func startNow(_ head: borrowing Lent) throws(ExchangeError) -> Bool {
    guard exchange.body.hasEnded, route.decompression == nil else { return false }
    setTotal(head)
    // Who has to wait for a place needs a coroutine.
    let begun = try upstream.hasQueue ? beginNow() : begin(excluding: MemberSet())
    guard let pool = begun else { return false }
    upstream.requestCount &+= 1
    guard let connection = takeIdle(of: pool) else { return false }
    try send(head, over: connection)
    guard exchange.sentAt != 0 else { return false }
    rest(connection)
    return true
  }

  /// Passes the answer on, if all of it has come and the client takes it.
  @inline(__always)
  func finishNow(_ head: borrowing Lent) -> HTTP1Connection.Progress {
    guard let pool = exchange.hand.pool.take(), let connection = exchange.hand.connection.take()
    else { return .needsCoroutine }
    let source = AnswerSource(connection: connection, pool: pool, upload: nil)
    let progress: HTTP1Connection.Progress
    do throws(ExchangeError) {
      progress = try pass(from: source, head)
    } catch {
      exchange.hand.failure = error
      progress = .needsCoroutine
    }
    if case .ended = progress {
      leave(source.pool)
    } else {
      exchange.hand.pool = source.pool
      exchange.hand.connection = source.connection
    }
    return progress
  }

  /// Passes on what has come of an answer, or takes it in hand.
  @inline(__always)
  private func pass(
    from source: borrowing AnswerSource,
    _ head: borrowing Lent
  ) throws(ExchangeError) -> HTTP1Connection.Progress {
    guard let answer = try firstBytesNow(source.connection) else {
      rest(source.connection)
      return .rests
    }
    guard try isFinal(answer) else {
      exchange.hand.answer = consume answer
      return .needsCoroutine
    }
    if route.watchesAnswers, isSpecial(answerFrom: source.connection) {
      exchange.hand.answer = consume answer
      return .needsCoroutine
    }
    noteJudgement(answer)
    if upstream.watchesTries {
      if upstream.failures.plan.retry.rules.lists(status: judgedStatus) {
        exchange.hand.answer = consume answer
        return .needsCoroutine
      }
      watchAnswer(from: source.pool)
    }
    note(.answered, of: source.pool)
    var out = lendForAnswer()
    try composeAnswer(answer, head, upload: nil, into: &out)
    guard completes(&out, with: answer, from: source) else {
      exchange.hand.answer = consume answer
      exchange.hand.out = consume out
      return .needsCoroutine
    }
    if exchange.coding != nil, try !client.codeWhole(&out, exchange) {
      exchange.hand.sent = 0
      exchange.hand.out = consume out
      return .needsCoroutine
    }
    let sent = try client.sendNow(out, exchange, endsNext: exchange.closesClient)
    guard sent == out.count else {
      exchange.hand.sent = sent
      exchange.hand.out = consume out
      return .needsCoroutine
    }
    return .ended(isKept: true)
  }

  /// Whether the head of the final answer is complete.
  private func isFinal(_ answer: borrowing Lent) throws(ExchangeError) -> Bool {
    let worker = client.worker
    do throws(MessageError) {
      let isComplete = try worker.responseParser.parse(
        answer.bytes,
        answering: exchange.request.method,
        into: &exchange.response
      )
      if !isComplete { worker.responseParser.reset() }
      return isComplete && exchange.response.status >= 200
    } catch {
      worker.responseParser.reset()
      throw ExchangeError(.upstreamMalformed, detail: error.reason.rawValue)
    }
  }

  /// Lets the member's connection rest until its answer comes.
  private func rest(_ connection: UpstreamConnection) {
    var first = loop.deadline(after: route.timeouts.firstByte).earlier(exchange.hand.total)
    if upstream.watchesTries {
      setWaits()
      first = exchange.hand.first.earlier(exchange.hand.hedgeAt)
    }
    connection.stream.rest(for: client.stream, until: first)
  }

  // MARK: A try

  /// Chooses the member for the next try.
  ///
  /// - Throws: ``ExchangeError``: that of the last try, or that there is none.
  @discardableResult
  func begin(excluding tried: MemberSet) throws(ExchangeError) -> MemberPool {
    guard let pool = try claim(excluding: tried) else {
      throw exchange.error ?? ExchangeError(.noMember, detail: upstream.plan.name)
    }
    enter(pool)
    return pool
  }

  /// Counts the request in at the client's member, or at the one whose turn it is; nil: none has a place.
  ///
  /// - Throws: ``ExchangeError`` when the client's member is out, and no other may be taken.
  @inline(__always)
  func takeMember(excluding tried: MemberSet) throws(ExchangeError) -> MemberPool? {
    guard let affinity = upstream.affinity else {
      return upstream.take(excluding: tried, hash: exchange.hand.keyHash)
    }
    return try affinity.take(
      from: upstream,
      excluding: tried,
      for: exchange,
      client.worker.counters
    )
  }

  /// A member that may have the request, at which it is counted in.
  ///
  /// - Throws: ``EndReason/breakerOpen`` when the upstream as a whole is left alone.
  @inline(__always)
  func claim(excluding tried: MemberSet) throws(ExchangeError) -> MemberPool? {
    guard upstream.watchesTries else { return try takeMember(excluding: tried) }
    setLimit()
    return try claimAdmitted(excluding: tried)
  }

  /// A member that may have the request and whose breaker lets it through, at which it is counted in.
  ///
  /// - Throws: ``EndReason/breakerOpen`` when the upstream as a whole is left alone.
  @inline(never)
  func claimAdmitted(excluding tried: MemberSet) throws(ExchangeError) -> MemberPool? {
    let sharesBreaker = upstream.failures.plan.sharesBreaker
    var excluded = tried
    while let pool = try takeMember(excluding: excluded) {
      guard let breaker = pool.breaker else { return pool }
      let admission = breaker.admit(at: loop.now)
      if admission.isGranted {
        exchange.hand.admission = admission
        return pool
      }
      pool.end()
      if sharesBreaker { throw ExchangeError(.breakerOpen, detail: upstream.plan.name) }
      excluded.insert(pool.index)
    }
    return nil
  }

  /// Begins a try with a member at which it is counted in already.
  @inline(__always)
  func enter(_ pool: MemberPool) {
    exchange.member = pool.member
    if upstream.affinity != nil { exchange.acquaintance.note(pool.index) }
    exchange.hand.pool = pool
    exchange.tryCount &+= 1
    exchange.isReused = false
    exchange.sentAt = 0
  }

  /// Begins the time of a try.
  @inline(never)
  func setLimit() {
    exchange.hand.limit = loop.deadline(after: upstream.failures.plan.tryTimeout)
      .earlier(exchange.hand.total)
    exchange.hand.first = .never
    exchange.hand.hedgeAt = .never
  }

  /// Ends the try.
  func leave(_ pool: MemberPool) {
    loop.linkClose(of: client.stream.descriptor, to: nil)
    exchange.hand.pool = nil
    exchange.hand.connection = nil
    pool.end()
  }

  /// A connection of the member that is good for this request.
  func takeIdle(of pool: MemberPool) -> UpstreamConnection? {
    let isCertain = !exchange.request.method.isIdempotent
    let connection =
      upstream.plan.proxySending == nil
      ? pool.takeIdle(certain: isCertain) : pool.takeOwn(of: client, certain: isCertain)
    guard let connection else { return nil }
    exchange.isReused = true
    exchange.connectedAt = loop.now
    client.worker.counters.add(to: pool.metrics.reused)
    return connection
  }
}
