import Limiting
import Testing

/// One that waits in the model.
private struct Waiter: Hashable, Sendable {
  var id: Int
  var level: Int
  var source: UInt64
  var since: UInt64 = 0
}

/// The line's rules, told plainly: all waiters in the order of their coming, and the turns of sources.
private struct Model {
  var length: Int
  var reversesAfter: UInt64
  var waiters: [Waiter] = []
  /// The sources of each class that have someone waiting, in the order of their turns.
  var turns = [[UInt64]](repeating: [], count: 10)

  enum Entry: Equatable { case waits, displaces(Int), full }

  mutating func enter(_ waiter: Waiter) -> Entry {
    var gone: Int?
    if waiters.count >= length {
      guard let lowest = waiters.map(\.level).min(), lowest < waiter.level,
        let source = turns[lowest].last,
        let place = waiters.lastIndex(where: { $0.level == lowest && $0.source == source })
      else { return .full }
      gone = remove(at: place).id
    }
    waiters.append(waiter)
    if !turns[waiter.level].contains(waiter.source) { turns[waiter.level].append(waiter.source) }
    return gone.map { .displaces($0) } ?? .waits
  }

  mutating func remove(at place: Int) -> Waiter {
    let gone = waiters.remove(at: place)
    if !waiters.contains(where: { $0.level == gone.level && $0.source == gone.source }) {
      turns[gone.level].removeAll { $0 == gone.source }
    }
    return gone
  }

  mutating func next(at now: UInt64, where accepts: (Waiter) -> Bool) -> Waiter? {
    for level in (0..<10).reversed() {
      guard let oldest = waiters.first(where: { $0.level == level }) else { continue }
      let isReversed = now - oldest.since >= reversesAfter
      for source in isReversed ? turns[level].reversed() : turns[level] {
        let places = waiters.indices.filter {
          waiters[$0].level == level && waiters[$0].source == source && accepts(waiters[$0])
        }
        guard let place = isReversed ? places.last : places.first else { continue }
        turns[level].removeAll { $0 == source }
        turns[level].insert(source, at: isReversed ? 0 : turns[level].count)
        return remove(at: place)
      }
    }
    return nil
  }
}

@Suite("Lines of waiters")
struct WaitingLineTests {
  private func ids(_ line: inout WaitingLine<Waiter>, at now: UInt64 = 0) -> [Int] {
    var ids: [Int] = []
    while let next = line.next(at: now) { ids.append(next.id) }
    return ids
  }

  @Test("serve who came first")
  func first() {
    var line = WaitingLine<Waiter>(length: 10)
    for id in 0..<5 {
      _ = line.enter(Waiter(id: id, level: 5, source: 1), class: 5, source: 1, at: 0)
    }
    #expect(ids(&line) == [0, 1, 2, 3, 4])
    #expect(line.count == 0)
  }

  @Test("serve higher classes before lower ones")
  func classes() {
    var line = WaitingLine<Waiter>(length: 10)
    for (id, level) in [5, 1, 9, 5, 9, -3, 40].enumerated() {
      let waiter = Waiter(id: id, level: level, source: 1)
      _ = line.enter(waiter, class: level, source: 1, at: 0)
    }
    #expect(ids(&line) == [2, 4, 6, 0, 3, 1, 5])
  }

  @Test("serve one of each source in turn, so that who asks much does not get more")
  func fairness() {
    var line = WaitingLine<Waiter>(length: 20)
    for id in 0..<6 {
      _ = line.enter(Waiter(id: id, level: 5, source: 1), class: 5, source: 1, at: 0)
    }
    for id in 6..<8 {
      _ = line.enter(Waiter(id: id, level: 5, source: 2), class: 5, source: 2, at: 0)
    }
    _ = line.enter(Waiter(id: 8, level: 5, source: 3), class: 5, source: 3, at: 0)
    #expect(ids(&line) == [0, 6, 8, 1, 7, 2, 3, 4, 5])
  }

