/// When a target is asked next.
///
/// Each target has a phase of its own, by its number, so that any number of them are spread evenly over
/// their interval, those that come with a reload too, and stay so however long a check takes: the times
/// lie on a grid, around which each is moved a little by chance.
public struct CheckSchedule: Sendable {
  /// Where in the interval the target's turn is, 0 to 1.
  public let phase: Double
  private var random: UInt64

  /// No first check waits longer, however long the interval is.
  public static let firstNanoseconds: Int64 = 1_000_000_000

  /// Creates the schedule of the target with this number, counted from 0.
  public init(number: UInt32, seed: UInt64) {
    // The bits in reverse: 0, 1/2, 1/4, 3/4, 1/8 … fill the interval evenly at every count.
    var bits = number
    var reversed: UInt32 = 0
    for _ in 0..<32 {
      reversed = reversed << 1 | bits & 1
      bits >>= 1
    }
    phase = Double(reversed) / 4_294_967_296
    random = seed
  }

  /// The moment at which what is planned for `time` is done: with all that is planned shortly before.
  ///
  /// To wake for each of many checks costs more than a check: up to eight times in an interval, and no more
  /// often than every 1/8 s, those that are due are made together.
  public static func together(_ time: Int64, interval: Int64) -> Int64 {
    let step = max(1, min(interval / 8, longestStep))
    return (time + step - 1) / step * step
  }

  private static let longestStep: Int64 = 125_000_000

  /// The time of the first check of a target that is to be asked from `now` on.
  public func first(from now: Int64, interval: Int64) -> Int64 {
    now + Int64(phase * Double(min(interval, Self.firstNanoseconds)))
  }

  /// The time of the next check on the grid.
  ///
  /// `planned` is the time that was planned for the last check, `now` the present, at which it has ended;
  /// the times of the grid are an `interval` apart, which may be longer or shorter by `jitterPercent`.
  public mutating func next(
    after planned: Int64,
    now: Int64,
    interval: Int64,
    jitterPercent: Int
  ) -> Int64 {
    let offset = Int64(phase * Double(interval))
    let earliest = max(planned + interval / 2, now)
    let turns = (earliest - offset) / interval + 1
    return max(turns * interval + offset + jitter(interval, jitterPercent), now)
  }

  /// The time of the next check a whole interval behind the last one.
  ///
  /// It is for intervals that hold for a few checks only.
  public mutating func soon(
    after planned: Int64,
    now: Int64,
    interval: Int64,
    jitterPercent: Int
  ) -> Int64 {
    max(planned + interval + jitter(interval, jitterPercent), now)
  }

  /// Up to half of the percentage, either way: the interval between two such times differs by all of it
  /// at most.
  private mutating func jitter(_ interval: Int64, _ percent: Int) -> Int64 {
    guard percent > 0 else { return 0 }
    // SplitMix64, of Steele, Lea and Flood.
    random &+= 0x9E37_79B9_7F4A_7C15
    var word = random
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    word ^= word >> 31
    let unit = Double(word >> 11) / 9_007_199_254_740_992 - 0.5
    return Int64(unit * Double(interval) * Double(percent) / 100)
  }
}
