import Handover
import MartletLoop
import MartletProcess
import MartletSystem

/// The process that has loaded an application, and that is copied for each of those that run it.
///
/// The copies are children of this process, as the one between has ended: see ``Supervisor/adoptOrphans()``.
/// So they go on when the one that was copied ends, which is started again.
final class ApplicationTemplate {
  /// A process that loads the application, or has.
  private final class Source {
    let child: ChildProcess
    let status: OpenFile
    /// Where copies are asked for; nil: none is any more.
    var orders: OpenFile?
    /// When it had loaded the application; nil: it has not.
    var readyAt: Int64?
    /// The copies that were asked for, in order.
    var copies: [(sockets: WorkerSockets, predecessor: ApplicationWorker?)] = []

    init(_ child: ChildProcess, status: OpenFile, orders: OpenFile) {
      self.child = child
      self.status = status
      self.orders = orders
    }
  }

  private unowned let pool: ApplicationPool
  /// The one that is copied.
  private var present: Source?
  /// The one that loads the application, to take its place.
  private var next: Source?
  /// What is to be started as soon as there is one to copy.
  private var waiting: [ApplicationWorker?] = []
  private var pace = RestartPace(settled: ApplicationPool.settledTime, first: .milliseconds(100))
  private var isFailureTold = false
  /// Whether all processes are to be copies of the next one.
  private var isRenewing = false
  private var isStarting = false

  init(of pool: ApplicationPool) { self.pool = pool }

  private var loop: EventLoop { pool.loop }

  /// The numbers of its processes.
  var processNumbers: [Int32] { [present, next].compactMap { $0?.child.number } }

  /// Loads the application anew; when that was done before, all processes are replaced then.
  func load() {
    if present != nil || next != nil { isRenewing = true }
    // The one that loads it now may have read some files before they were changed.
    if let next { end(next) }
    next = nil
    start()
  }

  /// Starts nothing any more.
  func close() {
    waiting = []
    for source in [present, next] { if let source { end(source) } }
  }

  /// Starts a process for the pool.
  func copy(replacing predecessor: ApplicationWorker?) {
    waiting.append(predecessor)
    copyWaiting()
  }

  private func copyWaiting() {
    guard let present, let orders = present.orders else { return }
    while !waiting.isEmpty {
      let predecessor = waiting.removeFirst()
      do throws(SystemError) {
        let sockets = try WorkerSockets(loopCount: pool.demand.loopCount)
        let numbers = sockets.worker.map(\.number)
        _ = try orders.descriptor.send(Self.order.span, descriptors: numbers)
        present.copies.append((sockets, predecessor))
      } catch {
        guard error.code == Self.brokenPipe else {
          pool.startAgain(replacing: predecessor, since: error)
          continue
        }
        // It has ended, and another is about to be started.
        present.orders = nil
        return waiting.insert(predecessor, at: 0)
      }
    }
  }

  private static let order = Array("copy".utf8)
  private static let brokenPipe: Int32 = 32
  private static let noChild: Int32 = 10

  // MARK: Its processes

  private func start() {
    guard pool.isServing, next == nil else { return }
    do throws(SystemError) {
      let (status, itsStatus) = try OpenFile.socketPair()
      let (output, itsOutput) = try OpenFile.pipe()
      let (orders, itsOrders) = try OpenFile.messagePair()
      try orders.descriptor.setNonblocking()
      let child = try ChildProcess.start(
        pool.demand.program,
        descriptors: [itsStatus, itsOutput, itsOrders, pool.script].map(\.number),
        on: loop
      )
      let source = Source(child, status: status, orders: orders)
      next = source
      pool.hand([output], of: child)
      let (template, pool) = (self, pool)
      loop.spawn { await pool.listen(to: status) { template.take($0, from: source) } }
      loop.spawn { await template.awaitEnd(of: source) }
    } catch {
      pool.say("a process cannot be started: \(error)")
      start(after: pace.noteFailure())
    }
  }

  private func start(after pause: Duration) {
    guard !isStarting else { return }
    isStarting = true
    let (template, pool) = (self, pool)
    loop.spawn {
      do throws(WaitError) { try await pool.loop.sleep(for: pause) } catch {}
      template.isStarting = false
      template.start()
    }
  }

  private func take(_ line: String, from source: Source) {
    let words = line.split(separator: " ")
    switch words.first {
    case "ready" where source === next:
      source.readyAt = SystemClock.monotonicNanoseconds()
      isFailureTold = false
      if let present { end(present) }
      (present, next) = (source, nil)
      if isRenewing {
        isRenewing = false
        pool.replaceAll()
      }
      copyWaiting()
    case "copied":
      guard !source.copies.isEmpty else { return }
      let (sockets, predecessor) = source.copies.removeFirst()
      guard source === present else {
        // It has the application as it was: without its sockets it ends.
        return copy(replacing: predecessor)
      }
      adopt(words.count > 1 ? Int32(words[1]) ?? 0 : 0, sockets, predecessor)
    default: break
    }
  }

  /// Takes a copy for one of the pool's processes.
  private func adopt(
    _ number: Int32,
    _ sockets: WorkerSockets,
    _ predecessor: ApplicationWorker?
  ) {
    guard pool.isServing else { return }
    do throws(SystemError) {
      // The application may say what it likes, and what is taken here may be ended here.
      guard pool.mayAdopt(number) else { throw SystemError(.waitpid, Self.noChild) }
      pool.add(try ChildProcess(adopting: number, on: loop), sockets, replacing: predecessor)
    } catch {
      pool.startAgain(replacing: predecessor, since: error)
    }
  }

  /// Lets a process end that is not to be copied any more.
  private func end(_ source: Source) {
    source.orders = nil
    // It has nothing to lose, and it may be in the middle of loading.
    if source.readyAt == nil { source.child.send(.kill) }
  }

  private func awaitEnd(of source: Source) async {
    // The pool is kept until its last process was reaped.
    let pool = pool
    let end: ProcessEnd
    do throws(WaitError) { end = try await source.child.ended() } catch { return }
    pool.edge.tellIfRunning(
      .workerEnded(application: pool.demand.name, process: source.child.number)
    )
    let wasReplaced = source !== present && source !== next
    if source === present { present = nil }
    if source === next { next = nil }
    guard pool.isServing else { return }
    waiting = source.copies.map(\.predecessor) + waiting
    copyWaiting()
    guard !wasReplaced else { return }
    if let readyAt = source.readyAt {
      pool.say("process \(source.child.number), which is copied, \(end): starting another")
      pace.noteEnd(after: .nanoseconds(SystemClock.monotonicNanoseconds() - readyAt))
      return start(after: pace.pause)
    }
    if !isFailureTold {
      pool.say(
        "process \(source.child.number) \(end) before it had loaded the application: what it "
          + "printed says why; it is tried again"
      )
    }
    isFailureTold = true
    start(after: pace.noteFailure())
  }
}
