import MartletSync
import Synchronization

/// Those who wait for a queue to have something, or room for it.
///
/// Whoever waits enters first and looks again after that; whoever changes the queue looks afterwards
/// whether somebody has entered. All four are sequentially consistent, or under the same lock: one of
/// both sees the other.
final class WaitGate: Sendable {
  /// How many stand in the line and were not woken.
  private let count = Atomic<Int>(0)
  private let line = Locked(WaitLine())

  /// How many wait.
  var waitingCount: Int { count.load(ordering: .sequentiallyConsistent) }

  func enter(_ waiter: Waiter = Waiter()) -> Waiter {
    line.withLock { line in
      line.append(waiter)
      count.add(1, ordering: .sequentiallyConsistent)
    }
    return waiter
  }

  /// Ends a wait that was not needed, or that nobody has ended.
  func leave(_ waiter: Waiter) {
    if waiter.settle(.cancelled) || waiter.outcome != .woken {
      line.withLock { line in
        line.strike()
        count.subtract(1, ordering: .sequentiallyConsistent)
      }
    } else {
      // Somebody has woken this one, who does not need it: the next one may.
      wake()
    }
  }

  /// Wakes the one that has waited longest, if any waits.
  @inline(__always)
  func wake() {
    if count.load(ordering: .sequentiallyConsistent) > 0 { wakeSlowly() }
  }

  private func wakeSlowly() {
    line.withLock { line in
      if line.wakeFirst() != nil { count.subtract(1, ordering: .sequentiallyConsistent) }
    }
  }

  func wakeAll() {
    line.withLock { line in
      while line.wakeFirst() != nil { count.subtract(1, ordering: .sequentiallyConsistent) }
    }
  }
}
