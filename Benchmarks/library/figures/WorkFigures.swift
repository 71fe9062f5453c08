import Glibc
import MartletLoop
import MartletProcess
import MartletSync

/// Nanoseconds of a job that computes, waits or does both, by coroutines, threads and processes.
enum WorkFigures {
  /// What a job does: first it waits, then it computes.
  struct Work: Codable, Sendable {
    var milliseconds: Int
    var steps: Int
  }

  private static let jobCount = 32
  private static let works = [
    ("computing", Work(milliseconds: 0, steps: 1_000_000)),
    ("waiting", Work(milliseconds: 50, steps: 0)),
    ("both", Work(milliseconds: 50, steps: 1_000_000)),
  ]

  /// What processes do.
  static let job = WorkerTask("wait and compute") { (work: Work) in block(work) }

  static func all() throws -> [Figure] {
    let loop = try EventLoop()
    let (few, many) = (ThreadPool(threadLimit: 2), ThreadPool(threadLimit: jobCount))
    let processes = try ProcessPool(processLimit: 2)
    defer {
      few.shutDown()
      many.shutDown()
      processes.shutDown()
    }
    let things = works.flatMap { name, work in
      [
        ("\(name), by coroutines", { try onLoop(loop, work) { compute(work.steps) } }),
        (
          "\(name), by coroutines and 2 threads",
          { try onLoop(loop, work) { try await few.submit { compute(work.steps) }.result() } }
        ),
        ("\(name), by 2 threads", { try by(few, work) }),
        ("\(name), by \(jobCount) threads", { try by(many, work) }),
        (
          "\(name), by 2 processes",
          {
            try time {
              let futures = try (0..<jobCount).map { _ in try processes.submit(job, work) }
              for future in futures { _ = try future.result() }
            }
          }
        ),
      ]
    }
    return try inTurn(2, things, of: { $0[0] })
  }

  private static func time(_ body: () throws -> Void) rethrows -> Double {
    let start = nanoseconds()
    try body()
    return Double(nanoseconds() - start) / Double(jobCount)
  }

  private static func by(_ pool: ThreadPool, _ work: Work) throws -> Double {
    try time {
      let futures = try (0..<jobCount).map { _ in try pool.submit { block(work) } }
      for future in futures { _ = try future.result() }
    }
  }

  private static func onLoop(
    _ loop: EventLoop,
    _ work: Work,
    _ computed: @escaping @Sendable () async throws -> UInt64
  ) throws -> Double {
    let failure = Locked<(any Error)?>(nil)
    let figure = time {
      loop.run {
        do {
          _ = try await loop.map(0..<jobCount, atMost: jobCount) { _ in
            if work.milliseconds > 0 { try await loop.sleep(for: .milliseconds(work.milliseconds)) }
            return try await computed()
          }
        } catch {
          failure.withLock { $0 = error }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return figure
  }

  private static func block(_ work: Work) -> UInt64 {
    if work.milliseconds > 0 { usleep(UInt32(work.milliseconds) * 1000) }
    return compute(work.steps)
  }

  /// A chain of steps, each of which needs the one before it.
  @inline(never)
  private static func compute(_ steps: Int) -> UInt64 {
    var value: UInt64 = 88_172_645_463_325_252
    for _ in 0..<steps {
      value ^= value << 13
      value ^= value >> 7
      value ^= value << 17
    }
    return value
  }
}
