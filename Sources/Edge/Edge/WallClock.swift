import HTTPMessage
import MartletBytes
import MartletSystem

/// The time of day as a loop's answers show it, brought up to date a few times a second.
struct WallClock {
  /// Seconds since 1970.
  private(set) var seconds: Int64 = 0
  /// The time as the field Date has it; RFC 9110, section 5.6.7.
  private(set) var httpDate: [UInt8] = []
  /// The time as `2006-01-02T15:04:05Z`.
  private(set) var iso8601: [UInt8] = []

  init() { update() }

  /// Reads the clock.
  mutating func update() {
    let now = SystemClock.wallMicroseconds() / 1_000_000
    guard now != seconds else { return }
    seconds = now
    let date = HTTPDate(secondsSince1970: now).text
    httpDate = Array(copying: date.bytes)
    iso8601 = httpDate
  }
}
