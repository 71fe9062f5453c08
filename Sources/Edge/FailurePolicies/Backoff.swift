/// How long to wait before a request is tried again: twice as long each time, with jitter.
///
/// A wait is between half of its full length and all of it, so that clients that failed together do
/// not come back together.
public struct Backoff: Hashable, Sendable {
  /// The full length of the first wait.
  public var base: Duration
  /// The longest wait.
  public var most: Duration
  /// Whether the first retry waits too, though it goes to another member.
  public var waitsForOthers: Bool

  /// Creates a back-off.
  public init(base: Duration, most: Duration = .seconds(1), waitsForOthers: Bool = false) {
    self.base = base
    self.most = most
    self.waitsForOthers = waitsForOthers
  }

  /// How long to wait before retry `number`, which is 1 for the first one; `random` has 64 bits.
  ///
  /// The first retry on another member does not wait, unless ``waitsForOthers``.
  public func nanoseconds(beforeRetry number: Int, onAnother: Bool, random: UInt64) -> Int64 {
    if number <= 1, onAnother, !waitsForOthers { return 0 }
    let full = Self.doubled(base.inNanoseconds, times: number - 1, most: most.inNanoseconds)
    return Self.jittered(full, by: full / 2, random)
  }

  /// `length` doubled so many times, at most `most`; it does not overflow.
  static func doubled(_ length: Int64, times: Int, most: Int64) -> Int64 {
    guard length > 0 else { return 0 }
    let doublings = min(max(times, 0), 62)
    // What would be pushed out at the top is above every bound.
    guard doublings < length.leadingZeroBitCount - 1 else { return most }
    return min(length << Int64(doublings), most)
  }

  /// `length`, shortened by up to `span`.
  static func jittered(_ length: Int64, by span: Int64, _ random: UInt64) -> Int64 {
    guard span > 0 else { return length }
    return length - Int64(random.multipliedFullWidth(by: UInt64(span) + 1).high)
  }
}

extension Duration {
  /// Its whole nanoseconds, at most those of 290 years.
  var inNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let bounded = min(max(seconds, 0), 9_000_000_000)
    return bounded * 1_000_000_000 + max(0, attoseconds) / 1_000_000_000
  }
}
