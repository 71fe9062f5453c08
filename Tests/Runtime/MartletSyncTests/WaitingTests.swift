import MartletSync
import TestCrowd
import TestPeers
import Testing

@Suite("Semaphore")
struct SemaphoreTests {
  @Test("gives out no more permits than there are", arguments: [1, 3])
  func bounds(permits: Int) async throws {
    let semaphore = Semaphore(permits, limit: permits)
    let active = Tally()
    @Sendable func enter() {
      #expect(active.add() <= permits)
      active.add(-1)
    }
    async let tasks: Void = withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<300 {
            try await semaphore.withPermit {
              enter()
              await Task.yield()
            }
          }
        }
      }
      try await group.waitForAll()
    }
    try await Crowd.threads(3) { number in
      var random = Seeded(state: UInt64(number))
      for _ in 0..<1000 {
        let limit = Duration.microseconds(Int.random(in: 0...50, using: &random))
        do {
          try semaphore.acquire(within: limit)
          enter()
          semaphore.release()
        } catch {}
      }
    }
    try await tasks
    #expect(semaphore.available == permits)
    #expect(semaphore.waitingCount == 0)
  }

  @Test("serves who came first, also when one behind wants less")
  func isInTurn() async throws {
    let semaphore = Semaphore(1)
    let order = Record<Int>()
    let large = Task {
      try await semaphore.acquire(2)
      order.append(2)
      semaphore.release(2)
    }
    try await Crowd.until { semaphore.waitingCount == 1 }
    #expect(!semaphore.tryAcquire())
    let small = Task {
      try await semaphore.acquire(1)
      order.append(1)
    }
    try await Crowd.until { semaphore.waitingCount == 2 }
    semaphore.release()
    try await large.value
    try await small.value
    #expect(order.all == [2, 1])
  }

  @Test("serves those behind one that gives up")
  func passesOverWhoLeft() async throws {
    let semaphore = Semaphore(1)
    let large = Task { try await semaphore.acquire(2, within: .seconds(60)) }
    try await Crowd.until { semaphore.waitingCount == 1 }
    let small = Task { try await semaphore.acquire() }
    try await Crowd.until { semaphore.waitingCount == 2 }
    large.cancel()
    await #expect(throws: WaitFailure.cancelled) { try await large.value }
    try await small.value
    #expect(semaphore.available == 0)
  }

  @Test(
    "stops a program that gives back more than it took, where it is bounded",
    .enabled(if: !isSanitized)
  )
  func refusesExcess() async {
    await #expect(processExitsWith: .failure) { Semaphore(2, limit: 2).release() }
    await #expect(processExitsWith: .failure) { Latch(0).countDown() }
  }
}

@Suite("Condition")
struct ConditionTests {
  @Test("lets producers and consumers, threads and tasks, share a place")
  func passes() async throws {
    let lock = Lock()
    let (filled, emptied) = (Condition(of: lock), Condition(of: lock))
    let places = Unprotected<[Int]>([])
    let sum = Unprotected(0)
    let consumer = Task {
      for _ in 0..<1000 {
        try await lock.withLock {
          try await filled.wait { !places.value.isEmpty }
          sum.value += places.value.removeFirst()
          emptied.signal()
        }
      }
    }
    try await Crowd.threads(2) { number in
      for value in 0..<500 {
        lock.withLock {
          emptied.wait { places.value.count < 3 }
          places.value.append(value)
          filled.signal()
        }
      }
    }
    try await consumer.value
    #expect(sum.value == 2 * (0..<500).reduce(0, +))
  }

  @Test("ends with its limit, and holds the lock then")
  func limits() async throws {
    let lock = Lock()
    let condition = Condition(of: lock)
    try await lock.lock()
    await #expect(throws: WaitFailure.timedOut) {
      try await condition.wait(within: .milliseconds(2)) { false }
    }
    try await Crowd.threads(1) { _ in #expect(!lock.tryLock()) }
    lock.unlock()
    try await Crowd.threads(1) { _ in
      lock.withLock {
        #expect(throws: WaitFailure.timedOut) { try condition.wait(within: .milliseconds(1)) }
        #expect(throws: WaitFailure.timedOut) {
          try condition.wait(within: .milliseconds(1)) { false }
        }
      }
    }
  }

  @Test("takes the lock again although its task was cancelled")
  func cancels() async throws {
    let lock = Lock()
    let condition = Condition(of: lock)
    let isHeld = Event()
    let task = Task {
      try await lock.lock()
      isHeld.set()
      defer { lock.unlock() }
      try await condition.wait()
    }
    try await isHeld.wait()
    // The lock is free when the other waits.
    try await lock.lock()
    task.cancel()
    lock.unlock()
    await #expect(throws: WaitFailure.cancelled) { try await task.value }
    #expect(lock.tryLock())
    lock.unlock()
  }

  @Test("wakes one or all")
  func signals() async throws {
    let lock = Lock()
    let condition = Condition(of: lock)
    let woken = Unprotected(0)
    let waiting = Unprotected(0)
    let tasks = (0..<3).map { _ in
      Task {
        try await lock.withLock {
          waiting.value += 1
          try await condition.wait()
          woken.value += 1
        }
      }
    }
    while try await lock.withLock({ waiting.value < 3 }) { await Task.yield() }
    condition.signal()
    while try await lock.withLock({ woken.value < 1 }) { await Task.yield() }
    condition.broadcast()
    for task in tasks { try await task.value }
    #expect(woken.value == 3)
  }
}

