import HTTP2
import HTTPMessage
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import TLS

/// A client's connection that speaks HTTP/2.
///
/// Each of its streams is an inner socket of the loop (``HTTP2Stream``), and what is served there is an
/// ``HTTP1Connection`` like any other: whatever is true of a request of HTTP/1.1 is true of one of
/// HTTP/2, and there is one way through the edge. This class reads, gives every stream what is its
/// own, and writes once a turn what all of them have to say.
///
/// It needs no coroutine; while nothing is under way it holds no buffer.
final class HTTP2Connection: TurnEnd {
  let stream: Stream
  let peer: SocketAddress
  let worker: Worker
  let acceptor: Acceptor
  /// What a proxy in front has said of the client.
  let preface: ConnectionPreface?
  /// TLS with the client; nil: bytes pass as they are.
  let tls: TLSSession?
  /// By what it is known to whoever looks at connections, and since when it is open.
  let number: UInt64
  let openedAt: Int64
  private(set) var machine: ConnectionMachine
  /// What is served, by the places of the machine.
  private var streams: [HTTP2Stream?] = []
  /// Streams that are over, whose connections of HTTP/1.1 may serve another one.
  private var free: [HTTP2Stream] = []
  private let touched = TouchedStreams<HTTP2Stream>()
  /// Places of streams whose answer was given while their request still comes, with the moment at which
  /// they are reset: clients are known that lose an answer when the reset comes with it.
  private var unread: [(place: Int, until: Deadline)] = []
  /// When it is closed if no request comes; never while there is one.
  private var idleUntil = Deadline.never
  /// When the client is asked whether it lives, while it waits for answers.
  private var pingAt = Deadline.never
  private(set) var requestCount = 0
  /// What heads are taken into: the memory of one that was read.
  private var head: [UInt8] = []
  private var input = FrameInput()
  private var output = FrameOutput()
  private var isDirty = false
  private var isClosed = false
  /// Whether the end was told to the client, and what it still sends is thrown away.
  private var lingers = false
  private var lingerBytes = 256 << 10
  /// Whether somebody waits for room.
  var hasWaiters = false
  /// How often something of an answer was taken.
  private var turnCount: UInt64 = 0
  private var metrics: HTTP2Metrics { worker.generation.metrics.http2 }

  init(
    stream: Stream,
    peer: SocketAddress,
    preface: ConnectionPreface?,
    tls: TLSSession?,
    worker: Worker,
    acceptor: Acceptor
  ) {
    self.stream = stream
    self.peer = peer
    self.preface = preface
    self.tls = tls
    self.worker = worker
    self.acceptor = acceptor
    number = worker.nextConnectionNumber()
    openedAt = worker.loop.now
    machine = ConnectionMachine(.server, limits: acceptor.plan.http2.limits)
  }

  var loop: EventLoop { worker.loop }

  /// Whether `bytes` begin as a connection of HTTP/2 does.
  static func isPreface(_ bytes: Span<UInt8>) -> Bool {
    guard bytes.count >= Self.prefaceLine else { return false }
    let preface = ConnectionMachine.preface
    for index in 0..<Self.prefaceLine where bytes[index] != preface[index] { return false }
    return true
  }

  // MARK: Reading

  /// Begins with the bytes that have come.
  func start(with bytes: consuming Lent) {
    worker.attend(self)
    worker.counters.add(to: metrics.connections)
    take(bytes)
    if stream.hasEvent { read() }
    goOn()
  }

  /// Goes on after a rest of the socket.
  func woke(hasInput: Bool) {
    let wasUnread = !unread.isEmpty && resetUnread()
    if wasUnread, !hasInput, !worker.isOver { return goOn() }
    guard hasInput else { return expire() }
    if !loop.isRestingForWriting(stream.descriptor), output.count > 0 { flush() }
    if !isClosed, !loop.isResting(stream.descriptor) { read() }
    goOn()
  }

