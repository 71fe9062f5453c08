import Cache
import Compression
import HTTP1
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// Answers in a content coding.
///
/// A head that is composed is looked at before anything of it is sent. If the body is to be coded, the head is
/// taken back, and from there on whatever sends the body sends it through the exchange's ``BodyCoding``; who ends
/// the body says so by ``finishCoding(_:)``. A body that is whole at once gets its length in the head, another
/// one goes in chunks, and for the others nothing is different.
extension HTTP1Connection {
  /// Decides what becomes of the body whose head is in `out`.
  ///
  /// If it is coded, `out` is empty behind this, and the head is kept. If `source`, which the body is of and does not
  /// change, was coded before, that is in hand behind this.
  @inline(never)
  func beginCoding(
    _ plan: CompressionPlan,
    _ exchange: Exchange,
    _ head: Span<UInt8>,
    isPublic: Bool = false,
    of source: AnyObject? = nil,
    _ out: inout Lent
  ) throws(ExchangeError) {
    var parser = ReverseProxy.parser
    do throws(MessageError) {
      let isComplete = try parser.parse(out.bytes, answering: .get, into: &worker.composedHead)
      guard isComplete else { return }
    } catch {
      // What is more than a head of ours may have stays as it is.
      return
    }
    var refusal: CodingRefusal?
    let isPublic = isPublic || plan.isPublic
    let dictionary = knownDictionary(plan, exchange, head, out.bytes)
    var verdict = plan.rules.verdict(
      on: worker.composedHead,
      in: out.bytes,
      to: exchange.request,
      in: head,
      isPublic: isPublic,
      dictionaryCodings: dictionary?.codings ?? [],
      refusal: &refusal
    )
    if let kind = plan.kind(for: verdict, worker.composedHead.knownLength),
      exchange.request.method != .head
    {
      var work = CodingWork(plan: plan, verdict: verdict, kind: kind, source: source)
      work.dictionary = kind.coding.needsDictionary ? dictionary : nil
      work.lesson = lesson(plan, exchange, head, out.bytes, isPublic: isPublic)
      if try putCoded(work, exchange, &out) { return }
      if try startCoding(work, exchange, &out) { return }
      refusal = .memory
      verdict = .vary
    }
    if let refusal { worker.counters.add(to: plan.metrics[refusal]) }
    switch verdict {
    case .leave: return
    case .vary:
      let line = CodedHead.missingVary(
        worker.composedHead,
        in: out.bytes,
        dependsOnDictionary: plan.dictionaries != nil
      )
      guard !line.isEmpty else { return }
      out.truncate(to: out.count - 2)
      try out.put(line)
      try out.put("\r\n")
    case .confirm, .encode, .decode:
      let lines = codedHead(plan, verdict, out.bytes)
      out.truncate(to: 0)
      try out.put(lines)
      try out.put("\r\n")
    }
    exchange.headBytesSent = out.count
  }

  /// The lines of the head that is composed, as a verdict makes them.
  private func codedHead(
    _ plan: CompressionPlan,
    _ verdict: CodingVerdict,
    _ bytes: Span<UInt8>
  ) -> [UInt8] {
    var lines: [UInt8] = []
    lines.reserveCapacity(bytes.count + 96)
    CodedHead.append(
      worker.composedHead,
      in: bytes,
      verdict,
      dependsOnDictionary: plan.dictionaries != nil,
      to: &lines
    )
    return lines
  }

