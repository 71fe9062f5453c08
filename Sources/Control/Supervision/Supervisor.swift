import Handover
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem
import Synchronization

/// The process that holds the sockets and keeps an edge process running.
///
/// Everything here runs on one loop; every change is made by one coroutine at a time, which
/// ``Supervisor/isChanging`` guards.
public final class Supervisor {
  /// What is in force: a later edge gets the same.
  struct InForce {
    var assignment: Assignment
    var listeners: [OpenListener]
    var logs: [OpenLog]
    var number: UInt64
  }

  private static let signals: [ProcessSignal] = [
    .hangUp, .interrupt, .terminate, .user1, .user2,
  ]

  let options: SupervisorOptions
  let loop: EventLoop
  let state: StateDirectory
  let lock: OpenFile
  let control: OpenFile
  /// What edges remember for those after them.
  let memory: OpenFile
  let startedAt = SystemClock.monotonicNanoseconds()
  var inForce: InForce
  /// The edge that serves; nil between a crash and the next one.
  var current: SupervisedEdge?
  /// All processes that have not ended.
  var edges: [SupervisedEdge] = []
  var restartCount = 0
  /// What runs applications, for the present edge and for those before it.
  var pools: [ApplicationPool] = []
  /// Whether processes become children of this one whose own parent has ended.
  var adoptsOrphans = false
  /// What an upgrade tries out at the moment.
  var probed: Int32?
  /// Whether those that are left are about to be ended.
  var isEndingWorkers = false
  /// Whether a reload or an upgrade is under way.
  var isChanging = false
  private(set) var isStopping = false
  /// How soon another edge is started: one that lived for ten seconds has not crashed at once.
  private var pace = RestartPace(settled: .seconds(10), first: .milliseconds(50))
  /// How many commands are under way, and how many connections there are to say some.
  var commandCount = 0
  var sessionCount = 0
  /// What was changed at run time.
  var changes: KeptChanges
  /// How many calls are under way that may change something.
  var changeCount = 0
  /// The number of the last call to an edge.
  var callNumber: UInt32 = 0
  private let finished: Signal
  private var failure: CommandFailure?

  /// Runs a supervisor on the calling thread, which must be the only one, until it is told to stop.
  ///
  /// - Throws: ``CommandFailure``: it could not start, with nothing left behind.
  public static func run(_ options: SupervisorOptions) throws(CommandFailure) {
    let outcome = Mutex<CommandFailure?>(nil)
    do throws(SystemError) {
      try ProcessSignal.block(signals)
      let loop = try EventLoop()
      loop.run(until: {
        do throws(CommandFailure) {
          loop.checkIsolated()
          let inherited = try InheritedState.take()
          let supervisor =
            if let inherited {
              try Supervisor(options, inheriting: inherited, on: loop)
            } else {
              try Supervisor(options, on: loop)
            }
          try await supervisor.serve(inherited)
        } catch {
          outcome.withLock { $0 = error }
        }
      })
    } catch {
      throw CommandFailure(.failure, "cannot start: \(error)")
    }
    if let failure = outcome.withLock(\.self) { throw failure }
  }

  private init(_ options: SupervisorOptions, on loop: EventLoop) throws(CommandFailure) {
    state = StateDirectory(options.stateDirectory)
    try state.prepare()
    lock = try state.lock()
    let assignment = try options.load()
    let listeners = try OpenListener.open(assignment.listeners, reusing: [])
    let logs = try OpenLog.open(assignment.logs)
    do throws(SystemError) {
      // The lock is ours, so a socket that is there is that of a process that is gone.
      try Files.remove(state.controlSocket)
      control = OpenFile(try Listener.bind(.unix(state.controlSocket)))
      memory = try EdgeMemory.makeFile()
    } catch {
      throw CommandFailure(.failure, "cannot listen on \(state.controlSocket): \(error)")
    }
    inForce = InForce(assignment: assignment, listeners: listeners, logs: logs, number: 1)
    changes = KeptChanges(state, for: options.configurationName)
    self.options = options
    self.loop = loop
    finished = try Self.signal(on: loop)
  }

