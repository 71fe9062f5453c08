import MartletSystem

/// Ends the waits of coroutines whose limit has come.
///
/// It has one thread, which is started when the first such wait begins and sleeps while none is due.
final class Timekeeper: Sendable {
  static let shared = Timekeeper()

  fileprivate struct Entry {
    var moment: Int64
    var waiter: Waiter
  }

  fileprivate struct State {
    /// A heap: none is due before the one at half its place.
    var entries: [Entry] = []
    /// How many waits have ended before their limit, and are among the entries still.
    var goneCount = 0
    var hasThread = false
  }

  private let state = Locked(State())
  /// Changes when an entry comes that is due before all others.
  private let bell = FutexWord(0)

  /// Settles the waiter when its limit has come.
  ///
  /// Where no thread can be started the limit counts as over at once.
  func watch(_ waiter: Waiter, within limit: Duration) {
    let moment = limit.ends(from: SystemClock.monotonicNanoseconds())
    let (isFirst, startsThread) = state.withLock { state in
      state.push(Entry(moment: moment, waiter: waiter))
      let starts = !state.hasThread
      state.hasThread = true
      return (state.entries[0].moment == moment, starts)
    }
    if startsThread {
      do throws(SystemError) {
        try Thread.start { Self.shared.work() }
      } catch {
        state.withLock { $0.hasThread = false }
        waiter.settle(.timedOut)
      }
    } else if isFirst {
      bell.increment()
      bell.wake()
    }
  }

  /// Counts that a wait with a limit has ended before that.
  ///
  /// - Complexity: O(1), amortised.
  func noteEnd() {
    state.withLock { state in
      state.goneCount += 1
      guard state.goneCount > 64, state.goneCount > state.entries.count / 2 else { return }
      state.entries = state.entries.filter { $0.waiter.outcome == .waiting }
        // Sorted is a heap, too.
        .sorted { $0.moment < $1.moment }
      state.goneCount = 0
    }
  }

  private func work() {
    while true {
      let rung = bell.value
      let now = SystemClock.monotonicNanoseconds()
      let (due, next) = state.withLock { state in
        var due: [Waiter] = []
        while let first = state.entries.first, first.moment <= now {
          due.append(first.waiter)
          state.pop()
        }
        return (due, state.entries.first?.moment)
      }
      for waiter in due { waiter.settle(.timedOut) }
      _ = bell.sleep(while: rung, until: next)
    }
  }
}

extension Timekeeper.State {
  fileprivate mutating func push(_ entry: Timekeeper.Entry) {
    entries.append(entry)
    var place = entries.count - 1
    while place > 0, entries[place].moment < entries[(place - 1) / 2].moment {
      entries.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  fileprivate mutating func pop() {
    entries.swapAt(0, entries.count - 1)
    if entries.removeLast().waiter.outcome != .waiting { goneCount = max(goneCount - 1, 0) }
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2]
      where child < entries.count && entries[child].moment < entries[least].moment {
        least = child
      }
      guard least != place else { return }
      entries.swapAt(place, least)
      place = least
    }
  }
}
