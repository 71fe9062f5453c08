import MartletQueues
import MartletSync
import MartletSystem
import Synchronization

/// What a pool of processes and its thread share; the pool itself is not the thread's, so that it can go.
///
/// Who submits work sends it to a process that has room; the thread takes the answers, starts processes and ends
/// them. That is one hop less than if the thread did both.
final class ProcessPoolCore: Sendable {
  struct State {
    var lanes: [PoolLane]
    /// Work that goes before what is in the queue: it was begun.
    var again: [(job: PoolJob, attempt: Int)] = []
    var sequence: UInt64 = 0
    var crashCount = 0
    /// How many processes in a row have ended before they were ready.
    var startFailureCount = 0
    var hasThread = false
    var isKilling = false
    /// Until when the thread sleeps; 0: it does not.
    var sleepsUntil: Int64 = 0
  }

  let queue: Queue<PoolJob>
  let limits: ProcessPool.Limits
  let program: Program
  let bell: EventCounter
  let ended = Event()
  let state: Mutex<State>

  init(
    _ processLimit: Int,
    _ queueLimit: Int,
    _ limits: ProcessPool.Limits,
    _ program: Program,
    bell: EventCounter
  ) {
    queue = Queue(capacity: queueLimit)
    self.limits = limits
    var program = program
    program.set(WorkerProcess.variable, to: String(Processes.own))
    // A terminal's Ctrl-C is for the program, which decides what becomes of its workers.
    program.hasOwnGroup = true
    program.endsWithParent = true
    if let bytes = limits.memoryBytes {
      // What is asked for between two looks.
      program.limits.append(ResourceLimit(.memoryBytes, UInt64(bytes) + 256 << 20))
    }
    self.program = program
    self.bell = bell
    state = Mutex(State(lanes: Array(repeating: PoolLane(), count: processLimit)))
  }

  var counts: (processes: Int, waiting: Int, crashes: Int) {
    state.withLock { state in
      let running = state.lanes.count { $0.worker != nil }
      return (running, queue.count + state.again.count, state.crashCount)
    }
  }

  var processes: [Int32] { state.withLock { $0.lanes.compactMap { $0.worker?.number } } }

  // MARK: From any thread

  /// Starts the thread, once.
  func start() throws(PoolFailure) {
    let failure: SystemError? = state.withLock { state in
      guard !state.hasThread, !queue.isClosed else { return nil }
      do throws(SystemError) {
        try Thread.start { PoolKeeper(self).run() }
        state.hasThread = true
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw .noThread(failure) }
  }

  func close(_ kind: ProcessPool.Shutdown) {
    queue.close()
    if kind != .draining {
      while let job = queue.tryTake() { job.cancel() }
    }
    let hasThread = state.withLock { state in
      if kind == .killing { state.isKilling = true }
      return state.hasThread
    }
    if hasThread { bell.add() } else { ended.set() }
  }

  /// Sends what waits to processes with room, and wakes the thread if there is something for it.
  func serve() {
    let needsThread = state.withLock { state in
      fill(&state)
      guard state.sleepsUntil > 0 else { return false }
      let due = nextMoment(state)
      guard due < state.sleepsUntil else { return false }
      // One ring is enough.
      state.sleepsUntil = 0
      return true
    }
    if needsThread { bell.add() }
  }

  // MARK: Under the lock

  /// Sends what waits while there is room for it.
  func fill(_ state: inout State) {
    while let place = openLane(state), let next = nextJob(&state) {
      send(next, to: place, &state)
    }
  }

  private func openLane(_ state: State) -> Int? {
    var best: Int?
    for (place, lane) in state.lanes.enumerated() where lane.isOpen {
      if lane.sent.isEmpty { return place }
      if best.map({ state.lanes[$0].sent.count > lane.sent.count }) ?? true { best = place }
    }
    return best
  }

  private func nextJob(_ state: inout State) -> (job: PoolJob, attempt: Int)? {
    if !state.again.isEmpty { return state.again.removeFirst() }
    while let job = queue.tryTake() {
      // What was cancelled is passed over.
      if job.begin() { return (job, 1) }
    }
    return nil
  }

  private func send(_ next: (job: PoolJob, attempt: Int), to place: Int, _ state: inout State) {
    guard let worker = state.lanes[place].worker else { return }
    var frame = next.job.frame
    state.sequence += 1
    frame.sequence = state.sequence
    frame.attempt = UInt32(next.attempt)
    var message = next.job.message
    frame.write(to: &message)
    do throws(SystemError) {
      try worker.socket.descriptor.sendMessage(message, descriptor: next.job.file?.number)
      if state.lanes[place].sent.isEmpty {
        state.lanes[place].beganAt = SystemClock.monotonicNanoseconds()
      }
      state.lanes[place].sent.append(
        PoolLane.Sent(job: next.job, attempt: next.attempt, sequence: frame.sequence)
      )
    } catch {
      // Without room the thread waits for some; a process that is gone is replaced by it.
      state.again.insert(next, at: 0)
      state.lanes[place].isStuck = true
    }
  }

  /// When the thread must look, at the latest; .max: when something happens.
  func nextMoment(_ state: State) -> Int64 {
    let waits = !state.again.isEmpty || queue.count > 0
    var moment = Int64.max
    for lane in state.lanes {
      if let due = lane.deadline(limits) { moment = min(moment, due) }
      if lane.isStuck { moment = min(moment, 1) }
      if waits, lane.worker == nil, !lane.isStarting { moment = min(moment, lane.startsAfter) }
      if limits.memoryBytes != nil, !lane.sent.isEmpty {
        moment = min(moment, SystemClock.monotonicNanoseconds() + PoolKeeper.lookNanoseconds)
      }
    }
    return moment
  }
}
