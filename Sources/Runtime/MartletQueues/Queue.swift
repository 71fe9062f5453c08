import MartletSync
import MartletSystem
import Synchronization

/// In which order elements are taken.
public struct QueueOrder<Element: Sendable>: Sendable {
  enum Kind: Sendable {
    case firstIn
    case lastIn
    case priority(@Sendable (Element, Element) -> Bool)
  }

  let kind: Kind

  /// The one that has waited longest comes first (FIFO).
  public static var firstIn: QueueOrder { QueueOrder(kind: .firstIn) }

  /// The one that came last comes first (LIFO).
  public static var lastIn: QueueOrder { QueueOrder(kind: .lastIn) }

  /// The one comes first that precedes all others; equal ones in the order of their coming.
  ///
  /// `precedes` is called with a lock held, and calls nothing of the queue.
  public static func priority(
    _ precedes: @escaping @Sendable (Element, Element) -> Bool
  ) -> QueueOrder { QueueOrder(kind: .priority(precedes)) }
}

/// A bounded queue between any number of threads and coroutines.
///
/// Who puts something into a full one waits, and so does who takes from an empty one. A closed queue lets
/// nothing in, and gives out what is there; then it is over for the takers. In the order of coming it works
/// without a lock while nobody has to wait.
public final class Queue<Element: Sendable>: Sendable {
  /// How many elements it holds at most.
  public let capacity: Int
  private let store: any QueueStore<Element>
  /// The same store as what it is, one of both: called directly, there is code for its elements.
  private let ring: Ring<Element>?
  private let ordered: OrderedStore<Element>?
  let takers = WaitGate()
  let putters = WaitGate()
  private let joiners = WaitGate()
  private let doneCount = Atomic<Int>(0)

  /// Creates an empty queue for so many elements.
  ///
  /// In the order of coming the places are made at once.
  public init(_ order: QueueOrder<Element> = .firstIn, capacity: Int) {
    precondition(capacity > 0 && capacity <= 1 << 40, "a queue has room for one or more")
    self.capacity = capacity
    switch order.kind {
    case .firstIn:
      let ring = Ring<Element>(capacity: capacity)
      (self.ring, ordered) = (ring, nil)
      store = ring
    case .lastIn:
      let ordered = OrderedStore<Element>(capacity: capacity, precedes: nil)
      (ring, self.ordered) = (nil, ordered)
      store = ordered
    case .priority(let precedes):
      let ordered = OrderedStore<Element>(capacity: capacity, precedes: precedes)
      (ring, self.ordered) = (nil, ordered)
      store = ordered
    }
  }

  /// How many elements are in it.
  public var count: Int { store.count }

  /// Whether ``close()`` was called.
  public var isClosed: Bool { store.isClosed }

  /// How many were put in and are not done, see ``taskDone()``.
  public var unfinishedCount: Int {
    // In this order it is never too small: what is done was put in before.
    let done = doneCount.load(ordering: .sequentiallyConsistent)
    return store.putCount - done
  }

  /// How many wait for an element, and how many for room.
  public var waitingCounts: (takers: Int, putters: Int) {
    (takers.waitingCount, putters.waitingCount)
  }

  // MARK: Putting in

  /// Puts an element in if there is room.
  ///
  /// - Returns: false when the queue is full or closed.
  public func tryPut(_ element: Element) -> Bool { putNow(element) == .done }

