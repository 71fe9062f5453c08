import HTTP2
import HTTPMessage
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import TLS

/// A connection to a member that speaks HTTP/2 and carries many exchanges at once.
///
/// Each exchange has an inner socket of the loop (``MemberStream``), over which it speaks HTTP/1.1 as to
/// any member. This class reads, gives every stream what is its own, and writes once a turn what all of
/// them have to say. It needs no coroutine; while nothing is under way it holds no buffer.
final class MemberConnection: TurnEnd {
  let stream: Stream
  let peer: SocketAddress
  let tls: TLSSession?
  /// When it carries no further exchange.
  let oldest: Deadline
  /// When it is closed if it carries nothing.
  private(set) var idleUntil = Deadline.never
  private let plan: HTTP2MemberPlan
  unowned let worker: Worker
  /// The connections that it is one of; nil when they are gone.
  ///
  /// A weak reference would make all others slow to count.
  unowned var sharing: SharedConnections?
  private var machine: ConnectionMachine
  /// The exchanges, by the places of the machine.
  private var streams: [MemberStream?] = []
  /// Sockets that carry none at the moment.
  private var free: [UpstreamConnection] = []
  private let touched = TouchedStreams<MemberStream>()
  /// Streams whose exchange is over, though the member has not ended them yet, with the moment at which
  /// they are reset.
  private var left: [(place: Int, until: Deadline)] = []
  /// How many streams are kept free for requests that are about to be sent.
  private var reservedCount = 0
  private var requestCount = 0
  /// How many exchanges it may carry in all.
  private let requestLimit: Int
  private var input = FrameInput()
  private var output = FrameOutput()
  private var isDirty = false
  private var isReading = false
  private(set) var isClosed = false
  private var wasReady = false
  /// Until when the member is to have begun to speak HTTP/2.
  private let readyUntil: Deadline
  /// When the member is asked for a sign of life, or was to have given it.
  private var pingAt = Deadline.never
  /// Whether somebody waits for room.
  var hasWaiters = false

  init(
    over connection: UpstreamConnection,
    by plan: HTTP2MemberPlan,
    of sharing: SharedConnections,
    _ worker: Worker,
    readyBy readyUntil: Deadline
  ) {
    stream = connection.stream
    peer = connection.peer
    tls = connection.tls
    oldest = connection.oldest
    self.plan = plan
    self.sharing = sharing
    self.worker = worker
    self.readyUntil = readyUntil
    requestLimit = min(plan.requestCount, sharing.requestLimit)
    machine = ConnectionMachine(.client, limits: plan.limits)
  }

  var loop: EventLoop { worker.loop }

  /// Sends what comes first, and waits for the member's settings.
  func start() {
    worker.attend(self)
    flush()
    if stream.hasEvent { read() }
    goOn()
  }

  // MARK: Exchanges

  /// How many further exchanges it can carry now.
  var freeCount: Int {
    guard !isRetired else { return 0 }
    return max(0, min(machine.openableCount - reservedCount, requestLimit - requestCount))
  }

  /// Whether it can carry no further exchange, ever.
  var isRetired: Bool {
    isClosed || machine.isRetired || requestCount >= requestLimit || loop.hasPassed(oldest)
  }

  /// Whether it carries nothing.
  var isIdle: Bool { machine.streamCount == 0 && reservedCount == 0 }

  /// How many streams are open.
  var streamCount: Int { machine.streamCount }

  /// A socket for an exchange; nil when it can carry none.
  ///
  /// With `certain` the kernel is asked whether the member has closed it meanwhile.
  func take(certain: Bool) -> UpstreamConnection? {
    // Where streams are open a close would have been told of.
    if certain, isIdle, stream.hasEventNow() { readNow() }
    guard freeCount > 0 else { return nil }
    let socket: UpstreamConnection
    if let there = free.popLast() {
      socket = there
    } else if let made = makeSocket() {
      socket = made
    } else {
      return nil
    }
    socket.carrier?.prepare()
    reservedCount += 1
    requestCount += 1
    if requestCount == requestLimit { sharing?.noteUsedUp() }
    idleUntil = .never
    return socket
  }

  private func makeSocket() -> UpstreamConnection? {
    let carrier = MemberStream(on: self)
    let made = UpstreamConnection(inner: carrier, on: loop, peer: peer, oldest: oldest)
    guard let made else { return nil }
    carrier.opened(as: made.stream.descriptor)
    made.carrier = carrier
    return made
  }

  /// Takes back a socket whose exchange has ended in order.
  func giveBack(_ socket: UpstreamConnection) {
    guard !isClosed, free.count < Self.keptSockets, socket.carrier?.comesFree() == true else {
      return
    }
    free.append(socket)
  }

