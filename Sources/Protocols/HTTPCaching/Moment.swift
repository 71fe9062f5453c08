public import HTTPMessage

/// A moment of the time of day, in milliseconds: what ages and lifetimes are computed with.
public struct Moment: Hashable, Comparable, Sendable, BitwiseCopyable {
  /// Milliseconds since the beginning of 1970, without leap seconds.
  public let milliseconds: Int64

  // A hundred thousand years either way, so that no sum of moments and ages can overflow.
  private static let bound: Int64 = 3_155_760_000_000_000

  /// Creates a moment.
  public init(milliseconds: Int64) {
    self.milliseconds = min(max(milliseconds, -Self.bound), Self.bound)
  }

  /// The beginning of the second that a date names.
  public init(_ date: HTTPDate) {
    self.init(milliseconds: date.secondsSince1970 * 1000)
  }

  /// The second that the moment lies in.
  public var date: HTTPDate {
    let seconds = milliseconds / 1000
    return HTTPDate(secondsSince1970: milliseconds % 1000 < 0 ? seconds - 1 : seconds)
  }

  /// Whether the left moment is the earlier one.
  public static func < (left: Moment, right: Moment) -> Bool {
    left.milliseconds < right.milliseconds
  }

  /// The moment a number of milliseconds later.
  public func advanced(byMilliseconds milliseconds: Int64) -> Moment {
    Moment(milliseconds: self.milliseconds + min(max(milliseconds, -Self.bound), Self.bound))
  }
}

/// Lengths of time as fields have them.
enum DeltaSeconds {
  /// What stands for all longer times; RFC 9111, section 1.2.2.
  static let longest: Int64 = 2_147_483_648

  /// Reads digits alone; nil for anything else.
  static func read(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int64? {
    guard !range.isEmpty else { return nil }
    var seconds: Int64 = 0
    for index in range {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { return nil }
      seconds = min(seconds * 10 + Int64(digit), longest)
    }
    return seconds
  }

  /// A length of time within what can be reckoned with.
  static func bounded(_ seconds: Int64) -> Int64 { min(max(seconds, 0), longest) }
}
