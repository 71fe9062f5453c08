import Balancing
import Configuration
import HTTP1
import HTTPMessage
import MartletLoop
import MartletNet
import MartletTelemetry

/// Passes one exchange to a member of an upstream, and the answer back to the client.
struct ReverseProxy: ~Copyable {
  let client: HTTP1Connection
  let exchange: Exchange
  let route: Route
  let upstream: Upstream

  var loop: EventLoop { client.worker.loop }

  /// When the present try is to have the head of its answer.
  var headLimit: Deadline {
    upstream.watchesTries ? exchange.hand.limit : exchange.hand.total
  }

  /// Tries members until one has answered, or none may be tried any more; goes on with the try that is
  /// in hand.
  ///
  /// `head` begins with the request's head.
  ///
  /// - Throws: ``ExchangeError`` of the last try.
  func run(_ head: borrowing Lent) async throws(ExchangeError) {
    exchange.hand.tries = Tries(isRepeatable: exchange.body.hasEnded)
    if !exchange.hand.isTrying {
      if let plan = route.decompression { try client.beginDecoding(plan, exchange, head) }
      setTotal(head)
      try await beginOrWait(excluding: MemberSet(), head)
      upstream.requestCount &+= 1
    }
    var replayLimit = upstream.failures.plan.retry.replayByteCount
    // What a member has not looked at is to be sent again, whoever sends its body in parts.
    if upstream.plan.sharesConnections { replayLimit = max(replayLimit, Self.keptByteCount) }
    if replayLimit > 0, !exchange.body.hasEnded, exchange.decoding == nil,
      exchange.hand.replay == nil
    {
      exchange.hand.replay = Replay(limit: replayLimit)
    }
    while let pool = exchange.hand.pool {
      do throws(ExchangeError) {
        try await attempt(pool, head)
        if let last = exchange.hand.pool { leave(last) }
        // A tunnel says itself how it has ended.
        if exchange.error != nil, exchange.status != 101 { exchange.error = nil }
        return
      } catch {
        let error = error.explained(by: exchange.hand.connection?.gateway)
        // Another one than before, if a hedge has won.
        let last = exchange.hand.pool ?? pool
        leave(last)
        try await tryAgain(after: error, last, head)
      }
    }
  }

  /// One try with one member, or what is left of it.
  private func attempt(
    _ pool: MemberPool,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    let total = exchange.hand.total
    if let failure = exchange.hand.failure.take() { throw failure }
    var connection: UpstreamConnection
    if let used = exchange.hand.connection {
      connection = used
    } else {
      if exchange.hand.tries.takesIdle, let idle = takeIdle(of: pool) {
        connection = idle
      } else {
        // Connections that are shared are counted when they are opened.
        if pool.sharing == nil { client.worker.counters.add(to: pool.metrics.opened) }
        connection = try await pool.open(
          by: loop.deadline(after: route.timeouts.connect).earlier(headLimit)
        )
        exchange.connectedAt = loop.now
        if !connection.isInner {
          connection.preface = client.proxyHeader(for: upstream.plan)
        }
      }
      try send(head, over: connection)
    }
    if exchange.sentAt == 0 {
      if let rest = exchange.hand.out.take() { try await sendRest(rest, on: connection) }
      exchange.sentAt = loop.now
    }
    if upstream.watchesTries {
      if exchange.hand.first == .never { setWaits() }
      if exchange.hand.hedgeAt != .never, exchange.hand.answer == nil, exchange.hand.out == nil {
        try await awaitHedged(connection, head)
        if let better = exchange.hand.connection { connection = better }
      }
    }
    guard let pool = exchange.hand.pool else { throw ExchangeError(.internalError) }
    var upload: Upload?
    if !exchange.body.hasEnded || exchange.hand.replay?.bytes.isEmpty == false {
      let started = try Upload(client: client, exchange: exchange, route: route, to: connection)
      upload = started
      loop.spawn(named: "upload a body to a member") { await started.run() }
    }
    do throws(ExchangeError) {
      let source = AnswerSource(connection: connection, pool: pool, upload: upload)
      try await relay(from: source, head, by: total)
    } catch {
      if let upload {
        await upload.end()
        // What broke the upload broke the answer too, and says more.
        throw upload.failure ?? error
      }
      throw error
    }
    await upload?.end()
  }

