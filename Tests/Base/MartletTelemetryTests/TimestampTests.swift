import Foundation
import MartletTelemetry
import Testing

private func text(_ time: Timestamp, _ form: TimestampText.Form) -> String {
  var clock = TimestampText(form)
  return written { clock.append(time, to: &$0) }
}

@Suite("Timestamps")
struct TimestampTests {
  @Test(
    "writes a moment as its standard has it",
    arguments: [
      (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
      (951_782_399_999, "2000-02-28T23:59:59.999Z", "28/Feb/2000:23:59:59 +0000"),
      (951_782_400_001, "2000-02-29T00:00:00.001Z", "29/Feb/2000:00:00:00 +0000"),
      (1_795_250_000_123, "2026-11-21T08:33:20.123Z", "21/Nov/2026:08:33:20 +0000"),
      (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "01/Mar/2100:00:00:00 +0000"),
    ] as [(UInt64, String, String)]
  )
  func known(millis: UInt64, rfc3339: String, apache: String) {
    let time = Timestamp(unixNanoseconds: millis * 1_000_000)
    #expect(text(time, .rfc3339) == rfc3339)
    #expect(text(time, .apache) == apache)
  }

  @Test("agrees with Foundation on every month of 400 years", arguments: 1970..<2370)
  func calendar(year: Int) throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
    let formatter = ISO8601DateFormatter()
    formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
    for month in 1...12 {
      let start = try #require(calendar.date(from: DateComponents(year: year, month: month)))
      for second in [-1.0, 0, 45_296] where start.timeIntervalSince1970 + second >= 0 {
        let date = start.addingTimeInterval(second)
        let nanoseconds = UInt64(date.timeIntervalSince1970) * 1_000_000_000
        #expect(
          text(Timestamp(unixNanoseconds: nanoseconds), .rfc3339) == formatter.string(from: date)
        )
      }
    }
  }

  @Test("one writer serves moments in any order")
  func cached() {
    var clock = TimestampText(.rfc3339)
    for second in [5, 5, 6, 5, 3600, 6] as [UInt64] {
      for milli in [0, 7, 999] as [UInt64] {
        let time = Timestamp(unixNanoseconds: second * 1_000_000_000 + milli * 1_000_000)
        #expect(written { clock.append(time, to: &$0) } == text(time, .rfc3339))
      }
    }
    #expect(Timestamp(unixNanoseconds: 1) < Timestamp(unixNanoseconds: 2))
  }
}