  /// Takes the head back and a coder for the body.
  ///
  /// - Returns: False when there is no memory for a coder.
  private func startCoding(
    _ work: CodingWork,
    _ exchange: Exchange,
    _ out: inout Lent
  ) throws(ExchangeError) -> Bool {
    let response = worker.composedHead
    let (plan, kind, length) = (work.plan, work.kind, response.knownLength)
    let coder = worker.coders.take(
      kind,
      length: length,
      limits: plan.limits,
      against: work.dictionary
    )
    guard let coder else { return false }
    worker.counters.add(1, to: plan.metrics.coders)
    worker.tellCoderMemory(plan.metrics)
    exchange.coding = BodyCoding(
      coder,
      plan,
      head: codedHead(plan, work.verdict, out.bytes),
      length: length,
      flushes: length == nil || isEventStream(response, out.bytes),
      source: work.source,
      keptLimit: worker.codedBodies.bodyLimit,
      against: work.dictionary,
      lesson: work.lesson
    )
    if kind.level > 0 { exchange.coded = kind.coding }
    if work.dictionary != nil { worker.counters.add(to: plan.metrics[.used]) }
    out.truncate(to: 0)
    return true
  }

  /// Puts an answer in hand whose body was coded before.
  ///
  /// - Returns: False when it was not, or something is to be learned of it.
  private func putCoded(
    _ work: CodingWork,
    _ exchange: Exchange,
    _ out: inout Lent
  ) throws(ExchangeError) -> Bool {
    let (plan, kind) = (work.plan, work.kind)
    guard let source = work.source, work.lesson == nil,
      let (body, plainCount) = worker.codedBodies.body(
        of: source,
        kind,
        against: work.dictionary?.digest
      )
    else { return false }
    let lines = codedHead(plan, work.verdict, out.bytes)
    out.truncate(to: 0)
    try out.put(lines)
    try out.put("Content-Length: ")
    try out.put(decimal: UInt64(body.count))
    try out.put("\r\n\r\n")
    exchange.headBytesSent = out.count
    exchange.coded = kind.coding
    exchange.plainBytes = plainCount
    exchange.hand.stored = StoredPart(body: body, 0..<body.count)
    worker.counters.add(to: plan.metrics.reused(kind.coding))
    if work.dictionary != nil { worker.counters.add(to: plan.metrics[.used]) }
    return true
  }

  /// Whether each write is an event that somebody waits for, however long the body is.
  private func isEventStream(_ response: ResponseHead, _ bytes: Span<UInt8>) -> Bool {
    guard let line = response.first(.contentType) else { return false }
    return Self.eventStream.matches(bytes.extracting(line.valueRange.range))
  }

  private static let eventStream = MediaPattern("text/event-stream") ?? MediaPattern.usual[0]

  // MARK: The body

  /// Codes a body that is whole in `out`, which becomes the answer with its head.
  ///
  /// - Returns: False when that would take long, or more comes of it than goes at once; what `out` holds then is
  ///   still to be sent.
  func codeWhole(_ out: inout Lent, _ exchange: Exchange) throws(ExchangeError) -> Bool {
    guard let coding = exchange.coding, out.count <= BodyCoding.shortBytes,
      coding.head.count <= BufferSize.head.bytes
    else { return false }
    _ = coding.take(out.bytes)
    switch coding.run(.end) {
    case .done: break
    case .full:
      // What is decoded may become long: it is in the coder now.
      out.truncate(to: 0)
      return false
    case .failed(let error): throw ExchangeError(coding: error)
    }
    let count = coding.coder.output.count
    let isLarge = coding.head.count + count + 64 > BufferSize.head.bytes
    var answer = loop.lend(isLarge ? .body : .head)
    try answer.put(coding.head)
    try answer.put("Content-Length: ")
    try answer.put(decimal: UInt64(count))
    try answer.put("\r\n\r\n")
    exchange.headBytesSent = answer.count
    let bytes = coding.coder.output.storage
    try answer.put(bytes.span.extracting(0..<count))
    coding.noteMade()
    coding.isFinished = true
    endCoding(exchange)
    out = answer
    return true
  }

  /// Sends a part of a block in the exchange's coding, as far as the coder lets it go.
  func encode(
    _ block: borrowing Lent,
    _ range: Range<Int>,
    _ exchange: Exchange,
    _ coding: BodyCoding
  ) async throws(ExchangeError) {
    var start = range.lowerBound
    while start < range.upperBound {
      start += coding.take(block.bytes.extracting(start..<range.upperBound))
      if coding.coder.isFull { try await run(.more, exchange, coding) }
    }
    if coding.flushes, !coding.isEnding, !range.isEmpty { try await run(.flush, exchange, coding) }
  }

