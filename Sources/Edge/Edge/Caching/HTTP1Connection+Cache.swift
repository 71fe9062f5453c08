import Cache
import HTTP1
import HTTPCaching
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// Answers from the cache, as far as nothing has to be waited for.
///
/// The usual hit needs no coroutine: head and body leave with one call. What has to wait goes on in a coroutine
/// from where it stands; what is not there is begun anew in one.
extension HTTP1Connection {
  /// Answers a request of a route that keeps answers, or hands it to a member that need not be waited for.
  func answerCached(
    _ exchange: Exchange,
    _ route: Route,
    _ head: inout Lent
  ) throws(ExchangeError) -> Progress {
    guard let cache = route.cache else { return .needsCoroutine }
    exchange.cacheOutcome = .bypass
    let request = CacheRequest(exchange.request, in: head.bytes, by: cache.policy)
    guard exchange.pace == nil, exchange.body.hasEnded, !request.isKeyedByBody,
      case .lookUp = request.way(by: cache.policy)
    else { return .needsCoroutine }
    switch try findCached(exchange, cache, request, head.bytes, isCounted: true) {
    case .nothing: return .needsCoroutine
    case .pass:
      note(.pass, CacheStatus(.miss), exchange, cache)
      let proxy = try reverseProxy(exchange, route, cache.upstream, &head)
      let isSent = start(proxy, head)
      exchange.hand.upstream = (consume proxy).upstream
      return isSent ? .rests : .needsCoroutine
    case .answer(let answer, let reuse):
      if lacks(answer, exchange, request, head.bytes) != nil { return .needsCoroutine }
      let isFresh = reuse == .fresh
      switch reuse {
      case .fresh, .stale: break
      case .staleWhileRevalidating: validateBehind(answer, exchange, cache, request, head.bytes)
      case .validate, .fetch, .timeout: return .needsCoroutine
      }
      guard try composeStored(answer, isFresh ? .hit : .stale, exchange, cache, request, head.bytes)
      else { return .needsCoroutine }
      if exchange.coding != nil { return .needsCoroutine }
      return try sendStoredNow(exchange) == .all ? .ended(isKept: true) : .needsCoroutine
    }
  }

  // MARK: Finding

  /// What there is for a request.
  enum CachedFinding {
    case answer(CachedAnswer, Reuse)
    /// Requests like this do not wait for each other.
    case pass
    case nothing
  }

  /// The time of day.
  var moment: Moment { worker.moment }

  /// Looks for what is kept for a request; one that cannot have anything kept passes.
  func findCached(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: Span<UInt8>,
    isCounted: Bool
  ) throws(ExchangeError) -> CachedFinding {
    guard let key = cacheKey(exchange, cache, head) else { return .pass }
    let store = cache.plan.store
    let now = moment
    let found = store.find(
      key.bytes,
      store.word(of: key.bytes),
      at: now,
      isCounted: isCounted,
      matching: { isFor($0, exchange, head) }
    )
    switch found {
    case .answer(let answer):
      return .answer(answer, answer.terms.reuse(for: request, at: now))
    case .pass: return .pass
    case .otherVariants, .nothing: return .nothing
    }
  }

  /// What answers to a request are kept under: where it comes to, its URL, and what else counts.
  ///
  /// - Returns: nil when that is too long.
  func cacheKey(_ exchange: Exchange, _ cache: RouteCache, _ head: Span<UInt8>) -> Lent? {
    guard var key = targetKey(exchange, cache, head) else { return nil }
    guard !exchange.hand.bodyKey.isEmpty else { return key }
    do throws(ExchangeError) {
      try key.put(exchange.hand.bodyKey)
    } catch {
      return nil
    }
    return key
  }

