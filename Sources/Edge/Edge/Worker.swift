import Cache
import Compression
import Configuration
import GatewayProtocols
import HTTP1
import HTTPMessage
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import Sessions
import Synchronization

/// Everything that serves requests on one loop.
final class Worker {
  let loop: EventLoop
  /// The loop's number among its kind.
  let index: Int
  let board: Board
  /// The priority below which requests are refused; 0: none is.
  ///
  /// The one of the whole process as it was at the last tick: requests need not ask what loops share.
  private(set) var priorityFloor = 0
  var random = RandomSource()
  /// For heads that are complete at once; it stands before a message between two uses.
  var responseParser = ReverseProxy.parser
  /// The head of an answer that may be sent in a coding, and the coders for that.
  var composedHead = ResponseHead()
  let coders = CoderStock(limit: 0)
  /// The request for an application that is being written.
  var gatewayRequest = GatewayRequest(.fastCGI)
  /// What was coded of files and of kept answers.
  let codedBodies = CodedBodies<CachedBody>(limit: 0)
  private(set) var clock: WallClock
  private(set) var counters: CounterTable
  private(set) var logs: [AccessLog] = []
  private(set) var generation: Generation
  private(set) var upstreams: [Upstream] = []
  /// What the request is that is looked up, for answers that depend on some of its fields.
  var variant: [UInt8] = []
  /// What is kept of files, by the place of their plan.
  var fileShelves: [FileShelf] = []
  /// What keeps sessions, in the order of their plans.
  var sessionKeepers: [(plan: SessionPlan, keeper: SessionKeeper)] = []
  var nextSessionSweep: Int64 = 0
  /// What there is of applications.
  var applicationClients: [ApplicationClient] = []
  /// How many processes print to where this loop reads.
  var printingCount = 0
  private(set) var isDraining = false
  /// Whether the time to drain is over: what is under way ends now.
  private(set) var isOver = false
  /// Whether connections that wait for a request are closed.
  private(set) var closesIdle = false
  private var acceptors: [String: Acceptor] = [:]
  /// How many addresses connections are taken from, or may still wait at.
  private var acceptingCount = 0
  /// The open connections, by descriptor.
  private(set) var connections: [HTTP1Connection?] = []
  /// The connections of HTTP/2, by descriptor, and those that serve their streams, by the place of
  /// their inner sockets.
  var http2: [HTTP2Connection?] = []
  let innerKernel: InnerKernel?
  var carried: [HTTP1Connection?] = []
  /// The connections to members that exchanges share, by descriptor.
  var sharedConnections: [SharedConnection?] = []
  /// When something wrong with HTTP/2 is noted again, and how much was not.
  var nextHTTP2Note: Deadline?
  var unnotedHTTP2 = 0
  private var lastConnectionNumber: UInt64 = 0
  /// The relays, by the descriptor that each was given as its key.
  private var relays: [Relay?] = []
  /// Those whose key is the number of an inner socket.
  private var innerRelays: [Int32: Relay] = [:]
  /// The relays that have read something in this turn, which is sent when all have read.
  var readRelays: [Relay] = []
  var sendingRelays: [Relay] = []
  private(set) var connectionCount = 0
  /// The datagrams in hand, once a listener receives some.
  var datagrams: UDPTables?
  var datagramListeners: [String: UDPListener] = [:]
  /// The flows of datagrams, by descriptor, and how many there are.
  var flows: [UDPFlow?] = []
  private(set) var flowCount = 0
  /// How many loops there are.
  let loopCount: Int
  /// The first of the exchanges that wait for a request, and how many there are.
  private var freeExchange: Exchange?
  private var freeExchangeCount = 0
  private var emptied: Signal?
  /// Coroutines that wait for a connection to serve.
  private var idleServers: [ConnectionServer] = []

  init(loop: EventLoop, index: Int, of loopCount: Int, generation: Generation, board: Board) {
    self.loop = loop
    innerKernel = loop.innerKernel
    self.loopCount = loopCount
    self.index = index
    self.board = board
    self.generation = generation
    clock = WallClock(at: loop.now)
    counters = CounterTable(generation.layout)
    board.show(counters, ofLoop: index)
    upstreams = generation.upstreams.map { Upstream($0, worker: self, continuing: nil) }
    publishFiles(generation)
    publishSessions(generation)
    limitCoders(generation)
    loop.keeper = self
  }