  /// Opens a stream with a request; nil: the member takes none any more.
  func begin(
    _ stream: MemberStream,
    _ head: Span<UInt8>,
    _ changes: RequestChanges
  ) -> SentRequest? {
    reservedCount -= 1
    guard !isClosed,
      let sent = machine.begin(head, isSecure: tls != nil, changing: changes)
    else { return nil }
    while streams.count <= sent.stream { streams.append(nil) }
    streams[sent.stream] = stream
    if pingAt == .never, let interval = plan.pingInterval {
      pingAt = loop.deadline(after: interval)
      if loop.isResting(self.stream.descriptor) { rest() }
    }
    return sent
  }

  /// Lets go of a stream whose exchange is over.
  func end(_ place: Int) {
    if place < streams.count { streams[place] = nil }
    machine.release(place)
    markDirty()
    becomesFree()
  }

  /// Lets go of a stream whose exchange is over, when the member has ended it, which it is about to.
  func leave(_ place: Int) {
    if place < streams.count { streams[place] = nil }
    if machine.hasEnded(place) {
      machine.release(place)
    } else {
      left.append((place, loop.deadline(after: Self.endTime)))
    }
    markDirty()
    becomesFree()
  }

  /// Forgets a socket that was closed.
  func forget(_ stream: MemberStream) {
    if stream.hasReserved {
      reservedCount -= 1
      becomesFree()
    }
  }

  private func becomesFree() {
    if isIdle { idleUntil = loop.deadline(after: plan.idleTime) }
    sharing?.noteRoom(on: self)
  }

  /// Calls the machine for a stream.
  @inline(__always)
  func withMachine<Result>(_ body: (inout ConnectionMachine) -> Result) -> Result { body(&machine) }

  // MARK: Reading

  /// Goes on after a rest of the socket.
  func woke(hasInput: Bool) {
    guard hasInput else { return expire() }
    if !loop.isRestingForWriting(stream.descriptor), output.count > 0 { flush() }
    if !isClosed, !loop.isResting(stream.descriptor) { read() }
    goOn()
  }

  /// Reads what has come while it rests.
  private func readNow() {
    // What it reads at this moment comes before what is there now.
    guard !isClosed, !isReading else { return }
    loop.assumeReadable(stream.descriptor)
    read()
    // It has nothing to say that is so long.
    if !isClosed, stream.hasEvent { close("too much while nothing was asked for") }
  }

  /// Reads what is there, a few buffers at most, so that others have their turn.
  private func read() {
    isReading = true
    defer { isReading = false }
    for _ in 0..<Self.readCount {
      guard !isClosed, stream.hasEvent else { return }
      do throws(StreamError) {
        switch try input.receive(from: stream, on: loop) {
        case .nothing: return
        case .end: return close("closed by the member")
        case .bytes(let bytes): take(bytes)
        }
      } catch {
        return close("\(error)")
      }
    }
  }

  private func take(_ bytes: consuming Lent) {
    var offset = 0
    if pingAt != .never, !machine.awaitsPing, let interval = plan.pingInterval {
      // Whoever speaks need not be asked whether it lives.
      pingAt = loop.deadline(after: interval)
    }
    do throws(ConnectionFault) {
      while let event = try machine.next(in: bytes.bytes, at: &offset, now: loop.now) {
        handle(event, bytes.bytes)
      }
    } catch {
      touched.signal()
      return fail(error)
    }
    touched.signal()
    markDirty()
    if !isClosed { input.keep(bytes, from: offset) }
  }

  private func handle(_ event: ConnectionMachine.Event, _ bytes: Span<UInt8>) {
    switch event {
    case .head(let place, let isLast):
      guard let stream = served(place) else { return endLeft(place) }
      let (isChunked, opensTunnel) = (machine.fields.isChunked, machine.fields.opensTunnel)
      var head: [UInt8] = []
      machine.takeHead(into: &head)
      stream.takeHead(head, isLast: isLast, isChunked: isChunked, opensTunnel: opensTunnel)
      touched.add(stream)
    case .data(let place, let range, let isLast):
      if let stream = served(place), stream.takeContent(bytes.extracting(range), isLast: isLast) {
        touched.add(stream)
      } else {
        machine.consumed(range.count, of: place)
        if isLast { endLeft(place) }
      }
    case .trailers(let place):
      guard let stream = served(place) else { return endLeft(place) }
      stream.takeTrailers(machine.fields.head)
      touched.add(stream)
    case .reset(let place, let code, let fault):
      guard let stream = served(place) else { return endLeft(place) }
      stream.takeReset(code, isRefusal: fault == nil && code == .refusedStream)
      if fault == nil, code == .refusedStream { sharing?.noteRefusal() }
      touched.add(stream)
    case .window: if hasWaiters { wakeWaiters() }
    case .settings:
      if hasWaiters { wakeWaiters() }
      if !wasReady {
        wasReady = true
        idleUntil = loop.deadline(after: plan.idleTime)
        sharing?.noteReady(self, streamCount: machine.openableCount)
      }
    case .goAway(let last, _): refuse(behind: last)
    case .headTooLarge, .malformed: break
    }
  }

