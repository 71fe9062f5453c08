import MartletSystem
import Synchronization

/// How much an application is given at once.
public struct ApplicationTerms: Hashable, Sendable {
  /// How many requests a worker answers at once.
  public var threadCount = 1
  /// How many more a worker has before it that is quick, so that it never waits for the edge.
  public var aheadCount = 3
  /// How many requests may wait for a worker.
  public var queueLength = 1024
  /// How long a request may wait, in nanoseconds.
  public var queueTime: Int64 = 30_000_000_000
  /// Whether workers are told of clients that have gone.
  public var tellsOfLeaving = false
  /// Whether a request is sent before all of its body has come.
  public var streamsBodies = false
  /// How long a request may take, in nanoseconds; 0: as long as it likes.
  public var requestTime: Int64 = 0
  /// How many workers there may be.
  public var workerCounts = 1...1
  /// For how long there must have been too many until there is one less, in nanoseconds.
  public var idleTime: Int64 = 60_000_000_000

  /// Creates the terms of an application that is told nothing.
  public init() {}
}

/// An application on all loops: its workers, what they are at, and the requests that wait for one.
///
/// May be used from any thread; nothing in it waits.
public final class Application: Sendable {
  /// What came of a request.
  public enum Submission: Hashable, Sendable {
    /// A worker was chosen, and the request is on its way.
    case given
    /// It waits for one.
    case waits
    /// As many wait as may.
    case isFull
  }

  fileprivate struct Worker {
    let process: ApplicationProcess
    var isReady = false
    var isRetired = false
    /// What it is at, by number, with the moment at which it was sent.
    var requests: [UInt64: Int64] = [:]
    /// Those of them whose bodies come while it is at them.
    var streamed: Set<UInt64> = []
    /// How long a request takes, in nanoseconds, of late.
    var requestTime: Int64 = 0
    var answeredCount = 0
    /// How long a thread waits for the interpreter's lock, in nanoseconds, of late.
    var lockTime: Int64 = 0
  }

  fileprivate struct Waiting {
    let request: WorkerRequest
    let since: Int64
  }

  fileprivate struct State {
    var terms = ApplicationTerms()
    var scaling = WorkerScaling(ApplicationTerms())
    var workers: [Worker] = []
    var startedCount = 0
    var lockLookCount = 0
    var lockTime: Int64 = 0
    var queue: [Waiting] = []
    /// How many at the front of the queue are gone.
    var taken = 0
  }

  private let state = Mutex(State())

  /// Creates an application without workers: requests wait for the first.
  public init() {}

  /// Whether WebSockets are given to it.
  public var takesWebSockets: Bool { state.withLock { $0.terms.tellsOfLeaving } }

  /// Whether it is given requests before all of their body has come.
  public var streamsBodies: Bool { state.withLock { $0.terms.streamsBodies } }

  /// Goes on by other terms.
  public func use(_ terms: ApplicationTerms) {
    state.withLock { state in
      state.terms = terms
      state.scaling.use(terms)
    }
  }

  // MARK: Workers

  /// Adds a worker, which gets nothing before it is ready.
  public func add(_ process: ApplicationProcess) {
    state.withLock { state in
      state.workers.append(Worker(process: process))
      state.startedCount += 1
    }
  }

  /// Notes that a worker has loaded the application.
  public func noteReady(_ number: Int32, at now: Int64, into outbox: inout WorkerOutbox) {
    state.withLock { state in
      for index in state.workers.indices where state.workers[index].process.number == number {
        state.workers[index].isReady = true
      }
    }
    tend(at: now, into: &outbox)
  }

  /// Notes for how long threads of a worker have waited for the interpreter's lock, each time that they were
  /// looked at, all together, in nanoseconds.
  public func noteLock(_ waited: Int64, lookCount: UInt64, of number: Int32) {
    guard (1...Self.lookLimit).contains(lookCount) else { return }
    state.withLock { state in
      state.lockLookCount &+= Int(lookCount)
      state.lockTime &+= waited
      for index in state.workers.indices where state.workers[index].process.number == number {
        state.workers[index].lockTime = waited / Int64(lookCount)
      }
    }
  }

