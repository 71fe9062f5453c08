/// How long a wait may take, counted in the ticks of a loop (2²⁴ nanoseconds, about 17 ms).
///
/// Made once, when a configuration is compiled; a wait then only adds and compares.
public struct Timeout: Hashable, Sendable {
  /// The number of ticks, at least 1; 0 means without limit.
  @usableFromInline let ticks: UInt32

  /// No limit: the wait ends with its event or a cancellation.
  public static let none = Timeout(ticks: 0)

  @usableFromInline init(ticks: UInt32) { self.ticks = ticks }

  /// The fewest ticks that are never shorter than `duration`; at most a year.
  public init(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    guard seconds >= 0, attoseconds >= 0 else {
      self.init(ticks: 1)
      return
    }
    let nanoseconds = min(seconds, 31_536_000) * 1_000_000_000 + attoseconds / 1_000_000_000
    // One more: the tick that is under way when the wait begins does not count.
    self.init(ticks: UInt32(nanoseconds >> EventLoop.tickShift) + 2)
  }
}

/// A moment on the clock of one loop.
public struct Deadline: Hashable, Sendable {
  /// The tick, never 0; 0 means never.
  @usableFromInline let tick: UInt32

  @usableFromInline init(tick: UInt32) { self.tick = tick }

  /// A deadline that does not come.
  public static let never = Deadline(tick: 0)

  /// The earlier of two deadlines of one loop.
  @inlinable
  public func earlier(_ other: Deadline) -> Deadline {
    if tick == 0 { return other }
    if other.tick == 0 { return self }
    // Ticks wrap after two years; the difference of two that are near stays right.
    return Int32(bitPattern: tick &- other.tick) <= 0 ? self : other
  }
}

/// Why a wait ended without its event.
public enum WaitError: Error, Hashable, Sendable {
  /// The deadline came first.
  case timedOut
  /// Somebody on the loop cancelled the wait.
  case cancelled
}
