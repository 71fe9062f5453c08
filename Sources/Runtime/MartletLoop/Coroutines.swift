// What runs on a loop, for whoever looks.
//
// Invariant: a coroutine that waits is known by the address of its task. A parked job is its task, and so is
// what a continuation points to; the address is compared, and never followed. `CoroutineTests` holds this
// against the compiler and the runtime: if it fails, coroutines are shown as waiting elsewhere.

// @unchecked: made, run and looked at on its loop alone; see the invariant of `Spawning.swift`.
/// A body that was spawned, and what is known of it.
final class Coroutine: @unchecked Sendable {
  let name: StaticString
  let number: UInt64
  /// Nanoseconds of the loop's clock.
  let startedAt: Int64
  /// Where it stands in the loop's table.
  fileprivate var place = -1
  /// The address of its task; 0 before it runs.
  fileprivate var task: UInt = 0
  /// Whether it was cancelled before it ran.
  fileprivate var isCancelledEarly = false
  // Safe: the loop runs it, and is not let go before that returns.
  private unowned(unsafe) let loop: EventLoop
  fileprivate let subject: (() -> String?)?
  private let body: () async -> Void

  init(
    _ name: StaticString,
    about subject: (() -> String?)?,
    on loop: EventLoop,
    _ body: @escaping () async -> Void
  ) {
    self.name = name
    self.subject = subject
    unsafe self.loop = loop
    self.body = body
    startedAt = loop.now
    number = loop.coroutines.nextNumber()
    loop.coroutines.insert(self)
  }

  func run() async {
    task = EventLoop.currentTask
    if isCancelledEarly { unsafe loop.cancelledTasks.insert(task) }
    await body()
    if unsafe !loop.cancelledTasks.isEmpty { unsafe loop.cancelledTasks.remove(task) }
    unsafe loop.coroutines.remove(self)
  }
}

/// The coroutines of a loop, in no order.
struct CoroutineTable {
  private(set) var all: [Coroutine] = []
  private var lastNumber: UInt64 = 0

  fileprivate mutating func nextNumber() -> UInt64 {
    lastNumber &+= 1
    return lastNumber
  }

  fileprivate mutating func insert(_ coroutine: Coroutine) {
    coroutine.place = all.count
    all.append(coroutine)
  }

  fileprivate mutating func remove(_ coroutine: Coroutine) {
    guard let last = all.popLast(), last !== coroutine else { return }
    last.place = coroutine.place
    all[coroutine.place] = last
  }
}

/// A coroutine of a loop at one moment.
public struct CoroutineView: Hashable, Sendable {
  /// What it waits for.
  public enum Wait: Hashable, Sendable {
    /// That there is something to read from a descriptor.
    case readable(Int32)
    /// That a descriptor takes what is written.
    case writable(Int32)
    /// A moment, or a word of another coroutine or thread.
    case signal
    /// Something that the loop does not know of: a lock, a queue, a thread that works for it. Or it is ready.
    case elsewhere
  }

  /// A number that no other coroutine of its loop has had.
  public let number: UInt64
  /// What was said when it was spawned.
  public let name: String
  /// What it deals with at this moment, if it tells.
  public let subject: String?
  /// How long ago that was.
  public let age: Duration
  /// What it waits for.
  public let wait: Wait
  /// For how long it has waited, to within a tick of 17 ms; nil where the loop does not know.
  public let waited: Duration?
  /// When it is woken whatever happens; nil: never, as far as the loop knows.
  public let remaining: Duration?
}

extension EventLoop {
  /// The coroutines that were spawned on this loop and have not ended, the oldest first.
  ///
  /// On the loop only.
  ///
  /// - Complexity: O(*n* log *n*) in the coroutines, and O(*n*) in the descriptors that were ever watched.
  public func coroutineViews() -> [CoroutineView] {
    precondition(isCurrent, "the coroutines of a loop are looked at from another thread")
    var places: [UInt: Int] = [:]
    for slot in usedSlots where slots[slot].waiter != 0 { places[slots[slot].waiter] = slot }
    return coroutines.all.map { view($0, waitingAt: places[$0.task]) }
      .sorted { $0.number < $1.number }
  }

  /// The slots in which somebody may wait.
  private var usedSlots: some Sequence<Int> {
    let inner = min(Int(watchedEnd.inner), slots.firstTimer / 2)
    return [
      0..<Int(watchedEnd.descriptors) * 2,
      descriptorLimit * 2..<max(inner, descriptorLimit) * 2,
      slots.firstTimer..<slots.firstTimer + usedTimers,
    ].joined()
  }

  private func view(_ coroutine: Coroutine, waitingAt slot: Int?) -> CoroutineView {
    var wait = CoroutineView.Wait.elsewhere
    var waited: Duration?
    var remaining: Duration?
    if let slot {
      if slot >= slots.firstTimer {
        wait = .signal
      } else {
        let descriptor = Int32(slot / 2)
        wait = slot % 2 == 0 ? .readable(descriptor) : .writable(descriptor)
      }
      waited = Self.duration(ticks: wheel.tick &- slots[slot].waitsSince)
      let deadline = slots[slot].deadline
      if deadline != 0 { remaining = Self.duration(ticks: deadline &- wheel.tick) }
    }
    return CoroutineView(
      number: coroutine.number,
      name: coroutine.name.description,
      subject: coroutine.subject?(),
      age: .nanoseconds(max(0, now - coroutine.startedAt)),
      wait: wait,
      waited: waited,
      remaining: remaining
    )
  }

  private static func duration(ticks: UInt32) -> Duration {
    .nanoseconds(max(0, Int64(Int32(bitPattern: ticks))) << tickShift)
  }
}

// How the wait of a coroutine is ended from outside.
extension EventLoop {
  /// The address of the task that runs; 0: none does.
  fileprivate static var currentTask: UInt {
    // Safe: only the address is kept.
    unsafe withUnsafeCurrentTask { current in
      unsafe current.map { unsafe unsafeBitCast($0, to: UInt.self) } ?? 0
    }
  }

  /// Ends the present wait of a coroutine on this loop, or else its next one, with ``WaitError/cancelled``.
  ///
  /// - Complexity: O(*n*) in the descriptors that were ever watched.
  func cancelWait(of coroutine: Coroutine) {
    precondition(isCurrent, "a coroutine is cancelled from another thread")
    let task = coroutine.task
    guard task != 0 else {
      coroutine.isCancelledEarly = true
      return
    }
    guard let slot = usedSlots.first(where: { slots[$0].waiter == task }) else {
      cancelledTasks.insert(task)
      return
    }
    wake(slot, .cancellation)
  }

  /// Whether the caller's wait is to end before it begins; this is told once.
  func takeCancellation() -> Bool { cancelledTasks.remove(Self.currentTask) != nil }
}
