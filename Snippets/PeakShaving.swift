// A burst of 100,000 jobs through a queue for 1,000: memory stays flat, and the burst waits outside.
import MartletQueues
import MartletSync

/// How many jobs took how long, by powers of two of a microsecond.
final class Latencies: Sendable {
  private let counts = Locked(Array(repeating: 0, count: 40))

  func count(_ duration: Duration) {
    let microseconds = max(Int(duration / .microseconds(1)), 1)
    counts.withLock { $0[Int.bitWidth - microseconds.leadingZeroBitCount] += 1 }
  }

  func draw(_ title: String) {
    print(title)
    let counts = counts.withLock { $0 }
    let most = counts.max() ?? 1
    for (power, count) in counts.enumerated() where count > 0 {
      let bar = String(repeating: "#", count: (count * 40 + most - 1) / most)
      print("  below \(1 << power) µs\t\(count)\t\(bar)")
    }
  }
}

func shave(_ jobCount: Int, to places: Int) async throws {
  let clock = ContinuousClock()
  let queue = Queue<ContinuousClock.Instant>(capacity: places)
  let (inside, most) = (Latencies(), Locked(0))
  let producers = Latch(4)
  try await withThrowingTaskGroup(of: Void.self) { group in
    for _ in 0..<4 {
      group.addTask {
        // Who finds the queue full waits here, with its one job: that is the back-pressure.
        for _ in 0..<jobCount / 4 { try await queue.put(clock.now, within: .seconds(60)) }
        producers.countDown()
      }
    }
    for _ in 0..<2 {
      group.addTask {
        for await offered in queue {
          inside.count(clock.now - offered)
          let count = queue.count
          most.withLock { $0 = max($0, count) }
          queue.taskDone()
        }
      }
    }
    group.addTask {
      try await producers.wait()
      try await queue.join()
      queue.close()
    }
    try await group.waitForAll()
  }
  inside.draw("from the offer to the work")
  print("\(jobCount) jobs are done, never more than \(most.withLock { $0 }) at once in the queue")
}

try await shave(100_000, to: 1000)
