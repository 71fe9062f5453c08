import Foundation

// @unchecked: `value` is touched under the lock alone.
/// A value that threads take turns at.
///
/// `Synchronization.Mutex` does the same, but waits in the kernel in a way that the thread sanitizer does
/// not see, which then calls what it protects a race; this is the lock of the thread library.
public final class Guarded<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value

  /// Guards `value`.
  public init(_ value: Value) { self.value = value }

  /// Does `body` with the value while no other thread is at it.
  ///
  /// - Throws: What `body` throws.
  public func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body(&value)
  }
}
