/// Those who wait, in the order in which they are served.
///
/// It belongs to a lock of its owner. Who leaves early stays in it, settled, until ``strike()`` has counted
/// as many as wait.
public struct WaitLine: Sendable {
  private var waiters: [Waiter] = []
  /// The place of the first one.
  private var head = 0
  /// How many were settled by themselves and stand here still.
  private var goneCount = 0

  /// Creates an empty line.
  public init() {}

  /// How many wait; one who has just left may be among them.
  public var count: Int { waiters.count - head - goneCount }

  /// Whether nobody waits.
  public var isEmpty: Bool { count <= 0 }

  /// Puts one at the end.
  public mutating func append(_ waiter: Waiter) { waiters.append(waiter) }

  /// Puts one before all others.
  ///
  /// - Complexity: O(*n*) if nobody was taken out before.
  public mutating func prepend(_ waiter: Waiter) {
    guard head > 0 else {
      waiters.insert(waiter, at: 0)
      return
    }
    head -= 1
    waiters[head] = waiter
  }

  /// The first one that still waits.
  public mutating func first() -> Waiter? {
    while head < waiters.count {
      let waiter = waiters[head]
      if waiter.outcome == .waiting { return waiter }
      // Who has left counts itself when it strikes itself off; here it only makes room.
      goneCount -= 1
      advance()
    }
    return nil
  }

  /// Takes the first one out that still waits, and settles it.
  ///
  /// - Returns: nil when nobody waits.
  @discardableResult
  public mutating func wakeFirst(_ outcome: Waiter.Outcome = .woken) -> Waiter? {
    while let waiter = first() {
      if wake(waiter, outcome) { return waiter }
    }
    return nil
  }

  /// Takes the one out that ``first()`` has just given, and settles it.
  ///
  /// - Returns: Whether it still waited.
  public mutating func wake(_ waiter: Waiter, _ outcome: Waiter.Outcome = .woken) -> Bool {
    assert(waiters[head] === waiter, "only the first one of a line is woken")
    advance()
    if waiter.settle(outcome) { return true }
    goneCount -= 1
    return false
  }

  /// Settles all.
  public mutating func wakeAll(_ outcome: Waiter.Outcome = .woken) {
    while wakeFirst(outcome) != nil {}
  }

  /// Counts one out that was not woken.
  ///
  /// - Complexity: O(1), amortised.
  public mutating func strike() {
    goneCount += 1
    guard goneCount > 16, goneCount > (waiters.count - head) / 2 else { return }
    var kept = waiters[head...].filter { $0.outcome == .waiting }
    // One who has settled itself and not struck itself off yet is no longer in the line when it does.
    goneCount -= waiters.count - head - kept.count
    swap(&waiters, &kept)
    head = 0
  }

  private mutating func advance() {
    head += 1
    if head == waiters.count {
      waiters.removeAll(keepingCapacity: waiters.capacity <= 256)
      head = 0
    } else if head > 256, head > waiters.count / 2 {
      waiters.removeFirst(head)
      head = 0
    }
  }
}
