import Configuration
import GatewayProtocols
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// How several requests share a connection to an application of FastCGI; compiled.
struct MultiplexingPlan: Sendable {
  let gateway: MemberGatewayPlan
  /// Whether an application is asked whether it takes several; if not, it is known to.
  let asks: Bool
  /// How many requests a connection carries at once, at most.
  let streamCount: Int
  /// How many it carries in all.
  let requestCount: Int
  let idleTime: Timeout
  let connectTime: Timeout

  /// Compiles what an upstream says, if connections may be shared.
  init?(_ gateway: MemberGatewayPlan?, of upstream: UpstreamSettings) {
    guard let gateway, gateway.form == .fastCGI else { return nil }
    switch gateway.multiplexing {
    case .off: return nil
    case .auto: (asks, streamCount) = (true, Self.usualCount)
    case .atMost(let count): (asks, streamCount) = (false, count)
    }
    self.gateway = gateway
    requestCount = min(upstream.pool.maxRequestCount, Int.max / 1000) * streamCount
    idleTime = Timeout(upstream.pool.idleTime)
    connectTime = Timeout(upstream.timeouts.connect)
  }

  private static let usualCount = 100
}

/// A connection to an application of FastCGI that answers several requests at once.
///
/// The protocol has no windows: the application sends what it has, and an answer that its client takes slowly
/// stands before those behind it. So answers are held here, up to a bound for all of them together; behind it
/// nothing is read until there is room, and when others wait for that too long, the answer of which most is held
/// is given up.
///
/// - Source: FastCGI 1.0, sections 3.3, 4.1, 5.4 and 5.5.
final class FastCGIConnection: SharedConnection {
  private let member: Member
  private let plan: MultiplexingPlan
  private var decoder = FastCGIDecoder()
  /// How many requests the application takes at once; nil: it has not said so yet.
  private var limit: Int?
  /// What it has said of itself up to now.
  private var values: [UInt8] = []
  private var places: [Place] = []
  private var openCount = 0
  private let touched = TouchedStreams<FastCGIStream>()
  private var records = Records()
  private var output = FrameOutput()
  private var hasOverdue = false
  private var isRetiring = false
  /// How much of answers is held that their clients have not taken.
  private var heldBytes = 0
  /// The requests of whose answers much is held.
  private var holders: [FastCGIStream] = []
  /// Until when nothing is read though others wait; nil: there is room.
  private var heldUpUntil: Deadline?
  /// Whether somebody waits for room.
  var hasWaiters = false

  /// Records that wait to be sent.
  private struct Records: FrameSource {
    var bytes: [UInt8] = []

    mutating func takeOutput(into out: inout [UInt8]) {
      out.removeAll(keepingCapacity: out.count <= FastCGIConnection.roomLimit)
      swap(&out, &bytes)
    }
  }

  /// What a number of a request is used for.
  private enum Place {
    case free
    case open(FastCGIStream)
    /// A request that was given up, and that the application is to end by then.
    case left(until: Deadline)
  }

  init(
    over connection: UpstreamConnection,
    to member: Member,
    by plan: MultiplexingPlan,
    of sharing: SharedConnections,
    _ worker: Worker
  ) {
    self.member = member
    self.plan = plan
    super.init(
      over: connection,
      of: sharing,
      worker,
      readyBy: worker.loop.deadline(after: Self.answerTime),
      requestLimit: plan.requestCount,
      idleTime: plan.idleTime
    )
  }

  override func start() {
    if plan.asks { records.bytes = FastCGIValues.question } else { limit = plan.streamCount }
    super.start()
    if limit != nil { becomesReady() }
  }

  override var openableCount: Int {
    guard let limit, !isHeldUp else { return 0 }
    return max(0, limit - openCount)
  }
  override var isSpent: Bool { hasOverdue || isRetiring }
  override var streamCount: Int { openCount }
  override var isHeldUp: Bool { heldUpUntil != nil }
  override var hasOutput: Bool { output.count > 0 }
  override var formName: String { "answer to what it takes" }

  override func makeStream() -> SharedStream {
    let exchange = GatewayExchange(
      with: member,
      by: plan.gateway,
      keepsConnection: true,
      worker
    )
    return FastCGIStream(on: self, exchange)
  }

  // MARK: Exchanges

  /// A number for a request, of which nothing else is under way.
  func takeNumber(for stream: FastCGIStream) -> UInt16 {
    for index in places.indices {
      guard case .free = places[index] else { continue }
      places[index] = .open(stream)
      return UInt16(index + 1)
    }
    places.append(.open(stream))
    return UInt16(places.count)
  }

  /// Gives a number back for which no request was sent.
  func giveBack(_ number: UInt16) {
    if !isClosed { places[Int(number) - 1] = .free }
  }

  /// Sends the beginning of a request; false: the application takes none any more.
  func begin(_ head: [UInt8]) -> Bool {
    endReservation()
    guard !isClosed else { return false }
    openCount += 1
    records.bytes += head
    markDirty()
    return true
  }

  /// How many bytes of content it takes now.
  var room: Int { max(0, Self.roomLimit - records.bytes.count - output.count) }

  /// Sends a piece of content with what goes around it.
  func send(_ frame: TranslatingLayer.Frame, around piece: Span<UInt8>) {
    records.bytes += frame.header
    records.bytes.append(copying: piece)
    records.bytes += frame.tail
    markDirty()
  }

  /// Gives a request up, which the application is to end.
  func abort(_ number: UInt16) {
    guard !isClosed else { return }
    FastCGIRecord(.abortRequest, request: number, contentCount: 0).append(to: &records.bytes)
    places[Int(number) - 1] = .left(until: loop.deadline(after: Self.endTime))
    markDirty()
  }

