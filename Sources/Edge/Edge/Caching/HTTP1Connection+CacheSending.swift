import Cache
import MartletBytes
import MartletLoop
import MartletNet

/// What is still to be sent of an answer that is kept, behind what lies in the buffer.
struct StoredPart {
  private let body: CachedBody
  private let parts: CachedParts?
  /// What is left of the range at hand.
  private(set) var offset: Int
  private(set) var end: Int
  /// All ranges; nil where there is one alone.
  private let several: RangeParts?
  private var nextRange = 0

  init(body: CachedBody, _ range: Range<Int>) {
    self.init(body, nil, range, nil)
  }

  /// These bytes of an answer, none of which is missing; with `several` those of its ranges, which ``advance(_:)``
  /// goes to.
  init(of answer: CachedAnswer, _ range: Range<Int>, _ several: RangeParts? = nil) {
    self.init(answer.body, answer.parts, several == nil ? range : 0..<0, several)
  }

  private init(
    _ body: CachedBody,
    _ parts: CachedParts?,
    _ range: Range<Int>,
    _ several: RangeParts?
  ) {
    self.body = body
    self.parts = parts
    self.several = several
    offset = range.lowerBound
    end = range.upperBound
  }

  /// Where the next bytes are if they are not in memory: a body, and which of its bytes they are.
  var disk: (body: DiskBody, place: Range<Int>)? {
    if let disk = body.disk { return (disk, offset..<end) }
    guard case .disk(let disk, let place)? = parts?.source(at: offset) else { return nil }
    return (disk, place.lowerBound..<min(place.upperBound, place.lowerBound + count))
  }

  /// How many bytes are left of the range at hand.
  var count: Int { end - offset }

  /// Whether nothing is left, be it lines.
  var isOver: Bool { count == 0 && nextRange > several?.ranges.count ?? -1 }

  /// Goes on to the next range, whose lines are written to `out`, or writes those behind the last one.
  mutating func advance(_ out: inout Lent) throws(ExchangeError) {
    guard let several, nextRange <= several.ranges.count else { return }
    if nextRange < several.ranges.count {
      try several.putLines(of: nextRange, to: &out)
      offset = Int(several.ranges[nextRange].lowerBound)
      end = Int(several.ranges[nextRange].upperBound)
    } else {
      try several.putEnd(to: &out)
    }
    nextRange += 1
  }

  /// The piece with the next bytes of a body in memory, and where they are in it.
  var next: (bytes: [UInt8], place: Range<Int>) {
    if let (bytes, place) = parts?.piece(at: offset) {
      return (bytes, place.lowerBound..<min(place.upperBound, place.lowerBound + count))
    }
    let (bytes, start) = body.piece(at: offset)
    return (bytes, start..<min(bytes.count, start + count))
  }

  /// Notes that so many bytes were sent or copied.
  mutating func take(_ count: Int) { offset += count }
}

/// Sending what is in hand of an answer that is kept: pieces go to the socket from where they are.
extension HTTP1Connection {
  /// How far a call has come.
  enum StoredProgress {
    /// All was sent.
    case all
    /// The socket takes no more for now.
    case full
    /// Much was sent at a time: others come first.
    case pause
    /// A thread has to look at what comes next.
    case unread
  }

  /// As much as is sent to one client before others have their turn.
  static let storedBytesAtOnce = 2 << 20

  /// Sends what is in hand, as far as nothing has to be waited for.
  func sendStoredNow(_ exchange: Exchange) throws(ExchangeError) -> StoredProgress {
    var left = Self.storedBytesAtOnce
    while left > 0 {
      let part = exchange.hand.stored
      if part?.disk != nil { return try sendDiskNow(exchange) }
      exchange.responseStarted = true
      if let out = exchange.hand.out.take() {
        let before = exchange.hand.sent
        let count = try sendStored(out, from: before, part, exchange)
        let ofBody = max(0, count - (out.count - before))
        if ofBody > 0 { take(ofBody, exchange) }
        exchange.hand.sent = before + count - ofBody
        if exchange.hand.sent < out.count {
          exchange.hand.out = consume out
          return .full
        }
        left -= count
        continue
      }
      guard let part else { return .all }
      if part.count == 0 {
        try advanceStored(exchange)
        continue
      }
      let (bytes, place) = part.next
      let count = try noted(exchange) { () throws(StreamError) in
        try stream.writeNow(bytes.span.extracting(place))
      }
      if count == 0 { return .full }
      take(count, exchange)
      left -= count
    }
    return exchange.hand.stored == nil ? .all : .pause
  }

  /// Sends what is left in the buffer, together with the beginning of the body if there is one.
  private func sendStored(
    _ out: borrowing Lent,
    from offset: Int,
    _ part: StoredPart?,
    _ exchange: Exchange
  ) throws(ExchangeError) -> Int {
    do throws(StreamError) {
      let count: Int
      if let part, part.count > 0 {
        let (bytes, place) = part.next
        count = try stream.writeNow(out, from: offset, bytes.span.extracting(place))
      } else if offset == 0 {
        count = try stream.writeNow(out, endsNext: part != nil || exchange.closesClient)
      } else {
        count = try stream.writeNow(out, from: offset)
      }
      exchange.bytesSent &+= UInt64(count)
      return count
    } catch {
      throw ExchangeError(sending: error)
    }
  }

  func take(_ count: Int, _ exchange: Exchange) {
    exchange.hand.stored?.take(count)
    if exchange.hand.stored?.isOver == true { exchange.hand.stored = nil }
  }

  /// Puts the lines of the next range in hand.
  func advanceStored(_ exchange: Exchange) throws(ExchangeError) {
    guard var part = exchange.hand.stored else { return }
    var out = loop.lend(.head)
    try part.advance(&out)
    exchange.hand.stored = part.isOver ? nil : part
    exchange.hand.sent = 0
    exchange.hand.out = consume out
  }

  /// Sends what is in hand, all of it.
  ///
  /// - Returns: False when the disk has something else, and nothing was sent: the answer has to be found anew.
  @discardableResult
  func sendStored(_ exchange: Exchange) async throws(ExchangeError) -> Bool {
    if exchange.pace != nil || exchange.coding != nil {
      guard try await lookAtStored(exchange) else { return false }
      try await sendPieces(exchange)
      return true
    }
    while true {
      switch try sendStoredNow(exchange) {
      case .all: return true
      case .unread: guard try await lookAtStored(exchange) else { return false }
      case .full: try await waitForRoom(exchange)
      case .pause: await loop.yield()
      }
    }
  }

  /// Sends what is in hand where bytes do not go to the socket as they are, or not at once.
  private func sendPieces(_ exchange: Exchange) async throws(ExchangeError) {
    exchange.responseStarted = true
    let nothing = loop.lend(.head)
    while true {
      if let out = exchange.hand.out.take() {
        try await send(out, exchange.hand.sent..<out.count, exchange)
      }
      guard let part = exchange.hand.stored else { break }
      if part.count == 0 {
        try advanceStored(exchange)
        continue
      }
      if let (disk, place) = part.disk {
        _ = try await lookAtStored(exchange)
        let block = try blockOfStored(disk, place)
        try await send(block, 0..<block.count, exchange)
        take(block.count, exchange)
        continue
      }
      let (bytes, place) = part.next
      try await send(nothing, bytes, place, exchange)
      take(place.count, exchange)
    }
    try await finishCoding(exchange)
  }
}