  /// Reads what is there, a few buffers at most, so that others have their turn.
  private func read() {
    for _ in 0..<Self.readCount {
      guard !isClosed, stream.hasEvent, !isFull else { return }
      do throws(StreamError) {
        switch try input.receive(from: stream, on: loop) {
        case .nothing: return
        case .end: return close()
        case .bytes(let bytes): take(bytes)
        }
      } catch {
        return close()
      }
    }
  }

  /// Whether so much waits to be sent that nothing more is read: a client that does not read its answers
  /// is not given further ones.
  private var isFull: Bool { output.count > Self.fullBytes }

  private func take(_ bytes: consuming Lent) {
    if lingers {
      lingerBytes -= bytes.count
      if lingerBytes < 0 { close() }
      return
    }
    guard machine.fault == nil else { return }
    var offset = 0
    do throws(ConnectionFault) {
      while let event = try machine.next(in: bytes.bytes, at: &offset, now: loop.now) {
        handle(event, bytes.bytes)
      }
    } catch {
      touched.signal()
      note(error)
      return
    }
    touched.signal()
    if pingAt != .never, !machine.awaitsPing { planPing() }
    markDirty()
    input.keep(bytes, from: offset)
  }

  private func handle(_ event: ConnectionMachine.Event, _ bytes: Span<UInt8>) {
    switch event {
    case .head(let place, let isLast): begin(place, isLast: isLast)
    case .data(let place, let range, let isLast):
      // What nobody reads any more closes the stream's window.
      guard let stream = served(place) else { return }
      stream.takeContent(bytes.extracting(range), isLast: isLast)
      touched.add(stream)
    case .trailers(let place):
      guard let stream = served(place) else { return }
      stream.takeTrailers(machine.fields.head)
      touched.add(stream)
    case .reset(let place, _, let fault):
      worker.counters.add(to: fault == nil ? metrics.resetsByClient : metrics.faults)
      served(place)?.breakOff()
    case .headTooLarge(let place, _): refuse(place)
    case .malformed(let reason):
      worker.counters.add(to: metrics.malformed)
      noteMalformed(reason)
    case .window, .settings: if hasWaiters { wakeWaiters() }
    case .goAway: break
    }
  }

  private func served(_ place: Int) -> HTTP2Stream? {
    place < streams.count ? streams[place] : nil
  }

  // MARK: Streams

  /// Has a request served.
  private func begin(_ place: Int, isLast: Bool) {
    requestCount += 1
    idleUntil = .never
    worker.counters.add(to: metrics.streams)
    if worker.isDraining || acceptor.isClosing || requestCount >= acceptor.plan.http2.requestCount {
      endSoon()
    }
    if pingAt == .never { planPing() }
    while streams.count <= place { streams.append(nil) }
    guard let stream = idleStream() ?? HTTP2Stream(on: self) else {
      machine.reset(place, .refusedStream)
      machine.release(place)
      return
    }
    streams[place] = stream
    machine.takeHead(into: &head)
    stream.begin(
      place,
      &head,
      isHead: machine.fields.isHead,
      isTunnel: !machine.fields.protocolName.isEmpty,
      isChunked: !isLast && machine.fields.contentLength == nil,
      hasEnded: isLast
    )
    touched.add(stream)
  }

  /// Tells the client to open another connection; one that goes on here all the same is not served for ever.
  private func endSoon() {
    machine.shutDown()
    if requestCount >= acceptor.plan.http2.requestCount + Self.lateCount { machine.goAway() }
  }

  /// A stream that is over, and whose connection waits for another request.
  private func idleStream() -> HTTP2Stream? {
    var index = free.count - 1
    // One that has just ended may not have come to rest yet.
    let least = max(0, index - 8)
    while index >= least {
      if free[index].isIdle { return free.remove(at: index) }
      index -= 1
    }
    return nil
  }

