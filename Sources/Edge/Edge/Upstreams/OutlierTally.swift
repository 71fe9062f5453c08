import Synchronization

/// What the requests of one loop to one member came to.
///
/// Its loop alone counts up, without a lock and without waiting for anybody; others read.
final class OutlierTally: Sendable {
  private let successes = Atomic<UInt64>(0)
  private let failures = Atomic<UInt64>(0)

  var successCount: UInt64 { successes.load(ordering: .relaxed) }
  var failureCount: UInt64 { failures.load(ordering: .relaxed) }

  @inline(__always)
  func countSuccess() {
    successes.store(successes.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }

  @inline(__always)
  func countFailure() {
    failures.store(failures.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }
}

/// What is known of a member's failures and ejections, for all loops and generations.
final class OutlierRecord: Sendable {
  /// The failures one behind the other, over all loops.
  let failuresInARow = Atomic<Int>(0)
  /// How often it was ejected.
  let ejectionCount = Atomic<UInt64>(0)
  /// How often it returned.
  let returnCount = Atomic<UInt64>(0)
}