  private func served(_ place: Int) -> MemberStream? {
    place < streams.count ? streams[place] : nil
  }

  /// Lets go of a stream that was left, now that the member has ended it.
  private func endLeft(_ place: Int) {
    guard machine.hasEnded(place), let index = left.firstIndex(where: { $0.place == place }) else {
      return
    }
    left.remove(at: index)
    machine.release(place)
    becomesFree()
  }

  /// Tells the streams that the member will not look at: their requests may be sent again.
  ///
  /// RFC 9113, section 6.8.
  private func refuse(behind last: UInt32) {
    var isRefusing = false
    for case let stream? in streams {
      guard let place = stream.place, machine.number(of: place) > last else { continue }
      machine.abandon(place)
      stream.takeReset(.refusedStream, isRefusal: true)
      sharing?.noteRefusal()
      isRefusing = true
      touched.add(stream)
    }
    sharing?.noteRetirement(after: isRefusing ? Int(last / 2) + 1 : nil)
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
    do throws(StreamError) {
      let limit = Self.writeTime
      guard try output.send(&machine, over: stream, within: limit, on: loop) else { return }
    } catch {
      return close("\(error)")
    }
    if machine.streamCount == 0 {
      machine.releaseMemory()
      output.clear()
      if isRetired, reservedCount == 0 { retire() }
    } else if hasWaiters {
      wakeWaiters()
    }
  }

  /// Tells those who wait for room that there is some.
  private func wakeWaiters() {
    hasWaiters = false
    for case let stream? in streams where stream.waitsForRoom {
      guard let place = stream.place, machine.room(on: place) > 0 else {
        hasWaiters = true
        continue
      }
      stream.waitsForRoom = false
      loop.signalRoom(stream.descriptor)
    }
  }

  // MARK: Resting and the end

  private func goOn() {
    guard !isClosed, !loop.isResting(stream.descriptor) else { return }
    if stream.hasEvent { return loop.restBriefly(stream.descriptor) }
    input.shrink(on: loop)
    rest()
  }

  private func rest() {
    if !wasReady { return stream.rest(until: readyUntil) }
    stream.rest(until: pingAt)
  }

  /// Sees what a rest that is over was for.
  private func expire() {
    guard !isClosed else { return }
    if output.count > 0, !loop.isRestingForWriting(stream.descriptor) {
      return close("the member takes nothing")
    }
    guard wasReady else { return close("no HTTP/2 in time") }
    if pingAt != .never, loop.hasPassed(pingAt) {
      guard !machine.awaitsPing else { return close("no answer to a ping") }
      if isIdle {
        pingAt = .never
      } else {
        machine.ping()
        markDirty()
        pingAt = loop.deadline(after: plan.pingInterval ?? Self.endTime)
      }
    }
    goOn()
  }

  /// Resets what the member does not end, and closes the connection when it is of no more use.
  func sweep() {
    guard !isClosed else { return }
    if !left.isEmpty {
      for (place, until) in left where loop.hasPassed(until) { machine.release(place) }
      let count = left.count
      left.removeAll { loop.hasPassed($0.until) }
      if left.count < count {
        markDirty()
        becomesFree()
      }
    }
    if isIdle, wasReady, isRetired || loop.hasPassed(idleUntil) { retire() }
  }

  /// Takes no further exchange, and closes when it carries none any more.
  func retire() {
    guard !isClosed else { return }
    machine.shutDown()
    guard isIdle else { return markDirty() }
    // The member may be the first to close, which is as good.
    if !loop.isRestingForWriting(stream.descriptor) {
      do throws(StreamError) {
        _ = try output.send(&machine, over: stream, within: Self.writeTime, on: loop)
      } catch {}
    }
    close("retired")
  }

  /// Ends the connection for what the member did.
  private func fail(_ fault: ConnectionFault) {
    flush()
    close("\(fault.reason)", isFault: true)
  }

  /// Closes the connection now.
  private func close(_ reason: String, isFault: Bool = false) {
    guard !isClosed else { return }
    isClosed = true
    input.clear()
    output.clear()
    worker.forget(self)
    sharing?.noteClose(of: self, wasReady: wasReady, reason)
    free = []
    for case let stream? in streams { stream.breakOff() }
    streams = []
    left = []
  }

  private static let keptSockets = 256
  private static let readCount = 16
  private static let endTime = Timeout(.seconds(5))
  private static let writeTime = Timeout(.seconds(60))
}
