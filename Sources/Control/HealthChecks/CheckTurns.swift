import MartletLoop
import MartletSystem

/// Whose turn it is to be asked, and when: one coroutine wakes for all targets.
///
/// A coroutine for each target would be simpler, but one that has slept for a second is cold memory all
/// over, and to wake it takes as long as half of what it asks.
final class CheckTurns {
  private let loop: EventLoop
  private let signal: Signal?
  /// The targets by the moment of the monotonic clock at which they are asked; few moments have many.
  private var due: [Int64: [CheckedTarget]] = [:]
  private var next = Int64.max
  private var isRunning = false
  /// What the clock of the wall is ahead of the monotonic one, in nanoseconds, as seen in this turn.
  private(set) var wallAhead: Int64 = 0

  init(on loop: EventLoop) {
    self.loop = loop
    signal = Signal(on: loop)
  }

  /// Whether there is a timer to wait with.
  var canWait: Bool { signal != nil }

  var clock: Int64 { loop.kernel.monotonicNanoseconds() }

  /// Lets a target have its turn at a moment, or as soon as others have had theirs.
  func add(_ target: CheckedTarget, at moment: Int64) {
    due[moment, default: []].append(target)
    if moment < next {
      next = moment
      signal?.set()
    }
    guard !isRunning, let signal else { return }
    isRunning = true
    let turns = self
    loop.spawn(named: "check members") { await turns.run(signal) }
  }

  /// Forgets the targets that are asked no more.
  func forgetStopped() {
    for (moment, targets) in due where targets.contains(where: \.isStopped) {
      let rest = targets.filter { !$0.isStopped }
      due[moment] = rest.isEmpty ? nil : rest
    }
    next = due.keys.min() ?? .max
    signal?.set()
  }

  /// Asks until nobody is to be asked.
  private func run(_ signal: Signal) async {
    while !due.isEmpty {
      let now = clock
      guard next <= now else {
        let deadline = loop.deadline(at: next)
        // Either way it is looked at anew what comes next.
        do throws(WaitError) { try await signal.wait(by: deadline) } catch {}
        continue
      }
      wallAhead = SystemClock.wallMicroseconds() * 1000 - now
      let targets = due.removeValue(forKey: next) ?? []
      next = due.keys.min() ?? .max
      for target in targets { target.ask() }
      // Others have their turn too, however late this one was.
      await loop.yield()
    }
    isRunning = false
  }
}
