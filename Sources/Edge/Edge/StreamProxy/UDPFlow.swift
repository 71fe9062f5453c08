import Balancing
import MartletLoop
import MartletSystem
import MartletTelemetry

/// What comes from one address and port of a client, and what goes back there.
final class UDPFlow {
  /// Who sends, and at which of our addresses it arrives where that is not always the same.
  struct Key: Hashable {
    let client: DatagramEnd
    let arrival: DatagramEnd

    func hash(into hasher: inout Hasher) {
      hasher.combine(client.low)
      hasher.combine(client.port)
    }
  }

  let key: Key
  let listener: UDPListener
  /// The socket that is connected to the member; −1 when there is none.
  private(set) var descriptor: Int32 = -1
  /// The member that has the flow.
  private(set) var pool: MemberPool?
  private var tried = MemberSet()
  private(set) var tryCount = 0
  let startedAt: Int64
  /// By what it is known to whoever looks at connections.
  let number: UInt64
  private var lastAt: Int64
  /// Whether a datagram has come since the table looked last.
  var isRecent = true
  private(set) var isOver = false
  /// What it has taken of limits until its end.
  var places: [HeldPlace] = []
  /// The member that has the flow, or had it last.
  private var lastMember = ""
  private var received = Traffic()
  private var sent = Traffic()

  private struct Traffic {
    var datagrams: UInt64 = 0
    var bytes: UInt64 = 0
  }

  private var worker: Worker { listener.worker }
  var plan: UDPPlan { listener.plan }
  private var loop: EventLoop { listener.worker.loop }

  init(_ key: Key, listener: UDPListener) {
    self.key = key
    self.listener = listener
    startedAt = listener.worker.loop.now
    number = listener.worker.nextConnectionNumber()
    lastAt = startedAt
  }

  deinit { close() }

  /// How many datagrams of the client have come.
  var datagramCount: UInt64 { received.datagrams }

  /// Whether a reply is to be expected.
  var isAwaiting: Bool {
    let each = UInt64(plan.replyCount ?? 1)
    return sent.datagrams < received.datagrams &* each
  }

  // MARK: The member

  /// Chooses a member, one that was not tried yet, and opens a socket to it.
  ///
  /// - Returns: Why there is none; nil when there is one.
  func connect() -> UDPMetrics.Cause? {
    let upstream = worker.upstream(of: plan.upstream)
    guard let pool = choose(from: upstream) else { return .noMember }
    guard let address = pool.takeAddress() else {
      pool.end()
      tried.insert(pool.index)
      return connect()
    }
    do throws(SystemError) {
      let socket = try Descriptor.datagram(for: address)
      _ = try socket.connect(to: address)
      try loop.watchLevel(socket.number)
      descriptor = socket.release()
    } catch {
      pool.end()
      // Without descriptors another member is of no use.
      guard error.call == .connect else { return .noSocket }
      worker.noteFailure(of: pool, .upstreamConnectFailed, "\(address): \(error)")
      tried.insert(pool.index)
      return connect()
    }
    self.pool = pool
    lastMember = pool.member.name
    tryCount += 1
    worker.counters.add(to: pool.metrics.opened)
    worker.counters.add(1, to: pool.metrics.streams)
    worker.attend(self)
    rest(for: plan.flowTimeout)
    return nil
  }

  /// The member that is to have the flow, counted in there.
  private func choose(from upstream: Upstream) -> MemberPool? {
    let client = key.client.address
    guard let affinity = upstream.affinity else {
      return upstream.take(excluding: tried, hash: upstream.plan.keyHash(of: client))
    }
    guard
      case .taken(let pool, let isNews) = affinity.take(
        from: upstream,
        excluding: tried,
        for: client,
        worker
      )
    else { return nil }
    if isNews { affinity.remember(pool, for: client, worker) }
    return pool
  }

  private func rest(for time: Timeout) {
    loop.clearReadiness(descriptor)
    loop.rest(descriptor, until: loop.deadline(after: time))
  }

  /// Lets go of the member.
  private func leave() {
    guard let pool else { return }
    pool.end()
    worker.counters.add(-1, to: pool.metrics.streams)
    self.pool = nil
    worker.forgetFlow(of: descriptor)
    close()
  }

  private func close() {
    guard descriptor >= 0 else { return }
    loop.forget(descriptor)
    loop.kernel.close(descriptor)
    descriptor = -1
  }