  private static let lookLimit: UInt64 = 1_000_000

  /// Gives a worker nothing more.
  ///
  /// - Returns: Whether it is at nothing any more, so that it was removed.
  @discardableResult
  public func retire(_ number: Int32) -> Bool {
    state.withLock { state in
      for index in state.workers.indices where state.workers[index].process.number == number {
        state.workers[index].isRetired = true
      }
      return state.removeIdleRetired(number)
    }
  }

  /// Gives no worker anything more.
  public func retireAll() {
    for worker in figures.workers { retire(worker.process) }
  }

  /// Looks whether there are as many workers as are wanted now.
  ///
  /// - Returns: How many are wanted; nil: as many as there are.
  public func countWorkers(at now: Int64) -> Int? {
    state.withLock { state in
      guard state.terms.workerCounts.count > 1 else { return nil }
      let ready = state.workers.filter { $0.isReady && !$0.isRetired }
      let sight = WorkerScaling.Sight(
        readyCount: ready.count,
        activeCount: ready.reduce(0) { $0 + $1.requests.count },
        longestWait: state.longestWait(at: now)
      )
      state.scaling.look(sight, at: now)
      let wanted = state.scaling.wantedCount
      return ready.count == wanted ? nil : wanted
    }
  }

  /// Removes a worker that has ended.
  ///
  /// - Returns: The numbers of the requests that it was at.
  public func remove(_ number: Int32) -> [UInt64] {
    state.withLock { state in
      guard let index = state.workers.firstIndex(where: { $0.process.number == number }) else {
        return []
      }
      return Array(state.workers.remove(at: index).requests.keys)
    }
  }

  // MARK: Requests

  /// Gives a request to the worker that has least to do, or lets it wait.
  public func submit(
    _ request: WorkerRequest,
    at now: Int64,
    into outbox: inout WorkerOutbox
  ) -> Submission {
    let process: ApplicationProcess?
    let submission: Submission
    (process, submission) = state.withLock { state in
      if state.isQueueEmpty, let process = state.assign(request, at: now) {
        return (process, .given)
      }
      guard state.waitingCount < state.terms.queueLength else { return (nil, .isFull) }
      state.insert(Waiting(request: request, since: now))
      return (nil, .waits)
    }
    if let process { outbox.add(request, for: process) }
    return submission
  }

  /// Notes that the answer to a request has come whole, or that it never will, and gives the worker the
  /// next one.
  public func complete(
    _ number: UInt64,
    of process: Int32,
    at now: Int64,
    into outbox: inout WorkerOutbox
  ) {
    state.withLock { state in
      guard let index = state.workers.firstIndex(where: { $0.process.number == process }),
        let since = state.workers[index].requests.removeValue(forKey: number)
      else { return }
      let taken = state.workers[index].requestTime
      state.workers[index].answeredCount += 1
      // How long one takes whose body comes meanwhile is its client's doing.
      if state.workers[index].streamed.remove(number) == nil {
        state.workers[index].requestTime = taken + (now - since - taken) / 8
      }
      _ = state.removeIdleRetired(process)
    }
    giveNext(at: now, into: &outbox)
  }

  /// Takes a request out of the queue; a worker that has it already is told that nobody waits for the
  /// answer, if it wants to be told.
  ///
  /// - Returns: Whether it was in the queue.
  @discardableResult
  public func withdraw(_ number: UInt64) -> Bool {
    let (wasThere, process) = state.withLock { state in
      let wasThere = state.removeWaiting(number)
      let teller = !wasThere && state.terms.tellsOfLeaving
      return (wasThere, teller ? state.workers.first { $0.requests[number] != nil }?.process : nil)
    }
    guard let process else { return wasThere }
    var bytes: [UInt8] = [2, 0, 0, 0, 0, 0, 0, 0]
    bytes.append(little: number)
    bytes.append(little: 0)
    do throws(SystemError) {
      _ = try process.requests.descriptor.send(bytes.span, descriptors: [])
    } catch {
      // It hears of it when it sends what nobody takes.
    }
    return wasThere
  }