  /// Keeps the clock and the pools in order until the loop ends.
  func tick() async {
    var droppedBefore: UInt64 = 0
    while true {
      do { try await loop.sleep(for: .milliseconds(250)) } catch { continue }
      clock.update(at: loop.now)
      board.noteTurn(ofLoop: index)
      await watchOverload()
      priorityFloor = board.overload.floor
      for upstream in upstreams {
        upstream.sweep(counters)
        upstream.serveWaiting(at: loop.now)
      }
      sweepApplications()
      advanceFailures()
      var dropped: UInt64 = 0
      for log in logs {
        log.flush()
        dropped &+= log.droppedLineCount
      }
      if dropped > droppedBefore {
        counters.add(dropped - droppedBefore, to: generation.metrics.droppedLines)
        droppedBefore = dropped
      }
      if index == 0 {
        board.sample()
        for cache in generation.caches {
          cache.store.sweep()
          cache.tendDisk(board.log)
        }
        sweepUploads()
        sweepSessions()
        judgeOutliers()
      }
    }
  }

  /// Tells how late the loop is, and looks whether the process is overloaded.
  private func watchOverload() async {
    let overload = board.overload
    guard overload.isWatching else { return }
    let before = SystemClock.monotonicNanoseconds()
    // An event that comes now is delivered behind everything that this turn still has to do.
    await loop.yield()
    let now = SystemClock.monotonicNanoseconds()
    overload.note(lag: now - before, ofLoop: index, at: now)
    overload.look(at: now, board.log)
  }

  // MARK: Generations

  /// Puts a generation in force: the next request of every connection is answered by it.
  ///
  /// `sockets` are those of the addresses that were not listened on so far.
  ///
  /// - Throws: ``SystemError`` when a socket cannot be watched.
  func publish(_ generation: Generation, sockets: NamedDescriptors) throws(SystemError) {
    var started: [Acceptor] = []
    for plan in generation.listeners {
      if let acceptor = acceptors[plan.key] {
        acceptor.plan = plan
        continue
      }
      guard let socket = try sockets.duplicate(of: plan.key) else { continue }
      let listener = try Listener(adopting: socket, on: loop)
      let acceptor = Acceptor(plan: plan, listener: listener, worker: self)
      acceptors[plan.key] = acceptor
      started.append(acceptor)
    }
    let keys = Set(generation.listeners.map(\.key))
    for (key, acceptor) in acceptors where !keys.contains(key) {
      acceptor.close(takesWaiting: true)
      acceptors[key] = nil
    }
    shutDownHTTP2()
    self.generation = generation
    priorityFloor = board.overload.floor
    counters = CounterTable(generation.layout, continuing: counters)
    board.show(counters, ofLoop: index)
    publishFiles(generation)
    publishSessions(generation)
    limitCoders(generation)
    let old = upstreams
    upstreams = generation.upstreams.map { plan in
      Upstream(plan, worker: self, continuing: old.first { $0.plan.name == plan.name })
    }
    var before = logs
    logs = generation.logs.map { settings in
      guard let index = before.firstIndex(where: { $0.settings == settings }) else {
        return AccessLog(settings, writer: board.log)
      }
      return before.remove(at: index)
    }
    for log in before { log.close() }
    try publishDatagrams(generation, sockets: sockets)
    for acceptor in started { accept(by: acceptor) }
  }

  /// Counts what `generation`, the one in force with other figures, counts.
  func count(_ generation: Generation) {
    self.generation = generation
    counters = CounterTable(generation.layout, continuing: counters)
    board.show(counters, ofLoop: index)
  }

  /// Ejects members and brings them back as the time asks for.
  private func judgeOutliers() {
    let now = SystemClock.monotonicNanoseconds()
    for upstream in generation.upstreams {
      if let outliers = upstream.health.outliers {
        board.take(outliers.tick(upstream, at: now))
      } else {
        for member in upstream.members where member.state.isEjected {
          let change = OutlierWatch.release(member, of: upstream, at: now)
          board.take(change.map { [$0] } ?? [])
        }
      }
    }
  }

  /// The upstream of a plan, which may be of an earlier generation: an exchange that has waited, or a
  /// connection of layer 4, goes on with what it began with, wherever that stands by now.
  @inline(__always)
  func upstream(of plan: UpstreamPlan) -> Upstream {
    if plan.index < upstreams.count {
      let upstream = upstreams[plan.index]
      if upstream.plan === plan { return upstream }
    }
    return earlierUpstream(of: plan)
  }