  /// Takes back a stream that is over.
  func end(_ stream: HTTP2Stream, at place: Int, isReusable: Bool) {
    streams[place] = nil
    markDirty()
    if machine.hasEnded(place) || isClosed {
      machine.release(place)
    } else {
      unread.append((place, loop.deadline(after: Self.unreadTime)))
      if loop.isResting(self.stream.descriptor), !self.stream.hasEvent { rest() }
    }
    if isReusable, !isClosed { free.append(stream) }
  }

  /// Resets the streams whose time for that has come.
  ///
  /// - Returns: Whether there was one.
  private func resetUnread() -> Bool {
    let count = unread.count
    for (place, until) in unread where loop.hasPassed(until) || machine.isReset(place) {
      machine.release(place)
    }
    unread.removeAll { loop.hasPassed($0.until) || machine.number(of: $0.place) == 0 }
    if unread.count < count { markDirty() }
    return unread.count < count
  }

  /// Forgets a stream whose socket was closed.
  func forget(_ stream: HTTP2Stream) { free.removeAll { $0 === stream } }

  /// Calls the machine for a stream.
  @inline(__always)
  func withMachine<Result>(_ body: (inout ConnectionMachine) -> Result) -> Result { body(&machine) }

  /// Answers a request whose head is larger than is allowed.
  private func refuse(_ place: Int) {
    worker.counters.add(to: metrics.malformed)
    let head = Self.tooLarge
    machine.sendHead(head.span, on: place, isLast: true)
    machine.release(place)
  }

  private static let tooLarge = Array("HTTP/1.1 431 X\r\nContent-Length: 0\r\n\r\n".utf8)

  /// Notes that an answer has waited for room until its time was over.
  func noteStall() {
    // A connection ends once, however many of its answers wait.
    guard machine.fault == nil else { return }
    do throws(ConnectionFault) {
      try machine.noteStall(now: loop.now)
    } catch {
      note(error)
    }
  }

  // MARK: Writing

  /// Sees to it that what there is to say is sent when this turn ends.
  @inline(__always)
  func markDirty() {
    guard !isDirty else { return }
    isDirty = true
    loop.atEndOfTurn(self)
  }

  func turnEnds() {
    isDirty = false
    guard !isClosed else { return }
    if !loop.isRestingForWriting(stream.descriptor) { flush() }
  }

  /// Sends what there is, as much as the socket takes.
  private func flush() {
    if lingers { return output.discard(&machine) }
    do throws(StreamError) {
      let limit = acceptor.plan.sendTimeout
      guard try output.send(&machine, over: stream, within: limit, on: loop) else { return }
    } catch {
      return close()
    }
    if machine.isOver { return endInOrder() }
    if machine.streamCount == 0 {
      machine.releaseMemory()
      output.clear()
      head = []
    } else if hasWaiters {
      wakeWaiters()
    }
  }

  /// Tells those who wait for room, the most urgent first, that there is some.
  ///
  /// Of one urgency the earliest request is first, and those that are of use in parts take turns behind them.
  ///
  /// - Source: RFC 9218, section 10.
  private func wakeWaiters() {
    hasWaiters = false
    let waiting = streams.compactMap { stream -> (stream: HTTP2Stream, rank: Rank)? in
      guard let stream, stream.waitsForRoom, let place = stream.place else { return nil }
      let priority = machine.priority(of: place)
      return priority.isIncremental
        ? (stream, (priority.urgency, 1, stream.lastTurn))
        : (stream, (priority.urgency, 0, UInt64(machine.number(of: place))))
    }
    for (stream, _) in waiting.sorted(by: { $0.rank < $1.rank }) {
      guard let place = stream.place, machine.room(on: place) > 0 else {
        hasWaiters = true
        continue
      }
      stream.waitsForRoom = false
      loop.signalRoom(stream.descriptor)
    }
  }

  /// Urgency, whether it takes turns, and its place among those.
  private typealias Rank = (UInt8, UInt8, UInt64)

  /// The number of a turn that a stream has just had.
  func takeTurn() -> UInt64 {
    turnCount &+= 1
    return turnCount
  }

