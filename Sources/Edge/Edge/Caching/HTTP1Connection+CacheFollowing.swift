import Cache
import HTTPCaching
import HTTPMessage
import MartletLoop
import MartletNet
import MartletTelemetry

/// Answers that are not there yet: they are asked for, or another request has done that already, and sent as
/// they come.
extension HTTP1Connection {
  /// What became of a try to answer.
  private enum CacheTry {
    case answered
    /// What was read is for other requests, or broke off before it began.
    case again(ExchangeError?)
    /// The request has to go to a member by itself.
    case alone
  }

  // A request that has waited so often in vain goes by itself.
  private static let triesOfCache = 3

  /// Answers a request of a route that keeps answers, or goes on with one.
  func answerCached(
    _ exchange: Exchange,
    _ route: Route,
    _ cache: RouteCache,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    if exchange.hand.isTrying || exchange.hand.upstream != nil {
      return try await passOn(exchange, route, cache, &head)
    }
    if exchange.hand.out != nil || exchange.hand.stored != nil {
      if try await sendStored(exchange) { return }
    }
    let request = CacheRequest(exchange.request, in: head.bytes, by: cache.policy)
    switch request.way(by: cache.policy) {
    case .pass(let reason):
      note(.bypass, CacheStatus(reason), exchange, cache)
      return try await passOn(exchange, route, cache, &head)
    case .lookUp: break
    }
    if request.isKeyedByBody { try await keyByBody(exchange, route, cache, &head) }
    guard exchange.body.hasEnded, request.isKeyedByBody != exchange.hand.bodyKey.isEmpty else {
      note(.bypass, CacheStatus(.bypass), exchange, cache)
      return try await passOn(exchange, route, cache, &head)
    }
    for count in 1...Self.triesOfCache {
      switch try await tryCache(exchange, cache, request, head) {
      case .answered: return
      case .alone: return try await passOn(exchange, route, cache, &head)
      case .again(let failure):
        // The lead was passed on once: who led has failed, and so has this one.
        if let failure, count > 1 { throw failure }
      }
    }
    note(.pass, CacheStatus(.miss), exchange, cache)
    try await passOn(exchange, route, cache, &head)
  }

  /// Hands the request to a member.
  private func passOn(
    _ exchange: Exchange,
    _ route: Route,
    _ cache: RouteCache,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    let proxy = try reverseProxy(exchange, route, cache.upstream, &head)
    try await proxy.run(head)
  }

  private func tryCache(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: borrowing Lent
  ) async throws(ExchangeError) -> CacheTry {
    var cause = FillCause(.uriMiss)
    switch try findCached(exchange, cache, request, head.bytes, isCounted: false) {
    case .pass:
      note(.pass, CacheStatus(.miss), exchange, cache)
      return .alone
    case .nothing:
      if request.directives.isOnlyIfCached, !mayBeOnDisk(exchange, cache, head.bytes) {
        throw ExchangeError(.notKept)
      }
    case .answer(let answer, let reuse):
      let lack = lacks(answer, exchange, request, head.bytes)
      if lack == .other {
        note(.bypass, CacheStatus(.partial), exchange, cache)
        return .alone
      }
      switch reuse {
      case .timeout: throw ExchangeError(.notKept)
      // What cannot be validated may still cover a failure.
      case .validate(let why), .fetch(let why): cause = FillCause(why, validating: answer)
      case .fresh, .stale, .staleWhileRevalidating:
        guard case .bytes(let missing)? = lack else {
          let outcome: CacheOutcome = reuse == .fresh ? .hit : .stale
          return try await sendFound(answer, outcome, nil, exchange, cache, request, head)
        }
        if request.directives.isOnlyIfCached { throw ExchangeError(.notKept) }
        cause = FillCause(.partial, completing: answer, missing: missing)
      }
    }
    return try await fill(exchange, cache, request, head, cause)
  }

