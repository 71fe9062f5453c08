import MartletLoop
import MartletSystem
import MartletTelemetry
import TLS

/// How connections to a member are shared; compiled.
enum SharingPlan: Sendable {
  /// By HTTP/2.
  case http2(HTTP2MemberPlan)
  /// By FastCGI.
  case fastCGI(MultiplexingPlan)

  fileprivate var connectTime: Timeout {
    switch self {
    case .http2(let plan): plan.connectTime
    case .fastCGI(let plan): plan.connectTime
    }
  }

  /// Whether it is seen beside the requests whether the member takes several at once on a connection.
  fileprivate var asksBeside: Bool {
    if case .fastCGI(let plan) = self { plan.asks } else { false }
  }
}

/// The connections of one loop to one member that takes several exchanges at once on each, as many as it
/// allows; another one is opened when all are full.
final class SharedConnections {
  private var plan: SharingPlan
  private unowned let worker: Worker
  private var connections: [SharedConnection] = []
  /// Exchanges that wait for a connection.
  private var waiters: [Waiter] = []
  /// How many connections are being opened.
  private var openingCount = 0
  /// How many streams a new connection is likely to have.
  private var expectedStreams = 100
  /// How many requests a connection is given: no more than the member has looked at on the last one, when
  /// it has left others behind, until a connection shows that it takes more again.
  private(set) var requestLimit = Int.max
  /// Whether the member takes one exchange at a time on a connection: it has chosen HTTP/1.1 when it was offered
  /// both, or an application has not said otherwise.
  private var takesOne: Bool
  /// When an application is asked next whether it takes several; nil: it was not asked yet.
  private var askAt: Deadline?
  /// Requests that the member has not looked at, which were not shown yet.
  private var refusedCount: UInt64 = 0
  /// What continues the last session with the member.
  private var ticket: TLSTicket?

  /// An exchange that waits.
  private final class Waiter {
    let signal: Signal
    var failure: ExchangeError?
    init(_ signal: Signal) { self.signal = signal }
  }

  init(_ plan: SharingPlan, _ worker: Worker) {
    self.plan = plan
    self.worker = worker
    takesOne = plan.asksBeside
  }

  deinit {
    for connection in connections {
      connection.sharing = nil
      connection.retire()
    }
  }

  private var loop: EventLoop { worker.loop }

  /// Goes on by the plan of another generation.
  func use(_ plan: SharingPlan) { self.plan = plan }

  // MARK: Exchanges

  /// A socket for an exchange, if a connection has room for one.
  func take(certain: Bool) -> UpstreamConnection? {
    // Most often the first one: those behind it can become idle.
    for connection in connections {
      if let socket = connection.take(certain: certain) { return socket }
    }
    return nil
  }

  /// A socket for an exchange, once a connection has room for one.
  ///
  /// - Throws: ``ExchangeError``, which may always be retried: nothing was sent.
  func open(
    for pool: MemberPool,
    by deadline: Deadline
  ) async throws(ExchangeError) -> UpstreamConnection {
    while true {
      if let socket = take(certain: false) { return socket }
      if takesOne, case .fastCGI = plan {
        if askAt.map({ loop.hasPassed($0) }) ?? true, openingCount == 0 {
          // One that cannot be reached is asked soon again.
          askAt = loop.deadline(after: Timeout(.seconds(1)))
          openMore(for: pool, beside: true)
        }
        return try await connect(for: pool, by: deadline, isShared: false)
      }
      if takesOne {
        let connection = try await connect(for: pool, by: deadline)
        if !share(connection, to: pool.member, by: deadline) { return connection }
        takesOne = false
      }
      guard let signal = Signal(on: loop) else { throw ExchangeError(.overloaded) }
      let waiter = Waiter(signal)
      waiters.append(waiter)
      openMore(for: pool)
      do throws(WaitError) {
        try await signal.wait(by: deadline)
      } catch {
        waiters.removeAll { $0 === waiter }
        throw ExchangeError(
          .upstreamConnectTimeout,
          retry: .always,
          detail: "\(pool.member.name): no room for a stream"
        )
      }
      if let failure = waiter.failure { throw failure }
    }
  }

  /// Opens as many connections as those who wait are likely to fill, or one `beside` them.
  private func openMore(for pool: MemberPool, beside: Bool = false) {
    let count = beside ? 1 : waiters.count
    while openingCount < Self.openingLimit, openingCount * expectedStreams < count {
      openingCount += 1
      let sharing = self
      loop.spawn(named: "open a connection to a member for many") {
        await sharing.openOne(for: pool)
      }
    }
  }