  // MARK: The request

  /// Sends the head, and what is there of the body, as far as the socket takes it at once; what is left
  /// is in hand.
  func send(
    _ head: borrowing Lent,
    over connection: UpstreamConnection
  ) throws(ExchangeError) {
    if client.stream.isClosed { throw ExchangeError(.clientClosed) }
    exchange.hand.connection = connection
    loop.linkClose(of: client.stream.descriptor, to: connection.stream.descriptor)
    connection.carrier?.begin(exchange)
    if let application = connection.application { tell(application, of: head.bytes) }
    let out: Lent
    if let gateway = route.gateway {
      out = try composeForGateway(gateway, head, connection)
    } else {
      out = try compose(head, behind: connection.preface.take())
    }
    let sent: Int
    do throws(StreamError) {
      sent = try connection.stream.writeNow(out)
    } catch {
      // The kernel took nothing, so the member has seen nothing.
      throw ExchangeError(sendingToMember: error, retry: .always)
    }
    if sent < out.count {
      exchange.hand.sent = sent
      exchange.hand.out = consume out
    } else {
      exchange.sentAt = loop.now
    }
  }

  /// The request as the member gets it: its head, and what is there of the body.
  @inline(__always)
  func compose(
    _ head: borrowing Lent,
    behind preface: [UInt8]?
  ) throws(ExchangeError) -> Lent {
    let part = exchange.hand.part
    let isLarge = exchange.request.byteCount > BufferSize.head.bytes - Self.headGrowth
    var out = loop.lend(isLarge ? .body : .head)
    if let preface { try out.put(preface) }
    do throws(ExchangeError) {
      try composeRequest(head, into: &out)
    } catch {
      guard !isLarge else { throw error }
      out = loop.lend(.body)
      if let preface { try out.put(preface) }
      try composeRequest(head, into: &out)
    }
    let isChunked = exchange.sendsChunks
    if isChunked, !part.data.isEmpty { try out.putChunkSize(part.data.count) }
    // What the first buffer holds of a body is at most as long as that buffer.
    let end = isChunked ? exchange.body.trailers.count + 16 : 0
    if part.data.count + end > out.freeCount {
      var larger = loop.lend(.body)
      larger.append(out.bytes)
      out = larger
    }
    try out.put(head.bytes.extracting(part.data))
    if isChunked, !part.data.isEmpty { try out.put("\r\n") }
    // What is kept of the body is sent behind this, and so is its end.
    if isChunked, exchange.body.hasEnded, exchange.hand.replay?.bytes.isEmpty ?? true {
      try out.putLastChunk(exchange.body.trailers)
    }
    return out
  }

  private func sendRest(
    _ rest: consuming Lent,
    on connection: UpstreamConnection
  ) async throws(ExchangeError) {
    let limit = loop.deadline(after: route.timeouts.write).earlier(headLimit)
    do throws(StreamError) {
      try await connection.stream.write(rest, from: exchange.hand.sent, by: limit)
    } catch {
      throw ExchangeError(sendingToMember: error, retry: .ifIdempotent)
    }
  }

  /// How much of a body is kept for members that may refuse a request which is under way.
  static let keptByteCount = 64 << 10

  /// By how much a head grows on its way: Via, X-Forwarded-*, rules of the usual size.
  static let headGrowth = 2048

  // MARK: The answer

