import GRPC
import HTTP2
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem

/// A stream of a connection of HTTP/2 to a member as the other end of an inner socket: what is written
/// there is the request as HTTP/1.1 would send it, and what is read there is the answer.
///
/// So whoever speaks to members speaks HTTP/1.1 alone. One socket carries one exchange after the other,
/// on a new stream each time.
final class MemberStream: SharedStream, CarriedStream {
  let connection: MemberConnection
  /// Its place in the machine; nil before a request was sent, and when all is over.
  private(set) var place: Int?
  /// Whether it was sent more than there was room for.
  var waitsForRoom = false
  var isTouched = false
  /// When the time of the call is over, as its member is to be told, in nanoseconds of the loop's clock; 0:
  /// it is told nothing.
  private var callEnd: Int64 = 0
  /// How a browser calls, and what it calls its content; nil: nobody does, or in the way of gRPC.
  private var browser: BrowserCall?
  /// The exchange that is a call of gRPC, which is told of its outcome; nil: it is none.
  private var call: Exchange?
  private var request = StreamFraming()
  private var answer = StreamText()
  private var isTunnel = false
  /// What a client of WebSocket wants to have answered.
  private var webSocketKey: [UInt8] = []
  /// Whether the stream has ended early, or the connection has.
  private(set) var isBroken = false
  /// Whether the member takes no more of the request, though its answer is whole.
  private var takesNoMore = false
  private var isClosed = false

  init(on connection: MemberConnection) { self.connection = connection }

  private var loop: EventLoop { connection.loop }

  override func prepare() {
    request.reset()
    answer.reset()
    isTunnel = false
    takesNoMore = false
    wasRefused = false
    callEnd = 0
    browser = nil
    call = nil
    hasReserved = true
    loop.clearReadiness(descriptor)
  }

  override func begin(_ exchange: Exchange) {
    callEnd = exchange.hand.callEnd
    browser = exchange.hand.browser
    call = exchange.hand.isCall ? exchange : nil
  }

  override func giveBack(_ socket: UpstreamConnection) { connection.giveBack(socket) }

  /// Whether it can carry another exchange, now that one has ended in order.
  ///
  /// What of the answer's end has not come yet is left to the connection.
  override func comesFree() -> Bool {
    call = nil
    guard !isBroken, !isTunnel, request.isOver, !answer.hasMore else { return false }
    if let left = place {
      place = nil
      waitsForRoom = false
      connection.leave(left)
    }
    return true
  }

  // MARK: From the member

  /// Takes the head of an answer; what is left of it is of no use but for its memory.
  func takeHead(_ head: inout [UInt8], isLast: Bool, isChunked: Bool, opensTunnel: Bool) {
    if isLast, let call { call.noteOutcome(in: head.span, worker: connection.worker) }
    if opensTunnel, head.count > 2, !webSocketKey.isEmpty {
      head.insert(contentsOf: WebSocketAccept.line(for: webSocketKey), at: head.count - 2)
    }
    if browser != nil, !opensTunnel {
      let isFinal = !head.starts(with: Self.interim)
      browser?.translate(&head, isLast: isLast || !isFinal)
      answer.add(head: &head, isChunked: isFinal && !isLast, hasEnded: isLast)
    } else {
      answer.add(head: &head, isChunked: isChunked, hasEnded: isLast)
    }
  }

  /// - Returns: Whether the content is kept to be read, and not of no use any more.
  func takeContent(_ bytes: Span<UInt8>, isLast: Bool) -> Bool {
    if isBroken { return false }
    if let call = browser {
      let text = call.form.encoded(Array(copying: bytes))
      browser?.note(received: bytes.count, written: text.count)
      answer.add(text.span, isLast: isLast)
    } else {
      answer.add(bytes, isLast: isLast)
    }
    return true
  }

  func takeTrailers(_ lines: [UInt8]) {
    if let call { call.noteOutcome(in: lines.span, worker: connection.worker) }
    guard let call = browser else { return answer.end(lines) }
    let message = call.form.encoded(WebForm.message(of: lines))
    answer.add(message.span, isLast: true)
  }

  /// Takes a reset; `isRefusal`: the member has not looked at the request.
  func takeReset(_ code: ErrorCode, isRefusal: Bool) {
    // The answer is whole: the member only wants no more of the request. RFC 9113, section 8.1.
    if answer.hasEnded, code == .noError {
      takesNoMore = true
      return
    }
    wasRefused = isRefusal
    isBroken = true
  }

  /// Tells whoever waits for the answer that the connection is gone.
  func breakOff() {
    guard !isBroken else { return }
    call = nil
    // What has come whole can still be read.
    if place == nil || answer.hasEnded {
      takesNoMore = true
    } else {
      isBroken = true
      signal()
    }
  }