  private func openOne(for pool: MemberPool) async {
    let deadline = loop.deadline(after: plan.connectTime)
    do throws(ExchangeError) {
      let connection = try await connect(for: pool, by: deadline)
      openingCount -= 1
      if share(connection, to: pool.member, by: deadline) { return }
      // Whoever waits opens one for itself.
      takesOne = true
      pool.giveBack(connection)
      wake(waiters.count)
    } catch {
      openingCount -= 1
      fail(error)
    }
  }

  private func connect(
    for pool: MemberPool,
    by deadline: Deadline,
    isShared: Bool = true
  ) async throws(ExchangeError) -> UpstreamConnection {
    worker.counters.add(to: pool.metrics.opened)
    if pool.ticket == nil { pool.ticket = ticket.take() }
    return try await pool.connect(by: deadline, isShared: isShared)
  }

  /// Takes a connection that was opened for all; false: the member speaks HTTP/1.1 on it.
  private func share(
    _ connection: UpstreamConnection,
    to member: Member,
    by deadline: Deadline
  ) -> Bool {
    let shared: SharedConnection
    switch plan {
    case .http2(let plan):
      if let tls = connection.tls, tls.protocolName != "h2" { return false }
      shared = MemberConnection(over: connection, by: plan, of: self, worker, readyBy: deadline)
    case .fastCGI(let plan):
      shared = FastCGIConnection(over: connection, to: member, by: plan, of: self, worker)
    }
    connections.append(shared)
    // Until it is known what the member allows.
    openingCount += 1
    shared.start()
    return true
  }

  private func fail(_ error: ExchangeError) {
    let failed = waiters
    waiters = []
    for waiter in failed {
      waiter.failure = error
      waiter.signal.set()
    }
  }

  private func wake(_ count: Int) {
    guard !waiters.isEmpty, count > 0 else { return }
    let woken = waiters.prefix(count)
    waiters.removeFirst(woken.count)
    for waiter in woken { waiter.signal.set() }
  }

  // MARK: What connections tell

  /// The member allows so many exchanges at once.
  func noteReady(_ connection: SharedConnection, streamCount: Int) {
    openingCount -= 1
    takesOne = false
    expectedStreams = max(1, streamCount)
    if let tls = connection.tls { ticket = tls.ticket ?? ticket }
    // Those for whom there is no room wait again, and open another one.
    wake(waiters.count)
  }

  /// A stream has ended.
  func noteRoom(on connection: SharedConnection) {
    if !waiters.isEmpty { wake(connection.freeCount) }
  }

  /// The member has not looked at a request.
  func noteRefusal() { refusedCount &+= 1 }

  /// A connection takes no further exchange; `count` requests were looked at, and others left behind.
  func noteRetirement(after count: Int?) {
    if let count { requestLimit = max(1, count) }
    wake(waiters.count)
  }

  /// A connection was given as many requests as it may have.
  func noteUsedUp() {
    if requestLimit < Int.max / 2 { requestLimit *= 2 }
  }

  /// The member has refused a request because another one was under way on its connection.
  func noteRefusalToShare() {
    takesOne = true
    askAt = loop.deadline(after: Self.askTime)
    for connection in connections { connection.retire() }
    wake(waiters.count)
  }

  /// A connection was closed; without having been ready it never was of use.
  func noteClose(of connection: SharedConnection, wasReady: Bool, _ reason: String) {
    connections.removeAll { $0 === connection }
    connection.sharing = nil
    guard !wasReady else { return wake(waiters.count) }
    openingCount -= 1
    if case .fastCGI = plan {
      // It has not said that it takes several, so whoever waits opens one for itself.
      takesOne = true
      askAt = loop.deadline(after: Self.askTime)
      return wake(waiters.count)
    }
    fail(
      ExchangeError(
        .upstreamConnectFailed,
        retry: .always,
        detail: "\(connection.peer): no HTTP/2: \(reason)"
      )
    )
  }

  // MARK: Seeing

  /// Closes what was idle too long, and shows what is left.
  func sweep(_ metrics: MemberMetrics, _ counters: CounterTable) {
    for connection in connections { connection.sweep() }
    guard let figures = metrics.http2 else { return }
    counters.set(figures.connections, to: Int64(connections.count))
    let streamCount = connections.reduce(0) { $0 + $1.streamCount }
    counters.set(figures.streams, to: Int64(streamCount))
    if refusedCount > 0 {
      counters.add(refusedCount, to: figures.refused)
      refusedCount = 0
    }
  }

  /// How many connections carry nothing.
  var idleCount: Int { connections.count { $0.isIdle } }

  /// Closes all connections: those that carry something when they carry nothing any more.
  func retire() {
    for connection in connections { connection.retire() }
  }

  /// Closes connections to addresses that the member has no longer, in the same way.
  func retire(where isGone: (SocketAddress) -> Bool) {
    for connection in connections where isGone(connection.peer) { connection.retire() }
  }

  private static let openingLimit = 8
  /// After what time an application is asked again.
  private static let askTime = Timeout(.seconds(300))
}
