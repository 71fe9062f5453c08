// Coroutines that deal with the elements of a sequence, some at a time.
//
// One of them asks for the next element while the others deal with theirs; who has got one lets another ask, so
// that nothing is asked for before somebody can deal with it, and no two ask at a time.

/// The coroutines of one call of ``EventLoop/forEach(_:atMost:_:)``.
private final class Crew<Element> {
  private let loop: EventLoop
  private let limit: Int
  private let next: () async throws -> Element?
  private let body: (Element) async throws -> Void
  private var members: [Int: LoopTask<Void>] = [:]
  private var lastNumber = 0
  private var isAsking = false
  private var isOver = false
  private(set) var failure: (any Error)?
  private let ended: Signal

  init?(
    on loop: EventLoop,
    atMost limit: Int,
    _ next: @escaping () async throws -> Element?,
    _ body: @escaping (Element) async throws -> Void
  ) {
    precondition(limit > 0, "one or more are dealt with at a time")
    guard let ended = Signal(on: loop) else { return nil }
    self.loop = loop
    self.limit = limit
    self.next = next
    self.body = body
    self.ended = ended
  }

  /// Returns when all have ended.
  func run(named name: StaticString) async {
    add(named: name)
    while !members.isEmpty {
      do throws(WaitError) { try await ended.wait() } catch { fail(error) }
    }
  }

  /// Starts one that asks.
  private func add(named name: StaticString) {
    isAsking = true
    lastNumber += 1
    let (crew, number) = (self, lastNumber)
    members[number] = loop.start(named: name) {
      do { try await crew.work(named: name) } catch { crew.fail(error) }
      crew.members[number] = nil
      if crew.members.isEmpty { crew.ended.set() }
    }
  }

  private func work(named name: StaticString) async throws {
    while !isOver {
      guard let element = try await next(), !isOver else {
        isOver = true
        return
      }
      if members.count < limit { add(named: name) } else { isAsking = false }
      try await body(element)
      if isAsking { return }
      isAsking = true
    }
  }

  /// Ends the others for the first error.
  private func fail(_ error: any Error) {
    isOver = true
    guard failure == nil else { return }
    failure = error
    for member in members.values { member.cancel() }
  }
}

extension EventLoop {
  /// Does something with each element, at most `limit` of them at a time, in coroutines of this loop.
  ///
  /// The next element is asked for when one can be dealt with. The first error ends it: no more elements are asked
  /// for, and what is under way is cancelled and has ended when this throws.
  ///
  /// ```swift
  /// try await loop.forEach(addresses, atMost: 8) { address in try await store(fetch(address)) }
  /// ```
  ///
  /// - Throws: What `body` or the sequence throws first; ``WaitError/cancelled`` when the caller is cancelled, or no
  ///   timer is left to wait by.
  public func forEach<Elements: AsyncSequence>(
    _ elements: Elements,
    atMost limit: Int,
    named name: StaticString = #function,
    _ body: @escaping (Elements.Element) async throws -> Void
  ) async throws {
    var iterator = elements.makeAsyncIterator()
    try await deal(
      atMost: limit,
      named: name,
      { try await iterator.next(isolation: #isolation) },
      body
    )
  }

  /// Does the same with the elements of a sequence that is there.
  ///
  /// - Throws: What `body` throws first; ``WaitError/cancelled``.
  public func forEach<Elements: Sequence>(
    _ elements: Elements,
    atMost limit: Int,
    named name: StaticString = #function,
    _ body: @escaping (Elements.Element) async throws -> Void
  ) async throws {
    var iterator = elements.makeIterator()
    try await deal(atMost: limit, named: name, { iterator.next() }, body)
  }

  /// What becomes of each element, in their order; see ``forEach(_:atMost:named:_:)``.
  ///
  /// - Throws: What `transform` throws first; ``WaitError/cancelled``.
  public func map<Elements: Sequence, Value>(
    _ elements: Elements,
    atMost limit: Int,
    named name: StaticString = #function,
    _ transform: @escaping (Elements.Element) async throws -> Value
  ) async throws -> [Value] {
    var values: [Value?] = []
    var iterator = elements.makeIterator()
    let next = {
      iterator.next().map { element in
        values.append(nil)
        return (place: values.count - 1, element: element)
      }
    }
    try await deal(atMost: limit, named: name, next) { place, element in
      values[place] = try await transform(element)
    }
    return values.compactMap(\.self)
  }

  /// What becomes of each element, as soon as it has; see ``forEach(_:atMost:named:_:)``.
  ///
  /// While nobody asks for results, as many as `limit` wait, and nothing more begins. Whoever asks no more cancels what
  /// is under way.
  public func asCompleted<Elements: Sequence, Value>(
    _ elements: Elements,
    atMost limit: Int,
    named name: StaticString = #function,
    _ transform: @escaping (Elements.Element) async throws -> Value
  ) -> Generator<Value> {
    Generator(on: self, named: name) { output in
      try await self.forEach(elements, atMost: limit, named: name) { element in
        try await output.yield(transform(element))
      }
    }
  }

  private func deal<Element>(
    atMost limit: Int,
    named name: StaticString,
    _ next: @escaping () async throws -> Element?,
    _ body: @escaping (Element) async throws -> Void
  ) async throws {
    guard let crew = Crew(on: self, atMost: limit, next, body) else { throw WaitError.cancelled }
    await crew.run(named: name)
    if let failure = crew.failure { throw failure }
  }
}