  /// Gives the flow to another member, because nobody is there at this one.
  private func moveOn(_ error: SystemError) {
    guard let pool else { return }
    listener.noteDropped(.refused)
    worker.noteFailure(of: pool, .upstreamConnectFailed, "\(error)")
    leave()
    tried.insert(pool.index)
    if connect() != nil { listener.end(self, .upstreamConnectFailed) }
  }

  // MARK: Datagrams

  /// Passes on a datagram of the client.
  func pass(_ slot: Int, count: Int) {
    lastAt = loop.now
    isRecent = true
    received.datagrams &+= 1
    received.bytes &+= UInt64(count)
    guard let datagrams = worker.datagrams else { return }
    var result = datagrams.inbound.send(slot, over: descriptor)
    if result == Self.refused {
      // The kernel tells of a datagram before; this one was not sent.
      moveOn(SystemError(.send, Int32(-result)))
      guard !isOver else { return }
      result = datagrams.inbound.send(slot, over: descriptor)
    }
    if result < 0 { listener.noteDropped(.notSent) }
    if plan.replyCount == 0 { listener.end(self, .complete) }
  }

  // ECONNREFUSED.
  private static let refused = -111

  /// Passes on replies, or ends the flow for want of datagrams.
  func woke(hasInput: Bool) {
    guard hasInput else { return rested() }
    guard let datagrams = worker.datagrams else { return }
    // Questions and answers come one at a time; where answers are many, they are taken together.
    let isMany = sent.datagrams > received.datagrams &+ 16
    switch datagrams.receive(descriptor, upTo: isMany ? 8 : 1, for: listener) {
    case .success(let slots):
      take(slots, from: datagrams)
      let isAnswered = plan.replyCount.map { sent.datagrams >= received.datagrams &* UInt64($0) }
      if isAnswered ?? listener.isClosing { return listener.end(self, .complete) }
      // Where more waits, the kernel says so again in the next turn.
      rest(for: plan.flowTimeout)
    case .failure(let error):
      if error.wouldBlock { return rest(for: plan.flowTimeout) }
      moveOn(error)
    }
  }

  /// Passes on the replies in these slots.
  private func take(_ slots: Range<Int>, from datagrams: UDPTables) {
    lastAt = loop.now
    isRecent = true
    var bytes = 0
    for slot in slots {
      datagrams.outbound.address(slot, to: key.client, from: key.arrival)
      bytes &+= datagrams.outbound.length(of: slot)
    }
    sent.datagrams &+= UInt64(slots.count)
    sent.bytes &+= UInt64(bytes)
    listener.noteSent(slots.count, bytes: bytes)
    if let pool, let tally = pool.tally { worker.noteOutcome(of: pool, tally, failed: false) }
  }

  /// Ends the flow if the time is over, or rests for what is left of it.
  private func rested() {
    if worker.isOver { return listener.end(self, .drained) }
    let silence = loop.now - lastAt
    guard silence < plan.flowNanoseconds else {
      if plan.replyCount != nil, isAwaiting, let pool {
        worker.noteFailure(of: pool, .idleTimeout, "a reply has not come")
      }
      return listener.end(self, .idleTimeout)
    }
    rest(for: Timeout(.nanoseconds(plan.flowNanoseconds - silence)))
  }

  // MARK: The end

  /// Lets go of everything, and tells how it was.
  func end(_ reason: EndReason) {
    guard !isOver else { return }
    isOver = true
    leave()
    places.leave()
    let counters = worker.counters
    let total = UInt64(max(0, loop.now - startedAt))
    counters.add(to: plan.ended.ended[plan.ended.place(of: reason)])
    counters.record(nanoseconds: total, in: plan.listener.duration)
    guard let settings = plan.log, let log = worker.logs.first(where: { $0.settings == settings })
    else { return }
    var record = StreamRecord(time: worker.clock.timestamp(of: startedAt))
    if let words = key.client.address.hostWords { record.clientWords = (words.0, words.1) }
    record.clientPort = key.client.port
    record.bytesReceived = received.bytes
    record.bytesSent = sent.bytes
    record.datagrams = StreamRecord.Datagrams(received: received.datagrams, sent: sent.datagrams)
    record.tryCount = tryCount
    record.end = reason
    record.totalNanoseconds = total
    log.append(record, plan.labels, member: lastMember, detail: "")
  }
}
