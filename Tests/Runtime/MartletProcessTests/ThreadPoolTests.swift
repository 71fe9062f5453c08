import MartletProcess
import MartletQueues
import MartletSync
import TestCrowd
import Testing

@Suite("Thread pool")
struct ThreadPoolTests {
  private struct Wrong: Error, Equatable { var number: Int }

  @Test("does work and tells results, to threads and to tasks")
  func results() async throws {
    let pool = ThreadPool(threadLimit: 2)
    let future = try await pool.submit { 6 * 7 }
    #expect(try await future.result() == 42)
    #expect(future.isDone)
    let failed: Future<Int> = try await pool.submit { throw Wrong(number: 1) }
    await #expect(throws: Wrong(number: 1)) { try await failed.result() }
    try await Crowd.threads(3) { number in
      do {
        for round in 0..<500 {
          let sum = try pool.submit { number + round }
          #expect(try sum.result() == number + round)
        }
      } catch { Issue.record(error) }
    }
    #expect(pool.counts.threads <= 2)
    pool.shutDown()
    try await pool.join(within: .seconds(30))
    #expect(pool.counts == (0, 0))
  }

  @Test("gives results of many inputs in their order, also in chunks", arguments: [1, 7, 5000])
  func maps(chunk: Int) async throws {
    let pool = ThreadPool(threadLimit: 3, queueLimit: 4)
    #expect(try await pool.map(0..<1000, chunk: chunk) { $0 * 2 } == (0..<1000).map { $0 * 2 })
    try await Crowd.threads(1) { _ in
      do { #expect(try pool.map(0..<100, chunk: chunk) { $0 }.count == 100) } catch {
        Issue.record(error)
      }
      #expect(throws: Wrong(number: 5)) {
        try pool.map(0..<1000, chunk: chunk) { number in
          if number >= 5 { throw Wrong(number: number) }
        }
      }
    }
  }

  @Test("gives futures in the order in which they are done")
  func asCompleted() async throws {
    let pool = ThreadPool(threadLimit: 3)
    let gates = (0..<3).map { _ in Event() }
    var futures: [Future<Int>] = []
    for number in 0..<3 {
      futures.append(
        try await pool.submit {
          gates[number].wait()
          return number
        }
      )
    }
    let done = futures.inOrderOfCompletion()
    for number in [1, 2, 0] {
      gates[number].set()
      let next = try await done.take(within: .seconds(30))
      #expect(next.place == number)
      #expect(try await next.future.result() == number)
    }
    #expect(await done.next() == nil)
    #expect(await [Future<Int>]().inOrderOfCompletion().next() == nil)
  }

  @Test("cancels what has not begun, and calls back what is done")
  func cancels() async throws {
    let pool = ThreadPool(threadLimit: 1)
    let (begun, open) = (Event(), Event())
    let first = try await pool.submit {
      begun.set()
      open.wait()
      return 1
    }
    let second = try await pool.submit { 2 }
    let told = Record<Bool>()
    second.whenDone { result in
      if case .failure(FutureFailure.cancelled) = result { told.append(true) }
    }
    try await begun.wait()
    #expect(!first.cancel())
    #expect(second.cancel())
    #expect(!second.cancel())
    #expect(told.all == [true])
    await #expect(throws: FutureFailure.cancelled) { try await second.result() }
    await #expect(throws: FutureFailure.timedOut) {
      try await first.result(within: .milliseconds(1))
    }
    let waiter = Task { try await first.result() }
    waiter.cancel()
    await #expect(throws: FutureFailure.waiterCancelled) { try await waiter.value }
    open.set()
    #expect(try await first.result() == 1)
    first.whenDone { _ in told.append(false) }
    #expect(told.all == [true, false])
  }

  @Test("does with what has no room what it was told to")
  func overflows() async throws {
    let (begun, open) = (Event(), Event())
    @Sendable func fill(_ pool: ThreadPool) async throws -> Future<Void> {
      begun.clear()
      let blocker = try await pool.submit {
        begun.set()
        open.wait()
      }
      try await begun.wait()
      return blocker
    }
    let refusing = ThreadPool(threadLimit: 1, queueLimit: 1, whenFull: .refuse)
    _ = try await fill(refusing)
    _ = try await refusing.submit {}
    await #expect(throws: PoolFailure.full) { try await refusing.submit {} }
    let helping = ThreadPool(threadLimit: 1, queueLimit: 1, whenFull: .callerRuns)
    _ = try await fill(helping)
    _ = try await helping.submit {}
    #expect(try await helping.submit { 3 }.present?.get() == 3)
    let waiting = ThreadPool(threadLimit: 1, queueLimit: 1)
    _ = try await fill(waiting)
    _ = try await waiting.submit {}
    let task = Task { try await waiting.submit {} }
    task.cancel()
    await #expect(throws: PoolFailure.cancelled) { try await task.value }
    open.set()
    #expect(try await waiting.submit { 4 }.result() == 4)
  }

  @Test("ends with its work done, or cancelled", arguments: [true, false])
  func shutsDown(drains: Bool) async throws {
    let pool = ThreadPool(threadLimit: 2)
    let (open, done) = (Event(), Tally())
    var futures: [Future<Void>] = []
    for _ in 0..<50 {
      futures.append(
        try await pool.submit {
          open.wait()
          done.add()
        }
      )
    }
    try await Crowd.until { pool.counts.waiting == 48 }
    pool.shutDown(drains ? .draining : .cancelling)
    await #expect(throws: PoolFailure.shutDown) { try await pool.submit {} }
    open.set()
    try await pool.join(within: .seconds(30))
    #expect(done.value == (drains ? 50 : 2))
    #expect(futures.filter { !$0.isDone }.isEmpty)
  }

  @Test("a pool that nobody has ends when its work is done")
  func isDropped() async throws {
    let done = Latch(20)
    do {
      let pool = ThreadPool(threadLimit: 2)
      for _ in 0..<20 { try await pool.submit { done.countDown() } }
    }
    try await done.wait(within: .seconds(30))
  }
}
