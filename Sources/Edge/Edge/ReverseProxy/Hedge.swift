import Balancing
import Configuration
import FailurePolicies
import HTTP1
import HTTPMessage
import MartletLoop
import MartletNet
import MartletTelemetry

/// The same request on its way to a second member, while the first one still has time to answer.
///
/// It runs as a coroutine of its own up to the head of the answer, which is then there for whoever has
/// started it. It looks after itself: once it is cancelled, nobody has to wait for its end.
final class Hedge {
  let pool: MemberPool
  let admission: Breaker.Admission?
  private(set) var connection: UpstreamConnection?
  /// The head of a good answer, and what came with it.
  private var answer: Lent?
  /// What went wrong with it, if anything did.
  private(set) var failure: ExchangeError?
  private(set) var isReused = false
  private(set) var connectedAt: Int64 = 0
  private(set) var sentAt: Int64 = 0
  /// Whether it is over, for better or worse.
  private(set) var isDone = false
  private var isCancelled = false
  private var isLetGo = false

  private var request: Lent?
  private let loop: EventLoop
  private let client: HTTP1Connection
  private let upstream: Upstream
  private let route: Route
  private let method: Method
  private let total: Deadline
  /// The first member's connection, for which somebody waits as long as this one is not better.
  private let first: UpstreamConnection
  private let signal: Signal

  /// - Throws: ``EndReason/overloaded`` when the loop has no timer left.
  init(
    _ request: consuming Lent,
    to pool: MemberPool,
    _ admission: Breaker.Admission?,
    besides first: UpstreamConnection,
    of proxy: borrowing ReverseProxy
  ) throws(ExchangeError) {
    guard let signal = Signal(on: proxy.loop) else { throw ExchangeError(.overloaded) }
    self.signal = signal
    self.request = consume request
    self.pool = pool
    self.admission = admission
    self.first = first
    loop = proxy.loop
    client = proxy.client
    upstream = proxy.upstream
    route = proxy.route
    method = proxy.exchange.request.method
    total = proxy.exchange.hand.total
  }

  /// Whether a good answer has come.
  var hasWon: Bool { isDone && failure == nil }

  /// Sends the request and waits for the answer's head.
  func run() async {
    do throws(ExchangeError) {
      try await ask()
    } catch {
      failure = error
      // Nothing more is wanted of it.
      connection = nil
    }
    isDone = true
    request = nil
    if isCancelled {
      letGo()
    } else {
      signal.set()
      if failure == nil { loop.cancelPresentRead(of: first.stream.descriptor) }
    }
  }

  /// Waits until ``run()`` is over.
  func end() async {
    while !isDone { await signal.untilSet() }
  }

  /// Gives it up: whatever comes of it is of no use.
  func cancel() {
    isCancelled = true
    if isDone { letGo() } else { connection?.stream.cancel() }
  }

  /// What came of the answer; it belongs to the caller then, as do the connection and the place at the
  /// member.
  func take() -> Lent? { answer.take() }

  private func letGo() {
    guard !isLetGo else { return }
    isLetGo = true
    answer = nil
    connection = nil
    pool.end()
  }

  private func ask() async throws(ExchangeError) {
    let counters = client.worker.counters
    let connection: UpstreamConnection
    if let idle = pool.takeIdle(certain: false) {
      counters.add(to: pool.metrics.reused)
      isReused = true
      connection = idle
    } else {
      if pool.sharing == nil { counters.add(to: pool.metrics.opened) }
      connection = try await pool.open(
        by: loop.deadline(after: route.timeouts.connect).earlier(total)
      )
    }
    connectedAt = loop.now
    self.connection = connection
    if isCancelled { throw ExchangeError(.clientClosed) }
    guard let request = request.take() else { throw ExchangeError(.internalError) }
    do throws(StreamError) {
      try await connection.stream.write(
        request,
        by: loop.deadline(after: route.timeouts.write).earlier(total)
      )
    } catch {
      throw ExchangeError(sendingToMember: error, retry: .ifIdempotent)
    }
    sentAt = loop.now
    answer = try await receive(from: connection.stream)
  }

