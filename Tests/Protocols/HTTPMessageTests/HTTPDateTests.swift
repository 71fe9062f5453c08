import HTTPMessage
import MartletBytes
import Testing

@Suite("Dates, RFC 9110 section 5.6.7")
struct HTTPDateTests {
  static let now = HTTPDate(secondsSince1970: 1_790_000_000)

  private func date(_ text: String, now: HTTPDate = now) -> HTTPDate? {
    let bytes = Array(text.utf8)
    return HTTPDate(bytes.span, now: now)
  }

  private func text(_ seconds: Int64) -> String {
    let text = HTTPDate(secondsSince1970: seconds).text
    return String(decoding: text.bytes)
  }

  @Test(
    "writes the form that is sent",
    arguments: [
      (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
      (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
      (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
      (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
      (.max, "Fri, 31 Dec 9999 23:59:59 GMT"), (.min, "Sat, 01 Jan 0000 00:00:00 GMT"),
    ] as [(Int64, String)]
  )
  func writes(seconds: Int64, wanted: String) {
    #expect(text(seconds) == wanted)
  }

  @Test("reads what it wrote, day by day of four hundred years", arguments: 0..<8)
  func roundTrip(part: Int64) {
    let days: Int64 = 146_097 / 8 + 1
    var seconds = (part * days - 36_524) * 86_400 + part * 4_321
    for _ in 0..<days {
      #expect(date(text(seconds))?.secondsSince1970 == seconds)
      seconds += 86_400
    }
  }

  @Test(
    "reads all three forms",
    arguments: [
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994", "sun, 06 nov 1994 08:49:37 gmt", "SUN NOV  6 08:49:37 1994",
    ]
  )
  func forms(text: String) {
    #expect(date(text)?.secondsSince1970 == 784_111_777)
  }

  @Test(
    "takes a year of two digits for one that is at most fifty years ahead",
    arguments: [("76", 2076), ("77", 1977), ("26", 2026), ("00", 2000), ("99", 1999)]
  )
  func shortYears(digits: String, year: Int) {
    let full = date("Wed, 01 Jul \(year) 00:00:00 GMT")
    #expect(full != nil)
    #expect(date("Wednesday, 01-Jul-\(digits) 00:00:00 GMT") == full)
  }

  @Test("counts a leap second as the second behind it")
  func leapSecond() {
    #expect(
      date("Sat, 31 Dec 2016 23:59:60 GMT") == date("Sun, 01 Jan 2017 00:00:00 GMT")
    )
  }

  @Test(
    "reads nothing else",
    arguments: [
      "", "Sun", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ",
      " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun, 31 Nov 1994 08:49:37 GMT",
      "Sun, 29 Feb 1900 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06-Nov-1994 08:49:37 GMT",
      "Sunday, 06 Nov 1994 08:49:37 GMT", "Xyz, 06 Nov 1994 08:49:37 GMT",
      "Sun Nov 6 08:49:37 1994", "Sunday Nov  6 08:49:37 1994", "Sun, 06 Nov +994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 G", "0", "784111777",
    ]
  )
  func refuses(text: String) {
    #expect(date(text) == nil)
  }
}

@Suite("Reason phrases, RFC 9110 section 15")
struct ReasonPhraseTests {
  @Test(
    "names the codes",
    arguments: [
      (200, "OK"), (204, "No Content"), (304, "Not Modified"), (404, "Not Found"),
      (431, "Request Header Fields Too Large"), (502, "Bad Gateway"), (504, "Gateway Timeout"),
      (103, "Early Hints"), (101, "Switching Protocols"),
    ] as [(UInt16, String)]
  )
  func names(status: UInt16, phrase: String) {
    #expect(ReasonPhrase.text(of: status).description == phrase)
  }

  @Test("gives an unknown code the phrase of its class", arguments: [199, 299, 399, 499, 599])
  func unknown(status: UInt16) {
    let first = status / 100 * 100
    #expect(
      ReasonPhrase.text(of: status).description == ReasonPhrase.text(of: first).description
    )
  }

  @Test("has a phrase for every defect's status", arguments: MessageError.Reason.allCases)
  func defects(reason: MessageError.Reason) {
    let known: Set<UInt16> = [400, 414, 417, 431, 501, 502, 505]
    #expect(known.contains(reason.status))
  }
}
