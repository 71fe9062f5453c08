import MartletQueues
import MartletSync
import MartletSystem
import Synchronization

/// The thread of a pool of processes: it takes answers, starts processes and ends them.
///
/// Processes are started by this thread alone, for they end when the thread ends that has started them.
final class PoolKeeper {
  /// How often the memory of processes at work is looked at.
  static let lookNanoseconds: Int64 = 50_000_000
  /// After how many processes in a row that end before they are ready work fails.
  private static let startFailureLimit = 5

  private typealias Told = (job: PoolJob, outcome: Result<ArraySlice<UInt8>, any Error>)

  private let core: ProcessPoolCore
  private var buffer = [UInt8](repeating: 0, count: PoolFrame.byteCount + PoolFrame.inlineLimit)
  private var lookedAt: Int64 = 0

  init(_ core: ProcessPoolCore) { self.core = core }

  func run() {
    while true {
      killIfTold()
      startWorkers()
      guard let until = pause() else { break }
      wait(until: until)
      look()
    }
    endWorkers()
    core.ended.set()
  }

  // MARK: Waiting

  /// Sends what can be sent, and says until when to wait; nil: nothing is left to do.
  private func pause() -> Int64? {
    core.state.withLock { state in
      core.fill(&state)
      let isEmpty =
        state.again.isEmpty && state.lanes.allSatisfy { $0.sent.isEmpty && !$0.isStarting }
      if isEmpty, core.queue.isClosed, core.queue.count == 0 { return nil }
      let until = core.nextMoment(state)
      state.sleepsUntil = until
      return until
    }
  }

  private func wait(until moment: Int64) {
    var awaited = [AwaitedDescriptor(core.bell.descriptor.number)]
    let lanes = core.state.withLock {
      $0.lanes.map { (worker: $0.worker, isStuck: $0.isStuck, isBusy: !$0.sent.isEmpty) }
    }
    var places: [Int] = []
    for (place, lane) in lanes.enumerated() {
      guard let worker = lane.worker else { continue }
      places.append(place)
      awaited.append(AwaitedDescriptor(worker.socket.number, awaitsRoom: lane.isStuck))
      awaited.append(AwaitedDescriptor(worker.end.number))
    }
    let rest = moment == .max ? -1 : moment - SystemClock.monotonicNanoseconds()
    // What is stuck is waited for by its room, and a moment that has passed is none to wait for.
    let isStuck = lanes.contains { $0.isStuck }
    let milliseconds = moment == .max || isStuck && moment <= 1 ? -1 : max(0, rest / 1_000_000 + 1)
    do throws(SystemError) {
      let isBusy = lanes.contains { $0.isBusy }
      let isReady = isBusy ? try Self.isSoonReady(&awaited) : false
      if !isReady {
        try AwaitedDescriptor.wait(for: &awaited, milliseconds: Int32(clamping: milliseconds))
      }
    } catch {
      preconditionFailure("the descriptors of a pool cannot be waited for: \(error)")
    }
    core.state.withLock { $0.sleepsUntil = 0 }
    if awaited[0].isReadable { core.bell.take() }
    for (index, place) in places.enumerated() {
      let (socket, end) = (awaited[1 + 2 * index], awaited[2 + 2 * index])
      if socket.isWritable { core.state.withLock { $0.lanes[place].isStuck = false } }
      if socket.isReadable || end.isReadable { receive(from: place) }
      if end.isReadable { bury(place) }
    }
  }

  /// How long to look for what is about to come: to sleep and be woken takes as long.
  static let turnNanoseconds: Int64 = 30_000

  private static func isSoonReady(_ awaited: inout [AwaitedDescriptor]) throws(SystemError) -> Bool
  {
    let until = SystemClock.monotonicNanoseconds() + turnNanoseconds
    repeat {
      if try AwaitedDescriptor.wait(for: &awaited, milliseconds: 0) { return true }
      Processes.yieldProcessor()
    } while SystemClock.monotonicNanoseconds() < until
    return false
  }

  // MARK: Answers

  private func receive(from place: Int) {
    guard let worker = core.state.withLock({ $0.lanes[place].worker }) else { return }
    var resetCount = 0
    while true {
      do throws(SystemError) {
        let message = try worker.socket.descriptor.takeMessage(into: &buffer, waits: false)
        if message.byteCount == 0 { return }
        let file = message.descriptor.map(OpenFile.init(adopting:))
        guard take(message.byteCount, file, from: place) else {
          return condemn(place, .notUnderstood)
        }
      } catch {
        // A process that ended with messages unread has the kernel say so first, once: answers stand behind.
        guard error.code == 104, resetCount == 0 else { return }
        resetCount += 1
      }
    }
  }

