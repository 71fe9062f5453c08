import MartletBytes

/// A moment as fields carry it: a whole second, in Greenwich time.
///
/// - Source: RFC 9110, section 5.6.7.
public struct HTTPDate: Hashable, Comparable, Sendable {
  /// How long the text of a date is.
  public static let byteCount = 29

  /// The last second that a date can name: the end of the year 9999.
  public static let last = HTTPDate(secondsSince1970: 253_402_300_799)

  /// The first second that a date can name: the beginning of the year 0.
  public static let first = HTTPDate(secondsSince1970: -62_167_219_200)

  /// Seconds since the beginning of 1970, without leap seconds.
  public let secondsSince1970: Int64

  /// Creates the date of a second; one that no date can name becomes ``first`` or ``last``.
  public init(secondsSince1970 seconds: Int64) {
    secondsSince1970 = min(max(seconds, -62_167_219_200), 253_402_300_799)
  }

  /// Whether the left date is the earlier one.
  public static func < (left: HTTPDate, right: HTTPDate) -> Bool {
    left.secondsSince1970 < right.secondsSince1970
  }

  /// Reads a date in any of its three forms; nil when it has none of them or names no real day.
  ///
  /// ```
  /// Sun, 06 Nov 1994 08:49:37 GMT
  /// Sunday, 06-Nov-94 08:49:37 GMT
  /// Sun Nov  6 08:49:37 1994
  /// ```
  ///
  /// The name of the day has to be one, yet need not be the right one; letters may be of the other case,
  /// as RFC 9111, section 4.2, wants. A leap second counts as the second behind it.
  ///
  /// - Parameters:
  ///   - bytes: The date alone.
  ///   - now: What a year of two digits is next to: it is at most fifty years ahead.
  public init?(_ bytes: Span<UInt8>, now: HTTPDate) {
    var reader = DateReader(bytes)
    guard let seconds = reader.seconds(now: now) else { return nil }
    self.init(secondsSince1970: seconds)
  }

  /// The date in the form that is sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
  public var text: Text { Text(self) }

  /// The year, month and day.
  var civil: (year: Int, month: Int, day: Int) {
    let days = Int(secondsSince1970.floored(by: 86_400))
    // Eras of 400 years, which begin on a first of March: then the leap day is the last of a year.
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
  }

  /// The days from the beginning of 1970 to a day; months and days count from 1.
  static func days(year: Int, month: Int, day: Int) -> Int {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  static let dayNames: [StaticString] = [
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
  ]

  static let monthNames: [StaticString] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]
}

extension HTTPDate {
  /// The text of a date, in place.
  public struct Text: Sendable {
    private var storage = InlineArray<29, UInt8>(repeating: 0x20)

    init(_ date: HTTPDate) {
      let days = date.secondsSince1970.floored(by: 86_400)
      let second = Int(date.secondsSince1970 - days * 86_400)
      let (year, month, day) = date.civil
      // The first of January 1970 was a Thursday.
      let weekday = Int((days + 4) - (days + 4).floored(by: 7) * 7)
      write(HTTPDate.dayNames[weekday], at: 0)
      storage[3] = 0x2C
      write(day, at: 5)
      write(HTTPDate.monthNames[month - 1], at: 8)
      write(year / 100, at: 12)
      write(year % 100, at: 14)
      write(second / 3600, at: 17)
      storage[19] = 0x3A
      write(second / 60 % 60, at: 20)
      storage[22] = 0x3A
      write(second % 60, at: 23)
      write("GMT", at: 26)
    }

    /// The bytes of the text.
    public var bytes: Span<UInt8> {
      @_lifetime(borrow self)
      get { storage.span }
    }

    private mutating func write(_ name: StaticString, at offset: Int) {
      for (index, byte) in name.description.utf8.prefix(3).enumerated() {
        storage[offset + index] = byte
      }
    }

    private mutating func write(_ number: Int, at offset: Int) {
      storage[offset] = 0x30 + UInt8(truncatingIfNeeded: number / 10)
      storage[offset + 1] = 0x30 + UInt8(truncatingIfNeeded: number % 10)
    }
  }
}

extension Int64 {
  /// The quotient that is not greater than the true one.
  fileprivate func floored(by divisor: Int64) -> Int64 {
    self >= 0 ? self / divisor : (self - divisor + 1) / divisor
  }
}
