import Compression
import HTTP1
import HTTPMessage
import MartletLoop
import MartletNet
import MartletTelemetry

/// Where an answer comes from, and what goes on beside it.
struct AnswerSource: ~Copyable {
  let connection: UpstreamConnection
  let pool: MemberPool
  let upload: Upload?
}

/// The final answer on its way to the client, as fast as the client takes it.
extension ReverseProxy {
  /// Writes the head that the client gets, with its last empty line.
  func composeAnswer(
    _ answer: borrowing Lent,
    _ head: borrowing Lent,
    upload: Upload?,
    into out: inout Lent
  ) throws(ExchangeError) {
    // A client that is still sending what nobody reads has no further request on this connection.
    if upload != nil, !exchange.body.hasEnded { exchange.closesClient = true }
    try composeResponseHead(answer, into: &out)
    if let cache = route.cache, exchange.cacheOutcome == .pass {
      client.endPass(exchange, cache, answer.bytes, head.bytes)
    }
    if route.response.adds {
      try putAdded(by: route.response, head.bytes, answer: answer.bytes, into: &out)
      if let cache = route.cache { try client.putCacheStatus(exchange, cache, into: &out) }
    }
    if exchange.response.first(.date) == nil {
      try out.put("Date: ")
      try out.put(client.worker.clock.httpDate)
      try out.put("\r\n")
    }
    switch exchange.response.bodyLength {
    case .none, .fixed: break
    case .chunked, .untilClose:
      if exchange.request.version == .http11 {
        try out.put("Transfer-Encoding: chunked\r\n")
      } else {
        exchange.endsWithConnection = true
        exchange.closesClient = true
      }
    }
    try client.putConnection(exchange, &out)
    try out.put("\r\n")
    exchange.headBytesSent = out.count
    if let plan = route.compression { try client.beginCoding(plan, exchange, head.bytes, &out) }
  }

  /// Appends the body to the head where all of it is there and fits.
  ///
  /// - Returns: Whether `out` is the whole answer now; the member's connection is then settled.
  func completes(
    _ out: inout Lent,
    with answer: borrowing Lent,
    from source: borrowing AnswerSource
  ) -> Bool {
    let start = exchange.response.byteCount
    switch exchange.response.bodyLength {
    case .none:
      settle(source, isClean: answer.count == start)
      return true
    case .fixed(let length):
      guard length <= UInt64(min(answer.count - start, out.freeCount)), exchange.pace == nil else {
        return false
      }
      let end = start + Int(length)
      out.append(answer.bytes.extracting(start..<end))
      settle(source, isClean: answer.count == end)
      return true
    case .chunked:
      guard exchange.pace == nil, exchange.request.version == .http11 else { return false }
      let isFramed = exchange.coding == nil
      guard
        let end = Self.appendChunks(of: answer.bytes, from: start, isFramed: isFramed, to: &out)
      else { return false }
      settle(source, isClean: answer.count == end)
      return true
    case .untilClose: return false
    }
  }