  /// Tells whoever waits for the answer of what has come.
  func signal() {
    guard !isClosed else { return }
    // The end of a tunnel is known before it is read, as that of a socket.
    if isBroken || isTunnel && answer.hasEnded {
      loop.signalClose(descriptor)
    } else {
      loop.signalInput(descriptor)
    }
  }

  // MARK: The inner socket

  override var hasInput: Bool { isBroken || answer.hasMore || isTunnel && answer.hasEnded }

  override func receive(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> InnerInput {
    let (count, content) = answer.read(upTo: limit, take)
    if content > 0, let place {
      // What is told of is what has come, not what was made of it.
      let used = browser == nil ? content : browser?.used(content) ?? 0
      connection.withMachine { $0.consumed(used, of: place) }
      connection.markDirty()
    }
    if isBroken || isTunnel && answer.hasEnded, count < limit { return .ended }
    finishIfRead()
    return .open
  }

  override func send(_ bytes: Span<UInt8>) -> Int? {
    guard !isBroken, !takesNoMore else { return nil }
    connection.markDirty()
    guard let (all, keptCount) = request.joined(with: bytes) else { return take(bytes) }
    // What was kept needs no room: only lines that are not complete are kept.
    return take(all.span).map { max(0, $0 - keptCount) }
  }

  private func take(_ bytes: Span<UInt8>) -> Int? {
    var offset = 0
    while true {
      switch request.next(in: bytes, at: &offset) {
      case .needsBytes: return offset
      case .head(let range):
        guard let body = begin(bytes.extracting(range)) else { return nil }
        request.follow(body)
      case .content(let range):
        guard let place else { return nil }
        guard let taken = send(bytes.extracting(range), place) else { return nil }
        request.sent(taken)
        offset += taken
        guard taken == range.count else {
          waitsForRoom = true
          connection.hasWaiters = true
          return offset
        }
      case .end: finish()
      case .broken: return nil
      }
    }
  }

  /// Sends content, as much as there is room for; nil: it is not what it should be.
  private func send(_ piece: Span<UInt8>, _ place: Int) -> Int? {
    guard browser?.form == .text else {
      return connection.withMachine { $0.send(piece, on: place, isLast: false) }
    }
    // Three bytes for each four characters, of which three may have come before.
    let room = connection.withMachine { $0.room(on: place) }
    let count = min(piece.count, max(0, room - 3) / 3 * 4)
    var content: [UInt8] = []
    guard browser?.decode(piece.extracting(0..<count), into: &content) == true else {
      connection.withMachine { $0.reset(place, .cancel) }
      return nil
    }
    let taken = connection.withMachine { $0.send(content.span, on: place, isLast: false) }
    return taken == content.count ? count : nil
  }

  // MARK: The request

  /// Sends the head on a new stream.
  ///
  /// - Returns: What comes behind it; nil when the member takes no stream any more.
  private func begin(_ head: Span<UInt8>) -> StreamFraming.Body? {
    hasReserved = false
    var changes = RequestChanges()
    if callEnd != 0 { changes.deadline = CallTimeout(nanoseconds: callEnd - loop.now).text }
    if let browser {
      changes.contentType = browser.form.callType(of: browser.contentType)
      changes.isOfBrowser = true
    }
    guard let sent = connection.begin(self, head, changes) else {
      // Nothing of it has left.
      wasRefused = true
      isBroken = true
      return nil
    }
    place = sent.stream
    isTunnel = sent.isTunnel
    if sent.isTunnel {
      webSocketKey = WebSocketAccept.key(in: head)
      return .open
    }
    if sent.isChunked { return .chunks }
    return .fixed(sent.length ?? 0)
  }

  /// Ends the request.
  private func finish() {
    guard let place else { return }
    let lines = request.trailers
    connection.withMachine {
      if lines.isEmpty { $0.finish(place) } else { $0.sendTrailers(lines.span, on: place) }
    }
    finishIfRead()
  }

  /// Lets go of the stream when everything was sent and everything was read.
  private func finishIfRead() {
    guard let ended = place, request.isOver, answer.isReadOut else { return }
    place = nil
    waitsForRoom = false
    connection.end(ended)
  }

  override func endOfOutput() {
    guard let place, request.isOpen else { return }
    request.close()
    connection.withMachine { $0.finish(place) }
    connection.markDirty()
  }

  private static let interim = Array("HTTP/1.1 1".utf8)

  override func willBreak() { isBroken = true }

  override func close() {
    isClosed = true
    isBroken = true
    call = nil
    connection.forget(self)
    guard let ended = place else { return }
    place = nil
    connection.withMachine { $0.reset(ended, .cancel) }
    connection.end(ended)
  }
}
