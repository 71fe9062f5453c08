import HTTP2
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem

/// A stream of HTTP/2 as the other end of an inner socket: what is read there is the request as
/// HTTP/1.1 would send it, and what is written there is the answer.
///
/// The answer's framing is read as strictly as a member's: its length or its chunks become DATA, and
/// their end the end of the stream. When request and answer are over, the socket may carry another
/// stream.
final class HTTP2Stream: InnerSocket, CarriedStream {
  let connection: HTTP2Connection
  private(set) var descriptor: Int32 = -1
  /// What serves it; whoever lets go of that closes the socket, after which it is named no more.
  ///
  /// Not weak: what has a weak reference is slower to retain, and this is retained again and again.
  private unowned var served: HTTP1Connection?
  /// Its place in the machine; nil while it carries none.
  private(set) var place: Int?
  /// Whether it was sent more than there was room for.
  var waitsForRoom = false
  /// When something of its answer was taken, among all of its connection.
  private(set) var lastTurn: UInt64 = 0
  var isTouched = false
  private var isHead = false
  private var isTunnel = false
  private var request = StreamText()
  private var answer = StreamFraming()
  /// Whether the client has gone, or was told to.
  private var isBroken = false
  /// Whether nothing more is to be read: the answer was given.
  private var readsNoMore = false
  private var isClosed = false

  /// - Returns: nil when no number for a socket is left.
  init?(on connection: HTTP2Connection) {
    self.connection = connection
    guard let socket = connection.loop.openInner(self) else { return nil }
    descriptor = socket.number
    guard let served = connection.worker.serve(socket, of: connection) else { return nil }
    self.served = served
  }

  private var loop: EventLoop { connection.loop }

  /// Whether its connection of HTTP/1.1 waits for another request.
  var isIdle: Bool { served?.isIdle ?? false }

  // MARK: From the client

  /// Has a request served, whose head is given; what is left of that is of no use but for its memory.
  func begin(
    _ place: Int,
    _ head: inout [UInt8],
    isHead: Bool,
    isTunnel: Bool,
    isChunked: Bool,
    hasEnded: Bool
  ) {
    self.place = place
    self.isHead = isHead
    self.isTunnel = isTunnel
    if isTunnel { head.insert(contentsOf: connection.worker.webSocketKey(), at: head.count - 2) }
    request.reset()
    request.add(head: &head, isChunked: isChunked && !isTunnel, hasEnded: hasEnded)
    answer.reset()
  }

  /// Has it served what has come, once nothing further is there.
  func signal() {
    guard !isClosed else { return }
    // The end of a tunnel is known before it is read, as that of a socket.
    if isTunnel, request.hasEnded {
      loop.signalClose(descriptor)
    } else {
      loop.signalInput(descriptor)
    }
  }

  func takeContent(_ bytes: Span<UInt8>, isLast: Bool) {
    if readsNoMore || isBroken {
      if let place { connection.withMachine { $0.consumed(bytes.count, of: place) } }
      request.add(Span(), isLast: isLast)
    } else {
      request.add(bytes, isLast: isLast)
    }
  }

  func takeTrailers(_ lines: [UInt8]) { request.end(lines) }

  /// Tells whoever serves the request that the client is gone.
  func breakOff() {
    guard !isBroken else { return }
    isBroken = true
    loop.signalClose(descriptor)
  }

  // MARK: The inner socket

  var hasInput: Bool { isBroken || request.hasMore || isTunnel && request.hasEnded }

  func receive(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> InnerInput {
    if isBroken || readsNoMore { return .ended }
    let (count, content) = request.read(upTo: limit, take)
    if content > 0, let place {
      connection.withMachine { $0.consumed(content, of: place) }
      connection.markDirty()
    }
    if isTunnel, request.hasEnded, count < limit { return .ended }
    if answer.isOver { finishIfRead() }
    return .open
  }

  func send(_ bytes: Span<UInt8>) -> Int? {
    guard place != nil, !isBroken else { return nil }
    connection.markDirty()
    guard let (all, keptCount) = answer.joined(with: bytes) else { return take(bytes) }
    // What was kept needs no room: only lines that are not complete are kept.
    return take(all.span).map { max(0, $0 - keptCount) }
  }

  private func take(_ bytes: Span<UInt8>) -> Int? {
    var offset = 0
    while let place {
      switch answer.next(in: bytes, at: &offset) {
      case .needsBytes: return offset
      case .head(let range): answer.follow(pass(head: bytes.extracting(range), place))
      case .content(let range):
        let piece = bytes.extracting(range)
        let taken = connection.withMachine { $0.send(piece, on: place, isLast: false) }
        answer.sent(taken)
        offset += taken
        if taken > 0 { lastTurn = connection.takeTurn() }
        guard taken == range.count else {
          waitsForRoom = true
          connection.hasWaiters = true
          return offset
        }
      case .end: finish(place)
      case .broken: return nil
      }
    }
    // Nothing follows an answer.
    return bytes.count
  }

  // MARK: The answer

  /// Sends a head and decides how the body behind it ends.
  private func pass(head: Span<UInt8>, _ place: Int) -> StreamFraming.Body {
    let sent = connection.withMachine { $0.sendHead(head, on: place, isLast: false) }
    if sent.status == 101 { return .open }
    if sent.status < 200 { return .nothingYet }
    if isHead || sent.status == 204 || sent.status == 304 { return .empty }
    if let length = sent.length { return .fixed(length) }
    return sent.isChunked ? .chunks : .open
  }

  /// Ends the answer.
  private func finish(_ place: Int) {
    let lines = answer.trailers
    connection.withMachine {
      if lines.isEmpty { $0.finish(place) } else { $0.sendTrailers(lines.span, on: place) }
    }
    finishIfRead()
  }

  /// Lets go of the stream when its request was read to the end too.
  private func finishIfRead() {
    guard let ended = place, request.isReadOut else { return }
    place = nil
    waitsForRoom = false
    connection.end(self, at: ended, isReusable: !isBroken && !isTunnel)
  }

  func endOfOutput() {
    if let place, answer.isOpen {
      answer.close()
      finish(place)
    }
    guard !isTunnel else { return }
    // Whoever has told the end still reads what comes, for a while: here that is over at once.
    readsNoMore = true
    loop.signalInput(descriptor)
  }

  func willBreak() { isBroken = true }

  func close() {
    let wasBroken = isBroken
    isBroken = true
    isClosed = true
    served = nil
    connection.forget(self)
    guard let ended = place else { return }
    place = nil
    if answer.isOpen, !wasBroken {
      connection.withMachine { $0.finish(ended) }
    } else if !answer.isOver {
      let isStalled = waitsForRoom && connection.withMachine { $0.isStalled(ended) }
      connection.withMachine { $0.reset(ended, isStalled ? .cancel : .internalError) }
      if isStalled { connection.noteStall() }
    }
    connection.end(self, at: ended, isReusable: false)
  }
}