  /// Sends a part of an array in the exchange's coding, as far as the coder lets it go.
  func encode(
    _ bytes: [UInt8],
    _ range: Range<Int>,
    _ exchange: Exchange,
    _ coding: BodyCoding
  ) async throws(ExchangeError) {
    var start = range.lowerBound
    while start < range.upperBound {
      start += coding.take(bytes.span.extracting(start..<range.upperBound))
      if coding.coder.isFull { try await run(.more, exchange, coding) }
    }
    if coding.flushes, !coding.isEnding, !range.isEmpty { try await run(.flush, exchange, coding) }
  }

  /// Sends the head of a coded answer whose body may take its time.
  func sendCodedHead(_ exchange: Exchange) async throws(ExchangeError) {
    guard let coding = exchange.coding, coding.flushes, !coding.isHeadSent else { return }
    var frame = loop.lend(coding.frameSize)
    try coding.putHead(&frame)
    exchange.headBytesSent = frame.count
    try await sendPlain(frame, [], 0..<0, exchange)
  }

  /// Sends what is left of a coded body, and its end; does nothing where the body is not coded.
  func finishCoding(_ exchange: Exchange) async throws(ExchangeError) {
    guard let coding = exchange.coding else { return }
    try await run(.end, exchange, coding)
    var frame = loop.lend(coding.frameSize)
    let count = coding.coder.output.count
    coding.noteMade()
    coding.isFinished = true
    if !coding.isHeadSent, coding.trailers.isEmpty {
      try frame.put(coding.head)
      try frame.put("Content-Length: ")
      try frame.put(decimal: UInt64(count))
      try frame.put("\r\n\r\n")
      exchange.headBytesSent = frame.count
    } else {
      if !coding.isHeadSent {
        try coding.putHead(&frame)
        exchange.headBytesSent = frame.count
      }
      if count > 0 {
        try frame.putChunkSize(count)
        coding.coder.output.append(Self.lineEnd.span)
      }
    }
    let isChunked = coding.isHeadSent
    if isChunked, coding.trailers.isEmpty { coding.coder.output.append(Self.lastChunk.span) }
    let bytes = coding.coder.output.storage
    let place = 0..<coding.coder.output.count
    let trailers = coding.trailers
    // What is left to be sent needs no coder.
    endCoding(exchange)
    try await sendPlain(frame, bytes, place, exchange)
    if isChunked, !trailers.isEmpty {
      var last = loop.lend(trailers.count > 8192 ? .body : .head)
      try last.putLastChunk(trailers)
      try await sendPlain(last, [], 0..<0, exchange)
    }
  }

  private static let lineEnd: [UInt8] = [0x0D, 0x0A]
  private static let lastChunk = Array("0\r\n\r\n".utf8)

  /// Lets go of a coding, whatever has become of the body.
  func endCoding(_ exchange: Exchange) {
    guard let coding = exchange.coding.take() else { return }
    let (metrics, kind) = (coding.plan.metrics, coding.coder.kind)
    let counters = worker.counters
    let isEncoded = kind.level > 0
    let bytes = isEncoded ? metrics.bytes(kind.coding) : metrics.decodedBytes(kind.coding)
    counters.add(coding.coder.takenCount, to: bytes.taken)
    counters.add(coding.madeCount, to: bytes.made)
    if isEncoded {
      counters.record(nanoseconds: coding.nanoseconds, in: metrics.time(kind.coding))
    }
    counters.add(-1, to: metrics.coders)
    exchange.plainBytes = coding.coder.takenCount
    if let source = coding.source, let made = coding.keptBody, isEncoded {
      worker.codedBodies.keep(
        CachedBody(made),
        of: source,
        kind,
        against: coding.dictionary?.digest,
        byteCount: made.count,
        plainCount: coding.coder.takenCount
      )
    }
    worker.coders.giveBack(coding.coder, isSound: !coding.isLost)
    worker.tellCoderMemory(metrics)
    if let lesson = coding.lesson, coding.isFinished { learn(lesson, coding.plan) }
  }

