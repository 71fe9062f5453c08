/// A value with a number that grows with each change, for changes that are prepared without a lock
/// (optimistic versions).
///
/// Who changes it takes a copy, works on that, and puts it in the place of the version it began with; if
/// another was faster, it begins anew. That is right where changes seldom meet, and wrong where they take
/// long and come often.
public final class Versioned<Value: Sendable>: Sendable {
  /// A value as it was at one version.
  public struct Snapshot: Sendable {
    /// The value.
    public var value: Value
    /// How often it was changed before.
    public var version: UInt64
  }

  private let state: Locked<Snapshot>

  /// Creates version 0.
  public init(_ value: Value) { state = Locked(Snapshot(value: value, version: 0)) }

  /// The present value and its version.
  public var snapshot: Snapshot { state.withLock(\.self) }

  /// Puts a value in the place of a version.
  ///
  /// - Returns: Whether that version was still the present one.
  public func replace(_ version: UInt64, with value: Value) -> Bool {
    state.withLock { state in
      guard state.version == version else { return false }
      state = Snapshot(value: value, version: version + 1)
      return true
    }
  }

  /// Changes a copy, again if another has changed the value meanwhile.
  ///
  /// - Returns: What the last run of `change` returned, and how often it ran; nil when another was faster
  ///   `attemptLimit` times.
  public func update<Result, Failure>(
    attemptLimit: Int = 100,
    _ change: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> (result: Result, attemptCount: Int)? {
    for attempt in 1...max(attemptLimit, 1) {
      var copy = snapshot
      let result = try change(&copy.value)
      if replace(copy.version, with: copy.value) { return (result, attempt) }
    }
    return nil
  }
}
