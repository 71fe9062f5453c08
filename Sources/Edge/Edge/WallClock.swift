import HTTPMessage
import MartletBytes
import MartletSystem
import MartletTelemetry

/// The time of day as a loop's answers and logs show it, brought up to date a few times a second.
struct WallClock {
  /// Seconds since 1970.
  private(set) var seconds: Int64 = 0
  /// The time as the field Date has it; RFC 9110, section 5.6.7.
  private(set) var httpDate: [UInt8] = []
  /// The time as `2006-01-02T15:04:05Z`.
  private(set) var iso8601: [UInt8] = []
  /// What is added to a loop's clock to have nanoseconds since 1970.
  private var offset: Int64 = 0
  /// The same as it would be if nobody had set the clock since this process began.
  private var steadyOffset: Int64 = 0

  /// Reads the clock; `now` is the loop's.
  init(at now: Int64) { update(at: now) }

  /// Reads the clock; `now` is the loop's.
  mutating func update(at now: Int64) {
    let microseconds = SystemClock.wallMicroseconds()
    offset = microseconds * 1000 - now
    steadyOffset = SteadyTime.nanoseconds - now
    guard microseconds / 1_000_000 != seconds else { return }
    seconds = microseconds / 1_000_000
    let date = HTTPDate(secondsSince1970: seconds).text
    httpDate = Array(copying: date.bytes)
    var text = TextBuffer(capacity: 32)
    var form = TimestampText(.rfc3339)
    form.append(Timestamp(unixNanoseconds: UInt64(max(0, seconds)) * 1_000_000_000), to: &text)
    // Without the milliseconds, which would always be those of the last update.
    iso8601 = Array(copying: text.bytes.extracting(first: 19)) + [0x5A]
  }

  /// Milliseconds since 1970 at a moment of the loop's clock, by a time that goes on while the machine sleeps, and that
  /// no step of its clock changes.
  func steadyMilliseconds(of moment: Int64) -> Int64 { (moment &+ steadyOffset) / 1_000_000 }

  /// The time of day of a moment of the loop's clock.
  func timestamp(of moment: Int64) -> Timestamp {
    Timestamp(unixNanoseconds: UInt64(max(0, moment &+ offset)))
  }
}

/// The time of day when this process began, and what has passed since then, as `CLOCK_BOOTTIME` counts it.
enum SteadyTime {
  private static let start = (ContinuousClock.now, SystemClock.wallMicroseconds())

  /// Nanoseconds since 1970.
  static var nanoseconds: Int64 {
    let passed = start.0.duration(to: .now).components
    return start.1 * 1000 + passed.seconds * 1_000_000_000 + passed.attoseconds / 1_000_000_000
  }
}