  /// Reads the final answer's head, passing on interim ones, and then relays the answer.
  private func relay(
    from source: borrowing AnswerSource,
    _ head: borrowing Lent,
    by total: Deadline
  ) async throws(ExchangeError) {
    if let out = exchange.hand.out.take() {
      try await relayRest(out, from: source, by: total)
      return
    }
    var parser = Self.parser
    let method = exchange.request.method
    var answer = try await beginning(from: source, by: total)
    while true {
      let isComplete: Bool
      do throws(MessageError) {
        isComplete = try parser.parse(
          answer.bytes,
          answering: method,
          into: &exchange.response
        )
      } catch {
        throw ExchangeError(.upstreamMalformed, detail: error.reason.rawValue)
      }
      if isComplete {
        guard exchange.response.isInformational else { break }
        try await passInterim(answer)
        answer.removeFirst(exchange.response.byteCount)
        parser.reset()
        if answer.isEmpty { answer = try await firstBytes(source.connection, source.upload, total) }
        continue
      }
      if answer.freeCount == 0 { answer = loop.enlarged(answer) }
      let limit = loop.deadline(after: route.timeouts.read).earlier(headLimit)
      let count: Int
      do throws(StreamError) {
        count = try await source.connection.stream.more(&answer, by: limit)
      } catch {
        throw ExchangeError(reading: error, hasBegun: true)
      }
      guard count > 0 else { throw ExchangeError(.upstreamReset, detail: "within the head") }
    }
    noteJudgement(answer)
    if let cache = route.cache { await client.invalidate(exchange, cache, answer, head) }
    note(.answered, of: source.pool)
    if upstream.watchesTries {
      watchAnswer(from: source.pool)
      try rejectListed(answer, from: source)
    }
    if exchange.status == 101 {
      try await upgrade(source.connection, answer, head)
      return
    }
    if route.watchesAnswers, try await settles(answer, from: source) { return }
    var out = lendForAnswer()
    try composeAnswer(answer, head, upload: source.upload, into: &out)
    if completes(&out, with: answer, from: source) {
      try await client.send(out, exchange)
      if exchange.coding != nil { try await client.finishCoding(exchange) }
    } else {
      try await relayBody(answer, out, from: source, by: total)
    }
  }

  /// The first bytes of an answer: those in hand, or those that come.
  private func beginning(
    from source: borrowing AnswerSource,
    by total: Deadline
  ) async throws(ExchangeError) -> Lent {
    if let early = exchange.hand.answer.take() { return early }
    let first =
      upstream.watchesTries
      ? exchange.hand.first : loop.deadline(after: route.timeouts.firstByte).earlier(total)
    if source.upload == nil, !source.connection.stream.hasEvent {
      do throws(StreamError) {
        try await source.connection.stream.readable(by: first)
      } catch {
        throw ExchangeError(reading: error, hasBegun: false, isLate: loop.hasPassed(total))
      }
    }
    if let there = try firstBytesNow(source.connection) { return there }
    return try await firstBytes(source.connection, source.upload, total)
  }

  /// Goes on with an answer of which the first step has composed the head.
  private func relayRest(
    _ out: consuming Lent,
    from source: borrowing AnswerSource,
    by total: Deadline
  ) async throws(ExchangeError) {
    if let answer = exchange.hand.answer.take() {
      try await relayBody(answer, out, from: source, by: total)
    } else if exchange.coding != nil {
      try await client.send(out, exchange)
      try await client.finishCoding(exchange)
    } else {
      try await client.sendRest(out, from: exchange.hand.sent, exchange)
    }
  }

  /// A buffer that has room for the answer's head.
  func lendForAnswer() -> Lent {
    let isLarge = exchange.response.byteCount > BufferSize.head.bytes - Self.headGrowth
    return loop.lend(isLarge ? .body : .head)
  }

  func firstBytesNow(
    _ connection: UpstreamConnection
  ) throws(ExchangeError) -> Lent? {
    do throws(StreamError) {
      guard let answer = try connection.stream.readNow(.head) else { return nil }
      if !answer.isEmpty { return answer }
    } catch {
      throw ExchangeError(reading: error, hasBegun: false)
    }
    throw ExchangeError(endBeforeAnswerOf: connection)
  }

  /// Waits for the first bytes of an answer.
  private func firstBytes(
    _ connection: UpstreamConnection,
    _ upload: Upload?,
    _ total: Deadline
  ) async throws(ExchangeError) -> Lent {
    while true {
      let limit = loop.deadline(after: route.timeouts.firstByte).earlier(headLimit)
      do throws(StreamError) {
        let answer = try await connection.stream.read(.head, by: limit)
        guard answer.isEmpty else { return answer }
      } catch {
        // The time for the answer counts from the end of the request.
        if error == .timedOut, let upload, !upload.isDone, !loop.hasPassed(headLimit) { continue }
        throw ExchangeError(reading: error, hasBegun: false, isLate: loop.hasPassed(total))
      }
      throw ExchangeError(endBeforeAnswerOf: connection)
    }
  }

