import Compression
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// Which requests of a route are taken out of their coding; compiled.
final class DecompressionPlan: Sendable {
  let limits: DecodingLimits
  let metrics: CompressionMetrics

  init(_ limits: DecodingLimits, _ metrics: CompressionMetrics) {
    self.limits = limits
    self.metrics = metrics
  }
}

/// The body of a request on its way through a decoder.
final class RequestDecoding {
  let coder: BodyCoder
  let plan: DecompressionPlan
  var madeCount: UInt64 = 0

  init(_ coder: BodyCoder, _ plan: DecompressionPlan) {
    self.coder = coder
    self.plan = plan
  }
}

/// Requests whose body is in a content coding that their member need not know.
///
/// The member gets them in chunks, without the fields that say what is no longer so. What the head's buffer holds of
/// the body is decoded first, and kept as if an earlier try had passed it on; an ``Upload`` decodes the rest.
extension HTTP1Connection {
  /// Begins to decode the body of a request, if it is in one coding.
  ///
  /// - Throws: ``ExchangeError``: a coding is not known, or the body is not what it says.
  func beginDecoding(
    _ plan: DecompressionPlan,
    _ exchange: Exchange,
    _ head: borrowing Lent
  ) throws(ExchangeError) {
    guard exchange.decoding == nil, exchange.request.first(.contentEncoding) != nil,
      exchange.request.bodyLength != .none
    else { return }
    let bytes = head.bytes
    guard let coding = try Self.coding(of: exchange.request, in: bytes) else { return }
    var limits = plan.limits
    if let most = exchange.route?.bodyLimit {
      limits.byteCount = min(limits.byteCount, Int(clamping: most))
    }
    let kind = BodyCoder.Kind(coding, level: 0, length: nil)
    guard let coder = worker.coders.take(kind, length: nil, limits: limits) else {
      throw ExchangeError(.overloaded, detail: "compress_memory")
    }
    worker.counters.add(1, to: plan.metrics.coders)
    worker.tellCoderMemory(plan.metrics)
    let decoding = RequestDecoding(coder, plan)
    exchange.decoding = decoding
    for index in exchange.request.fields.indices
    where Self.isOfCoding(exchange.request.fields[index], in: bytes) {
      exchange.request.fields[index].isHopByHop = true
    }
    let part = bytes.extracting(exchange.hand.part.data)
    var first: [UInt8] = []
    var start = 0
    var isDone = false
    while !isDone {
      let step = try decode(part, from: &start, by: decoding, isLast: exchange.body.hasEnded)
      first += step.made
      isDone = step.isDone
    }
    let replay = Replay(limit: max(first.count, ReverseProxy.keptByteCount))
    replay.keep(first.span)
    exchange.hand.replay = replay
    exchange.hand.part = MessageBody.Part()
  }

  /// Takes the next step through a part of a body: `bytes` from `start` on, which moves behind what was taken.
  ///
  /// - Returns: What came of it, and whether that was all.
  /// - Throws: ``ExchangeError``: it is not what its coding says, or becomes too large.
  func decode(
    _ bytes: Span<UInt8>,
    from start: inout Int,
    by decoding: RequestDecoding,
    isLast: Bool
  ) throws(ExchangeError) -> (made: [UInt8], isDone: Bool) {
    let coder = decoding.coder
    start += coder.take(bytes.extracting(start..<bytes.count))
    let isEnd = start == bytes.count
    let outcome = coder.run(isLast && isEnd ? .end : .more)
    let made = coder.output.bytes
    decoding.madeCount += UInt64(made.count)
    coder.output.removeAll()
    switch outcome {
    case .done: return (made, isEnd)
    case .full: return (made, false)
    case .failed(.tooLarge): throw ExchangeError(.bodyTooLarge, detail: "decompressed")
    case .failed: throw ExchangeError(.bodyRefused, detail: "content_coding")
    }
  }

  /// Lets go of a decoder, whatever has become of the body.
  func endDecoding(_ exchange: Exchange) {
    guard let decoding = exchange.decoding.take() else { return }
    let metrics = decoding.plan.metrics
    let bytes = metrics.decodedBytes(decoding.coder.kind.coding)
    worker.counters.add(decoding.coder.takenCount, to: bytes.taken)
    worker.counters.add(decoding.madeCount, to: bytes.made)
    worker.counters.add(-1, to: metrics.coders)
    worker.coders.giveBack(decoding.coder, isSound: true)
    worker.tellCoderMemory(metrics)
  }

  /// The coding of a request; nil: none.
  ///
  /// - Throws: 415 for one that is not known, and for several.
  private static func coding(
    of request: RequestHead,
    in bytes: Span<UInt8>
  ) throws(ExchangeError) -> ContentCoding? {
    var found: ContentCoding?
    for line in request.fields where line.name == .contentEncoding {
      var elements = ListElements(line.valueRange.range)
      while let element = elements.next(in: bytes) {
        let name = bytes.extracting(element)
        guard let coding = ContentCoding(name), !coding.needsDictionary,
          found == nil || coding == .identity
        else {
          throw ExchangeError(.codingNotSupported, detail: String(decoding: name))
        }
        if coding != .identity { found = coding }
      }
    }
    return found
  }

  /// Whether a line says what is no longer so of a body that was decoded.
  private static func isOfCoding(_ line: FieldLine, in bytes: Span<UInt8>) -> Bool {
    switch line.name {
    case .contentEncoding, .contentLength: true
    case .other: CodedHead.isDigest(bytes.extracting(line.nameRange.range))
    default: false
    }
  }
}

extension Upload {
  /// Passes on what a part of a body stands for.
  ///
  /// - Returns: False when the member takes no more.
  func writeDecoded(
    _ block: borrowing Lent,
    _ part: MessageBody.Part,
    by decoding: RequestDecoding,
    keptBy replay: Replay?,
    isLast: Bool
  ) async throws(ExchangeError) -> Bool {
    let deadline = client.loop.deadline(after: route.timeouts.write)
    var frame = client.loop.lend(.head)
    var start = part.data.lowerBound
    var isDone = false
    while !isDone {
      let step = try client.decode(
        block.bytes.extracting(0..<part.data.upperBound),
        from: &start,
        by: decoding,
        isLast: isLast
      )
      isDone = step.isDone
      replay?.keep(step.made.span)
      if !step.made.isEmpty { try frame.putChunkSize(step.made.count) }
      do {
        if !step.made.isEmpty {
          try await connection.stream.write(frame, by: deadline)
          try await connection.stream.write(step.made, by: deadline)
          frame.truncate(to: 0)
          frame.append("\r\n")
        }
      } catch {
        return false
      }
    }
    if isLast { try frame.putLastChunk(CodedHead.trailers(exchange.body.trailers)) }
    do {
      if !frame.isEmpty { try await connection.stream.write(frame, by: deadline) }
      return true
    } catch {
      return false
    }
  }
}
