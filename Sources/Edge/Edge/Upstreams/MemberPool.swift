import Balancing
import FailurePolicies
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import Synchronization
import TLS

/// The connections of one loop to one member.
final class MemberPool {
  let member: Member
  /// The member's number in its upstream.
  let index: Int
  /// The upstream in whose generation the pool was made.
  let upstream: UpstreamPlan
  /// The most exchanges at once, over all loops; 0: no limit.
  private let connectionLimit: Int
  private let hasName: Bool
  private let total: UpstreamTotal?
  /// What is told when exchanges end; nil: nobody asks.
  var tree: LoadTree? {
    didSet { isWatched = tree != nil || total != nil }
  }
  private var isWatched: Bool
  /// Where outcomes are counted; nil where they eject nobody.
  let tally: OutlierTally?
  let loop: EventLoop
  private unowned let worker: Worker
  /// The connections that carry many exchanges at once; nil where none does.
  private(set) var sharing: SharedConnections?
  /// The application that is asked; nil: a member is.
  private let application: ApplicationClient?
  private var idle: [UpstreamConnection] = []
  private var addresses: [SocketAddress] = []
  let metrics: MemberMetrics
  /// Says whether the member is to be left alone; nil without breakers.
  let breaker: Breaker?
  /// How often the log tells of its failures.
  var failureNotes = NoteLimit()
  private var addressVersion: UInt32 = 0
  private var nextAddress = 0
  /// What continues the last session with the member.
  var ticket: TLSTicket?

  init(_ plan: MemberPlan, of upstream: UpstreamPlan, _ worker: Worker) {
    member = plan.member
    index = plan.member.number
    self.upstream = upstream
    connectionLimit = plan.connectionLimit
    hasName = plan.member.hasName
    total = upstream.countsAll ? upstream.state.total : nil
    isWatched = total != nil
    metrics = plan.metrics
    breaker = upstream.failures.breaker(of: plan.member)
    tally = upstream.health.outliers?.tally(of: plan.member.number)
    loop = worker.loop
    self.worker = worker
    sharing = upstream.sharing.map { SharedConnections($0, worker) }
    application = upstream.application.map { worker.client(of: $0) }
  }

  /// Takes over the idle connections of a pool that is given up.
  func adopt(from other: MemberPool) {
    // What was agreed on by other settings does not hold any more.
    if other.upstream.tls?.settings != upstream.tls?.settings { return }
    if other.upstream.gateway != upstream.gateway { return }
    guard (other.sharing == nil) == (sharing == nil) else { return }
    if let plan = upstream.sharing, let shared = other.sharing {
      shared.use(plan)
      sharing = shared
    }
    ticket = other.ticket
    swap(&idle, &other.idle)
  }

  /// How many connections are idle.
  var idleCount: Int { idle.count + (sharing?.idleCount ?? 0) + (application?.idleCount ?? 0) }

  /// Whether the member may be full.
  var hasLimit: Bool { connectionLimit > 0 }

  private func refreshAddresses() {
    let version = member.addressVersion.load(ordering: .acquiring)
    guard version != addressVersion else { return }
    addressVersion = version
    addresses = member.addresses
    // A connection to an address that the name no longer has is not used again.
    idle.removeAll { !addresses.contains($0.peer) }
    sharing?.retire { !addresses.contains($0) }
  }

  /// Notes that an exchange with the member begins, unless as many are under way as may be.
  func begin() -> Bool {
    guard hasLimit else {
      beginUnlimited()
      return true
    }
    guard member.begin(within: connectionLimit) else { return false }
    total?.begin()
    return true
  }

  /// Notes that an exchange with the member begins, however many are under way.
  // Inlined, it would count references to the member at every place.
  @inline(never)
  func beginUnlimited() {
    member.begin()
    total?.begin()
  }

  /// Notes that the place of an exchange at the member is given to another one.
  func noteHandingOver() {
    guard isWatched else { return }
    total?.end()
    tree?.noteEnd(of: index)
  }

  /// Notes that an exchange has the place at the member that another one had.
  func noteHandedOver() { total?.begin() }

  /// Whether as many exchanges are under way as may be.
  var isFull: Bool { hasLimit && member.activeCount >= connectionLimit }

  /// Notes that an exchange with the member ended.
  func end() {
    if hasLimit { giveBackPlace() } else { member.end() }
    noteHandingOver()
  }

  /// Gives a place back, or to a request that waits for it.
  @inline(never)
  private func giveBackPlace() {
    upstream.state.queue.giveBack(member, within: connectionLimit, at: loop.now)
  }

  /// An idle connection that is still good, the one used last first.
  ///
  /// With `certain` the kernel is asked whether the member has closed it meanwhile: for requests
  /// that may not be sent twice.
  func takeIdle(certain: Bool) -> UpstreamConnection? {
    if hasName { refreshAddresses() }
    if let application { return application.take() }
    if let sharing, let socket = sharing.take(certain: certain) { return socket }
    while let connection = idle.popLast() {
      if isGood(connection, certain: certain) { return connection }
    }
    return nil
  }