  /// What answers to a request are kept under where its body does not count.
  ///
  /// - Returns: nil when that is too long.
  func targetKey(_ exchange: Exchange, _ cache: RouteCache, _ head: Span<UInt8>) -> Lent? {
    var key = loop.lend(.head)
    let request = exchange.request
    do throws(ExchangeError) {
      try key.put(cache.space)
      try key.put(scheme)
      try key.put("://")
      try key.put(lowercasing: head.extracting(request.authority.range))
      if request.path.isEmpty { try key.put("/") }
      try key.put(head.extracting(request.path.range))
      if let rule = cache.keyRule {
        try key.put(keyText(rule, request, head))
      } else if request.hasQuery {
        try key.put("?")
        try key.put(head.extracting(request.query.range))
      }
    } catch {
      return nil
    }
    guard key.count <= cache.plan.store.limits.keyBytes + cache.space.count else { return nil }
    return consume key
  }

  /// What stands in a key behind the path, by a rule of the route.
  func keyText(_ rule: KeyRule, _ request: RequestHead, _ head: Span<UInt8>) -> [UInt8] {
    worker.variant.removeAll(keepingCapacity: true)
    if request.hasQuery {
      rule.appendQuery(head.extracting(request.query.range), to: &worker.variant)
    }
    rule.appendFields(of: request, in: head, to: &worker.variant)
    return worker.variant
  }

  /// Whether an answer is for requests like this.
  func isFor(_ answer: CachedAnswer, _ exchange: Exchange, _ head: Span<UInt8>) -> Bool {
    guard let vary = answer.vary else { return true }
    return variant(of: vary, exchange, head) == answer.variant
  }

  /// What a request is for answers that depend on some of its fields.
  func variant(of vary: VaryRule, _ exchange: Exchange, _ head: Span<UInt8>) -> [UInt8] {
    worker.variant.removeAll(keepingCapacity: true)
    vary.appendKey(of: exchange.request, in: head, to: &worker.variant)
    return worker.variant
  }

  /// Notes what became of a request.
  func note(
    _ outcome: CacheOutcome,
    _ status: CacheStatus?,
    _ exchange: Exchange,
    _ cache: RouteCache
  ) {
    exchange.cacheOutcome = outcome
    exchange.cacheStatus = status
    worker.counters.add(to: cache.plan.metrics[outcome])
  }

  /// Asks the upstream whether an answer still holds that was sent already, unless somebody does.
  private func validateBehind(
    _ answer: CachedAnswer,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: Span<UInt8>
  ) {
    guard let key = cacheKey(exchange, cache, head) else { return }
    let scope = scope(of: exchange, cache, head)
    let started = beginFill(key.bytes, exchange, cache, request, head, scope)
    guard case .lead(let fill) = started else { return }
    startFill(fill, exchange, cache, head, FillCause(.stale, validating: answer))
  }

  /// Begins to receive an answer for a request, unless somebody does, or it is there by now.
  func beginFill(
    _ key: Span<UInt8>,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: Span<UInt8>,
    _ scope: PartScope
  ) -> CacheStart {
    let store = cache.plan.store
    let now = moment
    return store.begin(
      key,
      store.word(of: key),
      at: now,
      scope: scope,
      quota: cache.quota,
      known: { variant(of: $0, exchange, head) },
      joins: { fill in
        guard fill.vary.map({ variant(of: $0, exchange, head) == fill.variant }) ?? true else {
          return false
        }
        return scope == .whole && fill.part == nil || reaches(fill, exchange, head)
      },
      matching: { answer in
        isFor(answer, exchange, head)
          && answer.terms.reuse(for: request, at: now) == .fresh
          && lacks(answer, exchange, request, head) == nil
      }
    )
  }

  // MARK: Sending what is kept

