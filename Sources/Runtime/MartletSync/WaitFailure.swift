/// Why a wait ended without what it waited for.
public enum WaitFailure: Error, Hashable, Sendable {
  /// The limit came first.
  case timedOut
  /// The task that waited was cancelled.
  case cancelled
  /// What was waited for cannot come any more: a ``Barrier`` was broken.
  case broken
}

extension Duration {
  /// The moment of the clock that never goes back at which this duration, begun now, is over.
  ///
  /// A negative one is over at once; none is longer than a hundred years.
  func ends(from now: Int64) -> Int64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return now }
    return now + min(seconds, 3_153_600_000) * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
