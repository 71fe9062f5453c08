/// How long a member took for its answers lately: a mean that forgets, and that follows a rise at once.
///
/// It is one word, so that it can be kept in an atomic and shared by loops: the mean in nanoseconds as a
/// `Float`, and when it was last changed. A time that is longer than the mean becomes the mean (a peak);
/// a shorter one moves it the further, the longer ago the last one was.
public struct ResponseTime: Hashable, Sendable {
  /// After this time without an answer, half of the mean is forgotten.
  public static let halfLife: Int64 = 5_000_000_000

  /// What a failure counts as at least: a member that fails at once must not look quick.
  public static let failurePenalty: Int64 = 1_000_000_000

  /// The word; 0 when nothing was measured yet.
  public let bits: UInt64

  /// The word of an atomic.
  @inlinable
  public init(bits: UInt64 = 0) { self.bits = bits }

  private init(mean: Float, at now: Int64) {
    // A mean of 0 would look like none.
    bits = UInt64(max(mean, 1).bitPattern) << 32 | UInt64(Self.stamp(now))
  }

  /// Whether anything was measured.
  @inlinable
  public var isKnown: Bool { bits != 0 }

  /// The mean in nanoseconds at the last change.
  public var mean: Float { Float(bitPattern: UInt32(truncatingIfNeeded: bits >> 32)) }

  /// The mean with an answer that took `nanoseconds` and came at `now`.
  public func with(_ nanoseconds: Int64, at now: Int64) -> ResponseTime {
    let sample = Float(max(0, nanoseconds))
    guard isKnown else { return ResponseTime(mean: sample, at: now) }
    let kept = Self.kept(since: bits, at: now)
    let mean = mean
    return ResponseTime(
      mean: sample > mean * kept ? sample : mean * kept + sample * (1 - kept),
      at: now
    )
  }

  /// The mean with a failure that came at `now` after `nanoseconds`.
  public func withFailure(after nanoseconds: Int64, at now: Int64) -> ResponseTime {
    with(max(nanoseconds, Self.failurePenalty), at: now)
  }

  /// What a further request would cost a member with `activeCount` requests and `weight`.
  ///
  /// A member that nobody has measured costs nothing until it has a request, and then the most: one
  /// request finds out.
  public func cost(activeCount: Int, weight: Int, at now: Int64) -> Float {
    guard isKnown else {
      return activeCount == 0 ? 0 : Float(activeCount) * Float(Self.failurePenalty) / Float(weight)
    }
    return mean * Self.kept(since: bits, at: now) * Float(activeCount &+ 1) / Float(weight)
  }

  // 65,536 nanoseconds are one: enough for three days, after which an old mean may look new.
  private static func stamp(_ now: Int64) -> UInt32 { UInt32(truncatingIfNeeded: now >> 16) }

  /// Which part of a mean of `bits` is left at `now`: a half after each half-life.
  private static func kept(since bits: UInt64, at now: Int64) -> Float {
    let steps = Int32(bitPattern: stamp(now) &- UInt32(truncatingIfNeeded: bits))
    guard steps > 0 else { return 1 }
    let lives = Float(steps) * (65_536 / Float(halfLife))
    guard lives < 32 else { return 0 }
    let whole = Int(lives)
    let part = lives - Float(whole)
    // 2^-part by its first terms, to within a thousandth.
    let last = 0.055_504 - part * 0.009_618
    let fraction = 1 - part * (0.693_147 - part * (0.240_227 - part * last))
    return fraction / Float(1 << whole)
  }
}