  private func earlierUpstream(of plan: UpstreamPlan) -> Upstream {
    upstreams.first { $0.plan.name == plan.name } ?? Upstream(plan, worker: self, continuing: nil)
  }

  // MARK: Connections

  /// Serves a connection that was just accepted.
  func serve(_ accepted: consuming Accepted, from acceptor: Acceptor) {
    if let plan = acceptor.plan.stream {
      return serve(accepted, by: plan, from: acceptor)
    }
    let peer = accepted.peer
    let proxy = acceptor.plan.proxyReception
    if let proxy, !mayConnect(peer, proxy, at: acceptor) { return }
    do throws(SystemError) {
      let stream = try Stream(adopting: accepted.descriptor, on: loop)
      let connection = HTTP1Connection(
        stream: stream,
        peer: peer,
        worker: self,
        acceptor: acceptor
      )
      let number = Int(stream.descriptor)
      while connections.count <= number { connections.append(nil) }
      connections[number] = connection
      noteOpened(acceptor.plan.metrics)
      if let proxy, proxy.trusts(peer) {
        connection.restForPreface()
      } else if let tls = acceptor.plan.tls {
        connection.beginHandshake(tls)
      } else {
        connection.rest()
      }
    } catch {
      noteAccepting(error, at: acceptor.plan.key)
    }
  }

  /// Lets go of a connection that has ended.
  func forget(_ connection: HTTP1Connection) {
    if !connection.places.isEmpty { connection.leaveLimits() }
    if connection.carrier != nil { return forgetCarried(connection) }
    if let tls = connection.tls { noteFault(of: tls, connection.peer, at: connection.acceptor) }
    connections[Int(connection.stream.descriptor)] = nil
    noteClosed(connection.acceptor.plan.metrics)
  }

  /// Counts a connection of a client that was opened.
  func noteOpened(_ metrics: ListenerMetrics) {
    connectionCount += 1
    board.openConnections.add(1, ordering: .relaxed)
    counters.add(to: metrics.accepted)
    counters.add(1, to: metrics.open)
  }

  /// Counts a connection that is taken over from one that is about to be forgotten.
  func noteTakenOver(_ metrics: ListenerMetrics) {
    connectionCount += 1
    board.openConnections.add(1, ordering: .relaxed)
    counters.add(1, to: metrics.open)
  }

  /// Counts a connection of a client that was closed.
  func noteClosed(_ metrics: ListenerMetrics) {
    connectionCount -= 1
    board.openConnections.subtract(1, ordering: .relaxed)
    counters.add(-1, to: metrics.open)
    if connectionCount == 0 { emptied?.set() }
  }

  /// Counts a flow of datagrams that begins, or one that is over.
  func noteFlow(_ change: Int) {
    flowCount += change
    if flowCount == 0 { emptied?.set() }
  }

  /// Whether nothing is under way; an address that was closed has its last connections taken first.
  private var isEmpty: Bool { connectionCount == 0 && flowCount == 0 && acceptingCount == 0 }

  /// Takes the connections of an address until that is closed.
  private func accept(by acceptor: Acceptor) {
    acceptingCount += 1
    let worker = self
    loop.spawn(named: "accept connections") {
      await acceptor.run()
      worker.acceptingCount -= 1
      if worker.acceptingCount == 0 { worker.emptied?.set() }
    }
  }

  /// Keeps a relay until it is over, to be found by `key`.
  func attend(_ relay: Relay, as key: Int32) {
    if innerKernel?.isInner(key) == true {
      innerRelays[key] = relay
      return
    }
    let number = Int(key)
    while relays.count <= number { relays.append(nil) }
    relays[number] = relay
  }

  /// The relay that is found by `key`.
  func relay(of key: Int32) -> Relay? {
    let index = Int(key)
    if index < relays.count { return relays[index] }
    return innerRelays.isEmpty ? nil : innerRelays[key]
  }

  /// All relays.
  var allRelays: [Relay] { relays.compactMap(\.self) + innerRelays.values }

  /// Lets go of the relay that is found by `key`.
  func forgetRelay(of key: Int32) {
    if Int(key) < relays.count { relays[Int(key)] = nil } else { innerRelays[key] = nil }
  }