  // MARK: Blocks

  /// Codes what was put in, and sends the blocks that come of it.
  private func run(
    _ push: Push,
    _ exchange: Exchange,
    _ coding: BodyCoding
  ) async throws(ExchangeError) {
    while true {
      switch try await work(push, coding) {
      case .done:
        if push == .flush { try await pass(exchange, coding) }
        return
      case .full: try await pass(exchange, coding)
      case .failed(let error): throw ExchangeError(coding: error)
      }
    }
  }

  /// Codes what was put in, here or on another thread.
  private func work(
    _ push: Push,
    _ coding: BodyCoding
  ) async throws(ExchangeError) -> BodyCoder.Outcome {
    guard coding.needsThread(for: push), let threads = CodingThreads.shared else {
      return coding.run(push)
    }
    let coder = coding.coder
    let result: TimedOutcome
    do throws(BlockingPool.Refusal) {
      result = try await threads.run(on: loop) { TimedOutcome(coder, push) }
    } catch {
      switch error {
      case .queueFull, .noThread: return coding.run(push)
      case .timedOut, .cancelled:
        coding.lose()
        throw ExchangeError(.clientClosed)
      }
    }
    return coding.note(result)
  }

  /// Sends what came out as a chunk.
  private func pass(_ exchange: Exchange, _ coding: BodyCoding) async throws(ExchangeError) {
    let count = coding.coder.output.count
    guard count > 0 else { return }
    var frame = loop.lend(coding.frameSize)
    if !coding.isHeadSent {
      try coding.putHead(&frame)
      exchange.headBytesSent = frame.count
    }
    try frame.putChunkSize(count)
    coding.noteMade()
    coding.coder.output.append(Self.lineEnd.span)
    let bytes = coding.coder.output.storage
    try await sendPlain(frame, bytes, 0..<count + 2, exchange)
    coding.coder.output.removeAll()
  }
}

/// A body that is to be coded, and how.
struct CodingWork {
  let plan: CompressionPlan
  let verdict: CodingVerdict
  let kind: BodyCoder.Kind
  let source: AnyObject?
  var dictionary: CompressionDictionary?
  var lesson: DictionaryLesson?
}

extension BodyCoding {
  /// The size of a buffer that has room for the head and what frames a block.
  var frameSize: BufferSize {
    !isHeadSent && head.count + 128 > BufferSize.head.bytes ? .body : .head
  }

  /// Writes the head of a body that goes in chunks.
  func putHead(_ frame: inout Lent) throws(ExchangeError) {
    try frame.put(head)
    try frame.put("Transfer-Encoding: chunked\r\n\r\n")
    isHeadSent = true
  }
}

extension CompressionPlan {
  /// The coder that a verdict asks for; nil: none.
  func kind(for verdict: CodingVerdict, _ length: Int?) -> BodyCoder.Kind? {
    switch verdict {
    case .encode(let coding):
      BodyCoder.Kind(coding, level: level(of: coding), length: length)
    case .decode(let coding): BodyCoder.Kind(coding, level: 0, length: nil)
    case .leave, .vary, .confirm: nil
    }
  }
}

extension ExchangeError {
  /// The failure of a coder: what a member has sent is not what it says, or becomes too large.
  init(coding error: CodingError) {
    switch error {
    case .malformed: self.init(.upstreamMalformed, detail: "content_coding")
    case .tooLarge: self.init(.upstreamMalformed, detail: "decompressed_too_large")
    case .noMemory: self.init(.overloaded, detail: "compress_memory")
    }
  }
}
