import Balancing
import Configuration
import Limiting
import MartletLoop
import MartletTelemetry
import Synchronization

/// The requests that wait for a place at a member of an upstream, of all loops.
///
/// A member's places are the exchanges that it may have at once, counted by one atomic
/// (``Member/begin(within:)``). While nobody waits, a place is taken and given back by that alone. When
/// somebody does, a place that becomes free is not given back but handed over, counted as it is, to the
/// one who is next, which is woken on its loop.
///
/// No wake-up is lost: who begins to wait first stands in the line and then looks for a free place; who
/// gives a place back first counts it free and then looks for somebody in the line. One of the two sees
/// the other.
///
/// The line is behind a lock, which is taken only when somebody waits, and never for longer than a few
/// dozen instructions.
final class MemberQueue: Sendable {
  /// One request that waits.
  final class Waiter: Sendable {
    enum Outcome: Sendable {
      /// It has a place at this member.
      case place(Member)
      /// Its place in the line has another, of a higher class.
      case displaced
    }

    fileprivate let loop: EventLoop
    fileprivate let token: WakeToken
    /// Whether it may have a place at a member.
    fileprivate let accepts: @Sendable (Member) -> Bool
    fileprivate let result = Mutex<Outcome?>(nil)

    init(_ signal: Signal, on loop: EventLoop, accepts: @escaping @Sendable (Member) -> Bool) {
      self.loop = loop
      token = signal.token
      self.accepts = accepts
    }

    /// What has become of it; nil while it waits.
    var outcome: Outcome? { result.withLock { $0 } }

    fileprivate func end(_ outcome: Outcome) {
      result.withLock { $0 = outcome }
      loop.wake(token)
    }
  }

  typealias Ticket = WaitingLine<Waiter>.Ticket

  private let waitingCount = Atomic<Int>(0)
  private let line = Mutex(WaitingLine<Waiter>(length: 0))

  /// How many wait.
  @inline(__always)
  var count: Int { waitingCount.load(ordering: .relaxed) }

  /// Lets one wait, in a line of this kind.
  ///
  /// - Returns: Its ticket; nil when the line is full.
  func enter(
    _ waiter: Waiter,
    _ settings: QueueSettings,
    class level: Int,
    source: UInt64,
    at now: UInt64
  ) -> Ticket? {
    let ticket = line.withLock { line -> Ticket? in
      line.length = settings.length
      line.reversesAfter = settings.newestAfter?.nanoseconds
      let entry = line.enter(waiter, class: level, source: source, at: now)
      waitingCount.store(line.count, ordering: .relaxed)
      switch entry {
      case .waits(let ticket): return ticket
      case .displaces(let gone, let ticket):
        gone.end(.displaced)
        return ticket
      case .full: return nil
      }
    }
    // From here on it looks for a free place; see above.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return ticket
  }

  /// Takes one out of the line that no longer wants to wait; if it is no longer there, it has an outcome.
  func leave(_ ticket: Ticket) {
    line.withLock { line in
      line.leave(ticket)
      waitingCount.store(line.count, ordering: .relaxed)
    }
  }

  /// Hands a place that is counted already to the next one that may have it.
  ///
  /// - Returns: Whether there was one.
  func handOver(_ member: Member, at now: Int64) -> Bool {
    line.withLock { line in
      let next = line.next(at: UInt64(max(0, now))) { $0.accepts(member) }
      waitingCount.store(line.count, ordering: .relaxed)
      // Within the lock: who finds that it has left the line has its outcome.
      next?.end(.place(member))
      return next != nil
    }
  }

  /// Gives a place back, or to the next one that waits for it.
  func giveBack(_ member: Member, within limit: Int, at now: Int64) {
    if count > 0, member.activeCount <= limit, member.state.isUsable, handOver(member, at: now) {
      return
    }
    member.end()
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    // Somebody may have begun to wait just now, and again while the place was taken below.
    for _ in 0..<2 where count > 0 && member.state.isUsable && member.begin(within: limit) {
      if handOver(member, at: now) { return }
      member.end()
      atomicMemoryFence(ordering: .sequentiallyConsistent)
    }
  }
}

extension Upstream {
  /// Hands over places that are free though somebody waits.
  ///
  /// That happens when a member can be used again, and is looked for at each tick.
  func serveWaiting(at now: Int64) {
    let queue = plan.state.queue
    while queue.count > 0, let pool = take(excluding: MemberSet()) {
      pool.noteHandingOver()
      guard !queue.handOver(pool.member, at: now) else { continue }
      pool.member.end()
      return
    }
  }

  /// Whether a member that could have a request may be full.
  func isFull(excluding tried: MemberSet) -> Bool {
    plan.membership.plans.contains { plan in
      plan.connectionLimit > 0 && plan.weight > 0 && plan.member.state.isUsable
        && plan.member.isResolved && !tried.contains(plan.member.number)
    }
  }

  /// The pool of a member; nil when it is none of this upstream.
  func pool(of member: Member) -> MemberPool? { pools.first { $0.member === member } }
}

/// The queue of an upstream, as a generation has it.
struct QueuePlan: Sendable {
  let settings: QueueSettings
  let key: RequestKey
  let metrics: QueueMetrics

  init(_ settings: QueueSettings, of upstream: String, _ layout: inout MetricLayout.Builder) {
    self.settings = settings
    key = RequestKey(settings.key)
    metrics = QueueMetrics(upstream, &layout)
  }
}