@Suite("Event")
struct EventTests {
  @Test("lets all go on, and makes newcomers wait when it was cleared")
  func sets() async throws {
    let event = Event()
    await #expect(throws: WaitFailure.timedOut) { try await event.wait(within: .milliseconds(1)) }
    let task = Task { try await event.wait() }
    async let threads: Void = Crowd.threads(2) { _ in event.wait() }
    event.set()
    try await task.value
    try await threads
    try await event.wait(within: .zero)
    event.clear()
    #expect(!event.isSet)
    await #expect(throws: WaitFailure.timedOut) { try await event.wait(within: .zero) }
  }

  @Test("ends ten thousand waits with limits")
  func limitsMany() async throws {
    let event = Event()
    let ends = Record<Int>()
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<10_000 {
        group.addTask {
          do { try await event.wait(within: .microseconds(number % 7 * 3000)) } catch {
            ends.append(number)
          }
        }
      }
    }
    #expect(ends.all.count == 10_000)
  }
}

@Suite("Latch, once and barrier")
struct MeetingTests {
  @Test("a latch opens when it was counted down")
  func latch() async throws {
    let latch = Latch(3)
    latch.countDown(by: 2)
    await #expect(throws: WaitFailure.timedOut) { try await latch.wait(within: .zero) }
    latch.countDown()
    try await latch.wait()
    try await Crowd.threads(1) { _ in latch.wait() }
    #expect(latch.count == 0)
  }

  @Test("a value is made once, whoever asks")
  func once() async throws {
    let once = Once<Int>()
    let made = Tally()
    await #expect(throws: CancellationError.self) {
      try await once.value { throw CancellationError() }
    }
    async let threads: Void = Crowd.threads(3) { _ in
      #expect(once.value { made.add() } == 1)
    }
    for _ in 0..<3 {
      let value = try await once.value {
        await Task.yield()
        return made.add()
      }
      #expect(value == 1)
    }
    try await threads
    #expect(once.present == 1)
  }

  @Test("a barrier lets a round of threads and tasks go on together, again and again")
  func barrier() async throws {
    let barrier = Barrier(4)
    let arrived = Tally()
    @Sendable func check(_ round: Int) {
      #expect(arrived.value >= 4 * (round + 1))
    }
    async let tasks: Void = withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask {
          for round in 0..<200 {
            arrived.add()
            try await barrier.wait()
            check(round)
          }
        }
      }
      try await group.waitForAll()
    }
    try await Crowd.threads(2) { _ in
      for round in 0..<200 {
        arrived.add()
        do { try barrier.wait(within: .seconds(60)) } catch { Issue.record(error) }
        check(round)
      }
    }
    try await tasks
    #expect(barrier.waitingCount == 0)
  }

  @Test("one that leaves early breaks the barrier until it is reset")
  func breaks() async throws {
    let barrier = Barrier(3)
    let patient = Task { try await barrier.wait() }
    try await Crowd.until { barrier.waitingCount == 1 }
    await #expect(throws: WaitFailure.timedOut) {
      try await barrier.wait(within: .milliseconds(1))
    }
    await #expect(throws: WaitFailure.broken) { try await patient.value }
    #expect(barrier.isBroken)
    await #expect(throws: WaitFailure.broken) { try await barrier.wait(within: .seconds(60)) }
    barrier.reset()
    let next = Task { try await barrier.wait() }
    try await Crowd.until { barrier.waitingCount == 1 }
    barrier.abort()
    await #expect(throws: WaitFailure.broken) { try await next.value }
  }
}

@Suite("Values that are read without a lock")
struct VersionTests {
  @Test("a sequence lock's readers see values whole")
  func sequence() async throws {
    struct Wide: BitwiseCopyable, Sendable, Equatable {
      var first = UInt64(0)
      var second = UInt32(0)
      var third = UInt8(0)
      var last = UInt64(0)
    }
    let lock = SequenceLock(Wide())
    try await Crowd.threads(4) { number in
      for value in 1...2000 {
        if number < 2 {
          lock.update { wide in
            wide.first += 1
            wide = Wide(
              first: wide.first,
              second: UInt32(wide.first),
              third: UInt8(truncatingIfNeeded: wide.first),
              last: wide.first
            )
          }
        } else {
          let wide = lock.value
          let isWhole =
            wide.last == wide.first && UInt64(wide.second) == wide.first
            && wide.third == UInt8(truncatingIfNeeded: wide.first)
          if !isWhole { Issue.record("torn at \(value)") }
        }
      }
    }
    #expect(lock.value.first == 4000)
    lock.write(Wide(first: 7))
    #expect(lock.tryRead() == Wide(first: 7))
  }

  @Test("an optimistic change begins anew when another was faster")
  func versions() async throws {
    let versioned = Versioned(0)
    try await Crowd.threads(4) { _ in
      for _ in 0..<500 where versioned.update(attemptLimit: .max, { $0 += 1 }) == nil {
        Issue.record("an unlimited update gave up")
      }
    }
    let snapshot = versioned.snapshot
    #expect(snapshot.value == 2000)
    #expect(snapshot.version == 2000)
    #expect(!versioned.replace(1999, with: 0))
    #expect(versioned.replace(2000, with: 5))
    var rounds = 0
    let outcome = versioned.update(attemptLimit: 3) { value in
      rounds += 1
      _ = versioned.replace(versioned.snapshot.version, with: 9)
      value = 1
    }
    #expect(outcome == nil)
    #expect(rounds == 3)
  }
}
