public import MartletLoop
public import MartletSystem

/// An event loop on the test's own thread, with a clock and a kernel that the test controls.
public final class DrivenLoop {
  /// One tick of the loop's clock, in nanoseconds.
  public static let tick: Int64 = 1 << 24

  /// The loop.
  public let loop: EventLoop
  /// What stands in for the kernel.
  public let kernel: ScriptedKernel

  /// Creates a loop whose clock stands at the beginning of the tick `startTick`.
  ///
  /// - Throws: ``SystemError`` when the loop cannot be made.
  public init(_ mode: EventLoop.WaitMode, startTick: Int64 = 1000) throws(SystemError) {
    // Behind every number that the process itself has open.
    kernel = ScriptedKernel(now: startTick * Self.tick, firstDescriptor: 60_000)
    loop = try EventLoop(descriptorLimit: 62_000, mode: mode, kernel: kernel)
    settle()
  }

  /// Starts a coroutine and runs it until it waits.
  public func start(_ body: @escaping () async -> Void) {
    loop.spawn(body)
    settle()
  }

  /// Lets events happen to a descriptor, in this order, and runs whoever they wake.
  public func happen(_ happenings: ScriptedKernel.Happening..., on descriptor: Int32) {
    for happening in happenings { kernel.happen(happening, on: descriptor) }
    settle()
  }

  /// Moves the clock and runs whoever that wakes.
  public func advance(by duration: Duration) {
    let (seconds, attoseconds) = duration.components
    kernel.now += seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    settle()
  }

  /// Moves the clock by whole ticks and runs whoever that wakes.
  public func advance(ticks: Int64) {
    kernel.now += ticks * Self.tick
    settle()
  }

  /// Runs the loop until nothing is left to do at this moment.
  public func settle() {
    repeat {
      // The second turn runs what the events of the first made ready.
      loop.turn(waitingAtMost: 0)
      loop.turn(waitingAtMost: 0)
    } while kernel.hasEvents
  }
}
