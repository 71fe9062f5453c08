import MartletSystem

/// A place of a pool for one process, and what that has to do.
struct PoolLane {
  /// Work that a process has, and its which try it is.
  struct Sent {
    var job: PoolJob
    var attempt: Int
    var sequence: UInt64
  }

  /// A process that serves the pool.
  struct Worker {
    var number: Int32
    var socket: OpenFile
    /// Readable once it has ended.
    var end: OpenFile
    var startedAt: Int64
    /// Whether it has said that it is ready.
    var isReady = false
    /// Whether it is to end behind what it has.
    var isRetiring = false
    /// Why it is being killed, if it is.
    var verdict: WorkerFailure?
    var workCount = 0
  }

  /// Quick work is sent ahead, so that a process need not wait for the next: no more than takes this long.
  private static let aheadNanoseconds: Int64 = 200_000
  private static let aheadLimit: Int64 = 32

  var worker: Worker?
  var isStarting = false
  /// What it has, the first of which it is at.
  var sent: [Sent] = []
  /// When it began with the first.
  var beganAt: Int64 = 0
  /// How long work took lately.
  var meanNanoseconds: Int64 = .max
  /// Before this no other process is started in this place.
  var startsAfter: Int64 = 0
  /// Whether its socket has no room.
  var isStuck = false

  /// How much it may have at once.
  var room: Int {
    guard let worker, worker.isReady, meanNanoseconds > 0 else { return 1 }
    return Int(max(1, min(Self.aheadLimit, Self.aheadNanoseconds / meanNanoseconds)))
  }

  /// Whether more can be sent.
  var isOpen: Bool {
    guard let worker, !worker.isRetiring, worker.verdict == nil, !isStuck else { return false }
    return sent.count < room
  }

  /// When something must be looked at, if it has a limit.
  func deadline(_ limits: ProcessPool.Limits) -> Int64? {
    guard let worker else { return nil }
    guard worker.isReady else {
      return worker.startedAt + Int64(limits.startTime / .nanoseconds(1))
    }
    guard let first = sent.first else { return nil }
    return first.job.timeLimit.map { beganAt + $0 }
  }

  /// Notes that the first is done.
  mutating func takeFirst(at now: Int64) -> Sent {
    let took = max(1, now - beganAt)
    meanNanoseconds = meanNanoseconds == .max ? took : (meanNanoseconds * 7 + took) / 8
    beganAt = now
    worker?.workCount += 1
    return sent.removeFirst()
  }
}
