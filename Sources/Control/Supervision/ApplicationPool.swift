import Handover
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

/// A process that runs an application.
final class ApplicationWorker {
  let child: ChildProcess
  let status: OpenFile
  /// When it had loaded the application; nil: it has not.
  var readyAt: Int64?
  /// Whether it is to end, and not to be replaced.
  var isRetired = false
  /// The one whose place it takes once it is ready.
  var predecessor: ApplicationWorker?
  /// Whether it takes too long, and is about to be ended.
  var isHung = false
  /// Whether one is started to take its place.
  var hasSuccessor = false

  init(_ child: ChildProcess, status: OpenFile) {
    self.child = child
    self.status = status
  }
}

/// The sockets of a process that runs an application: the ends that stay here, that the edge gets, and that the
/// process gets.
struct WorkerSockets {
  let status: OpenFile
  let edge: [OpenFile]
  let worker: [OpenFile]

  /// - Throws: ``SystemError`` when there is no descriptor left.
  init(loopCount: Int) throws(SystemError) {
    let (status, itsStatus) = try OpenFile.socketPair()
    let (output, itsOutput) = try OpenFile.pipe()
    var (own, its) = ([OpenFile](), [OpenFile]())
    for _ in 0...loopCount {
      let (first, second) = try OpenFile.messagePair()
      own.append(first)
      its.append(second)
    }
    self.status = status
    edge = [own[0], output] + own[1...]
    worker = [itsStatus, itsOutput] + its
  }
}

/// The processes that run one application for one edge.
///
/// One that ends is replaced: at once, unless they keep ending as soon as they are ready, or before. One that
/// says that it has done enough goes on until another one is ready.
final class ApplicationPool {
  let demand: ApplicationDemand
  /// The edge that gives them requests: they end with it.
  let edge: SupervisedEdge
  private unowned let supervisor: Supervisor
  let script: OpenFile
  private(set) var workers: [ApplicationWorker] = []
  /// The processes that serve what this pool is to serve, until one of its own is ready.
  var earlier: ApplicationPool?
  private(set) var isClosed = false
  /// How many processes there are to be.
  private(set) var targetCount: Int
  /// How soon another process is started: each may end once as soon as it is ready.
  private var pace: RestartPace
  /// What the processes are copies of; nil: each loads the application itself.
  private var template: ApplicationTemplate?
  /// Whether it was said that the application cannot be loaded.
  private var isFailureTold = false

  /// - Throws: ``SystemError`` when there is no memory for the program.
  init(
    _ demand: ApplicationDemand,
    for edge: SupervisedEdge,
    of supervisor: Supervisor,
    continuing earlier: ApplicationPool? = nil
  ) throws(SystemError) {
    self.demand = demand
    self.edge = edge
    self.supervisor = supervisor
    self.earlier = earlier
    // As many as there were.
    targetCount = min(
      max(earlier?.targetCount ?? 0, demand.processCounts.lowerBound),
      demand.processCounts.upperBound
    )
    pace = RestartPace(
      settled: Self.settledTime,
      most: Self.longestPause,
      freeCount: demand.processCounts.upperBound
    )
    script = OpenFile(
      try Descriptor.sealedMemoryFile("martlet-worker", byteCount: demand.script.count)
    )
    var offset = 0
    while offset < demand.script.count {
      offset += try script.descriptor.write(
        Array(demand.script[offset...]),
        at: offset
      )
    }
  }

  var loop: EventLoop { supervisor.loop }
  func say(_ text: String) { supervisor.options.say("application \(demand.name): \(text)") }

  /// The numbers of all its processes.
  var processNumbers: [Int32] {
    workers.map(\.child.number) + (template?.processNumbers ?? [])
  }

  /// Whether the edge still gives its processes requests.
  var isServing: Bool { !isClosed && edge.child.end == nil }

  /// Starts all processes.
  func start() {
    if demand.preloads {
      supervisor.adoptOrphans()
      let template = ApplicationTemplate(of: self)
      self.template = template
      template.load()
    }
    for _ in 0..<targetCount { start(replacing: nil) }
  }

