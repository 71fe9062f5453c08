import Cache
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// Sending bodies that stay on the disk: the kernel sends them from the file, where no TLS and no coding is in the
/// way, and only what was looked at not long before.
extension HTTP1Connection {
  /// Sends what is in hand of a body on the disk, as far as nothing has to be waited for.
  func sendDiskNow(_ exchange: Exchange) throws(ExchangeError) -> StoredProgress {
    var left = Self.storedBytesAtOnce
    while left > 0 {
      guard let part = exchange.hand.stored else { return try flushNow(exchange) ? .all : .full }
      if part.count == 0 {
        guard try flushNow(exchange) else { return .full }
        try advanceStored(exchange)
        continue
      }
      // What is in memory comes behind it.
      guard let (disk, rest) = part.disk else { return .pause }
      let limit = min(rest.upperBound, rest.lowerBound + left)
      let end = disk.goodEnd(from: rest.lowerBound, to: limit)
      // Also before the head is sent: where the first bytes are not good, the upstream is asked.
      guard end > rest.lowerBound else { return .unread }
      guard try flushNow(exchange) else { return .full }
      guard let file = disk.file else { throw Self.lost }
      let place = rest.lowerBound..<end
      if passesFiles {
        guard let count = try sendNow(file, disk.start, place, exchange) else { return .full }
        take(count, exchange)
        left -= count
      } else {
        var out = loop.lend(.body)
        try fill(&out, disk, place)
        take(out.count, exchange)
        left -= out.count
        exchange.hand.sent = 0
        exchange.hand.out = consume out
      }
    }
    return exchange.hand.stored == nil && exchange.hand.out == nil ? .all : .pause
  }

  /// What a client is told by the end of its connection, when the rest of a body is not what was written.
  private static let lost = ExchangeError(.fileFailed, detail: "the disk of a cache")

  /// Sends what is left in the buffer, if there is anything.
  ///
  /// - Returns: Whether the socket has taken all.
  private func flushNow(_ exchange: Exchange) throws(ExchangeError) -> Bool {
    exchange.responseStarted = true
    guard let out = exchange.hand.out.take() else { return true }
    let sent = exchange.hand.sent
    // The first bytes of a file go into the packet of the head.
    let isFollowed = sent == 0 && exchange.hand.stored != nil && passesFiles
    let count = try noted(exchange) { () throws(StreamError) in
      isFollowed ? try stream.writeNow(out, endsNext: true) : try stream.writeNow(out, from: sent)
    }
    exchange.hand.sent = sent + count
    if exchange.hand.sent == out.count { return true }
    exchange.hand.out = consume out
    return false
  }

  /// Has the kernel send a part of a body.
  ///
  /// - Returns: How many bytes it has sent; nil: the socket takes no more for now.
  private func sendNow(
    _ file: OpenFile,
    _ start: Int,
    _ place: Range<Int>,
    _ exchange: Exchange
  ) throws(ExchangeError) -> Int? {
    let sent: Int?
    do throws(StreamError) {
      sent = try stream.sendFileNow(
        file,
        from: Int64(start + place.lowerBound),
        count: place.count
      )
    } catch {
      throw ExchangeError(sending: error)
    }
    guard let sent else { return nil }
    guard sent > 0 else { throw Self.lost }
    exchange.bytesSent &+= UInt64(sent)
    return sent
  }

  /// Reads a part of a body, or as much of it as there is room for.
  private func fill(
    _ out: inout Lent,
    _ disk: DiskBody,
    _ place: Range<Int>
  ) throws(ExchangeError) {
    guard let file = disk.file else { throw Self.lost }
    let count: Int
    do throws(SystemError) {
      count = try out.fill(
        from: file,
        at: Int64(disk.start + place.lowerBound),
        upTo: min(place.count, out.freeCount)
      )
    } catch {
      throw ExchangeError(.fileFailed, detail: "\(error)")
    }
    guard count > 0 else { throw Self.lost }
  }

  /// Has a thread look at what comes next of a body on the disk.
  ///
  /// - Returns: False when it is not what was written, and nothing of the answer was sent: then nothing is in hand
  ///   any more.
  func lookAtStored(_ exchange: Exchange) async throws(ExchangeError) -> Bool {
    guard let (disk, place) = exchange.hand.stored?.disk,
      disk.goodEnd(from: place.lowerBound, to: place.upperBound) == place.lowerBound
    else { return true }
    switch await disk.look(from: place.lowerBound, to: place.upperBound, on: loop) {
    case .good: return true
    case .bad:
      guard !exchange.responseStarted else { throw Self.lost }
      exchange.hand.out = nil
      exchange.hand.stored = nil
      endCoding(exchange)
      return false
    case .refused: throw ExchangeError(.overloaded, detail: "cache")
    }
  }

  /// The next block of a body on the disk, for whom bytes do not go to the socket as they are.
  func blockOfStored(_ disk: DiskBody, _ place: Range<Int>) throws(ExchangeError) -> Lent {
    var block = loop.lend(.body)
    let end = disk.goodEnd(from: place.lowerBound, to: place.upperBound)
    // What was good is not any more: it has been a while.
    guard end > place.lowerBound else { return block }
    try fill(&block, disk, place.lowerBound..<end)
    return block
  }

  /// Sends a part of a body that is still written, behind what is in the buffer.
  func send(
    _ out: inout Lent,
    _ disk: DiskBody,
    _ place: Range<Int>,
    _ exchange: Exchange
  ) async throws(ExchangeError) {
    var offset = place.lowerBound
    while offset < place.upperBound {
      let limit = min(place.upperBound, offset + Self.storedBytesAtOnce)
      let end = disk.goodEnd(from: offset, to: limit)
      guard end > offset else {
        switch await disk.look(from: offset, to: limit, on: loop) {
        case .good: continue
        case .bad: throw Self.lost
        case .refused: throw ExchangeError(.overloaded, detail: "cache")
        }
      }
      guard passesFiles, exchange.pace == nil, exchange.coding == nil else {
        var block = loop.lend(.body)
        try fill(&block, disk, offset..<end)
        try await send(out, block, 0..<block.count, exchange)
        out.truncate(to: 0)
        offset += block.count
        continue
      }
      if !out.isEmpty {
        try await send(out, exchange)
        out.truncate(to: 0)
      }
      guard let file = disk.file else { throw Self.lost }
      let first = offset
      while offset < end {
        guard let count = try sendNow(file, disk.start, offset..<end, exchange) else {
          try await waitForRoom(exchange)
          continue
        }
        offset += count
      }
      // Others have their turn.
      if offset - first == Self.storedBytesAtOnce { await loop.yield() }
    }
  }
}