  private init(
    _ options: SupervisorOptions,
    inheriting inherited: InheritedState,
    on loop: EventLoop
  ) throws(CommandFailure) {
    state = StateDirectory(options.stateDirectory)
    lock = inherited.lock
    control = inherited.control
    memory = try Self.memory(inherited.memory)
    inForce = InForce(
      assignment: Assignment(
        source: inherited.source,
        listeners: [],
        logs: inherited.logs.map { LogDemand(key: $0.key, path: $0.path) },
        drainLimit: inherited.drainLimit
      ),
      listeners: inherited.listeners,
      logs: inherited.logs,
      number: inherited.generation
    )
    changes = KeptChanges(state, for: options.configurationName)
    self.options = options
    self.loop = loop
    finished = try Self.signal(on: loop)
  }

  /// What the binary before this one had, which may not have known of it.
  private static func memory(_ inherited: OpenFile?) throws(CommandFailure) -> OpenFile {
    if let inherited { return inherited }
    do throws(SystemError) {
      return try EdgeMemory.makeFile()
    } catch {
      throw CommandFailure(.failure, "cannot start: \(error)")
    }
  }

  private static func signal(on loop: EventLoop) throws(CommandFailure) -> Signal {
    guard let signal = Signal(on: loop) else { throw CommandFailure(.failure, "no timer is left") }
    return signal
  }

  // MARK: Life

  private func serve(_ inherited: InheritedState?) async throws(CommandFailure) {
    let supervisor = self
    do throws(SystemError) {
      let queue = try SignalQueue(Self.signals, on: loop)
      let listener = try Listener(adopting: try control.descriptor.duplicate(), on: loop)
      loop.spawn { await supervisor.take(signalsFrom: queue) }
      loop.spawn { await supervisor.take(commandsFrom: listener) }
    } catch {
      throw CommandFailure(.failure, "cannot start: \(error)")
    }
    if let text = changes.load() { options.say(text) }
    if let inherited {
      await succeed(inherited)
    } else {
      loop.spawn { await supervisor.startFirst() }
    }
    do throws(WaitError) { try await finished.wait() } catch {}
    await endCommands()
    cleanUp()
    if let failure { throw failure }
  }

  /// The first edge must come up: if it does not, nobody would notice that nothing is served.
  private func startFirst() async {
    let outcome = await startAndOffer()
    guard !isStopping else { return }
    switch outcome {
    case .success(let edge):
      current = edge
      runApplications()
      for warning in inForce.assignment.warnings { options.say(warning) }
      options.started(inForce.listeners.map(\.key))
    case .failure(let reason):
      failure = reason
      stop(atOnce: true)
    }
  }

  private func cleanUp() {
    for path in inForce.listeners.compactMap(\.unixPath) + [state.controlSocket] {
      do throws(SystemError) { try Files.remove(path) } catch {
        options.say("cannot remove \(path): \(error)")
      }
    }
  }

  /// Ends when nothing is under way any more, or at the limit; a second call ends at once.
  func stop(atOnce: Bool = false) {
    for pool in pools { pool.close() }
    if atOnce || isStopping {
      isStopping = true
      for edge in edges { edge.child.send(.kill) }
    } else {
      isStopping = true
      let limit = inForce.assignment.drainLimit
      for edge in edges {
        edge.state = .draining
        edge.tell(.drain(limit: limit, closesIdle: true))
      }
      let supervisor = self
      loop.spawn { await supervisor.kill(supervisor.edges, after: limit + .seconds(2)) }
      options.say("stopping: what is under way may end within \(limit.components.seconds) s")
    }
    // Nobody is to wait in the queue of a socket that nothing accepts from.
    for index in inForce.listeners.indices { inForce.listeners[index].files = [] }
    finishIfEmpty()
  }

  func finishIfEmpty() {
    if isStopping, edges.isEmpty, !awaitsWorkers() { finished.set() }
  }

  /// Ends edges that have not ended within a limit.
  func kill(_ edges: [SupervisedEdge], after limit: Duration) async {
    do throws(WaitError) { try await loop.sleep(for: limit) } catch {}
    for edge in edges where edge.child.end == nil {
      options.say("edge process \(edge.child.number) is ended at the limit")
      edge.child.send(.kill)
    }
  }

  // MARK: Edges

