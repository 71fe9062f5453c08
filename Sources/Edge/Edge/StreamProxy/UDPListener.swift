import MartletLoop
import MartletSystem
import MartletTelemetry

/// Receives the datagrams of one address on one loop, and keeps their flows.
///
/// The kernel deals clients out over the sockets of all loops by their address and port, so a flow is
/// always the same loop's.
final class UDPListener {
  /// What becomes of datagrams; changes with the generation.
  var plan: UDPPlan
  let descriptor: Int32
  unowned let worker: Worker
  /// Whether nothing more is received: a flow is over with its next reply.
  private(set) var isClosing = false
  private var isWatching = true
  private var flows: [UDPFlow.Key: UDPFlow] = [:]
  /// The flows in the order in which they are looked at when there are too many.
  private var queue: [UDPFlow?] = []
  private var queueStart = 0

  /// - Throws: ``SystemError`` when the socket cannot be watched.
  init(
    _ plan: UDPPlan,
    socket: consuming Descriptor,
    worker: Worker
  ) throws(SystemError) {
    self.plan = plan
    self.worker = worker
    if plan.isWildcard { try socket.tellArrival() }
    try worker.loop.watchLevel(socket.number)
    descriptor = socket.release()
  }

  deinit {
    stopWatching()
    worker.loop.kernel.close(descriptor)
  }

  private func stopWatching() {
    guard isWatching else { return }
    isWatching = false
    worker.loop.forget(descriptor, staysOpen: true)
  }

  /// How many flows there are.
  var flowCount: Int { flows.count }

  // MARK: Receiving

  /// Receives until ``close()``.
  func run() async {
    guard let datagrams = worker.datagrams else { return }
    var rounds = 0
    while !isClosing {
      let slots = 0..<UDPTables.slotCount
      let count = datagrams.inbound.receive(from: descriptor, into: slots, isConnected: false)
      if count > 0 {
        take(count, from: datagrams)
        rounds += 1
        if count == UDPTables.slotCount, rounds < Self.roundCount { continue }
      }
      rounds = 0
      // Where more waits, the kernel says so again in the next turn.
      worker.loop.clearReadiness(descriptor)
      do { try await worker.loop.readable(descriptor, by: .never) } catch { break }
    }
    stopWatching()
  }

  /// How many tables are filled until others have their turn.
  private static let roundCount = 4

  private func take(_ count: Int, from datagrams: UDPTables) {
    var bytes = 0
    let isLimited = !plan.datagramLimits.isEmpty
    for slot in 0..<count {
      let arrival = plan.isWildcard ? datagrams.inbound.arrival(of: slot) : .none
      let key = UDPFlow.Key(client: datagrams.inbound.sender(of: slot), arrival: arrival)
      guard key.client.isKnown else { continue }
      let length = datagrams.inbound.length(of: slot)
      bytes &+= length
      if isLimited, !mayPass(key.client) { continue }
      if let flow = flows[key] ?? begin(key) { flow.pass(slot, count: length) }
    }
    worker.counters.add(UInt64(count), to: plan.metrics.received)
    worker.counters.add(UInt64(bytes), to: plan.listener.received)
  }

  /// Whether a client may send another datagram.
  private func mayPass(_ client: DatagramEnd) -> Bool {
    var places: [HeldPlace] = []
    if plan.datagramLimits.pass(client.address, "datagrams", worker, holding: &places) == nil {
      return true
    }
    noteDropped(.limited)
    return false
  }

  // MARK: Flows

  private func begin(_ key: UDPFlow.Key) -> UDPFlow? {
    var places: [HeldPlace] = []
    if !plan.flowLimits.isEmpty,
      plan.flowLimits.pass(key.client.address, "flows", worker, holding: &places) != nil
    {
      places.leave()
      noteDropped(.limited)
      return nil
    }
    while flows.count >= max(1, plan.flowLimit / worker.loopCount), endOldest() {}
    let flow = UDPFlow(key, listener: self)
    flow.places = places
    var cause = flow.connect()
    // The process has no descriptor left: an old flow's will do.
    if cause == .noSocket, endOldest() { cause = flow.connect() }
    if let cause {
      places.leave()
      noteDropped(cause)
      return nil
    }
    flows[key] = flow
    queue.append(flow)
    worker.noteFlow(1)
    worker.counters.add(to: plan.listener.accepted)
    worker.counters.add(1, to: plan.listener.open)
    return flow
  }

  /// Ends the flow that was without a datagram for longest, as nearly as a queue with a second chance
  /// can tell.
  ///
  /// - Returns: Whether there was one.
  private func endOldest() -> Bool {
    var chances = Self.chanceCount
    while queueStart < queue.count {
      let next = queue[queueStart]
      queue[queueStart] = nil
      queueStart += 1
      if queueStart > 1024, queueStart > queue.count / 2 {
        queue.removeFirst(queueStart)
        queueStart = 0
      }
      guard let flow = next, !flow.isOver else { continue }
      if flow.isRecent, chances > 0 {
        chances -= 1
        flow.isRecent = false
        queue.append(flow)
        continue
      }
      end(flow, .overloaded)
      return true
    }
    return false
  }

  private static let chanceCount = 64

  /// Ends a flow.
  func end(_ flow: UDPFlow, _ reason: EndReason) {
    guard !flow.isOver else { return }
    flow.end(reason)
    guard flows.removeValue(forKey: flow.key) != nil else { return }
    worker.noteFlow(-1)
    worker.counters.add(-1, to: plan.listener.open)
    // Flows that are over stay in the queue until they are met: not for ever.
    if queue.count - queueStart > 2 * flows.count + 1024 {
      queue.removeAll { $0?.isOver ?? true }
      queueStart = 0
    }
  }

  // MARK: Figures

  func noteSent(_ count: Int, bytes: Int) {
    worker.counters.add(UInt64(count), to: plan.metrics.sent)
    worker.counters.add(UInt64(bytes), to: plan.listener.sent)
  }

  func noteDropped(_ cause: UDPMetrics.Cause, count: Int = 1) {
    worker.counters.add(UInt64(count), to: plan.metrics.dropped(cause))
  }

  // MARK: The end

  /// Receives nothing more; flows that await a reply may get it.
  func close() {
    guard !isClosing else { return }
    isClosing = true
    worker.loop.cancelWaits(of: descriptor)
    for flow in Array(flows.values) where !flow.isAwaiting { end(flow, .drained) }
  }

  /// Ends all flows.
  func endFlows(_ reason: EndReason) {
    for flow in Array(flows.values) { end(flow, reason) }
  }
}
