import Balancing
import Configuration
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import Prefaces

/// A client's connection whose bytes are passed to a member of an upstream.
///
/// While the connection to the member opens, the first bytes of the client are read; they are sent as
/// soon as it stands. A member that cannot be connected to has seen none of them, so another is tried.
final class StreamConnection: Relay {
  /// Who has connected, or for whom a proxy has, as its PROXY header says.
  private(set) var peer: SocketAddress
  /// What a proxy in front has said of the client.
  private var preface: ConnectionPreface?
  /// What the client has said in TLS, where that was to be known.
  private var hello: ClientHello?
  /// What is to be known of the client first; nil once it is known.
  private var opening: StreamOpening?
  let plan: StreamPlan
  private let metrics: ListenerMetrics
  let startedAt: Int64
  /// By what it is known to whoever looks at connections.
  let number: UInt64
  private var connectedAt: Int64 = 0
  private(set) var upstream: Upstream?
  /// The member that is tried, or that bytes are passed to.
  private(set) var pool: MemberPool?
  private var tried = MemberSet()
  private var tryCount = 0
  private var connectUntil = Deadline.never
  /// Whether it is to be remembered that the client belongs to its member.
  private var isNews = false
  /// What it has taken of limits until its end.
  var places: [HeldPlace] = []
  /// Whether something of the client is held until the member's connection stands.
  private var hasEarly = false

  init(
    worker: Worker,
    client: Stream,
    peer: SocketAddress,
    plan: StreamPlan,
    metrics: ListenerMetrics
  ) {
    self.peer = peer
    self.plan = plan
    self.metrics = metrics
    startedAt = worker.loop.now
    number = worker.nextConnectionNumber()
    super.init(
      worker: worker,
      client: client,
      key: client.descriptor,
      idle: plan.idleTimeout,
      total: worker.loop.deadline(after: plan.totalTimeout)
    )
  }

  /// Begins: the listener has one upstream, so nothing need be known of the client first.
  ///
  /// A listener that chooses by what the client says first, such as a server name, peeks at it here
  /// instead, and calls ``proceed(to:)`` when it has chosen; what it has read it gives to
  /// ``holdEarly(_:)`` before that.
  func start(_ opening: StreamOpening?, _ early: consuming Early) {
    guard let opening else {
      if let error = early.error { return end(.clientReset, error.detail) }
      if let bytes = early.bytes { holdEarly(bytes) }
      return proceed(to: worker.upstream(of: plan.upstream))
    }
    if opening.reception == nil, !opening.readsClient { return proceed(knowing: nil, nil) }
    self.opening = opening
    if client.hasEvent {
      wokeOpening(opening, hasInput: true)
    } else {
      restForOpening(opening)
    }
  }

  /// Takes the client to be the one that a header names, if it names one.
  func adopt(_ header: ProxyHeader?) {
    guard let header, header.command == .proxy else { return }
    preface = ConnectionPreface(header, from: peer)
    if let source = header.source { peer = SocketAddress(source) }
  }

  /// Goes on when the opening is known.
  func proceed(knowing language: StreamRoute.Language?, _ hello: ClientHello?) {
    opening = nil
    self.hello = hello
    let known = StreamRoutes.Known(language: language, hello: hello, peer: peer, preface: preface)
    switch plan.routes?.target(for: known) {
    case .upstream(let chosen)?: proceed(to: worker.upstream(of: chosen))
    case .close?: end(.noRoute, hello?.serverName ?? "")
    case .others?, nil: proceed(to: worker.upstream(of: plan.upstream))
    }
  }

  /// Holds bytes that were read from the client, which the member gets first; empty ones say that the
  /// client has ended its sending.
  func holdEarly(_ bytes: consuming Lent) {
    hasEarly = true
    up.hold(bytes)
  }

  /// Connects to a member of `upstream`, and passes bytes when that stands.
  func proceed(to upstream: Upstream) {
    self.upstream = upstream
    if !plan.limits.isEmpty, !passLimits() { return }
    if !hasEarly { restForClient() }
    tryNext(after: nil)
  }

