import MartletSync
import MartletSystem
import Testing

@Suite("Values of threads")
struct ThreadLocalTests {
  /// Counts itself while it lives.
  private final class Counted: Sendable {
    let count: Locked<Int>
    init(_ count: Locked<Int>) {
      self.count = count
      count.withLock { $0 += 1 }
    }
    deinit { count.withLock { $0 -= 1 } }
  }

  @Test("are each thread's own")
  func own() throws {
    let numbers = ThreadLocal { 0 }
    let (seen, ended) = (Locked<[Int]>([]), Latch(8))
    for count in 1...8 {
      try Thread.start {
        for _ in 0..<(count * 1000) { numbers.withValue { $0 += 1 } }
        let value = numbers.value
        seen.withLock { $0.append(value) }
        ended.countDown()
      }
    }
    ended.wait()
    #expect(seen.withLock { $0.sorted() } == (1...8).map { $0 * 1000 })
  }

  @Test("end with their threads")
  func ends() async throws {
    let alive = Locked(0)
    let values = ThreadLocal { Counted(alive) }
    let (made, may) = (Latch(3), Event())
    for _ in 0..<3 {
      try Thread.start {
        _ = values.value
        made.countDown()
        may.wait()
      }
    }
    try await made.wait()
    #expect(alive.withLock { $0 } == 3)
    may.set()
    // A thread lets go of them a moment after its last statement.
    while alive.withLock({ $0 }) > 0 { await Task.yield() }
  }
}