  /// Reads up to the end of the final answer's head.
  private func receive(from stream: Stream) async throws(ExchangeError) -> Lent {
    let limit = loop.deadline(after: route.timeouts.firstByte).earlier(total)
    var parser = ReverseProxy.parser
    var head = ResponseHead()
    var block: Lent
    do throws(StreamError) {
      block = try await stream.read(.head, by: limit)
    } catch {
      throw ExchangeError(reading: error, hasBegun: false)
    }
    while true {
      if block.isEmpty {
        throw ExchangeError(.upstreamReset, retry: .ifIdempotent, detail: "before its answer")
      }
      var isComplete = false
      do throws(MessageError) {
        isComplete = try parser.parse(block.bytes, answering: method, into: &head)
      } catch {
        throw ExchangeError(.upstreamMalformed, detail: error.reason.rawValue)
      }
      if isComplete {
        parser.reset()
        guard head.status < 200, head.status != 101 else { break }
        block.removeFirst(head.byteCount)
        if !block.isEmpty { continue }
      }
      if block.freeCount == 0 { block = loop.enlarged(block) }
      do throws(StreamError) {
        let count = try await stream.more(&block, by: limit)
        guard count > 0 else { throw StreamError.cancelled }
      } catch {
        throw ExchangeError(reading: error, hasBegun: true)
      }
    }
    if upstream.failures.plan.retry.rules.lists(status: head.status) {
      throw ExchangeError(.upstreamStatus, status: head.status, detail: "\(head.status)")
    }
    return block
  }
}

/// Asking a second member when the first one takes long.
extension ReverseProxy {
  /// Until when the answer is to begin, and when a hedge is due before that.
  @inline(never)
  func setWaits() {
    exchange.hand.first = loop.deadline(after: route.timeouts.firstByte)
      .earlier(exchange.hand.limit)
    exchange.hand.hedgeAt = .never
    // A connection that begins with a PROXY header belongs to its client, and some clients belong to a
    // member.
    guard upstream.failures.plan.hedge != nil, upstream.plan.proxySending == nil,
      upstream.affinity == nil,
      exchange.tryCount == 1,
      exchange.request.method.isSafe, !exchange.request.wantsUpgrade, exchange.body.hasEnded,
      exchange.hand.replay == nil, let delay = upstream.failures.hedgeDelay
    else { return }
    exchange.hand.hedgeAt = loop.deadline(after: delay)
  }

  /// Waits for the first bytes of the answer over `connection`, and asks a second member if they take
  /// long; the better of the two is in hand then.
  ///
  /// - Throws: ``ExchangeError`` when neither gives a good answer.
  func awaitHedged(
    _ connection: UpstreamConnection,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    guard let pool = exchange.hand.pool else { return }
    let first = exchange.hand.first
    var hedge: Hedge?
    var failure: ExchangeError?
    while true {
      if let hedge, hedge.hasWon { return try adopt(hedge, insteadOf: pool) }
      if failure != nil {
        guard let hedge, !hedge.isDone else { break }
        await hedge.end()
        continue
      }
      do throws(StreamError) {
        try await connection.stream.readable(by: first.earlier(exchange.hand.hedgeAt))
        failure = takeFirst(connection, isAlone: hedge?.isDone ?? true)
        if failure == nil { break }
        if let hedge, let other = hedge.connection {
          loop.linkClose(of: client.stream.descriptor, to: other.stream.descriptor)
        }
      } catch {
        if error == .timedOut, hedge == nil, !loop.hasPassed(first) {
          exchange.hand.hedgeAt = .never
          hedge = startHedge(besides: connection, of: pool, head)
        } else if error == .cancelled, client.stream.isClosed || !(hedge?.hasWon ?? false) {
          hedge?.cancel()
          throw ExchangeError(.clientClosed)
        } else if error != .cancelled {
          failure = ExchangeError(
            reading: error,
            hasBegun: false,
            isLate: loop.hasPassed(exchange.hand.total)
          )
        }
      }
    }
    guard let hedge else {
      if let failure { throw failure }
      return
    }
    exchange.trail.hedge = .lost
    if let lost = hedge.failure {
      exchange.hand.tries.tried.insert(hedge.pool.index)
      if lost.isOfUpstream { noteHedge(lost, hedge) }
    }
    count(.lost)
    hedge.cancel()
    if let failure {
      if exchange.hand.answer != nil { return }
      throw failure
    }
  }