  @Test("serve the newest of a class while its first has waited for long")
  func reversal() {
    var line = WaitingLine<Waiter>(length: 20, reversesAfter: 100)
    func enter(_ id: Int, _ source: UInt64 = 1, at now: UInt64) -> WaitingLine<Waiter>.Ticket? {
      let waiter = Waiter(id: id, level: 5, source: source)
      let entry = line.enter(waiter, class: 5, source: source, at: now)
      return if case .waits(let ticket) = entry { ticket } else { nil }
    }
    let tickets = (0..<5).map { enter($0, at: UInt64($0)) }
    #expect(!line.isReversed(class: 5, at: 99))
    #expect(line.next(at: 99)?.id == 0)
    #expect(!line.isReversed(class: 5, at: 100))
    #expect(line.isReversed(class: 5, at: 101))
    #expect(line.next(at: 101)?.id == 4)
    _ = enter(5, 2, at: 102)
    _ = enter(6, 1, at: 103)
    #expect(line.next(at: 103)?.id == 5)
    #expect(line.next(at: 103)?.id == 6)
    // Those that give up bring the usual order back.
    for ticket in tickets[1...3] { ticket.map { _ = line.leave($0) } }
    for id in 7...8 { _ = enter(id, at: 104) }
    #expect(!line.isReversed(class: 5, at: 105))
    #expect(ids(&line, at: 105) == [7, 8])
  }

  @Test("take no more than their length, and give way to higher classes")
  func length() {
    var line = WaitingLine<Waiter>(length: 2)
    for id in 0..<2 {
      _ = line.enter(Waiter(id: id, level: 5, source: 1), class: 5, source: 1, at: 0)
    }
    guard case .full = line.enter(Waiter(id: 2, level: 5, source: 1), class: 5, source: 1, at: 0),
      case .displaces(let gone, _) = line.enter(
        Waiter(id: 3, level: 6, source: 1),
        class: 6,
        source: 1,
        at: 0
      )
    else {
      Issue.record("the line is not full")
      return
    }
    #expect(gone.id == 1)
    #expect(ids(&line) == [3, 0])
    var none = WaitingLine<Waiter>(length: 0)
    guard case .full = none.enter(Waiter(id: 0, level: 9, source: 1), class: 9, source: 1, at: 0)
    else {
      Issue.record("a line of no length takes one")
      return
    }
  }

  @Test("do what the rules say, whatever happens", arguments: 1...20)
  func model(seed: UInt64) {
    var numbers = Numbers(state: seed)
    let length = Int.random(in: 1...40, using: &numbers)
    var line = WaitingLine<Waiter>(length: length, reversesAfter: 500)
    var model = Model(length: length, reversesAfter: 500)
    var tickets: [Int: WaitingLine<Waiter>.Ticket] = [:]
    var now: UInt64 = 1000
    for id in 0..<4000 {
      now += UInt64.random(in: 0...20, using: &numbers)
      switch Int.random(in: 0..<10, using: &numbers) {
      case 0..<5:
        let waiter = Waiter(
          id: id,
          level: Int.random(in: 3...6, using: &numbers),
          source: UInt64.random(in: 1...5, using: &numbers),
          since: now
        )
        let entry = line.enter(waiter, class: waiter.level, source: waiter.source, at: now)
        let wanted = model.enter(waiter)
        switch entry {
        case .waits(let ticket):
          #expect(wanted == .waits)
          tickets[id] = ticket
        case .displaces(let gone, let ticket):
          #expect(wanted == .displaces(gone.id))
          tickets[id] = ticket
        case .full: #expect(wanted == .full)
        }
      case 5..<9:
        let odd = Int.random(in: 0..<3, using: &numbers)
        let next = line.next(at: now) { $0.id % 3 != odd }
        let wanted = model.next(at: now) { $0.id % 3 != odd }
        #expect(next == wanted)
      default:
        // One that left already is not found, though its place has another now.
        guard let (id, ticket) = tickets.min(by: { $0.key < $1.key }) else { continue }
        tickets[id] = nil
        let place = model.waiters.firstIndex { $0.id == id }
        let wanted = place.map { model.remove(at: $0) }
        let gone = line.leave(ticket)
        #expect(gone == wanted)
      }
      #expect(line.count == model.waiters.count)
    }
  }
}
