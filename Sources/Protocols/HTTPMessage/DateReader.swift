import MartletBytes

/// Reads the three forms of a date, byte by byte.
struct DateReader: ~Escapable {
  private let bytes: Span<UInt8>
  private var offset = 0

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>) { self.bytes = bytes }

  /// The seconds since 1970, or nil where the bytes are no date.
  ///
  /// - Source: RFC 9110, section 5.6.7.
  mutating func seconds(now: HTTPDate) -> Int64? {
    // The shortest form is that of asctime(3), the longest one that of RFC 850.
    guard 24...33 ~= bytes.count, let isFull = dayName() else { return nil }
    let year: Int
    let month: Int
    let day: Int
    let time: Int64
    if take(0x20) {
      guard !isFull, let monthRead = monthName(), take(0x20), let dayRead = paddedDay(),
        take(0x20), let timeRead = timeOfDay(), take(0x20), let yearRead = number(4)
      else { return nil }
      (year, month, day, time) = (yearRead, monthRead, dayRead, timeRead)
    } else {
      let separator: UInt8 = isFull ? 0x2D : 0x20
      guard take(0x2C), take(0x20), let dayRead = number(2), take(separator),
        let monthRead = monthName(), take(separator), let yearRead = number(isFull ? 2 : 4),
        take(0x20), let timeRead = timeOfDay(), take(0x20), take(0x47), take(0x4D), take(0x54)
      else { return nil }
      year = isFull ? Self.year(yearRead, now: now) : yearRead
      (month, day, time) = (monthRead, dayRead, timeRead)
    }
    guard offset == bytes.count, 1...Self.dayCount(year: year, month: month) ~= day else {
      return nil
    }
    return Int64(HTTPDate.days(year: year, month: month, day: day)) * 86_400 + time
  }

  /// The year of two digits that is at most fifty years ahead of `now`.
  private static func year(_ digits: Int, now: HTTPDate) -> Int {
    let thisYear = now.civil.year
    var year = thisYear - thisYear % 100 + digits
    if year > thisYear + 50 { year -= 100 }
    if year <= thisYear - 50 { year += 100 }
    return year
  }

  private static func dayCount(year: Int, month: Int) -> Int {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    default: 31
    }
  }

  /// Takes a byte, which may be a letter of the other case: RFC 9111, section 4.2.
  private mutating func take(_ byte: UInt8) -> Bool {
    guard offset < bytes.count, lowercased(bytes[offset]) == lowercased(byte) else { return false }
    offset += 1
    return true
  }

  private mutating func take(_ text: some Sequence<UInt8>) -> Bool {
    let start = offset
    for byte in text where !take(byte) {
      offset = start
      return false
    }
    return true
  }

  /// Reads a day's name; the answer is whether it is written in full.
  private mutating func dayName() -> Bool? {
    for name in HTTPDate.dayNames {
      let name = name.description.utf8
      if take(name) { return true }
      if take(name.prefix(3)) { return false }
    }
    return nil
  }

  private mutating func monthName() -> Int? {
    for (index, name) in HTTPDate.monthNames.enumerated() where take(name.description.utf8) {
      return index + 1
    }
    return nil
  }

  private mutating func number(_ digits: Int) -> Int? {
    guard offset + digits <= bytes.count else { return nil }
    var value = 0
    for index in offset..<offset + digits {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { return nil }
      value = value * 10 + Int(digit)
    }
    offset += digits
    return value
  }

  /// Two digits, or a space and one.
  private mutating func paddedDay() -> Int? {
    take(0x20) ? number(1) : number(2)
  }

  private mutating func timeOfDay() -> Int64? {
    guard let hour = number(2), take(0x3A), let minute = number(2), take(0x3A),
      let second = number(2), hour < 24, minute < 60, second <= 60
    else { return nil }
    return Int64(hour * 3600 + minute * 60 + second)
  }
}
