import MartletSync
import TestCrowd
import TestPeers
import Testing

@Suite("Checked locks", .serialized)
struct CheckTests {
  /// What was told of locks whose names begin with one of these.
  private func reports(
    about names: [String],
    _ body: () async throws -> Void
  ) async throws -> [LockReport] {
    let found = Record<LockReport>()
    LockChecks.report { found.append($0) }
    defer { LockChecks.report(to: nil) }
    try await body()
    return found.all.filter { report in names.contains { report.description.contains($0) } }
  }

  @Test("name a circle of orders before anything stands still")
  func order() async throws {
    let (first, second, third) = (Lock("order a"), Lock("order b"), ReadWriteLock("order c"))
    let found = try await reports(about: ["order"]) {
      try await Crowd.threads(1) { _ in
        first.withLock { second.withLock {} }
        second.withLock { third.withReadLock {} }
        // Trying cannot stand still.
        third.withWriteLock { if first.tryLock() { first.unlock() } }
      }
      #expect(LockChecks.isOn)
      try await Crowd.threads(1) { _ in third.withWriteLock { first.withLock {} } }
      // Once is enough.
      try await Crowd.threads(1) { _ in third.withWriteLock { first.withLock {} } }
    }
    #expect(found == [.orderCycle(["order c", "order a", "order b"])])
    #expect(
      found.first?.description
        == "locks are taken in a circle: order c → order a → order b → order c"
    )
  }

  @Test("tell those apart that have one name")
  func sameName() async throws {
    let locks = (0..<2).map { _ in Lock("fork") }
    let found = try await reports(about: ["fork"]) {
      try await locks[0].withLock { try await locks[1].withLock {} }
      try await locks[1].withLock { try await locks[0].withLock {} }
    }
    #expect(found == [.orderCycle(["fork", "fork"])])
  }

  @Test("find tasks that wait for each other, and tell who waits for what")
  func deadlock() async throws {
    let (first, second) = (Lock("knot a"), Lock("knot b"))
    let barrier = Barrier(2)
    let found = Record<LockReport>()
    LockChecks.report { found.append($0) }
    defer { LockChecks.report(to: nil) }
    let tasks = [(first, second), (second, first)].map { mine, other in
      Task {
        try await mine.withLock {
          try await barrier.wait()
          try await other.withLock {}
        }
      }
    }
    try await Crowd.until {
      found.all.contains { if case .deadlock = $0 { true } else { false } }
    }
    let circle = try #require(LockChecks.deadlocks.first { $0[0].lock.hasPrefix("knot") })
    #expect(Set(circle.map(\.lock)) == ["knot a", "knot b"])
    #expect(circle.map(\.holders) == [[circle[1].owner], [circle[0].owner]])
    #expect(LockChecks.dump.contains("waits for knot a, which is held by task"))
    tasks[0].cancel()
    await #expect(throws: WaitFailure.cancelled) { try await tasks[0].value }
    try await tasks[1].value
    #expect(!LockChecks.deadlocks.contains { $0[0].lock.hasPrefix("knot") })
    #expect(!LockChecks.waits.contains { $0.lock.hasPrefix("knot") })
  }

  @Test("tell what was held for too long")
  func hold() async throws {
    let found = try await reports(about: ["slow"]) {
      let lock = Lock("slow")
      try await lock.withLock {}
      LockChecks.holdLimit = .zero
      defer { LockChecks.holdLimit = .seconds(1) }
      try await lock.withLock {}
    }
    #expect(found.count == 1)
    guard case .heldTooLong(lock: "slow", by: LockOwner.current, for: _) = found[0] else {
      Issue.record("not \(found)")
      return
    }
  }

  @Test(
    "stop a program whose lock is taken twice, or released by a stranger",
    .enabled(if: !isSanitized)
  )
  func misuse() async {
    await #expect(processExitsWith: .failure) {
      let lock = Lock()
      try await lock.lock()
      try await lock.lock()
    }
    await #expect(processExitsWith: .failure) {
      let lock = Lock()
      try await lock.lock()
      await Task.detached { lock.unlock() }.value
    }
    await #expect(processExitsWith: .failure) {
      let lock = SpinLock()
      lock.withLock { lock.withLock {} }
    }
  }

  @Test("tell one that reads twice")
  func readTwice() async throws {
    let lock = ReadWriteLock("read")
    let told = try await reports(about: ["reads under read"]) {
      try await lock.lockToRead()
      try await lock.lockToRead()
      lock.unlockToRead()
      lock.unlockToRead()
    }
    #expect(told == [.readTwice(lock: "read", by: .current)])
  }

  @Test("cost nothing and say nothing where the mode is off")
  func off() async throws {
    LockChecks.isOn = false
    let lock = Lock("off")
    LockChecks.isOn = true
    let found = try await reports(about: ["off"]) {
      try await lock.lock()
      try await Crowd.threads(1) { _ in lock.unlock() }
    }
    #expect(found == [])
  }
}
