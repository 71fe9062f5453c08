import MartletLoop
import MartletProcess
import MartletSync

/// Nanoseconds from one coroutine of a loop to another.
enum SwitchFigures {
  private static let rounds = 1_000_000

  static func all() throws -> [Figure] {
    try inTurn(
      5,
      [("coroutine switch", { try handOver() })],
      of: { $0[0] }
    )
  }

  /// Two coroutines that wait for each other, again and again.
  private static func handOver() throws -> Double {
    let loop = try EventLoop()
    let time = Locked(0.0)
    loop.run {
      guard let left = Signal(on: loop), let right = Signal(on: loop) else { return }
      let start = nanoseconds()
      loop.spawn { await pass(from: left, to: right) }
      left.set()
      await pass(from: right, to: left)
      time.withLock { $0 = Double(nanoseconds() - start) / Double(2 * rounds) }
    }
    return time.withLock { $0 }
  }

  private nonisolated(nonsending) static func pass(from own: Signal, to other: Signal) async {
    do throws(WaitError) {
      for _ in 0..<rounds {
        try await own.wait()
        other.set()
      }
    } catch {
      fatalError("\(error)")
    }
  }
}