  /// A number that no other connection of this loop has had.
  func nextConnectionNumber() -> UInt64 {
    lastConnectionNumber &+= 1
    return lastConnectionNumber
  }

  /// Whether as many connections are open as may be, on all loops together, or the process is so
  /// overloaded that it takes none.
  var isFull: Bool {
    board.overload.isClosed
      || board.openConnections.load(ordering: .relaxed)
        >= generation.configuration.process.maxConnectionCount
  }

  /// The connection with this descriptor.
  func connection(of descriptor: Int32) -> HTTP1Connection? {
    let index = Int(descriptor)
    return index < connections.count ? connections[index] : nil
  }

  /// Serves a connection that has a request.
  func serve(_ connection: HTTP1Connection) {
    if let server = idleServers.popLast() {
      server.connection = connection
      server.wake()
      return
    }
    guard let server = ConnectionServer(on: loop) else {
      board.log.note(.error, "a connection is closed: no timer is left on its loop")
      forget(connection)
      return
    }
    server.connection = connection
    let worker = self
    loop.spawn(named: "serve a connection", about: { server.subject(of: worker) }) {
      await server.run(for: worker)
    }
  }

  /// Keeps a coroutine that has nothing to serve, unless enough of them wait.
  func keep(_ server: ConnectionServer) -> Bool {
    guard idleServers.count < Self.idleServerCount else { return false }
    idleServers.append(server)
    return true
  }

  private static let idleServerCount = 128

  /// Says that a connection could not be taken.
  func noteAccepting(_ error: SystemError, at listener: String) {
    board.log.note(
      .error,
      "a connection could not be accepted",
      [LogLine.Field("listener", listener), LogLine.Field("error", "\(error)")]
    )
  }

  // MARK: Exchanges

  /// As many as ten connections of HTTP/2 have streams.
  private static let freeExchangeLimit = 1024

  /// An exchange for a request that begins.
  func takeExchange() -> Exchange {
    guard let free = freeExchange else { return Exchange() }
    freeExchange = free.next
    free.next = nil
    freeExchangeCount &-= 1
    return free
  }

  /// Takes back an exchange that is over.
  func giveBack(_ exchange: Exchange) {
    exchange.release()
    guard freeExchangeCount < Self.freeExchangeLimit else { return }
    exchange.next = freeExchange
    freeExchange = exchange
    freeExchangeCount &+= 1
  }

  // MARK: The end

  /// Accepts nothing more, lets the exchanges under way end, and returns when all have, or after the
  /// limit, at which those that have not are cut off.
  ///
  /// Connections that wait for a request are told to go with their next answer; with `closesIdle`
  /// they are closed at once.
  func drain(limit: Duration, closesIdle: Bool) async {
    isDraining = true
    self.closesIdle = closesIdle
    for acceptor in acceptors.values { acceptor.close(takesWaiting: !closesIdle) }
    acceptors = [:]
    for listener in datagramListeners.values { listener.close() }
    if closesIdle {
      for case let connection? in connections where connection.isIdle { connection.stream.cancel() }
    }
    shutDownHTTP2()
    for upstream in upstreams { upstream.closeIdle() }
    defer { for log in logs { log.flush() } }
    guard !isEmpty, let signal = Signal(on: loop) else { return }
    emptied = signal
    defer { emptied = nil }
    await awaitEmpty(signal, by: loop.deadline(after: Timeout(limit)))
    isOver = true
    // An exchange may go on to its next wait when one was ended: it is told again until it is over.
    for listener in datagramListeners.values { listener.endFlows(.drained) }
    for _ in 0..<Self.cutOffCount where !isEmpty {
      for relay in allRelays { relay.end(.drained) }
      cutHTTP2()
      for case let connection? in connections {
        connection.stream.cancel()
        loop.cancelLinked(to: connection.stream.descriptor)
      }
      await awaitEmpty(signal, by: loop.deadline(after: Self.cutOffPause))
    }
  }

  private func awaitEmpty(_ signal: Signal, by deadline: Deadline) async {
    while !isEmpty {
      do throws(WaitError) { try await signal.wait(by: deadline) } catch { return }
    }
  }

  // Together below the two seconds after which the supervisor ends the process.
  private static let cutOffCount = 10
  private static let cutOffPause = Timeout(.milliseconds(50))
}