  // MARK: Resting and the end

  /// Rests until something comes.
  private func goOn() {
    guard !isClosed, !loop.isResting(stream.descriptor) else { return }
    // While nothing more is taken, the rest for writing goes on alone.
    if isFull { return }
    if stream.hasEvent { return loop.restBriefly(stream.descriptor) }
    if input.hasPartial {
      input.shrink(on: loop)
      return stream.rest(until: loop.deadline(after: acceptor.plan.headTimeout))
    }
    rest()
  }

  private func rest() {
    if lingers { return stream.rest(until: loop.deadline(after: Self.lingerTime)) }
    guard machine.streamCount == 0 else {
      return stream.rest(until: pingAt.earlier(unread.first?.until ?? .never))
    }
    if idleUntil == .never { idleUntil = loop.deadline(after: acceptor.plan.idleTimeout) }
    // What served the streams is kept a little longer, and then given up.
    let end = free.isEmpty ? .never : loop.deadline(after: Self.freeTime)
    stream.rest(until: end.earlier(idleUntil))
  }

  /// Ends what has rested too long, or was told to.
  private func expire() {
    if lingers || input.hasPartial || output.count > 0 || worker.isOver { return close() }
    if machine.streamCount > 0, !stream.isClosed {
      if pingAt != .never, loop.hasPassed(pingAt) { return askForLife() }
      return goOn()
    }
    if !free.isEmpty, !loop.hasPassed(idleUntil), !worker.isDraining, !stream.isClosed {
      breakFree()
      return goOn()
    }
    machine.goAway()
    flush()
  }

  private func planPing() {
    if let interval = acceptor.plan.http2.pingInterval { pingAt = loop.deadline(after: interval) }
  }

  /// Asks a silent client whether it lives, and closes when it was asked already.
  private func askForLife() {
    guard !machine.awaitsPing else { return close() }
    machine.ping()
    markDirty()
    planPing()
    goOn()
  }

  /// Tells the client that no further request will be taken.
  func shutDown() {
    guard !isClosed else { return }
    machine.shutDown()
    markDirty()
  }

  /// Whether nothing is under way.
  var isIdle: Bool { machine.streamCount == 0 }

  /// Notes why the connection ends, and tells the client.
  private func note(_ fault: ConnectionFault) {
    input.clear()
    if let excess = fault.excess {
      worker.counters.add(to: metrics.excess(excess))
    } else {
      worker.counters.add(to: metrics.connectionFaults)
    }
    worker.noteFault(fault, of: self)
    markDirty()
  }

  private func noteMalformed(_ reason: String) { worker.noteMalformed(reason, from: self) }

  /// Closes the connection once the client has read what it was told.
  private func endInOrder() {
    guard !lingers else { return }
    lingers = true
    breakStreams()
    stream.shutdownWrite()
    if !loop.isResting(stream.descriptor) { return goOn() }
    if !stream.hasEvent { stream.rest(until: loop.deadline(after: Self.lingerTime)) }
  }

  private func breakStreams() {
    for case let stream? in streams { stream.breakOff() }
    breakFree()
  }

  private func breakFree() {
    let idle = free
    free = []
    for stream in idle { stream.breakOff() }
  }

  /// Closes the connection now.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    breakStreams()
    input.clear()
    output.clear()
    worker.forget(self)
  }

  /// The bytes of the preface that a parser of HTTP/1 takes for a request line.
  private static let prefaceLine = 16
  private static let readCount = 16
  private static let fullBytes = 256 << 10
  private static let lateCount = 1000
  private static let freeTime = Timeout(.seconds(2))
  private static let unreadTime = Timeout(.milliseconds(50))
  private static let lingerTime = Timeout(.seconds(1))
}

extension HTTP2Connection: ClientConnection {
  var listenerKey: String { acceptor.plan.key }
  var transport: String { tls == nil ? "http/2" : "http/2 over tls" }
  var upstreamName: String? { nil }
  var memberName: String? { nil }
}
