import MartletLoop
import MartletSync
import MartletSystem

/// The loops that connections are served on, each with a thread of its own.
///
/// The connections of a sender come at the same time. Loops that each accept for themselves would leave it to chance
/// who wakes first, and he takes them all: then one thread digests and writes what several send.
final class ReceiveLoops: Sendable {
  private let loops: [EventLoop]
  /// How many connections each has.
  private let counts: Locked<[Int]>

  init(count: Int) throws(SystemError) {
    var loops: [EventLoop] = []
    for _ in 0..<count {
      let loop = try EventLoop()
      try loop.startThread()
      loops.append(loop)
    }
    self.loops = loops
    counts = Locked(Array(repeating: 0, count: count))
  }

  /// Serves a connection on the loop that has the fewest, and returns when it has ended.
  func run(_ serve: @escaping @Sendable (EventLoop) async -> Void) async {
    let place = counts.withLock { counts in
      let place = counts.indices.min { counts[$0] < counts[$1] } ?? 0
      counts[place] += 1
      return place
    }
    let loop = loops[place]
    await loop.perform { await serve(loop) }
    counts.withLock { $0[place] -= 1 }
  }
}
