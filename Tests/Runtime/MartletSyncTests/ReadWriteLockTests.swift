import MartletSync
import TestCrowd
import Testing

@Suite("Read-write lock")
struct ReadWriteLockTests {
  @Test("lets readers see only what writers have finished")
  func isConsistent() async throws {
    let lock = ReadWriteLock()
    let pair = Unprotected((0, 0))
    async let tasks: Void = withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<3 {
        group.addTask {
          for _ in 0..<500 {
            if number == 0 {
              try await lock.withWriteLock {
                pair.value.0 += 1
                await Task.yield()
                pair.value.1 += 1
              }
            } else {
              try await lock.withReadLock { #expect(pair.value.0 == pair.value.1) }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    try await Crowd.threads(3) { number in
      for _ in 0..<2000 {
        if number == 0 {
          lock.withWriteLock {
            pair.value.0 += 1
            pair.value.1 += 1
          }
        } else {
          lock.withReadLock { if pair.value.0 != pair.value.1 { Issue.record("torn") } }
        }
      }
    }
    try await tasks
    #expect(pair.value == (2500, 2500))
  }

  @Test("has room for many readers and one writer")
  func tries() {
    let lock = ReadWriteLock()
    #expect(lock.tryLockToRead())
    #expect(lock.tryLockToRead())
    #expect(!lock.tryLockToWrite())
    lock.unlockToRead()
    lock.unlockToRead()
    #expect(lock.tryLockToWrite())
    #expect(!lock.tryLockToRead())
    #expect(!lock.tryLockToWrite())
    lock.unlockToWrite()
  }

  @Test("does not let readers starve a writer")
  func admitsWriters() async throws {
    let lock = ReadWriteLock()
    let isOver = Event()
    let hasBegun = Latch(3)
    // There is always one who reads: each begins before the one before it ends.
    async let readers: Void = Crowd.threads(3) { _ in
      hasBegun.countDown()
      while !isOver.isSet { lock.withReadLock { for _ in 0..<100 { Turns.short() } } }
    }
    try await hasBegun.wait()
    for _ in 0..<20 {
      try await lock.lockToWrite(within: .seconds(30))
      lock.unlockToWrite()
    }
    isOver.set()
    try await readers
  }

  @Test("lets readers in that stand behind a writer when that gives up")
  func passesOverWhoLeft() async throws {
    let lock = ReadWriteLock("left")
    try await lock.lockToRead()
    let writer = Task { try await lock.lockToWrite() }
    try await Crowd.until { LockChecks.waits.contains { $0.lock == "left" } }
    let reader = Task {
      try await lock.lockToRead()
      lock.unlockToRead()
    }
    try await Crowd.until { LockChecks.waits.count { $0.lock == "left" } == 2 }
    writer.cancel()
    await #expect(throws: WaitFailure.cancelled) { try await writer.value }
    try await reader.value
    lock.unlockToRead()
    #expect(lock.tryLockToWrite())
    lock.unlockToWrite()
  }

  @Test("keeps its count when waits end early", arguments: [1, 2, 3])
  func survivesLimits(seed: UInt64) async throws {
    let lock = ReadWriteLock()
    let state = Unprotected(0)
    try await Crowd.threads(4) { number in
      var random = Seeded(state: seed &* 100 &+ UInt64(number))
      for _ in 0..<1000 {
        let limit = Duration.microseconds(Int.random(in: 0...60, using: &random))
        do throws(WaitFailure) {
          if Bool.random(using: &random) {
            try lock.lockToRead(within: limit)
            if state.value & 1 != 0 { Issue.record("a reader beside a writer") }
            lock.unlockToRead()
          } else {
            try lock.lockToWrite(within: limit)
            state.value += 1
            for _ in 0..<Int.random(in: 0...300, using: &random) { Turns.short() }
            state.value += 1
            lock.unlockToWrite()
          }
        } catch {
          #expect(error == .timedOut)
        }
      }
    }
    #expect(lock.tryLockToWrite())
    lock.unlockToWrite()
    #expect(lock.tryLockToRead())
    lock.unlockToRead()
  }
}