  /// Takes those requests of a loop out of the queue that have waited for too long.
  public func takeExpired(of loop: UInt8, at now: Int64) -> [UInt64] {
    state.withLock { state in
      guard !state.isQueueEmpty else { return [] }
      let limit = now - state.terms.queueTime
      var expired: [UInt64] = []
      state.queue.removeFirst(state.taken)
      state.taken = 0
      state.queue.removeAll { waiting in
        guard waiting.since < limit, waiting.request.loop == loop else { return false }
        expired.append(waiting.request.number)
        return true
      }
      return expired
    }
  }

  /// The requests that have taken too long, with the workers that are at them.
  public func overdue(at now: Int64) -> [(process: Int32, request: UInt64)] {
    state.withLock { state in
      guard state.terms.requestTime > 0 else { return [] }
      let limit = now - state.terms.requestTime
      return state.workers.flatMap { worker in
        worker.requests.filter { $0.value < limit }.map { (worker.process.number, $0.key) }
      }
    }
  }

  /// Gives away what waits, as far as workers can take it.
  public func tend(at now: Int64, into outbox: inout WorkerOutbox) {
    while giveNext(at: now, into: &outbox) {}
  }

  /// Gives away the request that is most important, and of those the one that has waited longest, if a
  /// worker can take it.
  @discardableResult
  private func giveNext(at now: Int64, into outbox: inout WorkerOutbox) -> Bool {
    let next: (request: WorkerRequest, process: ApplicationProcess)? = state.withLock { state in
      guard let first = state.first else { return nil }
      guard let process = state.assign(first.request, at: now) else { return nil }
      state.dropFirst()
      return (first.request, process)
    }
    guard let next else { return false }
    outbox.add(next.request, for: next.process)
    return true
  }

  /// Puts requests in line again that a worker has not taken, before all others.
  func takeBack(
    _ requests: ArraySlice<WorkerRequest>,
    from process: ApplicationProcess,
    hasEnded: Bool
  ) {
    state.withLock { state in
      let index = state.workers.firstIndex { $0.process === process }
      // It has closed its end: whoever hears of its end removes it.
      if let index, hasEnded { state.workers[index].isRetired = true }
      for request in requests.reversed() {
        // One that was ended meanwhile is nobody's any more.
        guard let index,
          let since = state.workers[index].requests.removeValue(forKey: request.number)
        else { continue }
        state.workers[index].streamed.remove(request.number)
        state.queue.insert(Waiting(request: request, since: since), at: state.taken)
      }
    }
  }

  // MARK: Seeing

  /// How an application is.
  public struct Figures: Hashable, Sendable {
    /// How many workers take requests.
    public var readyCount = 0
    /// How many workers there are.
    public var workerCount = 0
    /// How many there are to be.
    public var wantedCount = 0
    /// How many requests they are at.
    public var activeCount = 0
    /// How many requests wait.
    public var waitingCount = 0
    /// How many workers there have been.
    public var startedCount = 0
    /// How often it was looked how long threads wait for the interpreter's lock.
    public var lockLookCount = 0
    /// How long they waited, all together, in nanoseconds.
    public var lockTime: Int64 = 0
    /// The workers there are.
    public var workers: [WorkerFigures] = []
  }

  /// How a worker is.
  public struct WorkerFigures: Hashable, Sendable {
    /// The process' number.
    public var process: Int32
    /// Whether it takes requests.
    public var isReady: Bool
    /// How many requests it is at.
    public var activeCount: Int
    /// How many it has answered.
    public var answeredCount: Int
    /// How long one takes of late, in nanoseconds.
    public var requestTime: Int64
    /// How long one of its threads waits for the interpreter's lock of late, in nanoseconds.
    public var lockTime: Int64
  }