  /// Starts an edge and lets it serve what is in force.
  func startAndOffer() async -> Result<SupervisedEdge, CommandFailure> {
    let edge: SupervisedEdge
    do throws(SystemError) {
      edge = try SupervisedEdge.start(options.edge, memory: memory, on: loop)
    } catch {
      return .failure(CommandFailure(.failure, "cannot start an edge process: \(error)"))
    }
    watch(edge)
    // Only to a new edge: one that serves knows of changes before this process does.
    if changes.state != RuntimeState() { edge.tell(.changes(changes.state)) }
    let place = "edge process \(edge.child.number)"
    while true {
      let offered = inForce
      switch await offer(offered, to: edge) {
      case .ready:
        // A reload may have come meanwhile.
        if offered.number == inForce.number { return .success(edge) }
      case .refused(let reason):
        edge.child.send(.kill)
        return .failure(CommandFailure(.failure, "\(place) does not serve: \(reason)"))
      case .ended(let end):
        return .failure(CommandFailure(.failure, "\(place) \(end) before it served"))
      case .silent:
        edge.child.send(.kill)
        return .failure(CommandFailure(.failure, "\(place) did not become ready in time"))
      }
    }
  }

  /// Offers a generation and waits for the answer.
  func offer(_ offered: InForce, to edge: SupervisedEdge) async -> OfferOutcome {
    guard let answer = Answer<OfferOutcome>(on: loop) else { return .silent }
    if let end = edge.child.end { return .ended(end) }
    edge.offer = (offered.number, answer)
    let sockets = offered.listeners.flatMap { listener in
      listener.files.map { (key: listener.key, file: $0) }
    }
    let message = HandoverMessage.generation(
      GenerationOffer(
        number: offered.number,
        source: offered.assignment.source,
        listeners: sockets.map(\.key),
        logs: offered.logs.map(\.key)
      )
    )
    do throws(HandoverError) {
      try edge.channel.post(message, files: sockets.map(\.file) + offered.logs.map(\.file))
    } catch {
      return .refused("the handover failed (\(error))")
    }
    let deadline = loop.deadline(after: Timeout(options.readyLimit))
    return await answer.wait(by: deadline) ?? .silent
  }

  /// Listens to an edge and waits for its end.
  func watch(_ edge: SupervisedEdge) {
    edges.append(edge)
    let supervisor = self
    edge.changed = { state in supervisor.note(state) }
    loop.spawn { await supervisor.listen(to: edge) }
    loop.spawn { await supervisor.awaitEnd(of: edge) }
    loop.spawn { await supervisor.awaitSilence(of: edge) }
  }

  private func listen(to edge: SupervisedEdge) async {
    do throws(HandoverError) {
      while let delivery = try await edge.channel.receive() { edge.receive(delivery.message) }
    } catch {
      options.say("edge process \(edge.child.number) is not understood (\(error)): it is ended")
      edge.child.send(.kill)
    }
  }

  private func awaitEnd(of edge: SupervisedEdge) async {
    let end: ProcessEnd
    do throws(WaitError) { end = try await edge.child.ended() } catch { return }
    edges.removeAll { $0 === edge }
    edge.settleAll(end)
    finishIfEmpty()
    guard edge === current, !isStopping else { return }
    current = nil
    options.say("edge process \(edge.child.number) \(end): starting another")
    let lived = SystemClock.monotonicNanoseconds() - edge.startedAt
    pace.noteEnd(after: .nanoseconds(lived))
    await restart()
  }

  /// Starts edges until one serves, each after a longer pause.
  ///
  /// The sockets stay open meanwhile: connections wait in their queues.
  func restart() async {
    while !isStopping, current == nil {
      if pace.pause > .zero {
        do throws(WaitError) { try await loop.sleep(for: pace.pause) } catch {}
        if isStopping { return }
      }
      restartCount += 1
      switch await startAndOffer() {
      case .success(let edge):
        // It may have ended while its answer was on the way.
        if edge.child.end == nil {
          current = edge
          runApplications()
          options.say("edge process \(edge.child.number) serves")
          return
        }
        pace.noteFailure()
      case .failure(let failure):
        if isStopping { return }
        options.say(failure.message)
        pace.noteFailure()
      }
    }
  }
}
