import HTTP2
import HTTPMessage
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import TLS

/// A connection to a member that speaks HTTP/2 and carries many exchanges at once: it gives every stream what is
/// its own.
final class MemberConnection: SharedConnection {
  private let plan: HTTP2MemberPlan
  private var machine: ConnectionMachine
  /// The exchanges, by the places of the machine.
  private var streams: [MemberStream?] = []
  private let touched = TouchedStreams<MemberStream>()
  /// Streams whose exchange is over, though the member has not ended them yet, with the moment at which
  /// they are reset.
  private var left: [(place: Int, until: Deadline)] = []
  private var output = FrameOutput()
  /// What heads are taken into: the memory of one that was read.
  private var head: [UInt8] = []
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
    self.plan = plan
    machine = ConnectionMachine(.client, limits: plan.limits)
    super.init(
      over: connection,
      of: sharing,
      worker,
      readyBy: readyUntil,
      requestLimit: plan.requestCount,
      idleTime: plan.idleTime
    )
  }

  override var openableCount: Int { machine.openableCount }
  override var isSpent: Bool { machine.isRetired }
  override var streamCount: Int { machine.streamCount }
  override var hasOutput: Bool { output.count > 0 }
  override var formName: String { "HTTP/2" }
  override var silentUntil: Deadline { pingAt }

  override func makeStream() -> SharedStream { MemberStream(on: self) }

  // MARK: Exchanges

  /// Opens a stream with a request; nil: the member takes none any more.
  func begin(
    _ stream: MemberStream,
    _ head: Span<UInt8>,
    _ changes: RequestChanges
  ) -> SentRequest? {
    endReservation()
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

  /// Calls the machine for a stream.
  @inline(__always)
  func withMachine<Result>(_ body: (inout ConnectionMachine) -> Result) -> Result { body(&machine) }

  // MARK: Reading

  override func take(_ bytes: consuming Lent) {
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
      machine.takeHead(into: &head)
      stream.takeHead(&head, isLast: isLast, isChunked: isChunked, opensTunnel: opensTunnel)
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
      becomesReady()
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

  override func send() throws(StreamError) -> Bool {
    try output.send(&machine, over: stream, within: Self.writeTime, on: loop)
  }

  override func wasSent() {
    if machine.streamCount == 0 {
      machine.releaseMemory()
      output.clear()
      head = []
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

  override func restEnded() {
    guard pingAt != .never, loop.hasPassed(pingAt) else { return }
    guard !machine.awaitsPing else { return close("no answer to a ping") }
    if isIdle {
      pingAt = .never
    } else {
      machine.ping()
      markDirty()
      pingAt = loop.deadline(after: plan.pingInterval ?? Self.endTime)
    }
  }

  /// Resets what the member does not end.
  override func tend() {
    guard !left.isEmpty else { return }
    for (place, until) in left where loop.hasPassed(until) { machine.release(place) }
    let count = left.count
    left.removeAll { loop.hasPassed($0.until) }
    if left.count < count {
      markDirty()
      becomesFree()
    }
  }

  override func shutDown() { machine.shutDown() }

  /// Ends the connection for what the member did.
  private func fail(_ fault: ConnectionFault) {
    flush()
    close("\(fault.reason)")
  }

  override func breakOff() {
    output.clear()
    for case let stream? in streams { stream.breakOff() }
    streams = []
    left = []
  }

  private static let endTime = Timeout(.seconds(5))
}