  // MARK: Connecting

  /// Why a member could not be connected to.
  private struct Failure {
    var reason: EndReason
    var detail: String
  }

  /// Tries members until one can be waited for or none is left.
  private func tryNext(after failure: Failure?) {
    var failure = failure
    while let upstream {
      guard tryCount < plan.tryCount || tryCount == 0, let pool = choose(from: upstream) else {
        let last = failure ?? Failure(reason: .noMember, detail: upstream.plan.name)
        return end(last.reason, last.detail)
      }
      if tryCount > 0 { worker.counters.add(to: upstream.plan.retries) }
      tryCount += 1
      self.pool = pool
      guard let problem = connect(pool) else { return }
      failure = problem
      leave(pool, after: problem)
    }
  }

  /// The member that is to have the connection, counted in there.
  private func choose(from upstream: Upstream) -> MemberPool? {
    guard let affinity = upstream.affinity else {
      return upstream.take(excluding: tried, hash: upstream.plan.keyHash(of: peer))
    }
    switch affinity.take(from: upstream, excluding: tried, for: peer, worker) {
    case .taken(let pool, let isNews):
      self.isNews = isNews
      return pool
    case .none, .refused: return nil
    }
  }

  /// Begins to connect.
  ///
  /// - Returns: Why that cannot be; nil when it was begun, or even ended well.
  private func connect(_ pool: MemberPool) -> Failure? {
    guard let address = pool.takeAddress() else {
      return Failure(
        reason: .upstreamConnectFailed,
        detail: "\(pool.member.name) has no address"
      )
    }
    worker.counters.add(to: pool.metrics.opened)
    let stands: Bool
    do throws(SystemError) {
      let source = address.port == nil ? nil : plan.source(for: peer)
      let begun = try Stream.beginConnecting(
        to: address,
        from: source,
        speaksFirst: up.isHolding || isIntroduced,
        on: loop
      )
      use(begun.stream)
      stands = try self.stands(begun.stream, begun.progress)
    } catch {
      return Failure(reason: .upstreamConnectFailed, detail: "\(address): \(error)")
    }
    if stands {
      open()
    } else {
      connectUntil = loop.deadline(after: plan.connectTimeout)
      restForMember(until: connectUntil)
      if hasEarly { watchClient() }
    }
    return nil
  }

  /// Whether the member is sent a PROXY header first.
  private var isIntroduced: Bool { upstream?.plan.proxySending != nil }

  /// Whether a connection stands that was begun; the client's first bytes may find that out.
  private func stands(
    _ member: Stream,
    _ progress: Stream.Progress
  ) throws(SystemError) -> Bool {
    switch progress {
    case .stands: return true
    case .underWay: return false
    case .mayStand:
      if isIntroduced { return false }
      do throws(StreamError) {
        return try up.begin(into: member)
      } catch {
        guard case .failed(let reason) = error else { return false }
        throw SystemError(.connect, reason.code)
      }
    }
  }

  /// Gives a member up that could not be connected to.
  private func leave(_ pool: MemberPool, after failure: Failure) {
    tried.insert(pool.index)
    use(nil)
    self.pool = nil
    pool.end()
    worker.noteFailure(of: pool, failure.reason, failure.detail)
  }

  /// The connection to the member stands.
  private func open() {
    connectedAt = loop.now
    if let pool {
      worker.counters.add(1, to: pool.metrics.streams)
      awaitsWord = pool.tally != nil
      if isNews { upstream?.affinity?.remember(pool, for: peer, worker) }
    }
    if let sending = upstream?.plan.proxySending, !introduce(by: sending) {
      return end(.upstreamReset, "the PROXY header was not taken")
    }
    pass()
  }

