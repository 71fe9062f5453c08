import Cache
import Configuration
import HTTP1
import HTTPCaching
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry

/// Answers that are a part of what is asked for: they are kept together with the other parts of it.
///
/// A part is kept under the head that the whole would have. Parts of one strong tag belong together; when none is
/// missing, they become an answer like any other.
///
/// - Source: RFC 9111, sections 3.3 and 3.4; RFC 9110, section 15.3.7.
extension CacheFiller {
  /// Decides whether a part is kept, and what of.
  func decidePart(_ bytes: Span<UInt8>) {
    guard let place = placed(bytes) else {
      // Nobody but who asked can make something of it.
      keepNothing(isLasting: false)
      return beginAlone(
        AnswerHead(
          response,
          in: bytes,
          length: response.knownLength,
          keeps: { $0.name != .contentLength && !$0.isHopByHop }
        )
      )
    }
    let others = combinable(with: place, bytes)
    var text = Array("HTTP/1.1 200 OK\r\n".utf8)
    text += lines(of: others, bytes)
    text += [0x0D, 0x0A]
    var whole = ResponseHead()
    var parser = ReverseProxy.parser
    do throws(MessageError) {
      guard try parser.parse(text.span, answering: .get, into: &whole) else {
        return fail(ExchangeError(.internalError))
      }
    } catch {
      return fail(ExchangeError(.upstreamMalformed, detail: error.reason.rawValue))
    }
    let part = FillPart(place.range, others: others?.parts)
    guard let found = storing(whole, text, others, bytes) else {
      keepNothing(isLasting: false)
      return beginAlone(wholeHead(whole, text, place.length) { _ in true }, part: part)
    }
    let kept = StoredFields(of: whole, in: text.span, by: cache.policy)
    let head = wholeHead(whole, text, place.length) { kept.keeps($0, in: text.span) }
    terms = found.ofPart(true)
    if case .names(let rule) = VaryRule.read(whole, in: text.span, by: cache.policy) {
      vary = rule
      let asked = requestBytes
      rule.appendKey(of: exchange.request, in: asked.span, to: &variant)
    }
    tags = tags(of: bytes)
    self.part = part
    storedHead = head
    // What memory has no room for goes to the disk while it comes.
    guard cache.plan.store.grow(fill, by: place.range.count) || spool() else {
      keepNothing(isLasting: false)
      return beginAlone(wholeHead(whole, text, place.length) { _ in true }, part: part)
    }
    cache.plan.store.note(vary, of: fill)
    fill.begin(head, terms: terms, vary: vary, variant: variant, part: part)
  }

  /// The head of the whole as clients get it, with the lines that `keeps` takes.
  private func wholeHead(
    _ whole: ResponseHead,
    _ text: [UInt8],
    _ length: Int,
    _ keeps: (FieldLine) -> Bool
  ) -> AnswerHead {
    AnswerHead(
      whole,
      in: text.span,
      length: length,
      keeps: {
        $0.name != .contentLength && !cache.dropped.contains($0, in: text.span) && keeps($0)
      }
    )
  }

  /// Where the part is in the whole; nil: that is not said, or it contradicts itself.
  private func placed(_ bytes: Span<UInt8>) -> (range: Range<Int>, length: Int)? {
    guard let content = ContentRange(of: response, in: bytes), let range = content.range,
      let length = content.length, let whole = Int(exactly: length)
    else { return nil }
    if let count = response.knownLength, count != range.count { return nil }
    return (Int(range.lowerBound)..<Int(range.upperBound), whole)
  }

  /// The parts that were to be completed, if this one belongs to them.
  private func combinable(
    with place: (range: Range<Int>, length: Int),
    _ bytes: Span<UInt8>
  ) -> CachedAnswer? {
    guard let completing, completing.parts?.length == place.length,
      let line = response.first(.eTag)
    else { return nil }
    let own = completing.head.bytes
    let isSame = PartSet.mayCombine(
      own.span.extracting(completing.head.tag),
      bytes.extracting(line.valueRange.range)
    )
    return isSame ? completing : nil
  }

  /// The lines that the whole has by what is said of this part, and of the others.
  private func lines(of others: CachedAnswer?, _ bytes: Span<UInt8>) -> [UInt8] {
    var lines: [UInt8] = []
    guard let others else {
      for line in response.fields where HeadUpdate.replacesOfPart(line.name) && !line.isHopByHop {
        lines.append(copying: bytes.extracting(line.lineRange.range))
      }
      return lines
    }
    var old = ResponseHead()
    var parser = ReverseProxy.parser
    let stored = others.head.bytes
    do throws(MessageError) {
      guard try parser.parse(stored.span, answering: .get, into: &old) else { return [] }
    } catch {
      return []
    }
    return HeadUpdate.merged(
      old.fields,
      in: stored.span,
      with: response,
      in: bytes,
      by: cache.policy,
      isPart: true
    )
  }

