import MartletSync
import TestCrowd
import TestPeers
import Testing

@Suite("Lock")
struct LockTests {
  @Test("lets one in at a time, of threads and tasks together")
  func excludes() async throws {
    let lock = Lock()
    let count = Unprotected(0)
    async let tasks: Void = withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for round in 0..<500 {
            try await lock.withLock {
              let seen = count.value
              if round % 50 == 0 { await Task.yield() }
              count.value = seen + 1
            }
          }
        }
      }
      try await group.waitForAll()
    }
    try await Crowd.threads(4) { _ in
      for _ in 0..<2000 { lock.withLock { count.value += 1 } }
    }
    try await tasks
    #expect(count.value == 4 * 500 + 4 * 2000)
  }

  @Test("is tried without a wait, and waited for no longer than the limit")
  func limits() async throws {
    let lock = Lock()
    #expect(lock.tryLock())
    try await Crowd.threads(1) { _ in
      #expect(!lock.tryLock())
      #expect(throws: WaitFailure.timedOut) { try lock.lock(within: .milliseconds(2)) }
      #expect(throws: WaitFailure.timedOut) { try lock.lock(within: .seconds(-1)) }
    }
    let task = Task { try await lock.lock(within: .milliseconds(2)) }
    await #expect(throws: WaitFailure.timedOut) { try await task.value }
    lock.unlock()
    try await Crowd.threads(1) { _ in
      #expect(lock.tryLock())
      lock.unlock()
    }
  }

  @Test("is not given to a task that was cancelled while it waited")
  func cancels() async throws {
    let lock = Lock("cancelled")
    try await lock.lock()
    let task = Task { try await lock.lock() }
    try await Crowd.until { LockChecks.waits.contains { $0.lock == "cancelled" } }
    task.cancel()
    await #expect(throws: WaitFailure.cancelled) { try await task.value }
    lock.unlock()
    #expect(lock.tryLock())
    lock.unlock()
  }

  @Test("goes to one that waits although others take it again and again")
  func isFair() async throws {
    let lock = Lock()
    let isOver = Event()
    let hasBegun = Latch(2)
    async let hogs: Void = Crowd.threads(2) { _ in
      hasBegun.countDown()
      while !isOver.isSet { lock.withLock {} }
    }
    try await hasBegun.wait()
    for _ in 0..<50 {
      try await lock.lock(within: .seconds(30))
      lock.unlock()
    }
    isOver.set()
    try await hogs
  }

  @Test("loses no one when waits end early", arguments: [1, 2, 3])
  func survivesLimits(seed: UInt64) async throws {
    let lock = Lock()
    let count = Unprotected(0)
    let tallies = (0..<4).map { _ in Unprotected(0) }
    try await Crowd.threads(4) { number in
      var random = Seeded(state: seed &* 100 &+ UInt64(number))
      for _ in 0..<1000 {
        do throws(WaitFailure) {
          try lock.lock(within: .microseconds(Int.random(in: 0...40, using: &random)))
          count.value += 1
          for _ in 0..<Int.random(in: 0...300, using: &random) { Turns.short() }
          lock.unlock()
          tallies[number].value += 1
        } catch {
          #expect(error == .timedOut)
        }
      }
      lock.withLock {}
    }
    #expect(count.value == tallies.map(\.value).reduce(0, +))
  }

  @Test("stops a program that releases what nobody holds", .enabled(if: !isSanitized))
  func refusesRelease() async {
    await #expect(processExitsWith: .failure) { Lock().unlock() }
    await #expect(processExitsWith: .failure) { RecursiveLock().unlock() }
    await #expect(processExitsWith: .failure) { ReadWriteLock().unlockToRead() }
    await #expect(processExitsWith: .failure) { ReadWriteLock().unlockToWrite() }
  }
}

extension Turns {
  /// The shortest turn.
  static func short() {
    var turns = Turns()
    turns.turn()
  }
}

@Suite("Recursive lock")
struct RecursiveLockTests {
  @Test("is taken again by its holder, and free when it was released as often")
  func recurses() async throws {
    let lock = RecursiveLock()
    try await lock.withLock {
      #expect(lock.tryLock())
      try await lock.lock()
      #expect(lock.depth == 3)
      try await Crowd.threads(1) { _ in
        #expect(lock.depth == 0)
        #expect(!lock.tryLock())
        #expect(throws: WaitFailure.timedOut) { try lock.lock(within: .milliseconds(1)) }
      }
      lock.unlock()
      lock.unlock()
      #expect(lock.depth == 1)
    }
    try await Crowd.threads(1) { _ in
      lock.lock()
      lock.withLock { #expect(lock.depth == 2) }
      lock.unlock()
    }
  }

  @Test("belongs to a task wherever that runs")
  func followsTasks() async throws {
    let lock = RecursiveLock()
    let count = Unprotected(0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<200 {
            try await lock.withLock {
              await Task.yield()
              try await lock.withLock { count.value += 1 }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(count.value == 800)
  }
}

@Suite("Spin lock")
struct SpinLockTests {
  @Test("lets one in at a time")
  func excludes() async throws {
    let lock = SpinLock()
    let count = Unprotected(0)
    try await Crowd.threads(4) { _ in
      for _ in 0..<2000 { lock.withLock { count.value += 1 } }
      if lock.tryLock() { lock.unlock() }
    }
    #expect(lock.withLock { count.value } == 8000)
  }

  @Test("is turned for no longer than the limit")
  func limits() async throws {
    let lock = SpinLock()
    let (isHeld, isDone) = (Latch(1), Latch(1))
    try await Crowd.threads(2) { number in
      guard number == 0 else {
        isHeld.wait()
        #expect(throws: WaitFailure.timedOut) { try lock.lock(within: .milliseconds(1)) }
        #expect(!lock.tryLock())
        return isDone.countDown()
      }
      lock.lock()
      isHeld.countDown()
      // The holder lives on: the number of a thread that has ended may be another's.
      isDone.wait()
      lock.unlock()
    }
  }
}