  /// Passes an interim answer on, as RFC 9110, section 15.2, asks: not to HTTP/1.0, and no 100 that
  /// the client did not ask for.
  private func passInterim(_ answer: borrowing Lent) async throws(ExchangeError) {
    guard exchange.request.version == .http11, exchange.response.status != 100 else { return }
    var out = loop.lend(.head)
    try composeResponseHead(answer, into: &out)
    try out.put("\r\n")
    try await client.send(out, exchange)
    exchange.responseStarted = false
  }

  private func upgrade(
    _ connection: UpstreamConnection,
    _ answer: borrowing Lent,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    guard exchange.request.wantsUpgrade else {
      throw ExchangeError(.upstreamMalformed, detail: "switching_without_upgrade")
    }
    var out = loop.lend(.head)
    try composeResponseHead(answer, into: &out)
    try out.put("\r\n")
    loop.linkClose(of: client.stream.descriptor, to: nil)
    try await client.send(out, exchange)
    exchange.closesClient = true
    exchange.error = nil
    let ping = exchange.wantsWebSocket(head.bytes) ? route.timeouts.ping : nil
    guard
      let tunnel = Tunnel(
        client: client,
        upstream: connection,
        exchange: exchange,
        idle: route.timeouts.tunnel,
        pingsAfter: ping
      )
    else { return }
    var early = loop.lend(.body)
    early.append(head.bytes.extracting(exchange.requestEnd...))
    var late = loop.lend(.body)
    late.append(answer.bytes.extracting(exchange.response.byteCount...))
    await tunnel.run(early, late)
  }

  static let parser = ResponseParser(limits: responseLimits)

  static let responseLimits: HeadLimits = {
    var limits = HeadLimits()
    limits.headBytes = 65_535
    limits.lineBytes = 32_768
    limits.fieldCount = 256
    return limits
  }()
}

extension ExchangeError {
  /// The failure of a write to a member.
  init(sendingToMember error: StreamError, retry: Retry) {
    switch error {
    case .timedOut: self.init(.upstreamTimeout, retry: .ifIdempotent)
    case .cancelled: self.init(.clientClosed)
    case .failed(let error): self.init(.upstreamReset, retry: retry, detail: "\(error)")
    }
  }

  /// The failure of a member that has ended the connection, or the stream, before its answer.
  init(endBeforeAnswerOf connection: UpstreamConnection) {
    if let failure = connection.application?.failure {
      self = failure
      return
    }
    self.init(
      .upstreamReset,
      retry: connection.wasRefused ? .always : .ifIdempotent,
      detail: connection.wasRefused ? "refused" : "before its answer"
    )
  }

  /// The failure of a read from a member, before or after its answer had begun.
  ///
  /// With `isLate` the time for the whole exchange is over too.
  init(reading error: StreamError, hasBegun: Bool, isLate: Bool = false) {
    switch error {
    case .timedOut where isLate: self.init(.totalTimeout)
    case .timedOut: self.init(.upstreamTimeout, retry: hasBegun ? .never : .ifIdempotent)
    case .cancelled: self.init(.clientClosed)
    case .failed(let error):
      self.init(
        hasBegun ? .upstreamCut : .upstreamReset,
        retry: hasBegun ? .never : .ifIdempotent,
        detail: "\(error)"
      )
    }
  }
}

extension Lent {
  /// Appends the line before a chunk of `count` bytes.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when it does not fit.
  mutating func putChunkSize(_ count: Int) throws(ExchangeError) {
    guard freeCount >= 18 else { throw ExchangeError(.headTooLarge) }
    let digits = max(1, (64 - count.leadingZeroBitCount + 3) / 4)
    append(hex: UInt64(count), digits: digits)
    append("\r\n")
  }

  /// Appends the last chunk and the trailer section with the lines of `trailers`.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when it does not fit.
  mutating func putLastChunk(_ trailers: [UInt8]) throws(ExchangeError) {
    try put("0\r\n")
    try put(trailers)
    try put("\r\n")
  }
}
