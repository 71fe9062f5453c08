import MartletSystem

// @unchecked: the value is reached under the lock alone.
/// A value that is reached under a lock, by plain functions, shortly.
///
/// As the standard library's `Mutex`, but made for several threads that want it at the same time: that one
/// asks the kernel for each hand-over, by priority; here a thread turns a little first, and the one
/// that runs gets it. It has no form that suspends, and is not checked.
public final class Locked<Value>: @unchecked Sendable {
  private static var free: UInt32 { 0 }
  private static var held: UInt32 { 1 }
  /// Held, and somebody may sleep.
  private static var awaited: UInt32 { 2 }
  private static var turnCount: Int { 60 }

  private let word = FutexWord(0)
  private var value: Value

  /// Creates a value that nobody has locked.
  public init(_ value: sending Value) { self.value = value }

  /// Does something with the value, alone.
  public func withLock<Result, Failure>(
    _ body: (inout Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    if !word.exchange(Self.free, for: Self.held) { lockSlowly() }
    defer {
      if !word.exchange(Self.held, for: Self.free) {
        _ = word.exchange(Self.awaited, for: Self.free)
        word.wake()
      }
    }
    return try body(&value)
  }

  private func lockSlowly() {
    for _ in 0..<Self.turnCount {
      if word.value == Self.free, word.exchange(Self.free, for: Self.held) { return }
      Thread.pause()
    }
    // Who has slept does not know whether others still do, so it takes the lock as awaited.
    while !word.exchange(Self.free, for: Self.awaited) {
      _ = word.exchange(Self.held, for: Self.awaited)
      _ = word.sleep(while: Self.awaited)
    }
  }
}