  /// Reads what comes for a request, from who asks already or by asking.
  private func fill(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: borrowing Lent,
    _ cause: FillCause
  ) async throws(ExchangeError) -> CacheTry {
    guard let key = cacheKey(exchange, cache, head.bytes) else { return .alone }
    let scope = scope(of: exchange, cache, head.bytes, cause)
    let start = beginFill(key.bytes, exchange, cache, request, head.bytes, scope)
    var cause = cause
    var status = CacheStatus(cause.reason)
    switch start {
    case .pass:
      note(.pass, CacheStatus(.miss), exchange, cache)
      return .alone
    case .answer(let answer):
      return try await sendFound(answer, .hit, nil, exchange, cache, request, head)
    case .join(let fill):
      status.isCollapsed = true
      return try await follow(fill, nil, exchange, cache, request, head, status)
    case .lead(let fill):
      if mayLookOnDisk(cause, cache) {
        switch try await lookOnDisk(fill, cause.completing, exchange, cache, request, head) {
        case .send(let answer, let outcome, let status):
          return try await sendFound(answer, outcome, status, exchange, cache, request, head)
        case .ask(let why, let kept):
          if cause.completing == nil { (status, cause.validating) = (why, kept) }
        case .complete(let parts, let missing):
          status = CacheStatus(.partial)
          cause = FillCause(.partial, completing: parts, missing: missing)
          cause.scope = self.scope(of: exchange, cache, head.bytes, cause)
        }
      }
      let filler = startFill(fill, exchange, cache, head.bytes, cause)
      return try await follow(fill, filler, exchange, cache, request, head, status)
    }
  }

  private func sendFound(
    _ answer: CachedAnswer,
    _ outcome: CacheOutcome,
    _ status: CacheStatus?,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: borrowing Lent
  ) async throws(ExchangeError) -> CacheTry {
    if exchange.request.method == .post { await settle(cache) }
    // What has come is not all that is wanted: the rest is asked for.
    if lacks(answer, exchange, request, head.bytes) != nil { return .again(nil) }
    guard
      try composeStored(answer, outcome, exchange, cache, request, head.bytes, status: status)
    else {
      note(.bypass, CacheStatus(.bypass), exchange, cache)
      return .alone
    }
    return try await sendStored(exchange) ? .answered : .again(nil)
  }

  // MARK: Following

  /// Reads what a fill receives, and sends it as it comes.
  private func follow(
    _ fill: Fill,
    _ filler: CacheFiller?,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: borrowing Lent,
    _ status: CacheStatus
  ) async throws(ExchangeError) -> CacheTry {
    guard let signal = Signal(on: loop) else { throw ExchangeError(.overloaded) }
    let reader = FillReader(fill, signal, loop)
    defer {
      reader.end()
      filler?.readerLeft()
    }
    let first = try await next(reader, exchange)
    if let filler { filler.tell(exchange) }
    if exchange.request.method == .post { await settle(cache) }
    var status = status
    switch first.ending {
    case .replaced(let answer, let isStale)?:
      guard isFor(answer, exchange, head.bytes) else { return .again(nil) }
      status.forwardStatus = isStale ? nil : 304
      status.timeToLive = answer.terms.timeToLive(at: moment)
      let outcome: CacheOutcome =
        isStale ? .stale : filler == nil ? .collapsed : .validated
      return try await sendFound(answer, outcome, status, exchange, cache, request, head)
    case .restored(let answer)?:
      guard isFor(answer, exchange, head.bytes),
        answer.terms.reuse(for: request, at: moment) == .fresh
      else { return .again(nil) }
      status = CacheStatus(hitWithTimeToLive: answer.terms.timeToLive(at: moment))
      status.detail = "disk"
      return try await sendFound(answer, .hit, status, exchange, cache, request, head)
    case .failed(let error)? where first.head == nil:
      if error is CacheFiller.Superseded { return .again(nil) }
      let failure = error as? ExchangeError ?? ExchangeError(.internalError)
      if filler == nil { return .again(failure) }
      note(.miss, status, exchange, cache)
      throw failure
    default: break
    }
    guard let stored = first.head else { return .again(ExchangeError(.internalError)) }
    if filler == nil {
      guard !first.isDeclined else {
        note(.pass, CacheStatus(.miss), exchange, cache)
        return .alone
      }
      if let vary = first.vary, variant(of: vary, exchange, head.bytes) != first.variant {
        return .again(nil)
      }
    } else if first.isDeclined, request.isConditional,
      !mayPassOn(first, of: fill, exchange, request, head.bytes)
    {
      // Its conditions and parts are the upstream's to judge.
      note(.pass, CacheStatus(.miss), exchange, cache)
      return .alone
    }
    status.isStored = first.terms != nil
    status.timeToLive = first.terms.map { $0.timeToLive(at: moment) }
    return try await relay(
      first,
      stored,
      reader,
      exchange,
      cache,
      head,
      (filler == nil ? .collapsed : .miss, status)
    )
  }

