import MartletLoop
import MartletNet
import MartletSystem
import TLS

/// A connection to a member that carries many exchanges at once, whatever is spoken on it.
///
/// Each exchange has an inner socket of the loop (``SharedStream``), over which it speaks HTTP/1.1 as to
/// any member. This class reads, and writes once a turn what all of them have to say; what it means is its
/// subclass's. It needs no coroutine; while nothing is under way it holds no buffer.
class SharedConnection: TurnEnd {
  let stream: Stream
  let peer: SocketAddress
  let tls: TLSSession?
  /// When it carries no further exchange.
  let oldest: Deadline
  /// When it is closed if it carries nothing.
  private var idleUntil = Deadline.never
  unowned let worker: Worker
  /// The connections that it is one of; nil when they are gone.
  ///
  /// A weak reference would make all others slow to count.
  unowned var sharing: SharedConnections?
  /// Sockets that carry no exchange at the moment.
  private var free: [UpstreamConnection] = []
  /// How many exchanges are about to be sent.
  private(set) var reservedCount = 0
  private var requestCount = 0
  /// How many exchanges it may carry in all.
  private let requestLimit: Int
  private let idleTime: Timeout
  final var input = FrameInput()
  private var isDirty = false
  private var isReading = false
  private var resumes = false
  private(set) var isClosed = false
  /// Whether it carries exchanges, or has.
  private(set) var wasReady = false
  /// Until when it is to be ready.
  private let readyUntil: Deadline

  init(
    over connection: UpstreamConnection,
    of sharing: SharedConnections,
    _ worker: Worker,
    readyBy readyUntil: Deadline,
    requestLimit: Int,
    idleTime: Timeout
  ) {
    stream = connection.stream
    peer = connection.peer
    tls = connection.tls
    oldest = connection.oldest
    self.sharing = sharing
    self.worker = worker
    self.readyUntil = readyUntil
    self.requestLimit = min(requestLimit, sharing.requestLimit)
    self.idleTime = idleTime
  }

  final var loop: EventLoop { worker.loop }

  /// Sends what comes first, and waits until it is ready.
  func start() {
    worker.attend(self)
    flush()
    if stream.hasEvent { read() }
    goOn()
  }

  // MARK: What is spoken

  /// How many further exchanges the member takes now, those counted that are about to be sent.
  var openableCount: Int { 0 }

  /// Whether the member takes no further exchange, ever.
  var isSpent: Bool { false }

  /// How many exchanges are under way.
  var streamCount: Int { 0 }

  /// Whether nothing is read for now.
  var isHeldUp: Bool { false }

  /// Whether something waits for the socket.
  var hasOutput: Bool { false }

  /// What the connection is to speak, as logs name it.
  var formName: String { "" }

  /// Makes the other end of a socket.
  func makeStream() -> SharedStream { preconditionFailure("nothing is spoken") }

  /// Takes what has come.
  func take(_ bytes: consuming Lent) {}

  /// Sends what there is, as much as the socket takes.
  ///
  /// - Returns: Whether that was all.
  func send() throws(StreamError) -> Bool { true }

  /// Called when all was sent.
  func wasSent() {}

  /// Called when the time is over until which it rests.
  func restEnded() {}

  /// Until when it rests while it is silent.
  var silentUntil: Deadline { .never }

  /// Says that no further exchange follows.
  func shutDown() {}

  /// Called from time to time.
  func tend() {}

  /// Tells all exchanges that it is closed.
  func breakOff() {}

  // MARK: Exchanges

  /// How many further exchanges it can carry now.
  final var freeCount: Int {
    guard !isRetired else { return 0 }
    return max(0, min(openableCount - reservedCount, requestLimit - requestCount))
  }

  /// Whether it can carry no further exchange, ever.
  final var isRetired: Bool {
    isClosed || isSpent || requestCount >= requestLimit || loop.hasPassed(oldest)
  }

  /// Whether it carries nothing.
  final var isIdle: Bool { streamCount == 0 && reservedCount == 0 }

  /// A socket for an exchange; nil when it can carry none.
  ///
  /// With `certain` the kernel is asked whether the member has closed it meanwhile.
  final func take(certain: Bool) -> UpstreamConnection? {
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
    let carrier = makeStream()
    let made = UpstreamConnection(inner: carrier, on: loop, peer: peer, oldest: oldest)
    guard let made else { return nil }
    carrier.opened(as: made.stream.descriptor)
    made.carrier = carrier
    made.gateway = carrier.gateway
    return made
  }

  /// Takes back a socket whose exchange has ended in order.
  final func giveBack(_ socket: UpstreamConnection) {
    guard !isClosed, free.count < Self.keptSockets, socket.carrier?.comesFree() == true else {
      return
    }
    free.append(socket)
  }

  /// Notes that an exchange is sent, or never will be.
  final func endReservation() { reservedCount -= 1 }

