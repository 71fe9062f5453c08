import AsyncAlgorithms
import Dispatch
import NIOPosix

/// What the libraries of others take for the same.
enum PeerFigures {
  private static let rounds = 50_000
  private static let perProducer = 100_000

  static func all() throws -> [Figure] {
    let pool = NIOThreadPool(numberOfThreads: 2)
    pool.start()
    let figures = [
      Figure(
        "SwiftNIO, one at a time",
        PoolFigures.best { for _ in 0..<rounds { submitted(to: pool).wait() } }
      ),
      Figure(
        "SwiftNIO, many at a time",
        PoolFigures.best {
          let ends = (0..<rounds).map { _ in submitted(to: pool) }
          for end in ends { end.wait() }
        }
      ),
    ]
    try pool.syncShutdownGracefully()
    return figures
  }

  /// Submits an empty task with a place for its result; what is returned is signalled when that is there.
  private static func submitted(to pool: NIOThreadPool) -> DispatchSemaphore {
    let (done, box) = (DispatchSemaphore(value: 0), Box(0))
    pool.submit { _ in
      box.value = 1
      done.signal()
    }
    return done
  }

  static func tasks() async -> [Figure] {
    var times: [Double] = []
    for _ in 0..<3 {
      let channel = AsyncChannel<Int>()
      let start = nanoseconds()
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<2 { group.addTask { for await _ in channel {} } }
        await withTaskGroup(of: Void.self) { producers in
          for _ in 0..<2 {
            producers.addTask { for value in 0..<perProducer { await channel.send(value) } }
          }
        }
        channel.finish()
      }
      times.append(Double(nanoseconds() - start) / Double(2 * perProducer))
    }
    return [Figure("swift-async-algorithms, 2 to 2 tasks", times.min() ?? 0)]
  }
}