  /// Takes one answer.
  ///
  /// - Returns: false when it is not the one that is due.
  private func take(_ count: Int, _ file: OpenFile?, from place: Int) -> Bool {
    guard let frame = PoolFrame(buffer[..<count]) else { return false }
    if frame.kind == .hello {
      core.state.withLock { state in
        state.lanes[place].worker?.isReady = true
        state.startFailureCount = 0
        if !state.lanes[place].sent.isEmpty {
          state.lanes[place].beganAt = SystemClock.monotonicNanoseconds()
        }
        core.fill(&state)
      }
      return true
    }
    let sent: PoolLane.Sent? = core.state.withLock { state in
      guard state.lanes[place].sent.first?.sequence == frame.sequence else { return nil }
      let sent = state.lanes[place].takeFirst(at: SystemClock.monotonicNanoseconds())
      if isSpent(state.lanes[place], frame) { state.lanes[place].worker?.isRetiring = true }
      // The next is on its way before this one is unpacked.
      core.fill(&state)
      return sent
    }
    guard let sent else { return false }
    tell(sent.job, frame, count, file)
    retire(place)
    return true
  }

  private func isSpent(_ lane: PoolLane, _ frame: PoolFrame) -> Bool {
    if let most = core.limits.memoryBytes, frame.peakBytes > UInt64(most) { return true }
    if let most = core.limits.workCount, (lane.worker?.workCount ?? 0) >= most { return true }
    return false
  }

  private func tell(_ job: PoolJob, _ frame: PoolFrame, _ count: Int, _ file: OpenFile?) {
    let content = Result { try PoolMessage.content(of: frame, in: buffer[..<count], file) }
    switch (frame.kind, content) {
    case (.value, _): job.finish(content)
    case (.threw, .success(let bytes)):
      job.finish(.failure(WorkerFailure.threw(String(decoding: bytes, as: UTF8.self))))
    case (.unknown, .success(let bytes)):
      job.finish(.failure(WorkerFailure.unknownTask(String(decoding: bytes, as: UTF8.self))))
    default: job.finish(.failure(WorkerFailure.notUnderstood))
    }
  }

  // MARK: Ends

  /// Ends a process that has done enough, once it has nothing more.
  private func retire(_ place: Int) {
    let number: Int32? = core.state.withLock { state in
      guard let worker = state.lanes[place].worker, worker.isRetiring,
        state.lanes[place].sent.isEmpty
      else { return nil }
      return worker.number
    }
    if let number { kill(number) }
  }

  private func condemn(_ place: Int, _ verdict: WorkerFailure) {
    let number: Int32? = core.state.withLock { state in
      guard let worker = state.lanes[place].worker, worker.verdict == nil else { return nil }
      state.lanes[place].worker?.verdict = verdict
      return worker.number
    }
    if let number { kill(number) }
  }

  /// Kills a process, with those that its work has started.
  private func kill(_ number: Int32) {
    do throws(SystemError) { try Processes.send(.kill, toGroup: number) } catch {
      // It leads its group from before it executes the program; one that has ended needs no end.
    }
  }

  /// Looks at what has a limit.
  private func look() {
    let now = SystemClock.monotonicNanoseconds()
    let lanes = core.state.withLock { $0.lanes }
    let looksAtMemory = core.limits.memoryBytes != nil && now - lookedAt >= Self.lookNanoseconds
    if looksAtMemory { lookedAt = now }
    for (place, lane) in lanes.enumerated() {
      guard let worker = lane.worker, worker.verdict == nil else { continue }
      if let due = lane.deadline(core.limits), due <= now {
        condemn(place, .hung)
      } else if looksAtMemory, let most = core.limits.memoryBytes, !lane.sent.isEmpty,
        let present = Processes.residentBytes(of: worker.number), present > most
      {
        condemn(place, .tooMuchMemory)
      }
    }
  }

  private func killIfTold() {
    let doomed: [PoolJob]? = core.state.withLock { state in
      guard state.isKilling else { return nil }
      defer { state.again = [] }
      return state.again.map(\.job)
    }
    guard let doomed else { return }
    for job in doomed { job.finish(.failure(WorkerFailure.killed)) }
    let count = core.state.withLock { $0.lanes.count }
    for place in 0..<count { condemn(place, .killed) }
  }