  /// Takes the first bytes of the first member's answer in hand.
  ///
  /// - Returns: Why it is no good answer, if it is not and there is another to wait for.
  private func takeFirst(_ connection: UpstreamConnection, isAlone: Bool) -> ExchangeError? {
    do throws(ExchangeError) {
      guard let answer = try firstBytesNow(connection) else { return nil }
      let status = Self.status(of: answer)
      exchange.hand.answer = consume answer
      if !isAlone, upstream.failures.plan.retry.rules.lists(status: status) {
        return ExchangeError(.upstreamStatus, status: status, detail: "\(status)")
      }
      return nil
    } catch {
      return error
    }
  }

  /// The status in a status line; 0 if there is none.
  private static func status(of answer: borrowing Lent) -> UInt16 {
    let bytes = answer.bytes
    guard bytes.count >= 12 else { return 0 }
    var status: UInt16 = 0
    for index in 9..<12 {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { return 0 }
      status = status * 10 + UInt16(digit)
    }
    return status
  }

  /// Sends the request to a second member, if there is one and the budget allows it.
  private func startHedge(
    besides connection: UpstreamConnection,
    of pool: MemberPool,
    _ head: borrowing Lent
  ) -> Hedge? {
    var tried = exchange.hand.tries.tried
    tried.insert(pool.index)
    let admission = exchange.hand.admission
    exchange.hand.admission = nil
    defer { exchange.hand.admission = admission }
    do throws(ExchangeError) {
      guard let other = try claimAdmitted(excluding: tried) else { return nil }
      let granted = exchange.hand.admission
      let first = exchange.member
      defer { exchange.member = first }
      guard upstream.takeRetry(at: loop.now, client.worker.counters) else {
        endWatch(of: other)
        other.end()
        return nil
      }
      exchange.member = other.member
      do throws(ExchangeError) {
        let hedge = try Hedge(
          try compose(head, behind: nil),
          to: other,
          granted,
          besides: connection,
          of: self
        )
        exchange.tryCount &+= 1
        loop.spawn(named: "send a hedged request") { await hedge.run() }
        return hedge
      } catch {
        endWatch(of: other)
        other.end()
        return nil
      }
    } catch {
      return nil
    }
  }

  /// Goes on with the second member's answer.
  private func adopt(_ hedge: Hedge, insteadOf pool: MemberPool) throws(ExchangeError) {
    exchange.trail.hedge = .won
    count(.won)
    // What the first member would have done is not known; that it has taken so long is.
    tellBreaker(.answered(nanoseconds: max(0, loop.now - exchange.sentAt)), of: pool)
    exchange.hand.tries.tried.insert(pool.index)
    leave(pool)
    exchange.hand.pool = hedge.pool
    exchange.hand.connection = hedge.connection
    exchange.hand.answer = hedge.take()
    exchange.hand.admission = hedge.admission
    exchange.member = hedge.pool.member
    exchange.isReused = hedge.isReused
    exchange.connectedAt = hedge.connectedAt
    exchange.sentAt = hedge.sentAt
    if let connection = hedge.connection {
      loop.linkClose(of: client.stream.descriptor, to: connection.stream.descriptor)
    }
    if client.stream.isClosed { throw ExchangeError(.clientClosed) }
  }

  private func noteHedge(_ failure: ExchangeError, _ hedge: Hedge) {
    let admission = exchange.hand.admission
    exchange.hand.admission = hedge.admission
    note(.failed(failure), of: hedge.pool)
    exchange.hand.admission = admission
  }

  private func count(_ result: TryTrail.Hedge) {
    let hedges = upstream.failures.plan.metrics.hedges
    let place = result == .lost ? 0 : 1
    if place < hedges.count { client.worker.counters.add(to: hedges[place]) }
  }
}
