import MartletSync

/// Elements behind a lock, in an order that is not that of their coming.
final class OrderedStore<Element: Sendable>: QueueStore {
  private struct Entry {
    var element: Element
    /// The number of its coming: equal ones are taken in that order.
    var number: Int
  }

  private struct State {
    var entries: [Entry] = []
    var putCount = 0
    var isClosed = false
  }

  private let capacity: Int
  /// Whether one is taken before another; nil: the one that came last is first.
  private let precedes: (@Sendable (Element, Element) -> Bool)?
  private let state = Locked(State())

  init(capacity: Int, precedes: (@Sendable (Element, Element) -> Bool)?) {
    self.capacity = capacity
    self.precedes = precedes
  }

  func put(_ element: Element) -> Putting {
    state.withLock { state in
      if state.isClosed { return .closed }
      guard state.entries.count < capacity else { return .full }
      let entry = Entry(element: element, number: state.putCount)
      state.entries.append(entry)
      state.putCount += 1
      if let precedes {
        Self.rise(entry, from: state.entries.count - 1, of: &state.entries, by: precedes)
      }
      return .done
    }
  }

  func take() -> Taken<Element> {
    state.withLock { state in
      guard let last = state.entries.popLast() else { return state.isClosed ? .closed : .empty }
      guard let precedes, let first = state.entries.first else { return .element(last.element) }
      Self.refill(&state.entries, with: last, by: precedes)
      return .element(first.element)
    }
  }

  func close() { state.withLock { $0.isClosed = true } }

  var isClosed: Bool { state.withLock(\.isClosed) }
  var count: Int { state.withLock { $0.entries.count } }
  var putCount: Int { state.withLock(\.putCount) }

  // MARK: The heap

  // Others wait for the lock meanwhile: each pair is compared once, and entries move into a hole instead of
  // changing places.

  private typealias Order = @Sendable (Element, Element) -> Bool

  private static func isBefore(_ first: Entry, _ second: Entry, by precedes: Order) -> Bool {
    // The one that came first goes first unless the other precedes it.
    first.number < second.number
      ? !precedes(second.element, first.element) : precedes(first.element, second.element)
  }

  /// Lets an entry rise from a hole to its place.
  private static func rise(
    _ entry: Entry,
    from start: Int,
    of entries: inout [Entry],
    by precedes: Order
  ) {
    var hole = start
    while hole > 0 {
      let parent = (hole - 1) / 2
      guard isBefore(entry, entries[parent], by: precedes) else { break }
      entries[hole] = entries[parent]
      hole = parent
    }
    entries[hole] = entry
  }

  /// Fills the hole that the first entry has left with what was the last.
  ///
  /// That one belongs far down nearly always: the hole goes down to the end, which takes one comparison on each
  /// level, and the entry rises from there.
  private static func refill(_ entries: inout [Entry], with last: Entry, by precedes: Order) {
    var hole = 0
    while 2 * hole + 1 < entries.count {
      var child = 2 * hole + 1
      if child + 1 < entries.count, isBefore(entries[child + 1], entries[child], by: precedes) {
        child += 1
      }
      entries[hole] = entries[child]
      hole = child
    }
    rise(last, from: hole, of: &entries, by: precedes)
  }
}