  /// How it is now.
  public var figures: Figures {
    state.withLock { state in
      var figures = Figures()
      figures.workerCount = state.workers.count
      figures.wantedCount = state.scaling.wantedCount
      figures.readyCount = state.workers.count { $0.isReady && !$0.isRetired }
      figures.activeCount = state.workers.reduce(0) { $0 + $1.requests.count }
      figures.waitingCount = state.waitingCount
      figures.startedCount = state.startedCount
      figures.lockLookCount = state.lockLookCount
      figures.lockTime = state.lockTime
      figures.workers = state.workers.map { worker in
        WorkerFigures(
          process: worker.process.number,
          isReady: worker.isReady && !worker.isRetired,
          activeCount: worker.requests.count,
          answeredCount: worker.answeredCount,
          requestTime: worker.requestTime,
          lockTime: worker.lockTime
        )
      }
      return figures
    }
  }
}

extension Application.State {
  var waitingCount: Int { queue.count - taken }
  var isQueueEmpty: Bool { queue.count == taken }
  var first: Application.Waiting? { isQueueEmpty ? nil : queue[taken] }

  /// How long the request has waited that has waited longest, in line or behind others in a worker.
  func longestWait(at now: Int64) -> Int64 {
    var first = queue[taken...].lazy.map(\.since).min() ?? now
    for worker in workers where worker.requests.count > terms.threadCount {
      first = min(first, worker.requests.values.sorted()[terms.threadCount])
    }
    return now - first
  }

  /// Puts a request behind those that are as important, and before those that are less.
  ///
  /// - Complexity: O(*n*) in the less important ones that wait.
  mutating func insert(_ waiting: Application.Waiting) {
    var place = queue.count
    while place > taken, queue[place - 1].request.priority < waiting.request.priority { place -= 1 }
    queue.insert(waiting, at: place)
  }

  mutating func removeWaiting(_ number: UInt64) -> Bool {
    guard let index = queue[taken...].firstIndex(where: { $0.request.number == number }) else {
      return false
    }
    queue.remove(at: index)
    return true
  }

  mutating func dropFirst() {
    taken += 1
    if taken == queue.count {
      queue.removeAll(keepingCapacity: true)
      taken = 0
    } else if taken > 256 {
      queue.removeFirst(taken)
      taken = 0
    }
  }

  /// Chooses the worker with least to do, among those that can take one more.
  mutating func assign(_ request: WorkerRequest, at now: Int64) -> ApplicationProcess? {
    var best: Int?
    for index in workers.indices {
      let worker = workers[index]
      guard worker.isReady, !worker.isRetired, worker.requests.count < capacity(of: worker) else {
        continue
      }
      if let chosen = best, workers[chosen].requests.count <= worker.requests.count { continue }
      best = index
    }
    guard let best else { return nil }
    workers[best].requests[request.number] = now
    if request.isStreamed { workers[best].streamed.insert(request.number) }
    return workers[best].process
  }

  /// How many requests a worker may have.
  ///
  /// One that is quick gets requests ahead; behind a slow one, or one that waits for a client, they would wait,
  /// while another worker becomes free. Where requests are known to take next to nothing, less than it costs to
  /// wake a process, it has as many for each thread: those behind a slow one are another thread's.
  private func capacity(of worker: Application.Worker) -> Int {
    guard worker.requestTime < Self.quickNanoseconds, worker.streamed.isEmpty else {
      return terms.threadCount
    }
    let isInstant =
      worker.requestTime < Self.instantNanoseconds && worker.answeredCount >= Self.sampleCount
    let forThreads = isInstant ? terms.aheadCount * terms.threadCount : 0
    return terms.threadCount + max(terms.aheadCount, min(forThreads, Self.instantAheadLimit))
  }

  private static let quickNanoseconds: Int64 = 5_000_000
  private static let instantNanoseconds: Int64 = 1_000_000
  private static let instantAheadLimit = 12
  private static let sampleCount = 16

  mutating func removeIdleRetired(_ number: Int32) -> Bool {
    guard
      let index = workers.firstIndex(where: {
        $0.process.number == number && $0.isRetired && $0.requests.isEmpty
      })
    else { return false }
    workers.remove(at: index)
    return true
  }
}