  private func end(_ number: UInt16) {
    places[Int(number) - 1] = .free
    openCount -= 1
    markDirty()
    becomesFree()
  }

  // MARK: Reading

  override func take(_ bytes: consuming Lent) {
    var offset = 0
    do throws(GatewayFault) {
      reading: while !isClosed {
        let event = try decoder.next(in: bytes.bytes, at: &offset)
        switch event {
        case .needsBytes: break reading
        case .output(_, let number), .errorOutput(_, let number):
          try take(event, number, bytes.bytes)
        case .end(let number, let end):
          if end.outcome == .cannotMultiplex {
            try refuse(number)
          } else {
            try take(event, number, bytes.bytes)
            self.end(number)
          }
        case .values(let range, let isLast):
          try take(values: bytes.bytes.extracting(range), isLast: isLast)
        case .unknownKind: if limit == nil { close("it takes one request at a time") }
        }
      }
    } catch {
      for case .open(let stream) in places where stream.isUnderWay { stream.fail(error) }
      touched.signal()
      return close(error.rawValue)
    }
    touched.signal()
  }

  /// Takes a part of the answer to a request.
  ///
  /// - Throws: ``GatewayFault/recordRequest`` when there is no such request.
  private func take(
    _ event: FastCGIDecoder.Event,
    _ number: UInt16,
    _ bytes: Span<UInt8>
  ) throws(GatewayFault) {
    guard Int(number) <= places.count else { throw .recordRequest }
    switch places[Int(number) - 1] {
    case .left: return
    case .open(let stream) where stream.isUnderWay:
      stream.take(event, of: bytes)
      touched.add(stream)
    case .free, .open: throw .recordRequest
    }
  }

  /// Notes that the application takes no request while another one is under way: it has not looked at this one.
  private func refuse(_ number: UInt16) throws(GatewayFault) {
    guard Int(number) <= places.count else { throw .recordRequest }
    if case .open(let stream) = places[Int(number) - 1] {
      guard stream.isUnderWay else { throw .recordRequest }
      stream.refuse()
      touched.add(stream)
    }
    end(number)
    sharing?.noteRefusalToShare()
  }

  /// Takes what the application says of itself.
  private func take(values piece: Span<UInt8>, isLast: Bool) throws(GatewayFault) {
    // Nothing else was asked for.
    guard limit == nil else { return }
    values.append(copying: piece)
    guard isLast else { return }
    let whole = values
    values = []
    let told = try FastCGIValues(whole.span)
    guard told.multiplexes, told.requestLimit ?? 2 > 1 else {
      return close("it takes one request at a time")
    }
    limit = min(plan.streamCount, told.requestLimit ?? plan.streamCount)
    becomesReady()
  }

  // MARK: What is held

  /// Notes that so many bytes more are held of an answer, or fewer.
  func noteHeld(of stream: FastCGIStream, change: Int) {
    heldBytes += change
    let (before, now) = (stream.heldBytes - change, stream.heldBytes)
    if before <= Self.holderLimit, now > Self.holderLimit { holders.append(stream) }
    if before > Self.holderLimit, now <= Self.holderLimit { holders.removeAll { $0 === stream } }
    if heldUpUntil == nil, heldBytes > Self.heldLimit {
      heldUpUntil = loop.deadline(after: Self.holdTime)
    } else if heldUpUntil != nil, heldBytes <= Self.heldLimit / 2 {
      heldUpUntil = nil
      resume()
      sharing?.noteRoom(on: self)
    }
  }

  /// Gives up the answer of which most is held, if others wait for what comes behind it.
  private func giveUpSlowest() {
    heldUpUntil = loop.deadline(after: Self.holdTime)
    guard let slowest = holders.max(by: { $0.heldBytes < $1.heldBytes }) else { return }
    let isAlone = !places.contains { place in
      if case .open(let stream) = place { stream.isUnderWay && stream !== slowest } else { false }
    }
    if isAlone { return }
    worker.counters.add(to: plan.gateway.metrics.givenUp)
    slowest.giveUp()
  }

  // MARK: Writing

  override func send() throws(StreamError) -> Bool {
    try output.send(&records, over: stream, within: Self.writeTime, on: loop)
  }

  override func wasSent() {
    if openCount == 0 {
      output.clear()
      records.bytes = []
    }
    guard hasWaiters else { return }
    hasWaiters = false
    for case .open(let stream) in places where stream.waitsForRoom {
      stream.waitsForRoom = false
      loop.signalRoom(stream.descriptor)
    }
  }

  // MARK: The end

  override func shutDown() { isRetiring = true }

  override func tend() {
    if let until = heldUpUntil, loop.hasPassed(until) { giveUpSlowest() }
    for case .left(let until) in places where loop.hasPassed(until) { hasOverdue = true }
    // What nobody waits for keeps no connection.
    let isLeft =
      openCount > 0 && reservedCount == 0
      && !places.contains { place in
        if case .open = place { true } else { false }
      }
    if hasOverdue, isLeft { close("given up requests are not ended") }
  }

  override func breakOff() {
    output.clear()
    for case .open(let stream) in places { stream.breakOff() }
    (places, holders) = ([], [])
  }

  /// How long an application has to say what it takes.
  private static let answerTime = Timeout(.seconds(1))
  /// How long it has to end a request that was given up.
  private static let endTime = Timeout(.seconds(30))
  /// How much of all answers is held for their clients; at half of it there is room again.
  private static let heldLimit = 16 << 20
  /// How long others wait until there is.
  private static let holdTime = Timeout(.seconds(10))
  /// How much of one answer is much.
  private static let holderLimit = 4 << 10
  private static let roomLimit = 256 << 10
}
