import CLinux
public import MartletSystem

/// Wakes a thread that has no loop: one that writes files, or calls what blocks.
///
/// A signal that comes before the wait is kept, so none is lost.
public final class ThreadSignal: Sendable {
  /// Counts the signals that no wait has taken yet.
  private let counter: Descriptor

  /// Creates a signal that is not set.
  ///
  /// - Throws: ``SystemError`` when no descriptor is to be had.
  public init() throws(SystemError) {
    counter = Descriptor(adopting: Int32(try check(martlet_counting_eventfd(), .eventfd)))
  }

  /// Ends one wait, the present or the next.
  ///
  /// May be called from any thread.
  public func set() {
    var one: UInt64 = 1
    // Safe: eight bytes of a local number; the counter is far from its limit.
    _ = unsafe martlet_write(counter.number, &one, 8)
  }

  /// Blocks the calling thread until ``set()``.
  public func wait() {
    var value: UInt64 = 0
    // Safe: eight bytes of a local number. An interrupted wait is one that ended early.
    _ = unsafe martlet_read(counter.number, &value, 8)
  }
}
