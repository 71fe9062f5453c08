import MartletSystem
import Synchronization

/// Who holds and awaits which checked lock, and in which order they were ever taken.
///
/// It has one lock of its own, under which nothing is called that takes another.
final class LockRegistry: Sendable {
  static let shared = LockRegistry()

  fileprivate struct Holding {
    var lock: Int
    var isShared: Bool
    var since: Int64
  }

  fileprivate struct Wait {
    var lock: Int
    var since: Int64
  }

  fileprivate struct State {
    var lastNumber = 0
    var names: [Int: String] = [:]
    /// Which locks were taken while this one was held.
    var after: [Int: Set<Int>] = [:]
    var held: [LockOwner: [Holding]] = [:]
    var waits: [LockOwner: Wait] = [:]
    /// The circles that were told, each by its locks in order of number.
    var told: Set<[Int]> = []
  }

  private let state = Mutex(State())

  func begin(_ name: String) -> Int {
    state.withLock { state in
      state.lastNumber += 1
      state.names[state.lastNumber] = name
      return state.lastNumber
    }
  }

  func end(_ number: Int) {
    state.withLock { state in
      state.names[number] = nil
      guard state.after.removeValue(forKey: number) != nil || !state.after.isEmpty else { return }
      for key in state.after.keys { state.after[key]?.remove(number) }
    }
  }

  /// Looks whether taking this lock now can ever end in a circle.
  func wish(_ number: Int, isShared: Bool) -> [LockReport] {
    let owner = LockOwner.current
    return state.withLock { state in
      guard let held = state.held[owner] else { return [] }
      var reports: [LockReport] = []
      for holding in held {
        if holding.lock == number {
          let name = state.name(of: number)
          reports.append(
            isShared && holding.isShared
              ? .readTwice(lock: name, by: owner) : .takenTwice(lock: name, by: owner)
          )
        } else if let cycle = state.follow(holding.lock, with: number) {
          reports.append(.orderCycle(cycle))
        }
      }
      return reports
    }
  }

  /// Notes that the caller waits, and looks whether the wait closes a circle.
  func wait(_ number: Int) -> [LockReport] {
    let owner = LockOwner.current
    return state.withLock { state in
      // One that is woken and queued again waits since the first time.
      if state.waits[owner]?.lock != number {
        state.waits[owner] = Wait(lock: number, since: SystemClock.monotonicNanoseconds())
      }
      return state.circle(from: owner).map { [.deadlock($0.map(state.told))] } ?? []
    }
  }

  func endWait() {
    let owner = LockOwner.current
    state.withLock { $0.waits[owner] = nil }
  }

  func hold(_ number: Int, isShared: Bool) {
    let owner = LockOwner.current
    let now = SystemClock.monotonicNanoseconds()
    state.withLock { state in
      state.waits[owner] = nil
      state.held[owner, default: []].append(Holding(lock: number, isShared: isShared, since: now))
    }
  }

  func release(_ number: Int, isShared: Bool) -> [LockReport] {
    let owner = LockOwner.current
    let limit = LockChecks.holdLimit
    let now = SystemClock.monotonicNanoseconds()
    return state.withLock { state in
      let name = state.name(of: number)
      let place = state.held[owner]?.lastIndex { $0.lock == number && $0.isShared == isShared }
      guard let place, let holding = state.held[owner]?.remove(at: place) else {
        let holders = state.holders(of: number)
        return [.releasedByStranger(lock: name, by: owner, holders: holders)]
      }
      if state.held[owner]?.isEmpty == true { state.held[owner] = nil }
      let duration = Duration.nanoseconds(now - holding.since)
      return duration > limit ? [.heldTooLong(lock: name, by: owner, for: duration)] : []
    }
  }

  func waits() -> [LockWait] {
    state.withLock { state in state.waits.keys.map(state.told).sorted { $0.since < $1.since } }
  }

  func deadlocks() -> [[LockWait]] {
    state.withLock { state in
      var seen: Set<LockOwner> = []
      var circles: [[LockWait]] = []
      for owner in state.waits.keys where !seen.contains(owner) {
        guard let circle = state.circle(from: owner) else { continue }
        if seen.isDisjoint(with: circle) { circles.append(circle.map(state.told)) }
        seen.formUnion(circle)
      }
      return circles
    }
  }
}

extension LockRegistry.State {
  fileprivate func name(of number: Int) -> String { names[number] ?? "lock \(number)" }

  fileprivate func holders(of number: Int) -> [LockOwner] {
    held.filter { $0.value.contains { $0.lock == number } }.map(\.key)
  }

  fileprivate func told(_ owner: LockOwner) -> LockWait {
    let wait = waits[owner]
    return LockWait(
      owner: owner,
      lock: wait.map { name(of: $0.lock) } ?? "nothing",
      holders: wait.map { holders(of: $0.lock) } ?? [],
      held: (held[owner] ?? []).map { name(of: $0.lock) },
      since: wait?.since ?? 0
    )
  }

  /// Notes that `next` is taken while `lock` is held.
  ///
  /// - Returns: The names of the locks of a circle that this closes, if it was not told yet.
  /// - Complexity: O(1) if the order is known, else O(*n*) in the known orders.
  fileprivate mutating func follow(_ lock: Int, with next: Int) -> [String]? {
    guard after[lock, default: []].insert(next).inserted else { return nil }
    guard let path = path(from: next, to: lock) else { return nil }
    guard told.insert(path.sorted()).inserted else { return nil }
    // From the held lock on: it, the one that is taken now, and what was taken after that before.
    return ([lock] + path.dropLast()).map(name)
  }

  /// The locks from one to another, both included, each of which was taken while the one before was held.
  private func path(from start: Int, to end: Int) -> [Int]? {
    var cameFrom: [Int: Int] = [start: start]
    var queue = [start]
    var place = 0
    while place < queue.count {
      let lock = queue[place]
      place += 1
      if lock == end {
        var path = [lock]
        while let last = path.last, last != start, let before = cameFrom[last] {
          path.append(before)
        }
        return path.reversed()
      }
      for next in after[lock] ?? [] where cameFrom[next] == nil {
        cameFrom[next] = lock
        queue.append(next)
      }
    }
    return nil
  }

  /// Those that wait for each other, beginning with one; nil when it does not wait in a circle.
  fileprivate func circle(from start: LockOwner) -> [LockOwner]? {
    var path = [start]
    var seen: Set<LockOwner> = []
    // Depth first; what was left once leads nowhere.
    var branches = [successors(of: start)]
    while var branch = branches.popLast() {
      guard let next = branch.popLast() else {
        path.removeLast()
        continue
      }
      branches.append(branch)
      if next == start { return path }
      guard seen.insert(next).inserted else { continue }
      path.append(next)
      branches.append(successors(of: next))
    }
    return nil
  }

  private func successors(of owner: LockOwner) -> [LockOwner] {
    waits[owner].map { holders(of: $0.lock).filter { waits[$0] != nil } } ?? []
  }
}
