/// Counts of times with a relative precision of 1/64, in a table of fixed size.
///
/// A time below 64 ns has a bucket of its own; above, each power of two is cut into 64 buckets. So
/// a percentile is within 1.6 % of the true value however long the run, and recording allocates
/// nothing, which keeps the generator out of its own figures.
struct Histogram {
  private static let precisionBits = 6
  private static let step = 1 << precisionBits
  private var buckets = [UInt64](repeating: 0, count: 64 * step)
  private(set) var count: UInt64 = 0
  private(set) var largest: UInt64 = 0

  /// Counts one time.
  mutating func record(_ nanoseconds: UInt64) {
    buckets[Self.bucket(of: nanoseconds)] += 1
    count += 1
    if nanoseconds > largest { largest = nanoseconds }
  }

  /// The time that a share of all recorded times does not exceed, in nanoseconds.
  func percentile(_ share: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let wanted = UInt64((Double(count) * share).rounded(.up))
    var seen: UInt64 = 0
    for (index, bucket) in buckets.enumerated() {
      seen += bucket
      if seen >= wanted { return min(Self.upperBound(of: index), largest) }
    }
    return largest
  }

  private static func bucket(of value: UInt64) -> Int {
    if value < UInt64(step) { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount - precisionBits
    return (exponent + 1) * step + Int(value >> UInt64(exponent)) - step
  }

  private static func upperBound(of index: Int) -> UInt64 {
    if index < step { return UInt64(index) }
    let exponent = index / step - 1
    let base = UInt64(index % step + step)
    return ((base + 1) << UInt64(exponent)) - 1
  }
}
