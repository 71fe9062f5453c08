import MartletSync

/// One of several things that are waited for at once: see ``select(_:within:)``.
public struct Choice<Result> {
  /// What came of a look.
  fileprivate enum Look {
    /// The thing is there, and was taken: this is what is done with it.
    case ready(() async throws -> Result)
    case notYet
    /// It does not come any more.
    case never
  }

  fileprivate let look: () -> Look
  fileprivate let gate: WaitGate

  /// That there is an element in a queue; it is taken and given to `body`.
  public static func take<Element>(
    from queue: Queue<Element>,
    _ body: @escaping (Element) async throws -> Result
  ) -> Choice {
    Choice(
      look: {
        switch queue.takeNow() {
        case .element(let element): .ready { try await body(element) }
        case .empty: .notYet
        case .closed: .never
        }
      },
      gate: queue.takers
    )
  }

  /// That there is room in a queue; `element` is put in, and `body` follows.
  public static func put<Element>(
    _ element: Element,
    into queue: Queue<Element>,
    _ body: @escaping () async throws -> Result
  ) -> Choice {
    Choice(
      look: {
        switch queue.putNow(element) {
        case .done: .ready(body)
        case .full: .notYet
        case .closed: .never
        }
      },
      gate: queue.putters
    )
  }
}

/// Waits for the first of several things, takes that one alone, and does what belongs to it.
///
/// If several are there, one of them is chosen at random, so that none of them starves another. A queue
/// that is closed (for who takes: and empty) is not waited for any more.
///
/// ```swift
/// let line = try await select(
///   .take(from: orders) { "order \($0)" },
///   .take(from: returns) { "return \($0)" },
///   within: .seconds(5)
/// )
/// ```
///
/// - Parameters:
///   - choices: The things, one at least.
///   - limit: How long it is waited at most; nil: for ever.
/// - Returns: What the chosen body returns.
/// - Throws: ``QueueFailure``: `closed` when nothing of it can come any more; or what the body throws.
public func select<Result>(
  _ choices: Choice<Result>...,
  within limit: Duration? = nil
) async throws -> Result {
  precondition(!choices.isEmpty, "something is waited for")
  let moment = Moment(limit)
  // In an order of chance, so that none starves another.
  var open = choices.shuffled()
  while true {
    if let body = takeFirst(of: &open) { return try await body() }
    if open.isEmpty { throw QueueFailure.closed }
    let whole = Waiter()
    let standing = open.map { (choice: $0, place: $0.gate.enter(Waiter(for: whole))) }
    // What came before they stood in the lines has woken nobody.
    let body = takeFirst(of: &open)
    let isOver = body != nil || open.isEmpty
    if isOver { whole.settle(.cancelled) }
    let outcome = isOver ? .cancelled : await whole.suspend(within: moment.remainder)
    for (choice, place) in standing where isOver || place.outcome != .woken {
      choice.gate.leave(place)
    }
    if let body { return try await body() }
    if isOver { continue }
    guard outcome == .woken else {
      throw outcome == .timedOut ? QueueFailure.timedOut : .cancelled
    }
    // Whoever has woken it has woken nobody else for that: this one is looked at before all others.
    if let (choice, _) = standing.first(where: { $0.place.outcome == .woken }),
      case .ready(let body) = choice.look()
    {
      return try await body()
    }
  }
}

/// Takes the first thing that is there, and drops those that do not come any more.
private func takeFirst<Result>(
  of open: inout [Choice<Result>]
) -> (() async throws -> Result)? {
  var place = 0
  while place < open.count {
    switch open[place].look() {
    case .ready(let body): return body
    case .notYet: place += 1
    case .never: open.remove(at: place)
    }
  }
  return nil
}
