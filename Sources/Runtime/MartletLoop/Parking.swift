import MartletSystem

// How a coroutine waits without a continuation.
//
// `Parker.park()` is an actor method, so its caller must first hop to the parker's executor. That
// executor's `enqueue` only stores the job in the slot that the loop has named (`parkingSlot`). The
// loop later runs the stored job while it claims the *worker's* executor; the hop back from `park`
// to the worker is then a hop to where the job already is, and costs nothing.
//
// Invariants:
// 1. `parkingSlot` is set immediately before `await park()`, on the loop's thread, and nothing runs
//    in between: the hop enqueues synchronously.
// 2. A slot has at most one waiter; `wait` traps on a second.
// 3. The hop is not optimised away: `park` may neither be inlined nor seen through.
//    `EventLoop.parkingWorks` proves this once at start; if it ever fails, loops fall back to
//    continuations.

// @unchecked: used by the loop's thread alone; `enqueue` is called by a coroutine of that loop.
/// An executor that keeps a job instead of running it.
@safe
final class ParkingExecutor: SerialExecutor, @unchecked Sendable {
  // Safe: the loop owns the parker and outlives it.
  var loop: Unmanaged<EventLoop>?

  func enqueue(_ job: consuming ExecutorJob) {
    guard let loop = unsafe loop else { preconditionFailure("a parker without its loop") }
    let job = UnownedJob(job)
    // Safe: a job is one pointer; it is turned back exactly once, by `EventLoop.take`.
    let waiter = unsafe unsafeBitCast(job, to: UInt.self)
    unsafe loop._withUnsafeGuaranteedRef { $0.slots[$0.parkingSlot].waiter = waiter }
  }

  func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    unsafe UnownedSerialExecutor(ordinary: self)
  }
}

/// The actor to which a waiting coroutine hops.
actor Parker {
  nonisolated let executor = ParkingExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Suspends the caller until the loop runs its job again.
  @inline(never) @_optimize(none)
  func park() {}
}

extension EventLoop {
  /// How coroutines of a loop wait.
  public enum WaitMode: Sendable {
    /// The job is stored in the slot.
    ///
    /// See `Parking.swift`.
    case parking
    /// A continuation is stored in the slot, and tasks prefer the loop as their executor.
    case continuation
  }

  /// Whether parking suspends and resumes as it must with this compiler and runtime.
  static let parkingWorks: Bool = {
    guard let loop = try? EventLoop(descriptorLimit: 4, mode: .parking) else { return false }
    return ParkingProbe(loop: loop).run()
  }()
}

/// Parks once on a loop of its own and watches whether it really waited.
private struct ParkingProbe {
  let loop: EventLoop

  private actor Subject {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
    nonisolated let timer: Int
    // Only the probe's thread runs the loop and looks at this.
    nonisolated(unsafe) var steps = 0

    init(loop: EventLoop, timer: Int) {
      self.loop = loop
      self.timer = timer
    }

    func start() {
      Task {
        unsafe steps = 1
        try? await loop.wait(timer, until: .never)
        unsafe steps = 2
      }
    }
  }

  func run() -> Bool {
    loop.claimThread()
    guard let timer = loop.takeTimer() else { return false }
    let subject = Subject(loop: loop, timer: timer)
    // No thread of the global pool is needed: the caller may be the last one that is free.
    subject.assumeIsolated { $0.start() }
    for _ in 0..<16 where unsafe subject.steps == 0 { loop.turn(waitingAtMost: 0) }
    guard unsafe subject.steps == 1, loop.slots[timer].waiter != 0 else { return false }
    loop.wake(timer, .event)
    loop.turn(waitingAtMost: 0)
    return unsafe subject.steps == 2
  }
}
