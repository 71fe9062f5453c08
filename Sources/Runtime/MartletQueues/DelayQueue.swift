import MartletSync
import MartletSystem

/// A queue whose elements can be taken when their time has come, the earliest first.
///
/// For what is to be tried again, or is to end. A closed one lets nothing in, and still gives out what is
/// there at its time.
public final class DelayQueue<Element: Sendable>: Sendable {
  fileprivate struct Entry {
    var element: Element
    var moment: Int64
    var number: Int
  }

  fileprivate struct State {
    /// A heap: none is due before the one at half its place.
    var entries: [Entry] = []
    var putCount = 0
    var isClosed = false
  }

  private enum Look {
    case element(Element)
    /// The first is due then; nil: there is none.
    case wait(until: Int64?)
    case closed
  }

  /// How many elements it holds at most.
  public let capacity: Int
  private let state = Locked(State())
  private let takers = WaitGate()

  /// Creates an empty queue for so many elements.
  public init(capacity: Int) {
    precondition(capacity > 0, "a queue has room for one or more")
    self.capacity = capacity
  }

  /// How many elements are in it, due or not.
  public var count: Int { state.withLock { $0.entries.count } }

  /// Puts an element in that can be taken when `delay` is over.
  ///
  /// - Returns: false when the queue is full or closed.
  public func tryPut(_ element: Element, after delay: Duration) -> Bool {
    let moment = Moment(delay).nanoseconds ?? 0
    let isDone = state.withLock { state in
      guard !state.isClosed, state.entries.count < capacity else { return false }
      state.putCount += 1
      state.push(Entry(element: element, moment: moment, number: state.putCount))
      return true
    }
    // Whoever waits for a later one looks again.
    if isDone { takers.wake() }
    return isDone
  }

  /// Takes the earliest element if it is due.
  public func tryTake() -> Element? {
    if case .element(let element) = look() { element } else { nil }
  }

  /// Takes the earliest element, and blocks the calling thread until one is due, at most for `limit`.
  ///
  /// - Throws: ``QueueFailure/closed`` or ``QueueFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func take(within limit: Duration? = nil) throws(QueueFailure) -> Element {
    let end = Moment(limit)
    while true {
      let waiter = takers.enter()
      if let element = try taken(or: waiter, by: end) { return element.element }
      let until = wakeMoment(by: end)
      if waiter.block(until: until) != .woken { takers.leave(waiter) }
    }
  }

  /// Takes the earliest element, and suspends the calling coroutine until one is due, at most for `limit`.
  ///
  /// - Throws: ``QueueFailure``.
  public func take(within limit: Duration? = nil) async throws(QueueFailure) -> Element {
    let end = Moment(limit)
    while true {
      let waiter = takers.enter()
      if let element = try taken(or: waiter, by: end) { return element.element }
      var next = Moment(nil)
      next.nanoseconds = wakeMoment(by: end)
      let outcome = await waiter.suspend(within: next.remainder)
      if outcome != .woken { takers.leave(waiter) }
      if outcome == .cancelled { throw .cancelled }
    }
  }

  /// Lets nothing in any more; what is there can still be taken at its time.
  public func close() {
    state.withLock { $0.isClosed = true }
    takers.wakeAll()
  }

  private func look() -> Look {
    let now = SystemClock.monotonicNanoseconds()
    return state.withLock { state in
      guard let first = state.entries.first else {
        return state.isClosed ? .closed : .wait(until: nil)
      }
      guard first.moment <= now else { return .wait(until: first.moment) }
      return .element(state.pop().element)
    }
  }

  /// The element, in a box for it may be an optional itself; nil: it must be waited.
  private func taken(
    or waiter: Waiter,
    by end: Moment
  ) throws(QueueFailure) -> (element: Element, Void)? {
    switch look() {
    case .element(let element):
      takers.leave(waiter)
      return (element, ())
    case .closed:
      takers.leave(waiter)
      // The others learn it too: they may have waited for the last element.
      takers.wakeAll()
      throw .closed
    case .wait:
      guard let end = end.nanoseconds, SystemClock.monotonicNanoseconds() >= end else { return nil }
      takers.leave(waiter)
      throw .timedOut
    }
  }

  /// When a taker looks again at the latest.
  private func wakeMoment(by end: Moment) -> Int64? {
    let due = state.withLock { $0.entries.first?.moment }
    guard let due, let end = end.nanoseconds else { return due ?? end.nanoseconds }
    return min(due, end)
  }
}

extension DelayQueue.State {
  fileprivate mutating func push(_ entry: DelayQueue.Entry) {
    entries.append(entry)
    var place = entries.count - 1
    while place > 0, isBefore(place, (place - 1) / 2) {
      entries.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  fileprivate mutating func pop() -> DelayQueue.Entry {
    entries.swapAt(0, entries.count - 1)
    let entry = entries.removeLast()
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2]
      where child < entries.count && isBefore(child, least) {
        least = child
      }
      guard least != place else { return entry }
      entries.swapAt(place, least)
      place = least
    }
  }

  private func isBefore(_ first: Int, _ second: Int) -> Bool {
    (entries[first].moment, entries[first].number) < (
      entries[second].moment, entries[second].number
    )
  }
}