  /// Puts an answer that is kept in hand, or the part of it that the request wants.
  ///
  /// - Returns: False when the upstream is to judge a condition of the request.
  func composeStored(
    _ answer: CachedAnswer,
    _ outcome: CacheOutcome,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: Span<UInt8>,
    status: CacheStatus? = nil
  ) throws(ExchangeError) -> Bool {
    let now = moment
    var form = StoredAnswer.whole
    if request.isConditional {
      let own = answer.head.bytes
      form = StoredAnswer(
        to: exchange.request,
        in: head,
        from: answer.terms,
        tag: own.span.extracting(answer.head.tag),
        length: Int64(answer.length),
        now: now
      )
      if form == .askOrigin { return false }
    }
    noteStored(answer, outcome, status, at: now, exchange, cache)
    var range = 0..<answer.length
    var several: RangeParts?
    switch form {
    case .unsatisfiable:
      throw ExchangeError(.rangeNotSatisfiable, detail: "\(answer.length)")
    case .part(let part): range = Int(part.lowerBound)..<Int(part.upperBound)
    case .parts(let ranges): several = try rangeParts(ranges, of: answer.head, answer.length)
    case .notModified: range = 0..<0
    case .whole: break
    case .askOrigin: return false
    }
    if exchange.request.method == .head { range = 0..<0 }
    // Where bytes are copied anyway, as many as possible go with the head.
    var copies = tls != nil || carrier != nil
    var out = loop.lend(answer.head.bytes.count + 2048 > BufferSize.head.bytes ? .body : .head)
    if copies, answer.body.disk == nil, range.count > out.freeCount - answer.head.bytes.count - 1024
    {
      out = loop.lend(.body)
    }
    try putStoredHead(
      answer.head,
      form,
      several,
      answer.terms,
      at: now,
      exchange,
      cache,
      head,
      &out
    )
    if let plan = exchange.route?.compression {
      try beginCoding(plan, exchange, head, isPublic: true, of: answer, &out)
      if exchange.coding != nil { copies = true }
    }
    if exchange.hand.stored == nil {
      let count = several?.contentCount ?? Int64(range.count)
      worker.counters.add(UInt64(count), to: cache.plan.metrics.sent)
      try putInHand(StoredPart(of: answer, range, several), copies: copies, exchange, &out)
      if exchange.coding != nil, exchange.hand.stored == nil { _ = try codeWhole(&out, exchange) }
    }
    exchange.hand.sent = 0
    exchange.hand.out = consume out
    return true
  }

  /// Puts what is to be sent of an answer in hand, with `copies` the beginning of it behind the head.
  private func putInHand(
    _ part: StoredPart,
    copies: Bool,
    _ exchange: Exchange,
    _ out: inout Lent
  ) throws(ExchangeError) {
    var part = part
    try part.advance(&out)
    while copies, part.disk == nil, part.count > 0, out.freeCount > 0 {
      let (bytes, place) = part.next
      let count = min(place.count, out.freeCount)
      out.append(bytes.span.extracting(place.lowerBound..<place.lowerBound + count))
      part.take(count)
    }
    exchange.hand.stored = part.isOver ? nil : part
  }

  /// Notes that an answer is sent that is kept.
  private func noteStored(
    _ answer: CachedAnswer,
    _ outcome: CacheOutcome,
    _ status: CacheStatus?,
    at now: Moment,
    _ exchange: Exchange,
    _ cache: RouteCache
  ) {
    var told = status ?? CacheStatus(hitWithTimeToLive: answer.terms.timeToLive(at: now))
    if status == nil, let body = answer.body.disk {
      told.detail = "disk"
      body.disk.noteHit()
    }
    if status == nil, answer.parts?.isInMemory == false { told.detail = "disk" }
    note(outcome, told, exchange, cache)
  }