  /// What comes next of a fill.
  private func next(
    _ reader: FillReader,
    _ exchange: Exchange
  ) async throws(ExchangeError) -> Fill.Glimpse {
    loop.linkClose(of: stream.descriptor, to: reader.signal)
    defer { loop.linkClose(of: stream.descriptor, to: nil) }
    while true {
      if stream.isClosed { throw ExchangeError(.clientClosed) }
      if let glimpse = reader.look() { return glimpse }
      do throws(WaitError) {
        try await reader.signal.wait()
      } catch {
        throw ExchangeError(.clientClosed)
      }
    }
  }

  /// Sends an answer as it comes.
  private func relay(
    _ first: Fill.Glimpse,
    _ stored: AnswerHead,
    _ reader: FillReader,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ head: borrowing Lent,
    _ noted: (outcome: CacheOutcome, status: CacheStatus)
  ) async throws(ExchangeError) -> CacheTry {
    var form = self.form(of: first, stored, exchange, head.bytes)
    // What is on its way to the disk is long in coming.
    let reached = Int64(first.count + (first.part?.range.lowerBound ?? 0) + Self.farAhead)
    if first.isSpooled, form.lastStart > reached { form = .askOrigin }
    var range = 0..<(stored.length ?? .max)
    var several: RangeParts?
    switch form {
    case .askOrigin:
      note(.bypass, CacheStatus(.bypass), exchange, cache)
      return .alone
    case .unsatisfiable:
      note(noted.outcome, noted.status, exchange, cache)
      throw ExchangeError(.rangeNotSatisfiable, detail: "\(stored.length ?? 0)")
    case .part(let part): range = Int(part.lowerBound)..<Int(part.upperBound)
    case .notModified: range = 0..<0
    case .parts(let ranges):
      several = try rangeParts(ranges, of: stored, stored.length ?? 0)
      // What comes is there once: other orders are answered with the whole, as RFC 9110, section 14.2, allows.
      if several?.isAscending != true { (form, several) = (.whole, nil) }
    case .whole: break
    }
    if let part = first.part {
      let wanted = several?.ranges.map { Int($0.lowerBound)..<Int($0.upperBound) } ?? [range]
      guard wanted.allSatisfy(part.covers) else { return first.isDeclined ? .alone : .again(nil) }
    }
    note(noted.outcome, noted.status, exchange, cache)
    if exchange.request.method == .head || stored.status == 204 { range = 0..<0 }
    var out = loop.lend(stored.bytes.count + 2048 > BufferSize.head.bytes ? .body : .head)
    let terms = first.terms.flatMap { $0.initialAge >= 1000 ? $0 : nil }
    try putStoredHead(stored, form, several, terms, at: moment, exchange, cache, head.bytes, &out)
    if let plan = exchange.route?.compression {
      try beginCoding(plan, exchange, head.bytes, isPublic: first.terms != nil, &out)
    }
    let isChunked =
      form == .whole && stored.length == nil && exchange.request.version == .http11
      && !range.isEmpty && exchange.coding == nil
    var sent = 0
    if let several {
      sent = try await relay(several, first.part, reader, &out, exchange)
    } else {
      sent = try await relay(range, first.part, reader, &out, exchange, isChunked: isChunked)
    }
    if exchange.coding != nil { try await finishCoding(exchange) }
    worker.counters.add(UInt64(sent), to: cache.plan.metrics.sent)
    return .answered
  }

  /// How far behind what has come of a body a part may begin that is waited for.
  private static let farAhead = 4 << 20

  /// Sends several ranges behind what is in the buffer.
  ///
  /// - Returns: How many bytes of the answer.
  private func relay(
    _ several: RangeParts,
    _ part: FillPart?,
    _ reader: FillReader,
    _ out: inout Lent,
    _ exchange: Exchange
  ) async throws(ExchangeError) -> Int {
    var sent = 0
    for (index, range) in several.ranges.enumerated() {
      try several.putLines(of: index, to: &out)
      let wanted = Int(range.lowerBound)..<Int(range.upperBound)
      sent += try await relay(wanted, part, reader, &out, exchange, isChunked: false)
    }
    try several.putEnd(to: &out)
    try await send(out, exchange)
    return sent
  }

