import MartletLoop
import MartletNet
import MartletSystem

/// Everything that serves requests on one loop.
final class Worker {
  let loop: EventLoop
  /// The loop's number among its kind.
  let index: Int
  let board: Board
  var random = RandomSource()
  private(set) var clock: WallClock
  private(set) var generation: Generation
  private(set) var upstreams: [Upstream] = []
  private(set) var isDraining = false
  private var acceptors: [String: Acceptor] = [:]
  /// The open connections, by descriptor.
  private var connections: [HTTP1Connection?] = []
  private(set) var connectionCount = 0
  private var freeExchanges: [Exchange] = []
  private var emptied: Signal?

  init(loop: EventLoop, index: Int, generation: Generation, board: Board) {
    self.loop = loop
    self.index = index
    self.board = board
    self.generation = generation
    clock = WallClock()
    upstreams = generation.upstreams.map { Upstream($0, worker: self, continuing: nil) }
  }

  /// Keeps the clock and the pools in order until the loop ends.
  func tick() async {
    while true {
      do { try await loop.sleep(for: .milliseconds(250)) } catch { continue }
      clock.update()
      for upstream in upstreams { upstream.sweep() }
    }
  }

  // MARK: Generations

  /// Puts a generation in force: the next request of every connection is answered by it.
  ///
  /// `sockets` are those of the addresses that were not listened on so far.
  ///
  /// - Throws: ``SystemError`` when a socket cannot be watched.
  func publish(_ generation: Generation, sockets: ListenerSockets) throws(SystemError) {
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
      acceptor.close()
      acceptors[key] = nil
    }
    let old = upstreams
    self.generation = generation
    upstreams = generation.upstreams.map { plan in
      Upstream(plan, worker: self, continuing: old.first { $0.plan.name == plan.name })
    }
    for acceptor in started { loop.spawn { await acceptor.run() } }
  }

  // MARK: Connections

  /// Serves a connection that was just accepted.
  func serve(_ accepted: consuming Accepted, from acceptor: Acceptor) {
    let peer = accepted.peer
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
      connectionCount += 1
      loop.spawn { await connection.serve() }
    } catch {
      note(.acceptFailed, "\(acceptor.plan.key): \(error)")
    }
  }

  /// Lets go of a connection that has ended.
  func forget(_ connection: HTTP1Connection) {
    connections[Int(connection.stream.descriptor)] = nil
    connectionCount -= 1
    if connectionCount == 0 { emptied?.set() }
  }

  // MARK: Exchanges

  /// An exchange for a request that begins.
  func takeExchange() -> Exchange { freeExchanges.popLast() ?? Exchange() }

  /// Takes back an exchange that is over.
  func giveBack(_ exchange: Exchange) {
    exchange.release()
    if freeExchanges.count < 256 { freeExchanges.append(exchange) }
  }

  // MARK: The end

  /// Accepts nothing more, lets the exchanges under way end, and returns when all have, or at the
  /// limit.
  ///
  /// Connections that wait for a request are told to go with their next answer; with `closesIdle`
  /// they are closed at once.
  func drain(limit: Duration, closesIdle: Bool) async {
    isDraining = true
    for acceptor in acceptors.values { acceptor.close() }
    acceptors = [:]
    if closesIdle {
      for case let connection? in connections where connection.isIdle { connection.stream.cancel() }
    }
    for upstream in upstreams { upstream.closeIdle() }
    guard connectionCount > 0, let signal = Signal(on: loop) else { return }
    emptied = signal
    let deadline = loop.deadline(after: Timeout(limit))
    while connectionCount > 0 {
      do throws(WaitError) { try await signal.wait(by: deadline) } catch { break }
    }
    emptied = nil
    for case let connection? in connections { connection.stream.cancel() }
  }
}