  /// By what the part may be kept; nil: it may not.
  private func storing(
    _ whole: ResponseHead,
    _ text: [UInt8],
    _ others: CachedAnswer?,
    _ bytes: Span<UInt8>
  ) -> StoredTerms? {
    let storing =
      others == nil
      ? cache.policy.storing(
        whole,
        in: text.span,
        for: request,
        requestTime: askedAt,
        responseTime: now,
        timeOfDay: worker.timeOfDay
      )
      : cache.policy.refreshing(
        whole,
        in: text.span,
        with: response,
        in: bytes,
        for: request,
        requestTime: askedAt,
        responseTime: now,
        timeOfDay: worker.timeOfDay
      )
    // Without a strong tag nothing says which parts it belongs to.
    guard case .store(let terms) = storing, terms.rules.contains(.hasStrongTag) else { return nil }
    return terms
  }

  // MARK: The end

  /// All of a part has come.
  func finish(_ part: FillPart) {
    if isSpooled {
      guard fill.beginning.count == part.range.count else {
        return fail(ExchangeError(.upstreamCut))
      }
      isOver = true
      // It is kept when all of it is on the disk.
      fill.end(.complete)
      room?.set()
      return
    }
    let body = fill.body()
    guard terms == nil || body.count == part.range.count else {
      return fail(ExchangeError(.upstreamCut))
    }
    isOver = true
    guard let terms, let head = fill.beginning.head,
      let parts = joined(body, at: part.range.lowerBound, head)
    else { return end() }
    // What is on the disk stays there: such parts are sent as they are, when none is missing as well.
    guard parts.isComplete, parts.isInMemory else {
      keep(body, at: part.range.lowerBound, with: parts, head, terms)
      return end()
    }
    // Who asks meanwhile reads on.
    worker.loop.spawn(named: "put parts together") { await self.assemble(parts, head, terms) }
  }

  /// Keeps what came before it broke off, so that the rest can be asked for.
  ///
  /// - Source: RFC 9111, section 3.3.
  func keepWhatCame() {
    guard cache.ranges != .whole, let terms, terms.status == 200,
      terms.rules.contains(.hasStrongTag), let head = fill.beginning.head, head.length != nil,
      request.method == .get
    else { return }
    if isSpooled { return fill.cut() }
    let body = fill.body()
    // Of what does not stay in memory, not all is there.
    let thereCount = body.pieces.reduce(0) { $0 + $1.count }
    guard body.count > 0, thereCount == body.count,
      let parts = joined(body, at: part?.range.lowerBound ?? 0, head),
      !parts.isComplete
    else { return }
    keep(body, at: part?.range.lowerBound ?? 0, with: parts, head, terms)
  }

  /// Keeps a part that has come, in memory with all that there is, and on the disk by itself.
  private func keep(
    _ body: CachedBody,
    at start: Int,
    with parts: CachedParts,
    _ head: AnswerHead,
    _ terms: StoredTerms
  ) {
    let own = CachedParts(length: parts.length, start: start, body)
    cache.plan.store.keep(
      answer(head, terms.ofPart(true), CachedBody([]), parts),
      of: fill,
      new: answer(head, terms.ofPart(true), CachedBody([]), own)
    )
  }

  /// What has come together with what is kept of the same; nil: all of that is.
  private func joined(_ body: CachedBody, at start: Int, _ head: AnswerHead) -> CachedParts? {
    let parts = CachedParts(length: head.length ?? 0, start: start, body)
    let store = cache.plan.store
    guard let other = store.kept(beside: fill, vary, variant), other.head.mayCombine(with: head)
    else { return parts }
    guard let others = other.parts else { return nil }
    // What memory has no room for is looked for on the disk when it is wanted.
    for some in [others, others.onDisk] {
      if let both = some?.joined(with: parts), both.memoryCount <= store.limits.objectBytes {
        return both
      }
    }
    return parts
  }

  /// Makes the parts the whole that they are.
  private func assemble(_ parts: CachedParts, _ head: AnswerHead, _ terms: StoredTerms) async {
    var assembly = CachedParts.Assembly(parts)
    while true {
      if let body = assembly.step() {
        cache.plan.store.keep(answer(head, terms.ofPart(false), body, nil), of: fill)
        break
      }
      await worker.loop.yield()
    }
    end()
  }

  private func end() {
    cache.plan.store.abandon(fill)
    fill.end(.complete)
    room?.set()
  }

  private func answer(
    _ head: AnswerHead,
    _ terms: StoredTerms,
    _ body: CachedBody,
    _ parts: CachedParts?
  ) -> CachedAnswer {
    CachedAnswer(
      terms: terms,
      head: head,
      body: body,
      vary: vary,
      variant: variant,
      tags: tags,
      keyCount: fill.key.count,
      parts: parts
    )
  }
}
