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
      state.entries.append(Entry(element: element, number: state.putCount))
      state.putCount += 1
      if precedes != nil { rise(&state.entries) }
      return .done
    }
  }

  func take() -> Taken<Element> {
    state.withLock { state in
      guard !state.entries.isEmpty else { return state.isClosed ? .closed : .empty }
      guard precedes != nil else { return .element(state.entries.removeLast().element) }
      state.entries.swapAt(0, state.entries.count - 1)
      let entry = state.entries.removeLast()
      sink(&state.entries)
      return .element(entry.element)
    }
  }

  func close() { state.withLock { $0.isClosed = true } }

  var isClosed: Bool { state.withLock(\.isClosed) }
  var count: Int { state.withLock { $0.entries.count } }
  var putCount: Int { state.withLock(\.putCount) }

  private func isBefore(_ first: Entry, _ second: Entry) -> Bool {
    guard let precedes else { return first.number > second.number }
    if precedes(first.element, second.element) { return true }
    if precedes(second.element, first.element) { return false }
    return first.number < second.number
  }

  private func rise(_ entries: inout [Entry]) {
    var place = entries.count - 1
    while place > 0, isBefore(entries[place], entries[(place - 1) / 2]) {
      entries.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private func sink(_ entries: inout [Entry]) {
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2]
      where child < entries.count && isBefore(entries[child], entries[least]) {
        least = child
      }
      guard least != place else { return }
      entries.swapAt(place, least)
      place = least
    }
  }
}