  /// Forgets a socket that was closed.
  final func forget(_ stream: SharedStream) {
    if stream.hasReserved {
      reservedCount -= 1
      becomesFree()
    }
  }

  /// Notes that an exchange is over.
  final func becomesFree() {
    if isIdle { idleUntil = loop.deadline(after: idleTime) }
    sharing?.noteRoom(on: self)
  }

  /// Notes that the member takes exchanges, which is so from now on.
  final func becomesReady() {
    guard !wasReady else { return }
    wasReady = true
    idleUntil = loop.deadline(after: idleTime)
    sharing?.noteReady(self, streamCount: openableCount)
  }

  // MARK: Reading

  /// Goes on after a rest of the socket.
  final func woke(hasInput: Bool) {
    guard hasInput else { return expire() }
    if !loop.isRestingForWriting(stream.descriptor), hasOutput { flush() }
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
      guard !isClosed, !isHeldUp, stream.hasEvent else { return }
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

  // MARK: Writing

  /// Sees to it that what there is to say is sent when this turn ends.
  @inline(__always)
  final func markDirty() {
    guard !isDirty else { return }
    isDirty = true
    loop.atEndOfTurn(self)
  }

  final func turnEnds() {
    isDirty = false
    guard !isClosed else { return }
    if !loop.isRestingForWriting(stream.descriptor) { flush() }
    guard resumes else { return }
    resumes = false
    guard !isClosed, !loop.isResting(stream.descriptor) else { return }
    read()
    goOn()
  }

  /// Reads on when this turn ends, after having been held up.
  final func resume() {
    resumes = true
    markDirty()
  }

  /// Sends what there is, as much as the socket takes.
  final func flush() {
    do throws(StreamError) {
      guard try send() else { return }
    } catch {
      return close("\(error)")
    }
    wasSent()
    if isIdle, isRetired { retire() }
  }

  // MARK: Resting and the end

  private func goOn() {
    guard !isClosed, !isHeldUp, !loop.isResting(stream.descriptor) else { return }
    if stream.hasEvent { return loop.restBriefly(stream.descriptor) }
    input.shrink(on: loop)
    rest()
  }

  /// Rests until something comes.
  final func rest() {
    stream.rest(until: wasReady ? silentUntil : readyUntil)
  }

  /// Sees what a rest that is over was for.
  private func expire() {
    guard !isClosed else { return }
    if hasOutput, !loop.isRestingForWriting(stream.descriptor) {
      return close("the member takes nothing")
    }
    guard wasReady else { return close("no \(formName) in time") }
    restEnded()
    goOn()
  }

  /// Closes the connection when it is of no more use.
  final func sweep() {
    guard !isClosed else { return }
    tend()
    guard !isClosed, isIdle, wasReady else { return }
    if isRetired || loop.hasPassed(idleUntil) { retire() }
  }

  /// Takes no further exchange, and closes when it carries none any more.
  final func retire() {
    guard !isClosed else { return }
    shutDown()
    guard isIdle else { return markDirty() }
    // The member may be the first to close, which is as good.
    if !loop.isRestingForWriting(stream.descriptor) {
      do throws(StreamError) { _ = try send() } catch {}
    }
    close("retired")
  }

  /// Closes the connection now.
  final func close(_ reason: String) {
    guard !isClosed else { return }
    isClosed = true
    input.clear()
    worker.forget(self)
    sharing?.noteClose(of: self, wasReady: wasReady, reason)
    free = []
    breakOff()
  }

  /// How long a member may take nothing of what it is sent.
  static let writeTime = Timeout(.seconds(60))
  private static let keptSockets = 256
  private static let readCount = 16
}

/// An exchange on a connection that is shared, as the other end of an inner socket.
///
/// One socket carries one exchange after the other.
class SharedStream: InnerSocket {
  private(set) final var descriptor: Int32 = -1
  /// Whether a place is kept free for it.
  final var hasReserved = false
  /// Whether the member has said that it has not looked at the request.
  final var wasRefused = false

  /// What it is of an application that is no server of HTTP; nil: the member is one.
  var gateway: GatewayExchange? { nil }

  /// Tells it the number of its socket.
  final func opened(as number: Int32) { descriptor = number }

  /// Makes it ready for an exchange, for which a place is kept free.
  func prepare() {}

  /// Takes what an exchange tells besides what it sends.
  func begin(_ exchange: Exchange) {}

  /// Takes its socket back, and says whether it can carry another exchange.
  func giveBack(_ socket: UpstreamConnection) {}

  /// Whether it can carry another exchange, now that one has ended in order.
  func comesFree() -> Bool { false }

  var hasInput: Bool { false }
  func receive(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> InnerInput { .ended }
  func send(_ bytes: Span<UInt8>) -> Int? { nil }
  func endOfOutput() {}
  func willBreak() {}
  func close() {}
}
