import CLinux
public import MartletSystem
import Synchronization

// @unchecked: everything but `foreign`, `hasForeign`, `sleeping`, `threadID` and the constants is touched by
// the loop's thread alone; `enqueue` tells the two ways apart.

/// One thread that waits for events and runs the coroutines of one worker.
///
/// A loop is the serial executor of an actor; see ``MartletLoop`` for how the two go together. Only
/// the members that say so may be used from other threads.
@safe
public final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
  /// A tick is 2²⁴ nanoseconds, about 17 ms.
  static let tickShift: Int64 = 24
  private static let eventCount = 512
  private static let keptBuffers = 256
  /// How often jobs that make more jobs ready are run before the loop looks at events again.
  private static let roundsPerTurn = 16

  /// How coroutines wait here.
  public let mode: WaitMode
  /// The calls to the kernel.
  public let kernel: Kernel
  // Safe: `kernel` keeps it for as long as there is a loop. Not counted, for calls are many.
  @usableFromInline let uncountedKernel: Unmanaged<Kernel>
  /// Who is told when a descriptor that rests wakes; see ``rest(_:until:)``.
  ///
  /// It is held: a keeper that holds its loop is let go by setting this to nil.
  public var keeper: (any RestingKeeper)?
  /// Whether events of this turn follow the one that is delivered now.
  public private(set) var hasMoreEvents = false
  /// Whether the keeper is told when all events of this turn are delivered.
  public var tellsKeeper = false
  /// Descriptors with this number and above cannot be watched.
  public let descriptorLimit: Int
  /// Nanoseconds of the monotonic clock when this turn began.
  public private(set) var now: Int64

  @usableFromInline let slots: SlotTable
  @usableFromInline var wheel: TimerWheel
  var parkingSlot = 0
  let parker = Parker()
  /// The actor of the loop itself, for coroutines that belong to no other.
  let home: LoopHome
  /// How the loop learns which descriptors are ready.
  public let polling: PollingModel
  let poller: any Poller
  /// Descriptors of the kernel from this number on are refused.
  let watchLimit: Int
  /// Whether an event comes again for as long as it holds, so that what nobody waits for is muted.
  private let isLevelTriggered: Bool
  private let wakeDescriptor: Int32
  /// What the poller tells of that descriptor with: it has no slots, and no other has its number.
  private let wakeData: UInt64
  private let events: UnsafeMutableBufferPointer<martlet_event>
  private var ready: [UnownedJob] = []
  private var running: [UnownedJob] = []
  private var expired: [Int] = []
  /// What is to wake in the next turn; see ``restBriefly(_:for:)``.
  var brief: [WakeToken] = []
  private var freeTimers: [Int32] = []
  private(set) var usedTimers = 0
  /// What was spawned and has not ended.
  var coroutines = CoroutineTable()
  /// The addresses of tasks whose next wait is to end before it begins.
  var cancelledTasks: Set<UInt> = []
  /// One more than the largest number of a descriptor that was watched, and of an inner socket.
  var watchedEnd: (descriptors: Int32, inner: Int32) = (0, 0)
  private var headBuffers = BufferPool(keptCount: keptBuffers, mostCount: keptBuffers * 4)
  private var bodyBuffers = BufferPool(keptCount: keptBuffers / 4, mostCount: keptBuffers)
  /// The pipes; see ``lendPipe()``.
  var pipes = PipePool()
  /// What is to be done before the loop waits.
  var turnEnds: [any TurnEnd] = []
  private var isStopping = false
  /// Whether the last wait ended without an event.
  private var isIdle = false

  // For all threads.
  private struct Foreign {
    var jobs: [UnownedJob] = []
    var wakes: [WakeToken] = []
    var stops = false
  }
  private let foreign = Mutex(Foreign())
  /// Whether there is something in `foreign`; written while that is locked, so that a turn to which
  /// nobody has left anything locks nothing.
  private let hasForeign = Atomic<Bool>(false)
  private let sleeping = Atomic<Bool>(false)
  private let threadID = Atomic<UInt64>(0)

  /// Creates a loop that waits by parking, or by continuations if parking does not work here.
  ///
  /// - Throws: ``SystemError`` when a descriptor or memory is not to be had.
  public convenience init(
    kernel: Kernel = .linux,
    polling: PollingModel = .epoll
  ) throws(SystemError) {
    let limit = try check(martlet_descriptor_limit(), .getrlimit)
    try self.init(
      descriptorLimit: limit,
      mode: Self.parkingWorks ? .parking : .continuation,
      kernel: kernel,
      polling: polling,
      watchLimit: polling.descriptorLimit
    )
  }

  /// Creates a loop for descriptors below `descriptorLimit` that waits as `mode` says.
  ///
  /// Those from `watchLimit` on cannot be watched, but be the numbers of inner sockets.
  ///
  /// - Throws: ``SystemError`` when a descriptor or memory is not to be had.
  public init(
    descriptorLimit: Int,
    mode: WaitMode,
    kernel: Kernel = .linux,
    polling: PollingModel = .epoll,
    watchLimit: Int? = nil
  ) throws(SystemError) {
    self.mode = mode
    self.kernel = kernel
    self.polling = polling
    isLevelTriggered = !polling.isEdgeTriggered
    unsafe uncountedKernel = .passUnretained(kernel)
    self.descriptorLimit = descriptorLimit + Int(Self.ownDescriptors)
    self.watchLimit = watchLimit ?? self.descriptorLimit
    poller = try polling.makePoller(kernel: kernel, limit: self.watchLimit)
    let wake = Descriptor(adopting: Int32(try check(martlet_eventfd(), .eventfd)))
    // Behind them are the numbers of inner sockets, in memory that costs nothing until it is used.
    slots = try SlotTable(
      descriptorLimit: self.descriptorLimit + (kernel is InnerKernel ? InnerKernel.limit : 0)
    )
    home = LoopHome()
    now = kernel.monotonicNanoseconds()
    wheel = TimerWheel(tick: UInt32(truncatingIfNeeded: now >> Self.tickShift))
    unsafe events = .allocate(capacity: Self.eventCount)
    wakeData = UInt64(UInt32.max) << 32 | UInt64(UInt32(bitPattern: wake.number))
    wakeDescriptor = wake.release()
    unsafe parker.executor.loop = .passUnretained(self)
    unsafe home.executor.loop = self
    let watched = poller.watch(
      wakeDescriptor,
      events: martlet_event_readable | martlet_event_edge,
      data: wakeData
    )
    try check(Int64(watched), polling.watchCall)
    ready.reserveCapacity(1024)
    running.reserveCapacity(1024)
  }

  deinit {
    headBuffers.drain()
    bodyBuffers.drain()
    pipes.drain(kernel)
    _ = martlet_close(wakeDescriptor)
    unsafe events.deallocate()
    slots.unmap()
  }

  /// Makes calls to the kernel, without counting the uses of it.
  @inlinable @inline(__always)
  public func withKernel<Result>(_ call: (Kernel) -> Result) -> Result {
    unsafe uncountedKernel._withUnsafeGuaranteedRef { call($0) }
  }

  // MARK: Executor

  /// Takes a job to be run on the loop.
  ///
  /// May be called from any thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrent {
      ready.append(job)
      return
    }
    leave { $0.jobs.append(job) }
  }

  /// The loop as the executor of an actor.
  @inlinable
  public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    unsafe UnownedSerialExecutor(ordinary: self)
  }

  /// Whether the caller runs on the loop's thread.
  public var isCurrent: Bool { threadID.load(ordering: .relaxed) == martlet_thread() }

  /// Traps unless the caller runs on the loop.
  public func checkIsolated() {
    precondition(isCurrent, "this code belongs to another loop's thread")
  }

  /// Whether the caller runs on the loop.
  public func isIsolatingCurrentContext() -> Bool? { isCurrent }

  private func execute(_ job: UnownedJob) {
    switch mode {
    case .parking: unsafe job.runSynchronously(on: asUnownedSerialExecutor())
    case .continuation:
      unsafe job.runSynchronously(
        isolatedTo: asUnownedSerialExecutor(),
        taskExecutor: asUnownedTaskExecutor()
      )
    }
  }

  // MARK: Other threads

  /// Leaves something for the loop's next turn, which it begins at once if it sleeps.
  private func leave(_ change: (inout Foreign) -> Void) {
    foreign.withLock { foreign in
      change(&foreign)
      // Before the look at `sleeping`, as the loop stores `sleeping` before it looks here: one of the
      // two sees the other.
      hasForeign.store(true, ordering: .sequentiallyConsistent)
    }
    guard sleeping.exchange(false, ordering: .sequentiallyConsistent) else { return }
    var one: UInt64 = 1
    // Safe: eight bytes of a local number; an eventfd cannot fill up this way.
    _ = unsafe martlet_write(wakeDescriptor, &one, 8)
  }

  /// Wakes the coroutine that waits for `token`.
  ///
  /// May be called from any thread; a token whose wait is over does nothing.
  public func wake(_ token: WakeToken) {
    leave { $0.wakes.append(token) }
  }

  /// Lets ``run()`` return after its turn.
  ///
  /// May be called from any thread.
  public func stop() {
    leave { $0.stops = true }
  }

  private func takeForeign() {
    guard hasForeign.load(ordering: .acquiring) else { return }
    var wakes: [WakeToken] = []
    foreign.withLock { foreign in
      hasForeign.store(false, ordering: .relaxed)
      if !foreign.jobs.isEmpty {
        ready.append(contentsOf: foreign.jobs)
        foreign.jobs.removeAll(keepingCapacity: true)
      }
      if !foreign.wakes.isEmpty { swap(&wakes, &foreign.wakes) }
      if foreign.stops {
        isStopping = true
        foreign.stops = false
      }
    }
    for token in wakes where slots[token.slot].generation == token.generation {
      wake(token.slot, .event)
    }
  }

  // MARK: Turns

  /// Says that the calling thread is the loop's.
  func claimThread() { threadID.store(martlet_thread(), ordering: .relaxed) }

  /// Runs the loop on the calling thread until ``stop()``.
  public func run() {
    claimThread()
    updateClock()
    while !isStopping {
      turn(waitingAtMost: -1)
    }
    isStopping = false
    threadID.store(0, ordering: .relaxed)
  }

  /// Runs what is ready, waits at most `milliseconds` (−1: for ever) for events, and delivers them.
  ///
  /// For tests, which drive a loop by hand; everything else calls ``run()``.
  public func turn(waitingAtMost milliseconds: Int32) {
    if threadID.load(ordering: .relaxed) == 0 { claimThread() }
    runReady()
    // A stop that came before this turn was taken just now: nothing would end the wait below.
    if isStopping { return }
    if !turnEnds.isEmpty { endTurn() }
    var limit = milliseconds
    if wheel.linkedCount > 0 {
      // Where something happens all the time, to look for the next deadline costs more than it saves.
      let most = isIdle ? wheel.milliseconds(from: now) : 16
      if limit < 0 || limit > most { limit = most }
    }
    if pipes.freeCount > 0, limit < 0 || limit > PipePool.idleMilliseconds {
      limit = PipePool.idleMilliseconds
    }
    if hasSurplus, limit < 0 || limit > BufferPool.idleMilliseconds {
      limit = BufferPool.idleMilliseconds
    }
    if !brief.isEmpty || !turnEnds.isEmpty { limit = 0 }
    // From here on other threads wake the loop; what they left before is seen by the look below.
    sleeping.store(true, ordering: .sequentiallyConsistent)
    if !ready.isEmpty || hasForeign.load(ordering: .sequentiallyConsistent) {
      sleeping.store(false, ordering: .relaxed)
      limit = 0
    }
    let count = unsafe poller.wait(into: events, milliseconds: limit)
    sleeping.store(false, ordering: .relaxed)
    updateClock()
    isIdle = count <= 0
    if count > 0 { deliver(count) }
    if !brief.isEmpty { endBriefRests() }
    runReady()
  }

  /// Runs what is ready, and what that makes ready; what comes from other threads waits for the next
  /// time, so that neither they nor a coroutine that yields for ever keep events and deadlines waiting.
  private func runReady() {
    takeForeign()
    var rounds = 0
    while !ready.isEmpty, rounds < Self.roundsPerTurn {
      rounds &+= 1
      swap(&ready, &running)
      for index in running.indices { execute(running[index]) }
      running.removeAll(keepingCapacity: true)
    }
  }

  private func updateClock() {
    now = kernel.monotonicNanoseconds()
    let tick = UInt32(truncatingIfNeeded: now >> Self.tickShift)
    guard tick != wheel.tick else { return }
    wheel.advance(to: tick, in: slots, expired: &expired)
    // Whoever was told just now may have closed another of these, and given its number away.
    for slot in expired where hasPassed(Deadline(tick: slots[slot].deadline)) {
      wake(slot, .deadline)
    }
    expired.removeAll(keepingCapacity: true)
    if pipes.freeCount > 0 { pipes.drainIfIdle(at: now, kernel) }
    if hasSurplus {
      headBuffers.trim(at: now)
      bodyBuffers.trim(at: now)
    }
  }

  private var hasSurplus: Bool { headBuffers.hasSurplus || bodyBuffers.hasSurplus }

  private func deliver(_ count: Int) {
    // Held once for all events of the turn.
    let keeper = keeper
    defer { finishDelivery() }
    for index in 0..<count {
      hasMoreEvents = index &+ 1 < count
      // Safe: the kernel has filled `count` events; the accessor reads one.
      let data = unsafe martlet_event_data(&events[index])
      let happened = unsafe events[index].events
      if data == wakeData {
        var value: UInt64 = 0
        // Safe: eight bytes of a local number.
        _ = unsafe martlet_read(wakeDescriptor, &value, 8)
        continue
      }
      let read = Int(data & 0xFFFF_FFFF) &* 2
      // The descriptor was closed, and perhaps opened anew, since the kernel noted the event.
      guard slots[read].generation == UInt32(data >> 32) else { continue }
      if isLevelTriggered { muteUnheard(read, happened) }
      let closed = happened & martlet_event_closed != 0
      if happened & ~martlet_event_writable != 0 {
        slots[read].readiness.formUnion(closed ? Readiness(closing: happened) : .ready)
        if slots[read].isResting {
          endRest(read, .event, telling: keeper)
        } else {
          if slots[read].waiter == 0 {
            // What ended a rest for want of time has come after all.
            if slots[read].reason == .deadline { slots[read].reason = .event }
            if closed { cancelPartner(of: read) }
          }
          resume(read)
        }
      }
      // The coroutine that just ran may have closed the descriptor.
      guard slots[read].generation == UInt32(data >> 32) else { continue }
      guard closed || happened & martlet_event_writable != 0 else { continue }
      if slots[read &+ 1].isResting {
        endRest(read &+ 1, .event, telling: keeper)
      } else {
        resume(read &+ 1)
      }
    }
  }

  /// Tells the keeper, if it has asked for that, that all events of the turn are delivered.
  private func finishDelivery() {
    guard tellsKeeper else { return }
    tellsKeeper = false
    keeper?.eventsWereDelivered()
  }

  /// Cancels the waits of the descriptor that is linked to this slot, unless it was closed meanwhile
  /// and its number belongs to another.
  func cancelPartner(of slot: Int) {
    let partner = slots[slot].partner
    if let timer = timer(of: partner) {
      if slots[timer].generation == slots[slot].partnerGeneration { wake(timer, .cancellation) }
      return
    }
    guard partner >= 0, slots[Int(partner) &* 2].generation == slots[slot].partnerGeneration else {
      return
    }
    cancelWaits(of: partner)
  }

  @inline(__always)
  private func resume(_ slot: Int) {
    guard let job = take(slot) else { return }
    execute(job)
  }

  /// The parked job of a slot; a continuation is resumed at once instead, which enqueues its job.
  @inline(__always)
  private func take(_ slot: Int) -> UnownedJob? {
    let waiter = slots[slot].waiter
    guard waiter != 0 else { return nil }
    slots[slot].waiter = 0
    slots[slot].deadline = 0
    guard mode == .parking else {
      // Safe: in this mode a waiter is a continuation, and it is taken out before it is resumed.
      unsafe unsafeBitCast(waiter, to: UnsafeContinuation<Void, Never>.self).resume()
      return nil
    }
    // Safe: in this mode a waiter is a job, see `ParkingExecutor.enqueue`.
    return unsafe unsafeBitCast(waiter, to: UnownedJob.self)
  }

  /// Wakes the waiter of a slot in this turn, and tells it why.
  func wake(_ slot: Int, _ reason: WakeReason) {
    if slots[slot].isResting {
      endRest(slot, reason, telling: keeper)
      return
    }
    slots[slot].reason = reason
    slots[slot].deadline = 0
    if let job = take(slot) { ready.append(job) }
  }

  // MARK: Waiting

  /// Suspends the caller until the slot is woken.
  ///
  /// - Throws: ``WaitError`` when the deadline or a cancellation came first.
  @usableFromInline
  func wait(_ slot: Int, until deadline: Deadline) async throws(WaitError) {
    // A task whose closure does not capture its actor runs elsewhere, and would race with the loop.
    precondition(isCurrent, "a coroutine waits on a loop that it does not run on")
    precondition(slots[slot].waiter == 0, "two coroutines wait for one event")
    if !cancelledTasks.isEmpty, takeCancellation() { throw .cancelled }
    // A cancellation that came while nobody waited ends the next wait.
    if slots[slot].reason == .event {
      if slots[slot].isMuted { unmute(slot) }
      wheel.arm(slot, at: deadline, in: slots)
      slots[slot].waitsSince = wheel.tick
      switch mode {
      case .parking:
        parkingSlot = slot
        await parker.park()
      case .continuation: await home.suspend(slot)
      }
    }
    switch slots[slot].reason {
    case .event: return
    case .deadline:
      slots[slot].reason = .event
      throw .timedOut
    case .cancellation:
      slots[slot].reason = .event
      throw .cancelled
    }
  }

  /// Keeps a continuation until the slot is woken, or resumes it at once if it was meanwhile.
  func keep(_ continuation: UnsafeContinuation<Void, Never>, in slot: Int) {
    guard slots[slot].reason == .event else {
      unsafe continuation.resume()
      return
    }
    // Safe: a continuation is one pointer; `take` turns it back exactly once.
    slots[slot].waiter = unsafe unsafeBitCast(continuation, to: UInt.self)
  }

  // MARK: Timers

  func takeTimer() -> Int? {
    let slot: Int
    if let free = freeTimers.popLast() {
      slot = Int(free)
    } else if usedTimers < SlotTable.timerCount {
      slot = slots.firstTimer + usedTimers
      usedTimers += 1
      slots[slot] = Slot()
    } else {
      return nil
    }
    slots[slot].generation &+= 1
    return slot
  }

  func giveTimer(_ slot: Int) {
    slots[slot].generation &+= 1
    slots[slot].deadline = 0
    slots[slot].reason = .event
    freeTimers.append(Int32(slot))
  }

  // MARK: Buffers

  /// Lends a buffer; it comes back when the value is dropped.
  public func lend(_ size: BufferSize) -> Lent {
    switch size {
    case .head: unsafe Lent(memory: headBuffers.take(size.bytes), capacity: size.bytes, loop: self)
    case .body: unsafe Lent(memory: bodyBuffers.take(size.bytes), capacity: size.bytes, loop: self)
    }
  }

  /// How many buffers are lent at this moment; a connection that is idle has none.
  public var lentCount: Int { headBuffers.lentCount + bodyBuffers.lentCount }

  /// How many buffers wait to be lent: a few hundred for ever, more as long as they are used again and again.
  public var freeBufferCount: Int { headBuffers.count + bodyBuffers.count }

  @usableFromInline
  func giveBack(_ memory: UnsafeMutableRawPointer, capacity: Int) {
    if capacity == BufferSize.head.bytes {
      unsafe headBuffers.give(memory)
    } else {
      unsafe bodyBuffers.give(memory)
    }
  }
}

/// Names one wait, so that another thread can end it; see ``EventLoop/wake(_:)``.
public struct WakeToken: Hashable, Sendable {
  let slot: Int
  let generation: UInt32
}
