/// When a second member is asked because the first one takes long.
public enum HedgeTerms: Hashable, Sendable {
  /// After this time.
  case after(Duration)
  /// After the time in which so many percent of the answers begin; never before `floor`.
  case quantile(percent: Int, floor: Duration)

  /// How long to wait for the first member, in nanoseconds; nil: not known yet, so there is no hedge.
  public func nanoseconds(_ latency: LatencyQuantile) -> Int64? {
    switch self {
    case .after(let delay): delay.inNanoseconds
    case .quantile(_, let floor): latency.value.map { max($0, floor.inNanoseconds) }
    }
  }
}

/// A quantile of the latest answers' times, told from counts in classes of an eighth of an octave.
///
/// The value is never below the true quantile of what is counted, and at most an eighth above it. All
/// counts are halved whenever there are ``Self/memory`` of them, so that half of them weigh more than
/// all before.
public struct LatencyQuantile: Sendable {
  /// How many answers are counted before older ones lose weight.
  public static let memory = 4096
  /// How many answers must have been counted before there is a value.
  public static let least = 100
  // Times below 2¹⁴ ns (16 µs) are one class, those from 2³⁸ ns (275 s) on another.
  private static let firstOctave = 14
  private static let lastOctave = 37
  private static let classCount = (lastOctave - firstOctave + 1) * 8 + 2

  private let percent: Int
  private var counts: [UInt32]
  private var total = 0
  private var untilUpdate = Self.least
  /// The time in nanoseconds within which the given share of answers came; nil: too few are known.
  public private(set) var value: Int64?

  /// Creates a quantile of no answers.
  ///
  /// - Parameter percent: 1 to 99.
  public init(percent: Int) {
    self.percent = min(max(percent, 1), 99)
    counts = Array(repeating: 0, count: Self.classCount)
  }

  /// Counts an answer's time.
  ///
  /// - Complexity: O(1), and once in a while O(*classes*).
  public mutating func add(_ nanoseconds: Int64) {
    counts[Self.place(of: nanoseconds)] += 1
    total += 1
    untilUpdate -= 1
    guard untilUpdate <= 0 else { return }
    update()
    if total >= Self.memory { halve() }
    untilUpdate = 64
  }

  private mutating func update() {
    let rank = max(1, (total * percent + 99) / 100)
    var passed = 0
    for (place, count) in counts.enumerated() {
      passed += Int(count)
      if passed >= rank {
        value = Self.end(of: place)
        return
      }
    }
  }

  private mutating func halve() {
    total = 0
    for place in counts.indices {
      counts[place] /= 2
      total += Int(counts[place])
    }
  }

  private static func place(of nanoseconds: Int64) -> Int {
    guard nanoseconds >= 1 << Int64(firstOctave) else { return 0 }
    let octave = 63 - nanoseconds.leadingZeroBitCount
    guard octave <= lastOctave else { return classCount - 1 }
    let eighth = Int(nanoseconds >> Int64(octave - 3) & 7)
    return (octave - firstOctave) * 8 + eighth + 1
  }

  /// The first time that is above a class.
  private static func end(of place: Int) -> Int64 {
    if place == 0 { return 1 << Int64(firstOctave) }
    guard place < classCount - 1 else { return 1 << Int64(lastOctave + 1) }
    let octave = Int64(firstOctave + (place - 1) / 8)
    return (1 << octave) + Int64((place - 1) % 8 + 1) << (octave - 3)
  }
}