  /// Sends the PROXY header, for which the buffer of a socket that is new has room.
  private func introduce(by sending: ProxySendingPlan) -> Bool {
    let own = ProxySendingPlan.Client(
      peer: peer,
      descriptor: client.descriptor,
      preface: preface,
      hello: hello
    )
    let header = sending.header(for: own, &worker.random)
    guard let member else { return true }
    var out = loop.lend(.head)
    out.append(header.span)
    do throws(StreamError) { return try member.writeNow(out) == out.count } catch { return false }
  }

  override func wokeEarly(hasInput: Bool) {
    if let opening { return wokeOpening(opening, hasInput: hasInput) }
    if !hasInput, let reason = reasonToEndEarly() { return end(reason) }
    guard let member, let pool else { return }
    if !loop.isRestingForWriting(member.descriptor) {
      if hasInput || member.isBroken {
        if !member.isBroken { return open() }
        let error = member.takeError(of: .connect)
        let detail = error.map { "\(pool.member.name): \($0)" } ?? pool.member.name
        let failure = Failure(reason: .upstreamConnectFailed, detail: detail)
        leave(pool, after: failure)
        return tryNext(after: failure)
      }
      if loop.hasPassed(connectUntil) {
        let failure = Failure(reason: .upstreamConnectTimeout, detail: pool.member.name)
        leave(pool, after: failure)
        return tryNext(after: failure)
      }
      restForMember(until: connectUntil)
    }
    if !hasEarly, !loop.isResting(client.descriptor) { readEarly() }
  }

  private func reasonToEndEarly() -> EndReason? {
    if worker.isOver { return .drained }
    if loop.hasPassed(total) { return .totalTimeout }
    return client.isBroken ? .clientReset : nil
  }

  /// Reads what the client says before its member can be told.
  private func readEarly() {
    do throws(StreamError) {
      guard let bytes = try client.readNow(.head) else { return restForClient() }
      holdEarly(bytes)
    } catch {
      return end(.clientReset, error.detail)
    }
    watchClient()
    if client.isBroken { end(.clientReset) }
  }

  /// Lets a reset of the client, which is not read for now, wake the member's wait.
  private func watchClient() {
    if let member { loop.linkClose(of: client.descriptor, to: member.descriptor) }
  }

  // MARK: The end

  /// A member that says something serves.
  override func memberSpoke() {
    if let pool, let tally = pool.tally { worker.noteOutcome(of: pool, tally, failed: false) }
  }

  override func ended(_ reason: EndReason, _ detail: String) {
    let counters = worker.counters
    places.leave()
    if let pool {
      pool.end()
      if awaitsWord, reason == .upstreamReset {
        // It took the connection, and had nothing to say but this.
        worker.noteFailure(of: pool, reason, detail)
      } else if awaitsWord {
        memberSpoke()
      }
      if connectedAt != 0 { counters.add(-1, to: pool.metrics.streams) }
    }
    let total = UInt64(max(0, loop.now - startedAt))
    counters.add(to: plan.metrics.ended[plan.metrics.place(of: reason)])
    counters.add(up.count, to: metrics.received)
    counters.add(down.count, to: metrics.sent)
    counters.record(nanoseconds: total, in: metrics.duration)
    if let settings = plan.log, let log = worker.accessLog(settings, at: 0) {
      record(reason, detail, total, in: log)
    }
    plan.noteClosed()
    worker.noteClosed(metrics)
  }

  private func record(_ reason: EndReason, _ detail: String, _ total: UInt64, in log: AccessLog) {
    var record = StreamRecord(time: worker.clock.timestamp(of: startedAt))
    if let words = peer.hostWords { record.clientWords = (words.0, words.1) }
    record.clientPort = peer.port ?? 0
    record.bytesReceived = up.count
    record.bytesSent = down.count
    record.tryCount = tryCount
    record.end = reason
    if connectedAt != 0 { record.connectingNanoseconds = UInt64(max(0, connectedAt - startedAt)) }
    record.totalNanoseconds = total
    log.append(record, plan.labels, member: pool?.member.name ?? "", detail: detail)
  }
}