  /// Writes the head of an answer that is kept, or that is being received.
  func putStoredHead(
    _ stored: AnswerHead,
    _ form: StoredAnswer,
    _ several: RangeParts?,
    _ terms: StoredTerms?,
    at now: Moment,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ head: Span<UInt8>,
    _ out: inout Lent
  ) throws(ExchangeError) {
    let bytes = stored.bytes.span
    exchange.status = stored.status
    switch form {
    case .notModified:
      exchange.status = 304
      try out.put("HTTP/1.1 304 Not Modified\r\n")
      try putFields(of: stored, &out) { StoredAnswer.isSentWith304($0) }
    case .part(let range):
      exchange.status = 206
      try out.put("HTTP/1.1 206 Partial Content\r\n")
      try out.put(bytes.extracting(stored.fields))
      try out.put("Content-Range: bytes ")
      try out.put(decimal: UInt64(range.lowerBound))
      try out.put("-")
      try out.put(decimal: UInt64(range.upperBound - 1))
      try out.put("/")
      try out.put(decimal: UInt64(stored.length ?? 0))
      try out.put("\r\nContent-Length: ")
      try out.put(decimal: UInt64(range.count))
      try out.put("\r\n")
    default:
      guard let several else {
        try out.put(bytes.extracting(0..<bytes.count - 2))
        break
      }
      exchange.status = 206
      try out.put("HTTP/1.1 206 Partial Content\r\n")
      try putFields(of: stored, &out) { $0 != .contentType && $0 != .contentLength }
      try several.putFields(to: &out)
    }
    if let terms {
      try out.put("Age: ")
      try out.put(decimal: UInt64(max(0, terms.age(at: now))))
      try out.put("\r\n")
    }
    try putCacheStatus(exchange, cache, into: &out)
    if let rules = exchange.route?.response, rules.adds {
      try rules.put(exchange, self, head, answer: Span(), into: &out)
    }
    if form == .whole, stored.length == nil, stored.status != 204, stored.status != 304 {
      if exchange.request.version == .http11 {
        try out.put("Transfer-Encoding: chunked\r\n")
      } else {
        exchange.endsWithConnection = true
        exchange.closesClient = true
      }
    }
    try putConnection(exchange, &out)
    try out.put("\r\n")
    exchange.headBytesSent = out.count
  }

  /// Writes those lines of a head that `keeps` takes.
  private func putFields(
    of stored: AnswerHead,
    _ out: inout Lent,
    _ keeps: (FieldName) -> Bool
  ) throws(ExchangeError) {
    let bytes = stored.bytes.span
    for line in try parsed(stored).fields where keeps(line.name) {
      try out.put(bytes.extracting(line.lineRange.range))
    }
  }

  /// The head of an answer that is kept, with its fields.
  private func parsed(_ stored: AnswerHead) throws(ExchangeError) -> ResponseHead {
    var response = ResponseHead()
    var parser = ReverseProxy.parser
    let bytes = stored.bytes.span
    do throws(MessageError) {
      _ = try parser.parse(bytes, answering: .get, into: &response)
    } catch {
      throw ExchangeError(.internalError)
    }
    return response
  }

  /// Several ranges of an answer as one body.
  func rangeParts(
    _ ranges: [Range<Int64>],
    of stored: AnswerHead,
    _ length: Int
  ) throws(ExchangeError) -> RangeParts {
    let bytes = stored.bytes.span
    let line = try parsed(stored).first(.contentType)
    let type = line.map { [UInt8](copying: bytes.extracting($0.valueRange.range)) } ?? []
    return RangeParts(ranges, of: type, length: Int64(length), boundary: worker.boundary())
  }

  /// Writes what the cache did.
  func putCacheStatus(
    _ exchange: Exchange,
    _ cache: RouteCache,
    into out: inout Lent
  ) throws(ExchangeError) {
    guard cache.showsStatus, let status = exchange.cacheStatus else { return }
    if status.isHit, status.detail == nil, let left = status.timeToLive, left >= 0 {
      try out.put("Cache-Status: martlet; hit; ttl=")
      try out.put(decimal: UInt64(left))
      try out.put("\r\n")
      return
    }
    try out.put("Cache-Status: ")
    try out.put(status.text(name: "martlet").bytes)
    try out.put("\r\n")
  }
}
