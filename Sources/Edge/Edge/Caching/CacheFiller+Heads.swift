import Cache
import HTTP1
import HTTPCaching
import HTTPMessage
import MartletBytes
import MartletTelemetry

/// What the head of an answer decides: whether it is kept, and what its readers see.
extension CacheFiller {
  /// Takes the head of an answer.
  ///
  /// - Returns: What follows it; nil: nothing of it is wanted.
  func begin(_ bytes: Span<UInt8>) -> StreamFraming.Body? {
    var parser = ReverseProxy.parser
    do throws(MessageError) {
      guard try parser.parse(bytes, answering: .get, into: &response) else {
        fail(ExchangeError(.upstreamMalformed))
        return nil
      }
    } catch {
      fail(ExchangeError(.upstreamMalformed, detail: error.reason.rawValue))
      return nil
    }
    if response.status < 200 { return .nothingYet }
    if let validating {
      if response.status == 304, validating.terms.hasValidator, request.method != .post {
        return refresh(validating, bytes)
      }
      let failure = OriginFailure.status(response.status)
      if validating.terms.mayCover(failure, for: request, at: now) {
        end(with: validating, isStale: true)
        return nil
      }
    }
    let isPart = response.status == 206 && (fill.scope != .whole || completing != nil)
    if isPart { decidePart(bytes) } else { decide(bytes) }
    switch response.bodyLength {
    case .none: return .empty
    case .fixed(let length): return .fixed(length)
    case .chunked: return .chunks
    case .untilClose: return .open
    }
  }

  /// Decides whether the answer is kept.
  private func decide(_ bytes: Span<UInt8>) {
    let store = cache.plan.store
    let storing = cache.policy.storing(
      response,
      in: bytes,
      for: request,
      requestTime: askedAt,
      responseTime: now,
      timeOfDay: worker.timeOfDay
    )
    if request.method == .post { invalidate(by: storing, bytes) }
    switch storing {
    case .refuse(let refusal):
      keepNothing(isLasting: refusal.isLasting && request.method != .post)
      beginAlone(answerHead(bytes) { !$0.isHopByHop })
    case .store(let found):
      terms = found
      if case .names(let rule) = VaryRule.read(response, in: bytes, by: cache.policy) {
        vary = rule
        let asked = requestBytes
        rule.appendKey(of: exchange.request, in: asked.span, to: &variant)
      }
      tags = tags(of: bytes)
      let kept = StoredFields(of: response, in: bytes, by: cache.policy)
      let head = answerHead(bytes) { kept.keeps($0, in: bytes) }
      storedHead = head
      if let length = response.knownLength, !store.grow(fill, by: length), !spool() {
        keepNothing(isLasting: !store.mayHold(length))
        return beginAlone(answerHead(bytes) { !$0.isHopByHop })
      }
      store.note(vary, of: fill)
      fill.begin(head, terms: found, vary: vary, variant: variant)
    }
  }

  /// Forgets what is kept for the URL of a POST: for GET in any case, and for all bodies unless the answer is to be
  /// kept itself, which says that nothing was changed.
  ///
  /// - Source: RFC 9111, section 4.4.
  private func invalidate(by storing: Storing, _ bytes: Span<UInt8>) {
    guard Invalidation.isDue(request.method, status: response.status) else { return }
    let store = cache.plan.store
    let key = fill.key
    store.invalidate(key.span.extracting(first: max(0, key.count - HTTP1Connection.bodyKeyCount)))
    if case .refuse = storing { store.invalidateBodies(of: key.span) }
    let asked = requestBytes
    let head = exchange.request
    let query = head.hasQuery ? head.query.range.count + 1 : 0
    let origin = CacheKey.urlEnd(in: key.span) - query - max(1, head.path.range.count)
    guard origin >= CacheKey.spaceCount else { return }
    let isSecure = key[CacheKey.spaceCount..<origin].starts(with: "https".utf8)
    let targets = Invalidation.targets(
      of: response,
      in: bytes,
      to: head,
      in: asked.span,
      scheme: isSecure ? .https : .http
    )
    for target in targets {
      let other = Array(key[..<origin]) + target
      store.invalidate(other.span)
      store.invalidateBodies(of: other.span)
    }
  }

  /// Has the answer written to the disk while it comes.
  ///
  /// - Returns: False when that is not possible.
  func spool() -> Bool {
    guard let terms, let storedHead else { return false }
    let form = CachedAnswer(
      terms: terms,
      head: storedHead,
      body: CachedBody([]),
      vary: vary,
      variant: variant,
      tags: tags,
      keyCount: fill.key.count
    )
    let place = part.map { part in
      StoredRecord.Part(
        start: UInt64(part.range.lowerBound),
        length: UInt64(storedHead.length ?? 0)
      )
    }
    isSpooled = cache.plan.store.spool(
      fill,
      form,
      length: part?.range.count ?? response.knownLength,
      part: place
    )
    return isSpooled
  }

