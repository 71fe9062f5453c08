import MartletQueues
import MartletSync
import MartletSystem

/// Nanoseconds of one element through a bounded queue, from two producers to two consumers.
enum QueueFigures {
  private static let perProducer = 500_000
  private static let capacity = 1024

  /// How threads fall in with each other differs from round to round: the middle of many is the figure.
  static func all() throws -> [Figure] {
    try inTurn(
      9,
      [
        ("queue, 2 to 2 threads", { try threads(Queue<Int>(capacity: capacity)) }),
        (
          "priority queue, 2 to 2 threads",
          { try threads(Queue<Int>(.priority(<), capacity: capacity), perProducer / 10) }
        ),
        ("mutex and condition, 2 to 2 threads", { try classic() }),
      ],
      of: { $0[$0.count / 2] }
    )
  }

  static func tasks() async throws -> [Figure] {
    var times: [Double] = []
    for _ in 0..<3 {
      let queue = Queue<Int>(capacity: capacity)
      let start = nanoseconds()
      try await withThrowingTaskGroup(of: Void.self) { group in
        let producers = Latch(2)
        for _ in 0..<2 {
          group.addTask {
            for value in 0..<perProducer { try await queue.put(value) }
            producers.countDown()
          }
          group.addTask { while await queue.next() != nil {} }
        }
        group.addTask {
          try await producers.wait()
          queue.close()
        }
        try await group.waitForAll()
      }
      times.append(Double(nanoseconds() - start) / Double(2 * perProducer))
    }
    return [Figure("queue, 2 to 2 tasks", times.min() ?? 0)]
  }

  private static func threads(
    _ queue: Queue<Int>,
    _ perProducer: Int = perProducer
  ) throws -> Double {
    let (producers, consumers) = (Latch(2), Latch(2))
    let start = nanoseconds()
    for _ in 0..<2 {
      try Thread.start {
        for value in 0..<perProducer { do { try queue.put(value) } catch { break } }
        producers.countDown()
      }
      try Thread.start {
        while queue.next() != nil {}
        consumers.countDown()
      }
    }
    producers.wait()
    queue.close()
    consumers.wait()
    return Double(nanoseconds() - start) / Double(2 * perProducer)
  }

  /// The same by what a textbook has: a mutex, two conditions and a ring.
  private static func classic() throws -> Double {
    let locks = PosixLocks()
    let ring = Box((values: Array(repeating: 0, count: capacity), head: 0, count: 0))
    let ended = Latch(4)
    let start = nanoseconds()
    for _ in 0..<2 {
      try Thread.start {
        for value in 0..<perProducer {
          locks.lock()
          while ring.value.count == capacity { locks.waitEmptied() }
          ring.value.values[(ring.value.head + ring.value.count) % capacity] = value
          ring.value.count += 1
          locks.signalFilled()
          locks.unlock()
        }
        ended.countDown()
      }
      try Thread.start {
        for _ in 0..<perProducer {
          locks.lock()
          while ring.value.count == 0 { locks.waitFilled() }
          ring.value.head = (ring.value.head + 1) % capacity
          ring.value.count -= 1
          locks.signalEmptied()
          locks.unlock()
        }
        ended.countDown()
      }
    }
    ended.wait()
    return Double(nanoseconds() - start) / Double(2 * perProducer)
  }
}