  /// Has so many processes from now on, as far as it may.
  func resize(to count: Int) {
    guard isServing else { return }
    let count = min(max(count, demand.processCounts.lowerBound), demand.processCounts.upperBound)
    while targetCount < count {
      targetCount += 1
      start(replacing: nil)
    }
    while targetCount > count {
      // One that is not ready is worth more than its place: others may be about to end.
      let spare = workers.last { $0.readyAt != nil && !$0.isRetired && !$0.hasSuccessor }
      let readyCount = workers.count { $0.readyAt != nil && !$0.isRetired }
      guard let spare, readyCount > count else { return }
      targetCount -= 1
      retire(spare)
    }
  }

  /// Starts no process any more; those that there are end when the edge closes their sockets, or at the
  /// limit.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    template?.close()
    let limit = supervisor.inForce.assignment.drainLimit
    for worker in workers where !worker.isRetired {
      let pool = self
      loop.spawn { await pool.kill(worker, after: limit) }
    }
  }

  /// Ends all processes when they have answered what they have.
  func retire() {
    isClosed = true
    template?.close()
    for worker in workers where !worker.isRetired { retire(worker) }
  }

  /// Starts another process for each, with the application as it is now, and ends those that there are.
  private func renew() {
    if let template { return template.load() }
    replaceAll()
  }

  /// Starts another process for each, and ends those that there are.
  func replaceAll() {
    for worker in workers where !worker.isRetired && !worker.hasSuccessor {
      start(replacing: worker)
    }
  }

  private func start(replacing predecessor: ApplicationWorker?) {
    guard isServing else { return }
    predecessor?.hasSuccessor = true
    if let template { return template.copy(replacing: predecessor) }
    do throws(SystemError) {
      let sockets = try WorkerSockets(loopCount: demand.loopCount)
      var files = sockets.worker
      files.insert(script, at: 3)
      let child = try ChildProcess.start(
        demand.program,
        descriptors: files.map(\.number),
        on: loop
      )
      add(child, sockets, replacing: predecessor)
    } catch {
      startAgain(replacing: predecessor, since: error)
    }
  }

  /// Takes a process that was started, and hands the other ends of its sockets to the edge.
  func add(
    _ child: ChildProcess,
    _ sockets: WorkerSockets,
    replacing predecessor: ApplicationWorker?
  ) {
    let worker = ApplicationWorker(child, status: sockets.status)
    worker.predecessor = predecessor
    workers.append(worker)
    hand(sockets.edge, of: child)
    let pool = self
    loop.spawn { await pool.listen(to: worker.status) { pool.take($0, from: worker) } }
    loop.spawn { await pool.awaitEnd(of: worker) }
  }

  /// Hands files of a process to the edge.
  func hand(_ files: [OpenFile], of child: ChildProcess) {
    do throws(HandoverError) {
      try edge.channel.post(
        .worker(application: demand.name, process: child.number, socketCount: files.count),
        files: files
      )
    } catch {
      // The edge is about to end, and its workers with it.
    }
  }

  /// Whether a process may be taken for one of its own: a child of this one that nobody else knows.
  func mayAdopt(_ number: Int32) -> Bool { supervisor.isOrphan(number) }

  /// Starts another process later, since one could not be started.
  func startAgain(replacing predecessor: ApplicationWorker?, since error: SystemError) {
    say("a process cannot be started: \(error)")
    start(replacing: predecessor, after: pace.noteFailure())
  }

  private func start(replacing predecessor: ApplicationWorker?, after pause: Duration) {
    guard pause > .zero else { return start(replacing: predecessor) }
    let pool = self
    loop.spawn {
      do throws(WaitError) { try await pool.loop.sleep(for: pause) } catch {}
      pool.start(replacing: predecessor)
    }
  }

  // MARK: What a process says

  /// Takes what a process says, line by line, until it has ended.
  func listen(to status: OpenFile, _ take: (String) -> Void) async {
    do throws(SystemError) {
      try await loop.lines(of: status, byteLimit: 4096, take)
    } catch {
      say("a process cannot be listened to: \(error)")
    }
  }

  private func take(_ line: String, from worker: ApplicationWorker) {
    let word = line.prefix { $0 != " " }
    switch word {
    case "ready":
      worker.readyAt = SystemClock.monotonicNanoseconds()
      isFailureTold = false
      earlier?.retire()
      earlier = nil
      if let predecessor = worker.predecessor {
        worker.predecessor = nil
        retire(predecessor)
      }
    case "enough":
      guard !worker.isRetired, !worker.hasSuccessor else { return }
      noteMemory(line, of: worker)
      start(replacing: worker)
    case "changed": renew()
    default: break
    }
  }

  /// Tells of a process that has more memory than it may; `line` ends with how many bytes that are.
  private func noteMemory(_ line: String, of worker: ApplicationWorker) {
    let words = line.split(separator: " ")
    guard words.count == 3, words[1] == "memory", let bytes = Int(words[2]) else { return }
    say(
      "process \(worker.child.number) has \(bytes >> 20) MB, more than `max_memory`: another takes its place. Look "
        + "what the application keeps between requests, or write a larger `max_memory`"
    )
  }

  /// Lets a process answer what it has, and end.
  private func retire(_ worker: ApplicationWorker) {
    guard !worker.isRetired else { return }
    worker.isRetired = true
    edge.tell(.retireWorker(application: demand.name, process: worker.child.number))
    let pool = self
    let limit = supervisor.inForce.assignment.drainLimit
    loop.spawn { await pool.kill(worker, after: limit) }
  }

  private func kill(_ worker: ApplicationWorker, after limit: Duration) async {
    do throws(WaitError) { try await loop.sleep(for: limit) } catch {}
    guard worker.child.end == nil else { return }
    say("process \(worker.child.number) is ended at the limit")
    worker.child.send(.kill)
  }

  /// Ends a process that takes too long for a request, when it has said what it is at.
  func endHung(_ process: Int32) {
    guard let worker = workers.first(where: { $0.child.number == process }), !worker.isHung else {
      return
    }
    worker.isHung = true
    say("process \(process) takes too long for a request: it is ended")
    worker.child.send(.user1)
    let pool = self
    loop.spawn { await pool.killHung(worker) }
  }

  private func killHung(_ worker: ApplicationWorker) async {
    // Its stacks are written by then; nobody can be asked whether they are.
    do throws(WaitError) { try await loop.sleep(for: .milliseconds(500)) } catch {}
    worker.child.send(.kill)
  }

  private func awaitEnd(of worker: ApplicationWorker) async {
    let end: ProcessEnd
    do throws(WaitError) { end = try await worker.child.ended() } catch { return }
    workers.removeAll { $0 === worker }
    supervisor.noteWorkerEnd()
    edge.tellIfRunning(
      .workerEnded(application: demand.name, process: worker.child.number)
    )
    guard !isClosed, !worker.isRetired, edge.child.end == nil else { return }
    let pause = notePace(of: worker)
    if worker.readyAt != nil {
      let delay = pause > .zero ? " in \(pause / .seconds(1)) s" : ""
      say("process \(worker.child.number) \(end): starting another\(delay)")
    } else if !isFailureTold {
      isFailureTold = true
      say(
        "process \(worker.child.number) \(end) before it was ready: what it printed says why; "
          + "it is tried again"
      )
    }
    // Whoever takes its place is on its way.
    if worker.hasSuccessor { return }
    start(replacing: worker.predecessor, after: pause)
  }

  /// Notes that a process has ended, and tells how long to wait before another is started.
  private func notePace(of worker: ApplicationWorker) -> Duration {
    guard let readyAt = worker.readyAt else { return pace.noteFailure() }
    pace.noteEnd(after: .nanoseconds(SystemClock.monotonicNanoseconds() - readyAt))
    // What was ready may have answered something: clients wait for the next.
    return min(pace.pause, Self.longestPauseWhenReady)
  }

  /// What was ready for so long has not ended at once: less than the second between the ends of processes
  /// that somebody keeps killing.
  static let settledTime = Duration.milliseconds(500)
  private static let longestPause = Duration.seconds(10)
  private static let longestPauseWhenReady = Duration.seconds(1)
}