  /// What the tags of the answer are known by: words of `Surrogate-Key`, elements of `Cache-Tag`.
  func tags(of bytes: Span<UInt8>) -> [UInt64] {
    var words: [UInt64] = []
    for (name, separator) in [(Self.surrogateKey, UInt8(0x20)), (Self.cacheTag, UInt8(0x2C))] {
      for line in response.fields
      where line.name == .other
        && equalIgnoringCase(bytes.extracting(line.nameRange.range), name.span)
      {
        let value = line.valueRange.range
        var start = value.lowerBound
        while start < value.upperBound, words.count < Self.tagLimit {
          var end = start
          while end < value.upperBound, bytes[end] != separator { end += 1 }
          let tag = HTTPGrammar.trimmed(start..<end, in: bytes)
          if !tag.isEmpty { words.append(cache.plan.store.tagWord(of: bytes.extracting(tag))) }
          start = end + 1
        }
      }
    }
    return words
  }

  private static let surrogateKey = Array("surrogate-key".utf8)
  private static let cacheTag = Array("cache-tag".utf8)
  private static let tagLimit = 256

  /// The head as clients get it, with the lines that `keeps` takes.
  private func answerHead(
    _ bytes: Span<UInt8>,
    _ keeps: (FieldLine) -> Bool
  ) -> AnswerHead {
    AnswerHead(
      response,
      in: bytes,
      length: response.knownLength,
      keeps: { $0.name != .contentLength && !cache.dropped.contains($0, in: bytes) && keeps($0) }
    )
  }

  /// Takes a 304 as the word that what is kept still holds.
  private func refresh(_ stored: CachedAnswer, _ bytes: Span<UInt8>) -> StreamFraming.Body? {
    let own = stored.head.bytes
    let outcome = Validation.outcome(
      tag: own.span.extracting(stored.head.tag),
      lastModified: stored.terms.lastModified,
      by: response,
      in: bytes,
      now: now.date
    )
    guard outcome == .holds, let renewed = renewed(stored, bytes) else {
      // It is about something else: who waits asks for it whole.
      let key = fill.key
      fail(Superseded())
      cache.plan.store.invalidate(key.span)
      return nil
    }
    cache.plan.store.replace(stored, with: renewed, of: fill)
    end(with: renewed, isStale: false)
    return .empty
  }

  /// What is kept with what a 304 has said of it; nil: it may not be kept any more.
  private func renewed(_ stored: CachedAnswer, _ bytes: Span<UInt8>) -> CachedAnswer? {
    var old = ResponseHead()
    var merged = ResponseHead()
    var parser = ReverseProxy.parser
    let storedBytes = stored.head.bytes
    do throws(MessageError) {
      guard try parser.parse(storedBytes.span, answering: .get, into: &old) else { return nil }
      var text = Array(storedBytes[..<stored.head.fields.lowerBound])
      text += HeadUpdate.merged(
        old.fields,
        in: storedBytes.span,
        with: response,
        in: bytes,
        by: cache.policy
      )
      text += [0x0D, 0x0A]
      guard try parser.parse(text.span, answering: .get, into: &merged) else { return nil }
      let storing = cache.policy.refreshing(
        merged,
        in: text.span,
        with: response,
        in: bytes,
        for: request,
        requestTime: askedAt,
        responseTime: now,
        timeOfDay: worker.timeOfDay
      )
      guard case .store(let terms) = storing else { return nil }
      let head = AnswerHead(
        merged,
        in: text.span,
        length: stored.length,
        keeps: { line in
          line.name != .contentLength && !cache.dropped.contains(line, in: text.span)
        }
      )
      return stored.with(terms: terms.ofPart(stored.parts != nil), head: head)
    } catch {
      return nil
    }
  }
}

extension AnswerHead {
  /// The head of a response with the lines that `keeps` takes, among which is no Content-Length.
  init(
    _ response: ResponseHead,
    in bytes: Span<UInt8>,
    length: Int?,
    keeps: (FieldLine) -> Bool
  ) {
    var lines: [UInt8] = []
    var tag = 0..<0
    var lastModified = 0..<0
    for line in response.fields where keeps(line) {
      let start = lines.count + line.valueRange.lowerBound - line.nameRange.lowerBound
      let value = start..<start + Int(line.valueRange.count)
      if line.name == .eTag, tag.isEmpty { tag = value }
      if line.name == .lastModified, lastModified.isEmpty { lastModified = value }
      lines.append(copying: bytes.extracting(line.lineRange.range))
    }
    self.init(
      status: response.status,
      statusLine: Array(copying: bytes.extracting(response.startLine.range)),
      lines: lines,
      length: length,
      tag: tag,
      lastModified: lastModified
    )
  }
}
