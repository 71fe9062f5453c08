import Dispatch
import MartletProcess
import MartletSync

/// Nanoseconds from submitting an empty task to having its result.
enum PoolFigures {
  private static let rounds = 50_000

  static func all() throws -> [Figure] {
    let pool = ThreadPool(threadLimit: 2, queueLimit: 100_000)
    defer { pool.shutDown() }
    let queue = DispatchQueue(label: "pool", attributes: .concurrent)
    return [
      Figure(
        "thread pool, one at a time",
        try best { for _ in 0..<rounds { _ = try pool.submit { 1 }.result() } }
      ),
      Figure(
        "Dispatch, one at a time",
        best {
          for _ in 0..<rounds {
            let (done, box) = (DispatchSemaphore(value: 0), Box(0))
            queue.async {
              box.value = 1
              done.signal()
            }
            done.wait()
          }
        }
      ),
      Figure(
        "thread pool, many at a time",
        try best {
          let futures = try (0..<rounds).map { _ in try pool.submit { 1 } }
          for future in futures { _ = try future.result() }
        }
      ),
      Figure(
        "Dispatch, many at a time",
        best {
          let works = (0..<rounds).map { _ in
            let (done, box) = (DispatchSemaphore(value: 0), Box(0))
            queue.async {
              box.value = 1
              done.signal()
            }
            return (done, box)
          }
          for work in works { work.0.wait() }
        }
      ),
    ]
  }

  static func best(
    _ rounds: Int = rounds,
    _ run: () throws -> Void
  ) rethrows -> Double {
    try (0..<3).map { _ in
      let start = nanoseconds()
      try run()
      return Double(nanoseconds() - start) / Double(rounds)
    }.min() ?? 0
  }

  /// What processes do in the comparison: 1 KB in, and out again.
  static let same = WorkerTask("same") { (bytes: [UInt8]) in bytes }

  static func ofProcesses() throws -> [Figure] {
    let rounds = 5000
    let pool = try ProcessPool(processLimit: 2, queueLimit: 100_000)
    defer { pool.shutDown() }
    let bytes = [UInt8](repeating: 1, count: 1024)
    _ = try pool.submit(same, bytes).result()
    return [
      Figure(
        "process pool, one at a time",
        try best(rounds) { for _ in 0..<rounds { _ = try pool.submit(same, bytes).result() } }
      ),
      Figure(
        "process pool, many at a time",
        try best(rounds) {
          let futures = try (0..<rounds).map { _ in try pool.submit(same, bytes) }
          for future in futures { _ = try future.result() }
        }
      ),
    ]
  }
}