  /// Appends a chunked body, as one chunk, that is there as a whole and fits; without `isFramed` its content
  /// alone, unless there are trailers.
  ///
  /// - Returns: Where it ends; nil when it is not there as a whole, or does not fit, or is not sound: then
  ///   nothing was appended.
  private static func appendChunks(
    of bytes: Span<UInt8>,
    from start: Int,
    isFramed: Bool,
    to out: inout Lent
  ) -> Int? {
    // Most bodies whose end is not here are longer than this.
    guard bytes.count - start < BufferSize.head.bytes else { return nil }
    var decoder = ChunkedDecoder(limits: responseLimits)
    var offset = start
    var (count, trailerCount) = (0, 0)
    do throws(MessageError) {
      measuring: while true {
        switch try decoder.next(in: bytes, at: &offset) {
        case .needBytes: return nil
        case .data(let range): count += range.count
        case .trailer(let name, let value): trailerCount += name.count + value.count + 4
        case .end: break measuring
        }
      }
      guard count + trailerCount + 32 <= out.freeCount else { return nil }
      let end = offset
      guard isFramed || trailerCount == 0 else { return nil }
      if isFramed, count > 0 {
        out.append(hex: UInt64(count), digits: max(1, (64 - count.leadingZeroBitCount + 3) / 4))
        out.append("\r\n")
      }
      decoder = ChunkedDecoder(limits: responseLimits)
      offset = start
      var hasTrailers = false
      while true {
        switch try decoder.next(in: bytes, at: &offset) {
        case .needBytes: return nil
        case .data(let range): out.append(bytes.extracting(range))
        case .trailer(let name, let value):
          if !hasTrailers { out.append(count > 0 ? "\r\n0\r\n" : "0\r\n") }
          hasTrailers = true
          out.append(bytes.extracting(name))
          out.append(": ")
          out.append(bytes.extracting(value))
          out.append("\r\n")
        case .end:
          guard isFramed else { return end }
          if !hasTrailers { out.append(count > 0 ? "\r\n0\r\n" : "0\r\n") }
          out.append("\r\n")
          return end
        }
      }
    } catch {
      return nil
    }
  }

  /// Sends the head in `out`, and relays the body that begins in `answer`.
  func relayBody(
    _ answer: consuming Lent,
    _ out: consuming Lent,
    from source: borrowing AnswerSource,
    by total: Deadline
  ) async throws(ExchangeError) {
    var answer = answer
    var out = out
    if case .fixed(let length) = exchange.response.bodyLength {
      try await relayFixed(length, source, &answer, &out, by: total)
    } else {
      let isChunked = exchange.request.version == .http11 && exchange.coding == nil
      try await relayOpen(source, &answer, &out, isChunked: isChunked, by: total)
    }
    if exchange.coding != nil { try await client.finishCoding(exchange) }
  }

  /// Gives the connection back to its pool if it can carry another exchange.
  func settle(_ source: borrowing AnswerSource, isClean: Bool) {
    // A client that left meanwhile has marked the connection as cancelled.
    guard isClean, exchange.response.keepsAlive, exchange.body.hasEnded,
      source.upload?.isDone ?? true, !client.stream.isClosed
    else { return }
    loop.linkClose(of: client.stream.descriptor, to: nil)
    if upstream.plan.proxySending == nil {
      source.pool.giveBack(source.connection)
    } else {
      source.pool.keepOwn(source.connection, of: client)
    }
  }

  // MARK: A body of known length

  private func relayFixed(
    _ length: UInt64,
    _ source: borrowing AnswerSource,
    _ answer: inout Lent,
    _ out: inout Lent,
    by total: Deadline
  ) async throws(ExchangeError) {
    let start = exchange.response.byteCount
    let there = Int(min(length, UInt64(answer.count - start)))
    let range = start..<start + there
    var remaining = length - UInt64(there)
    if remaining == 0 { settle(source, isClean: answer.count == range.upperBound) }
    if there <= out.freeCount {
      out.append(answer.bytes.extracting(range))
      try await client.send(out, exchange)
    } else {
      try await client.send(out, answer, range, exchange)
    }
    guard remaining > 0 else { return }
    // An idle connection holds no buffer, and neither does one that waits for its member.
    out = loop.lend(.head)
    answer = loop.lend(.head)
    var bulk = Bulk(remaining: remaining)
    while remaining > 0 {
      // What becomes frames of HTTP/2 has to be seen.
      if bulk.isOn, exchange.pace == nil, exchange.coding == nil, !client.isInner,
        !source.connection.isInner
      {
        bulk.took(try await splice(&remaining, source, by: total))
        continue
      }
      let block = try await read(source.connection, by: total)
      guard !block.isEmpty else {
        throw ExchangeError(.upstreamCut, detail: "\(remaining) missing")
      }
      let count = Int(min(remaining, UInt64(block.count)))
      remaining -= UInt64(count)
      if remaining == 0 { settle(source, isClean: block.count == count) }
      try await client.send(block, 0..<count, exchange)
      bulk.took(block, remaining: remaining)
    }
  }