  /// Whether a connection that waited is still good, which then carries one more request.
  private func isGood(_ connection: UpstreamConnection, certain: Bool) -> Bool {
    if connection.stream.hasUnexpectedEvent() || loop.hasPassed(connection.oldest) { return false }
    if certain, connection.stream.hasEventNow() { return false }
    if let gateway = connection.gateway, !gateway.isReady { return false }
    connection.requestCount &+= 1
    return true
  }

  /// The connection that serves `client` alone, if it is one to this member and still good.
  func takeOwn(of client: HTTP1Connection, certain: Bool) -> UpstreamConnection? {
    guard let own = client.ownConnection, own.member === member else { return nil }
    client.ownConnection = nil
    refreshAddresses()
    guard addresses.contains(own.connection.peer), !loop.hasPassed(own.connection.idleUntil) else {
      return nil
    }
    return isGood(own.connection, certain: certain) ? own.connection : nil
  }

  /// Keeps a connection for the next request of `client`, to whom alone it belongs.
  func keepOwn(_ connection: UpstreamConnection, of client: HTTP1Connection) {
    guard connection.requestCount < upstream.pooling.requestCount,
      !connection.stream.hasUnexpectedEvent()
    else { return }
    connection.idleUntil = loop.deadline(after: upstream.pooling.idleTime)
    client.ownConnection = OwnConnection(connection, to: member)
  }

  /// The address for the next connection: a member with several gets them in turn; nil while its name
  /// has none.
  func takeAddress() -> SocketAddress? {
    refreshAddresses()
    guard !addresses.isEmpty else { return nil }
    nextAddress = (nextAddress &+ 1) % addresses.count
    return addresses[nextAddress]
  }

  /// Opens a connection, or waits for one that is shared.
  ///
  /// - Throws: ``ExchangeError``, which may always be retried: nothing was sent.
  func open(by deadline: Deadline) async throws(ExchangeError) -> UpstreamConnection {
    if let application {
      guard let socket = application.take() else { throw ExchangeError(.overloaded) }
      return socket
    }
    if let sharing { return try await sharing.open(for: self, by: deadline) }
    return try await connect(by: deadline)
  }

  /// Opens a connection, perhaps one that exchanges are to share; a member with several addresses gets them in turn.
  ///
  /// - Throws: ``ExchangeError``, which may always be retried: nothing was sent.
  func connect(
    by deadline: Deadline,
    isShared: Bool = false
  ) async throws(ExchangeError) -> UpstreamConnection {
    guard let address = takeAddress() else {
      throw ExchangeError(
        .upstreamConnectFailed,
        retry: .always,
        detail: "\(member.name) has no address"
      )
    }
    let connection: UpstreamConnection
    do throws(StreamError) {
      let stream = try await Stream.connect(to: address, on: loop, by: deadline)
      connection = UpstreamConnection(
        stream: stream,
        peer: address,
        oldest: loop.deadline(after: upstream.pooling.age)
      )
    } catch {
      switch error {
      case .timedOut:
        throw ExchangeError(.upstreamConnectTimeout, retry: .always, detail: "\(address)")
      case .cancelled:
        throw ExchangeError(.clientClosed)
      case .failed(let error):
        throw ExchangeError(.upstreamConnectFailed, retry: .always, detail: "\(address): \(error)")
      }
    }
    if let plan = upstream.gateway, !isShared {
      let exchange = GatewayExchange(
        with: member,
        by: plan,
        keepsConnection: plan.keepsConnections,
        worker
      )
      connection.stream.layer = GatewayLayer(of: connection.stream, for: exchange, on: loop)
      connection.gateway = exchange
    }
    if let tls = upstream.tls { try await secure(connection, by: tls, until: deadline) }
    return connection
  }

  /// Takes back a connection that can carry another request.
  func giveBack(_ connection: UpstreamConnection) {
    if let application = connection.application { return application.client.giveBack(connection) }
    if let carrier = connection.carrier { return carrier.giveBack(connection) }
    if let tls = connection.tls { keepTicket(of: tls, from: connection) }
    guard
      idle.count < upstream.pooling.idleCount,
      connection.requestCount < upstream.pooling.requestCount,
      !connection.stream.hasUnexpectedEvent()
    else { return }
    connection.idleUntil = loop.deadline(after: upstream.pooling.idleTime)
    idle.append(connection)
  }

  /// Closes connections that were idle too long, are too old, or were closed by the member.
  func sweep(_ counters: CounterTable) {
    sharing?.sweep(metrics, counters)
    idle.removeAll { connection in
      connection.stream.hasUnexpectedEvent() || loop.hasPassed(connection.idleUntil)
        || loop.hasPassed(connection.oldest)
    }
  }

  /// Closes all idle connections.
  func closeIdle() {
    idle.removeAll()
    sharing?.retire()
  }
}