  /// Takes leave of a process that has ended: what it had goes to others, or fails.
  private func bury(_ place: Int) {
    guard let worker = core.state.withLock({ $0.lanes[place].worker }) else { return }
    var end = ProcessEnd.code(-1)
    do throws(SystemError) {
      guard let found = try Processes.reap(worker.number) else { return }
      end = found
    } catch {
      // Somebody else has reaped it: how it ended is lost.
    }
    let ended = end
    var told: [Told] = []
    core.state.withLock { state in
      let lane = state.lanes[place]
      state.lanes[place].worker = nil
      state.lanes[place].sent = []
      state.lanes[place].isStuck = false
      state.lanes[place].meanNanoseconds = .max
      if worker.isReady {
        if !worker.isRetiring || !lane.sent.isEmpty { state.crashCount += 1 }
        told = divide(lane.sent, worker.verdict ?? .crashed(ended), &state)
      } else {
        state.crashCount += 1
        state.again = lane.sent.map { ($0.job, $0.attempt) } + state.again
        told = noteStartFailure(place, "a process \(ended) before it was ready", &state)
      }
    }
    for each in told { each.job.finish(each.outcome) }
  }

  /// What a process had: the first is what it was at; the others it had not seen.
  private func divide(
    _ sent: [PoolLane.Sent],
    _ failure: WorkerFailure,
    _ state: inout ProcessPoolCore.State
  ) -> [Told] {
    guard let first = sent.first else { return [] }
    var told: [Told] = []
    var rest = sent.dropFirst().map { (job: $0.job, attempt: $0.attempt) }
    if failure == .killed {
      told = sent.map { ($0.job, .failure(failure)) }
      rest = []
    } else if first.attempt < core.limits.tries {
      rest.insert((first.job, first.attempt + 1), at: 0)
    } else {
      told = [(first.job, .failure(failure))]
    }
    state.again = rest + state.again
    return told
  }

  // MARK: Beginnings

  private func startWorkers() {
    while true {
      let now = SystemClock.monotonicNanoseconds()
      let place: Int? = core.state.withLock { state in
        core.fill(&state)
        guard !state.again.isEmpty || core.queue.count > 0, !state.isKilling else { return nil }
        let free = state.lanes.firstIndex { $0.worker == nil && $0.startsAfter <= now }
        // One that is not ready yet will take what waits, where that is one alone.
        let coming = state.lanes.count { $0.worker.map { !$0.isReady } ?? false }
        guard coming < state.again.count + core.queue.count else { return nil }
        return free
      }
      guard let place else { return }
      start(place)
    }
  }

  private func start(_ place: Int) {
    var told: [Told] = []
    do throws(SystemError) {
      let (own, other) = try OpenFile.messagePair()
      let number = try core.program.spawn(descriptors: [other.number])
      let end: OpenFile
      do throws(SystemError) {
        end = OpenFile(try Processes.watch(number))
      } catch {
        kill(number)
        throw error
      }
      core.state.withLock { state in
        state.lanes[place].worker = PoolLane.Worker(
          number: number,
          socket: own,
          end: end,
          startedAt: SystemClock.monotonicNanoseconds()
        )
      }
    } catch {
      core.state.withLock { state in told = noteStartFailure(place, "\(error)", &state) }
    }
    for each in told { each.job.finish(each.outcome) }
  }

  /// Has the place wait, longer each time; when it goes on like that, what waits fails.
  private func noteStartFailure(
    _ place: Int,
    _ why: String,
    _ state: inout ProcessPoolCore.State
  ) -> [Told] {
    state.startFailureCount += 1
    let pause: Int64 = min(5_000_000_000, 10_000_000 << min(state.startFailureCount, 9))
    state.lanes[place].startsAfter = SystemClock.monotonicNanoseconds() + pause
    guard state.startFailureCount >= Self.startFailureLimit else { return [] }
    state.startFailureCount = 0
    let failure = WorkerFailure.cannotStart(why)
    var told: [Told] = state.again.map { ($0.job, .failure(failure)) }
    state.again = []
    while let job = core.queue.tryTake() {
      if job.begin() { told.append((job, .failure(failure))) }
    }
    return told
  }

  /// Lets all processes end: they do when their socket is closed.
  private func endWorkers() {
    let workers = core.state.withLock { state in
      let workers = state.lanes.compactMap { $0.worker.map { ($0.number, $0.end) } }
      for place in state.lanes.indices { state.lanes[place].worker = nil }
      return workers
    }
    let limit = SystemClock.monotonicNanoseconds() + 5_000_000_000
    for (number, end) in workers {
      var awaited = [AwaitedDescriptor(end.number)]
      do throws(SystemError) {
        while try Processes.reap(number) == nil {
          let rest = (limit - SystemClock.monotonicNanoseconds()) / 1_000_000
          if rest <= 0 { kill(number) }
          try AwaitedDescriptor.wait(for: &awaited, milliseconds: Int32(clamping: max(rest, 100)))
        }
      } catch {
        // Somebody else has reaped it.
      }
    }
  }
}