  /// Puts an element in, and blocks the calling thread while the queue is full, at most for `limit`.
  ///
  /// - Throws: ``QueueFailure/closed`` or ``QueueFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func put(_ element: Element, within limit: Duration? = nil) throws(QueueFailure) {
    if try turn({ () throws(QueueFailure) in try isPut(element) }) { return }
    let moment = Moment(limit)
    while true {
      let waiter = putters.enter()
      if try isPut(element, or: waiter) { return }
      try check(waiter.block(until: moment.nanoseconds), waiter, of: putters)
      if try isPut(element) { return }
    }
  }

  /// Puts an element in, and suspends the calling coroutine while the queue is full, at most for `limit`.
  ///
  /// - Throws: ``QueueFailure``.
  public func put(_ element: Element, within limit: Duration? = nil) async throws(QueueFailure) {
    if try isPut(element) { return }
    let moment = Moment(limit)
    while true {
      let waiter = putters.enter()
      if try isPut(element, or: waiter) { return }
      try check(await waiter.suspend(within: moment.remainder), waiter, of: putters)
      if try isPut(element) { return }
    }
  }

  // MARK: Taking out

  /// Takes the next element if there is one.
  public func tryTake() -> Element? {
    if case .element(let element) = takeNow() { element } else { nil }
  }

  /// Takes the next element, and blocks the calling thread while there is none, at most for `limit`.
  ///
  /// - Throws: ``QueueFailure/closed`` or ``QueueFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func take(within limit: Duration? = nil) throws(QueueFailure) -> Element {
    var turns = Turns(shortCount: Self.shortTurns)
    repeat {
      if let element = try taken() { return element }
      turns.turn()
    } while turns.count < Self.turnCount
    let moment = Moment(limit)
    while true {
      let waiter = takers.enter()
      if let element = try taken(or: waiter) { return element }
      try check(waiter.block(until: moment.nanoseconds), waiter, of: takers)
      if let element = try taken() { return element }
    }
  }

  /// Takes the next element, and suspends the calling coroutine while there is none, at most for `limit`.
  ///
  /// - Throws: ``QueueFailure``.
  public func take(within limit: Duration? = nil) async throws(QueueFailure) -> Element {
    if let element = try taken() { return element }
    let moment = Moment(limit)
    while true {
      let waiter = takers.enter()
      if let element = try taken(or: waiter) { return element }
      try check(await waiter.suspend(within: moment.remainder), waiter, of: takers)
      if let element = try taken() { return element }
    }
  }

  /// The next element, for which the calling thread is blocked; nil when the queue is closed and empty.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func next() -> Element? {
    do throws(QueueFailure) { return try take() } catch { return nil }
  }

  /// The next element; nil when the queue is closed and empty, or the task is cancelled.
  public func next() async -> Element? {
    do throws(QueueFailure) { return try await take() } catch { return nil }
  }

  // MARK: Ends

  /// Lets nothing in any more; what is there can still be taken.
  public func close() {
    store.close()
    putters.wakeAll()
    takers.wakeAll()
  }

  /// Says that what was taken out is done; once for each element.
  public func taskDone() {
    let done = doneCount.add(1, ordering: .sequentiallyConsistent).newValue
    precondition(done <= store.putCount, "more is done than was put in")
    if joiners.waitingCount > 0, unfinishedCount == 0 { joiners.wakeAll() }
  }

  /// Blocks the calling thread until all that was put in is done, at most for `limit`.
  ///
  /// - Throws: ``QueueFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func join(within limit: Duration? = nil) throws(QueueFailure) {
    let moment = Moment(limit)
    while unfinishedCount > 0 {
      let waiter = joiners.enter()
      if unfinishedCount == 0 { return joiners.leave(waiter) }
      try check(waiter.block(until: moment.nanoseconds), waiter, of: joiners)
    }
  }

  /// Suspends the calling coroutine until all that was put in is done, at most for `limit`.
  ///
  /// - Throws: ``QueueFailure``.
  public func join(within limit: Duration? = nil) async throws(QueueFailure) {
    let moment = Moment(limit)
    while unfinishedCount > 0 {
      let waiter = joiners.enter()
      if unfinishedCount == 0 { return joiners.leave(waiter) }
      try check(await waiter.suspend(within: moment.remainder), waiter, of: joiners)
    }
  }

  // MARK: Steps

  /// How often a thread looks before it says that it waits.
  private static var turnCount: Int { 12 }
  /// Who makes room, or fills it, may be one that waits for this processor: most turns let it run.
  static var shortTurns: Int { 3 }

  private func turn(_ isDone: () throws(QueueFailure) -> Bool) throws(QueueFailure) -> Bool {
    var turns = Turns(shortCount: Self.shortTurns)
    repeat {
      if try isDone() { return true }
      turns.turn()
    } while turns.count < Self.turnCount
    return false
  }

  func putNow(_ element: Element) -> Putting {
    let result = ring?.put(element) ?? ordered?.put(element) ?? store.put(element)
    if result == .done { takers.wake() }
    return result
  }

  func takeNow() -> Taken<Element> {
    let result = ring?.take() ?? ordered?.take() ?? store.take()
    if case .element = result { putters.wake() }
    return result
  }

  private func isPut(_ element: Element, or waiter: Waiter? = nil) throws(QueueFailure) -> Bool {
    let result = putNow(element)
    if let waiter, result != .full { putters.leave(waiter) }
    if result == .closed { throw .closed }
    return result == .done
  }

  private func taken(or waiter: Waiter? = nil) throws(QueueFailure) -> Element? {
    switch takeNow() {
    case .element(let element):
      if let waiter { takers.leave(waiter) }
      return element
    case .closed:
      if let waiter { takers.leave(waiter) }
      throw .closed
    case .empty:
      return nil
    }
  }

  private func check(
    _ outcome: Waiter.Outcome,
    _ waiter: Waiter,
    of gate: WaitGate
  ) throws(QueueFailure) {
    guard outcome != .woken else { return }
    gate.leave(waiter)
    throw outcome == .timedOut ? .timedOut : .cancelled
  }
}

/// The end of a wait on the clock that never goes back.
struct Moment {
  /// nil: it does not come.
  var nanoseconds: Int64?

  init(_ limit: Duration?) {
    guard let limit else { return }
    let (seconds, attoseconds) = limit.components
    let whole = max(min(seconds, 3_153_600_000), 0) * 1_000_000_000
    nanoseconds = SystemClock.monotonicNanoseconds() + whole + max(attoseconds / 1_000_000_000, 0)
  }

  /// What is left of it.
  var remainder: Duration? {
    nanoseconds.map { .nanoseconds($0 - SystemClock.monotonicNanoseconds()) }
  }
}

extension Queue: AsyncSequence {
  /// Takes elements until the queue is closed and empty.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let queue: Queue

    /// The next element; nil when the queue is closed and empty, or the task is cancelled.
    public func next() async -> Element? { await queue.next() }

    /// The next element, for a caller that stays where it runs: on its loop, for one.
    public func next(isolation actor: isolated (any Actor)?) async -> Element? {
      await queue.next()
    }
  }

  /// Takes elements; several may, and each element goes to one of them.
  public func makeAsyncIterator() -> Iterator { Iterator(queue: self) }
}