  /// Sends the bytes of a range behind what is in the buffer: those that come, and those that are there.
  ///
  /// - Returns: How many.
  private func relay(
    _ range: Range<Int>,
    _ part: FillPart?,
    _ reader: FillReader,
    _ out: inout Lent,
    _ exchange: Exchange,
    isChunked: Bool
  ) async throws(ExchangeError) -> Int {
    let base = part?.range.lowerBound ?? 0
    var offset = range.lowerBound
    while offset < range.upperBound {
      if let source = part?.others?.source(at: offset) {
        offset += try await send(&out, source, upTo: range.upperBound - offset, exchange)
        continue
      }
      reader.offset = offset - base
      if !out.isEmpty, !reader.hasMore {
        // The client need not wait for the head until the body comes.
        try await send(out, exchange)
        out.truncate(to: 0)
      }
      if exchange.coding != nil, !reader.hasMore { try await sendCodedHead(exchange) }
      let glimpse = try await next(reader, exchange)
      if let disk = glimpse.disk {
        let place = offset - base..<min(range.upperBound - base, glimpse.writtenCount)
        if isChunked {
          if offset > range.lowerBound { try out.put("\r\n") }
          try out.putChunkSize(place.count)
        }
        try await send(&out, disk, place, exchange)
        offset += place.count
        continue
      }
      guard !glimpse.piece.isEmpty else {
        switch glimpse.ending {
        case .complete? where part == nil: break
        case .failed(let error)?: throw error as? ExchangeError ?? ExchangeError(.upstreamCut)
        case .complete?, .replaced?, .restored?, nil: throw ExchangeError(.upstreamCut)
        }
        break
      }
      let count = min(
        glimpse.piece.count - glimpse.start,
        range.upperBound - offset,
        glimpse.count - reader.offset
      )
      if isChunked {
        if offset > range.lowerBound { try out.put("\r\n") }
        try out.putChunkSize(count)
      }
      try await send(out, glimpse.piece, glimpse.start..<glimpse.start + count, exchange)
      out.truncate(to: 0)
      offset += count
    }
    if isChunked {
      try out.put(offset > range.lowerBound ? "\r\n0\r\n\r\n" : "0\r\n\r\n")
    }
    if !out.isEmpty { try await send(out, exchange) }
    out.truncate(to: 0)
    return offset - range.lowerBound
  }
}

extension HTTP1Connection {
  /// Sends bytes of a part that is there, behind what is in the buffer.
  ///
  /// - Returns: How many.
  private func send(
    _ out: inout Lent,
    _ source: CachedParts.Source,
    upTo limit: Int,
    _ exchange: Exchange
  ) async throws(ExchangeError) -> Int {
    let count: Int
    switch source {
    case .piece(let bytes, let place):
      count = min(place.count, limit)
      try await send(out, bytes, place.lowerBound..<place.lowerBound + count, exchange)
    case .disk(let body, let place):
      count = min(place.count, limit)
      try await send(&out, body, place.lowerBound..<place.lowerBound + count, exchange)
    }
    out.truncate(to: 0)
    return count
  }
}

extension StoredAnswer {
  /// Where the last part begins that is sent; 0: all is.
  fileprivate var lastStart: Int64 {
    switch self {
    case .part(let range): range.lowerBound
    case .parts(let ranges): ranges.map(\.lowerBound).max() ?? 0
    default: 0
    }
  }
}

/// One who reads what a fill receives.
final class FillReader {
  let signal: Signal
  /// How many bytes were taken.
  var offset = 0
  private let fill: Fill
  private let number: Int
  private let waiter: FillWaiter
  private var hasHead = false

  init(_ fill: Fill, _ signal: Signal, _ loop: EventLoop) {
    self.fill = fill
    self.signal = signal
    number = fill.attach()
    waiter = FillWaiter(signal, on: loop)
  }

  /// What there is that is new; nil: nothing, and the signal tells when there is.
  func look() -> Fill.Glimpse? {
    let glimpse = fill.look(number, from: offset, hasHead: hasHead, waiter: waiter)
    if glimpse?.head != nil { hasHead = true }
    return glimpse
  }

  /// Whether there are bytes that were not taken, or the end.
  var hasMore: Bool { fill.hasMore(behind: offset) }

  func end() { fill.detach(number) }
}