  private func read(
    _ connection: UpstreamConnection,
    by total: Deadline
  ) async throws(ExchangeError) -> Lent {
    let limit = loop.deadline(after: route.timeouts.read).earlier(total)
    do throws(StreamError) {
      // What waits for its time need not be much.
      let size = exchange.pace == nil ? BufferSize.body : .head
      return try await connection.stream.read(size, by: limit)
    } catch {
      throw ExchangeError(reading: error, hasBegun: true)
    }
  }

  // MARK: A body whose end is not known

  private func relayOpen(
    _ source: borrowing AnswerSource,
    _ answer: inout Lent,
    _ out: inout Lent,
    isChunked: Bool,
    by total: Deadline
  ) async throws(ExchangeError) {
    var body = MessageBody(answering: exchange, limits: ReverseProxy.responseLimits)
    var start = exchange.response.byteCount
    while true {
      let part: MessageBody.Part
      do throws(ExchangeError) {
        part = try body.take(from: &answer, at: start)
      } catch {
        throw ExchangeError(.upstreamMalformed, detail: error.detail)
      }
      if body.hasEnded {
        settle(source, isClean: answer.count == part.end)
        exchange.coding?.isEnding = true
      }
      try await pass(part, answer, &out, isChunked: isChunked, isLast: body.hasEnded, body.trailers)
      if body.hasEnded {
        exchange.coding?.trailers = CodedHead.trailers(body.trailers)
        return
      }
      answer.removeFirst(part.end)
      start = 0
      if exchange.coding != nil { try await client.sendCodedHead(exchange) }
      let isOver: Bool
      if answer.isEmpty {
        answer = try await read(source.connection, by: total)
        isOver = answer.isEmpty
      } else {
        isOver = try await more(source.connection, &answer, by: total) == 0
      }
      if isOver {
        guard body.endsWithConnection else { throw ExchangeError(.upstreamCut) }
        if isChunked {
          out.append("0\r\n\r\n")
          try await client.send(out, exchange)
        }
        return
      }
    }
  }

  /// Passes a part on, with the head in front of the first one; `out` is empty behind it.
  private func pass(
    _ part: MessageBody.Part,
    _ block: borrowing Lent,
    _ out: inout Lent,
    isChunked: Bool,
    isLast: Bool,
    _ trailers: [UInt8]
  ) async throws(ExchangeError) {
    if isChunked, !part.data.isEmpty { try out.putChunkSize(part.data.count) }
    if part.data.count + trailers.count + 16 <= out.freeCount {
      out.append(block.bytes.extracting(part.data))
      if isChunked, !part.data.isEmpty { out.append("\r\n") }
      if isChunked, isLast { try out.putLastChunk(trailers) }
      if !out.isEmpty { try await client.send(out, exchange) }
    } else if !isChunked {
      try await client.send(out, block, part.data, exchange)
    } else if isLast, trailers.isEmpty {
      try await client.send(out, block, part.data, tail: "\r\n0\r\n\r\n", exchange)
    } else {
      try await client.send(out, block, part.data, tail: "\r\n", exchange)
      out.truncate(to: 0)
      if isLast {
        try out.putLastChunk(trailers)
        try await client.send(out, exchange)
      }
    }
    out.truncate(to: 0)
  }

  private func more(
    _ connection: UpstreamConnection,
    _ answer: inout Lent,
    by total: Deadline
  ) async throws(ExchangeError) -> Int {
    if answer.freeCount == 0 { answer = loop.enlarged(answer) }
    let limit = loop.deadline(after: route.timeouts.read).earlier(total)
    do throws(StreamError) {
      return try await connection.stream.more(&answer, by: limit)
    } catch {
      throw ExchangeError(reading: error, hasBegun: true)
    }
  }
}
