/// A value that is made once, by the first who asks; the others wait for it.
///
/// When making it fails, the failure is the caller's, and the next one tries.
public final class Once<Value: Sendable>: Sendable {
  private let made = Locked<Value?>(nil)
  private let lock: Lock

  /// Creates the place of a value that is not made yet.
  public init(_ name: String = "once") { lock = Lock(name) }

  /// The value, if it was made.
  public var present: Value? { made.withLock(\.self) }

  /// The value; blocks the calling thread while another makes it.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func value<Failure>(
    _ make: () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    if let present { return present }
    return try lock.withLock { () throws(Failure) -> Value in
      if let present { return present }
      let value = try make()
      made.withLock { $0 = value }
      return value
    }
  }

  /// The value; suspends the calling coroutine while another makes it.
  ///
  /// - Throws: ``WaitFailure/cancelled`` when the task is while it waits, or what `make` throws.
  public func value(_ make: () async throws -> Value) async throws -> Value {
    if let present { return present }
    return try await lock.withLock {
      if let present { return present }
      let value = try await make()
      made.withLock { $0 = value }
      return value
    }
  }
}
