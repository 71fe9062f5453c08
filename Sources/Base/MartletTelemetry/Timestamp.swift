/// A moment of the wall clock.
public struct Timestamp: Hashable, Comparable, Sendable {
  /// Nanoseconds since the start of 1970 in UTC, without leap seconds; not negative.
  public var unixNanoseconds: UInt64

  /// Creates a moment from nanoseconds since the start of 1970.
  @inlinable
  public init(unixNanoseconds: UInt64) { self.unixNanoseconds = unixNanoseconds }

  /// Whether one moment lies before another.
  @inlinable
  public static func < (left: Timestamp, right: Timestamp) -> Bool {
    left.unixNanoseconds < right.unixNanoseconds
  }
}

/// A day of the Gregorian calendar and a time of it, in UTC.
struct CivilTime {
  var year: UInt64
  var month: UInt64
  var day: UInt64
  var hour: UInt64
  var minute: UInt64
  var second: UInt64

  /// Reads seconds since 1970.
  ///
  /// Years begin in March here, so that the leap day is the last of its year; the months then have
  /// lengths that `(5 * month + 2) / 153` inverts.
  init(unixSeconds: UInt64) {
    let days = unixSeconds / 86_400
    let time = unixSeconds % 86_400
    hour = time / 3600
    minute = time / 60 % 60
    second = time % 60
    // Days since the first of March of the year 0, split into eras of 400 years.
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let march = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * march + 2) / 5 + 1
    month = march < 10 ? march + 3 : march - 9
    year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  }
}

/// Writes moments as text, and keeps the text of the current second: most lines share it.
public struct TimestampText: Sendable {
  /// How a moment is written.
  public enum Form: Sendable {
    /// `2026-11-21T08:33:20.123Z`, RFC 3339, section 5.6.
    case rfc3339
    /// `21/Nov/2026:08:33:20 +0000`, as in the logs of Apache.
    case apache
  }

  private let form: Form
  private var cachedSecond = UInt64.max
  private var cached = InlineArray<32, UInt8>(repeating: 0)
  private var cachedCount = 0

  /// Creates a writer that has seen no second yet.
  public init(_ form: Form) { self.form = form }

  /// Appends `time`.
  public mutating func append(_ time: Timestamp, to buffer: inout TextBuffer) {
    let second = time.unixNanoseconds / 1_000_000_000
    if second != cachedSecond { remember(second) }
    buffer.append(cached.span.extracting(first: cachedCount))
    guard form == .rfc3339 else { return }
    let millis = time.unixNanoseconds / 1_000_000 % 1000
    buffer.append(millis, digits: 3)
    buffer.append(0x5A)
  }

  @inline(never)
  private mutating func remember(_ second: UInt64) {
    let civil = CivilTime(unixSeconds: second)
    var text = TextBuffer(capacity: cached.count)
    switch form {
    case .rfc3339:
      text.append(civil.year, digits: 4)
      text.append(0x2D)
      text.append(civil.month, digits: 2)
      text.append(0x2D)
      text.append(civil.day, digits: 2)
      text.append(0x54)
      text.append(time: civil)
      text.append(0x2E)
    case .apache:
      text.append(civil.day, digits: 2)
      text.append(0x2F)
      text.append(Self.months[Int(civil.month) - 1])
      text.append(0x2F)
      text.append(civil.year, digits: 4)
      text.append(0x3A)
      text.append(time: civil)
      text.append(" +0000")
    }
    cachedCount = text.count
    for index in 0..<cachedCount { cached[index] = text.bytes[index] }
    cachedSecond = second
  }

  private static let months: [StaticString] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]
}

extension TextBuffer {
  fileprivate mutating func append(time civil: CivilTime) {
    append(civil.hour, digits: 2)
    append(0x3A)
    append(civil.minute, digits: 2)
    append(0x3A)
    append(civil.second, digits: 2)
  }
}
