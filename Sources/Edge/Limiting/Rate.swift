import KeyedTables

/// How often something may happen: so many in a time, and so many at once.
///
/// A bucket holds `burst` tokens and gets one more each ``interval``; each that is admitted takes one.
/// So within any time *t* at most `burst + t / interval` are admitted.
public struct Rate: Hashable, Sendable {
  /// Nanoseconds between two tokens, rounded up: never more are admitted than was said.
  public let interval: UInt64
  /// How many may come at once.
  public let burst: UInt64

  /// Creates the rate of `count` in `period` nanoseconds.
  ///
  /// - Precondition: `count` and `burst` are above 0, and so is `period`. The time in which the bucket
  ///   fills is below 2⁶² nanoseconds.
  public init(_ count: UInt64, per period: UInt64, burst: UInt64) {
    precondition(count > 0 && period > 0 && burst > 0, "a rate of nothing")
    interval = (period + count - 1) / count
    self.burst = burst
    let (time, overflows) = interval.multipliedReportingOverflow(by: burst)
    precondition(!overflows && time < 1 << 62, "a bucket that never fills")
  }

  /// By how much a bucket may be in debt while one more is admitted.
  @inline(__always)
  var tolerance: UInt64 { interval &* (burst &- 1) }
}

/// What a limit says of a request.
public enum RateVerdict: Hashable, Sendable {
  /// It may pass.
  case admitted
  /// It may not; the next one may after so many nanoseconds, if none comes before.
  case refused(wait: UInt64)
}

/// Buckets of one rate, one for each key.
///
/// A bucket is one word: the moment at which it is full again, as of what was admitted so far. That is
/// the token bucket in other terms (the "generic cell rate algorithm"), and needs no clock of its own.
/// May be used from any thread; the verdicts of all together are those of one bucket.
///
/// A bucket that is full again for ``grace`` may be forgotten. When a key finds no free place, the bucket
/// of its group that is the nearest to being full is forgotten, and ``forgottenCount`` is counted up.
public final class RateTable: Sendable {
  /// Nanoseconds by which the clocks of two threads may differ.
  public static let grace: UInt64 = 1_000_000_000

  /// The rate.
  public let rate: Rate
  private let table: KeyedWords
  private let forgotten = AtomicWords(count: 1)

  /// Creates a table for about `keyCount` keys.
  public init(_ rate: Rate, keyCount: Int) {
    self.rate = rate
    table = KeyedWords(keyCount: keyCount)
  }

  /// How many buckets were forgotten though they were not full.
  public var forgottenCount: UInt64 { forgotten[0] }

  /// How many keys there is place for.
  public var capacity: Int { table.capacity }

  /// How many buckets are not full at `now`.
  ///
  /// - Complexity: O(*n*) in the places.
  public func openCount(at now: UInt64) -> Int { table.count { $0 > now } }

  /// Makes all buckets full.
  ///
  /// - Complexity: O(*n*) in the places.
  public func clear() { table.clear() }

  /// Says whether one more may pass for `key`, and if so takes its token.
  ///
  /// With `always` a token is taken in any case, so that the bucket may come to be in debt.
  ///
  /// - Complexity: O(1).
  public func admit(_ key: UInt64, at now: UInt64) -> RateVerdict {
    let interval = rate.interval
    let tolerance = rate.tolerance
    let change = table.update(
      key,
      isFree: { $0 &+ Self.grace <= now },
      beginning: { _ in 0 },
      evicts: true
    ) { full in
      let from = max(full, now)
      return from - now <= tolerance ? from &+ interval : nil
    }
    switch change {
    case .made(_, _, let evicted):
      if evicted { noteForgotten() }
      return .admitted
    case .refused(let full): return .refused(wait: full - now - tolerance)
    // Threads that are all at one group, which are few: the bound stays.
    case .full: return .refused(wait: interval)
    }
  }

  private func noteForgotten() {
    while true {
      let count = forgotten[0]
      if forgotten.replace(count, with: count &+ 1, at: 0) { return }
    }
  }
}
