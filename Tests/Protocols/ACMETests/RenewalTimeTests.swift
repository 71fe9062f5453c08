import ACME
import Testing

@Suite("When certificates are renewed, RFC 9773")
struct RenewalTimeTests {
  private func information(
    _ start: String,
    _ end: String,
    retryAfter: Int? = nil
  )
    -> RenewalInformation?
  {
    let text = "{\"suggestedWindow\":{\"start\":\"\(start)\",\"end\":\"\(end)\"}}"
    return RenewalInformation(
      ACMEAnswer(status: 200, retryAfter: retryAfter, body: Array(text.utf8))
    )
  }

  @Test(
    "reads times with and without fractions and zones",
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2026-11-21T20:57:37Z", 1_795_294_657),
      ("2000-02-29T12:00:00Z", 951_825_600), ("2025-01-02T04:00:00.123456Z", 1_735_790_400),
      ("2025-01-02T06:00:00+02:00", 1_735_790_400), ("2025-01-01T23:30:00-04:30", 1_735_790_400),
      ("2025-01-02t04:00:00z", 1_735_790_400),
    ]
  )
  func times(text: String, seconds: Int64) {
    #expect(RenewalInformation.seconds(text) == seconds)
  }

  @Test(
    "refuses what is no time",
    arguments: [
      "", "2025-01-02", "2025-01-02T04:00:00", "2025-13-02T04:00:00Z", "2025-01-02T24:00:00Z",
      "2025-01-02 04:00:00Z", "2025-01-02T04:00:00+2:00", "2025-01-02T04:00:00ZZ",
      "2025/01/02T04:00:00Z", "20a5-01-02T04:00:00Z",
    ]
  )
  func noTimes(text: String) { #expect(RenewalInformation.seconds(text) == nil) }

  @Test("chooses a moment of the window, each as likely", arguments: [0, 1, 59, 60, .max])
  func window(random: UInt64) throws {
    let found = try #require(information("2025-01-02T04:00:00Z", "2025-01-02T04:01:00Z"))
    #expect(found.window.contains(found.moment(random)))
    #expect(found.moment(random) == found.window.lowerBound + Int64(random % 61))
  }

  @Test("refuses a window that has no length")
  func noWindow() {
    #expect(information("2025-01-02T04:00:00Z", "2025-01-02T04:00:00Z") == nil)
    #expect(information("2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z") == nil)
    #expect(RenewalInformation(ACMEAnswer(status: 404)) == nil)
  }

  @Test(
    "asks again neither all the time nor never",
    arguments: [(nil, 21_600), (1, 60), (3600, 3600), (999_999, 86_400)]
  )
  func again(asked: Int?, kept: Int) throws {
    let found = try #require(
      information("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z", retryAfter: asked)
    )
    #expect(found.askAgain == kept)
  }

  @Test("is at two thirds of the life, give or take a twentieth", arguments: 0..<50)
  func usual(seed: Int) {
    var random = SplitMix(UInt64(seed))
    let life = Int64(random.next() % 40_000_000) + 100
    let validity = 1000...1000 + life
    let time = RenewalTime.usual(validity, random: random.next())
    #expect(abs(time - 1000 - life * 2 / 3) <= life / 20 + 2)
    #expect(validity.contains(time))
  }

  @Test("is before the end, whatever the authority would like")
  func suggested() throws {
    let validity: ClosedRange<Int64> = 1_735_000_000...1_735_100_000
    let late = try #require(information("2035-01-02T04:00:00Z", "2035-01-03T04:00:00Z"))
    #expect(RenewalTime.next(validity, suggested: late, random: 5) == 1_735_095_000)
    let early = try #require(information("2020-01-02T04:00:00Z", "2020-01-02T04:00:01Z"))
    #expect(RenewalTime.next(validity, suggested: early, random: 0) == 1_577_937_600)
    #expect(
      RenewalTime.next(validity, suggested: nil, random: 9)
        == RenewalTime.usual(validity, random: 9)
    )
  }

  @Test(
    "is tried again after pauses that grow to a day, and no sooner than asked",
    arguments: 0..<50
  )
  func pauses(seed: Int) {
    var random = SplitMix(UInt64(seed))
    for count in 1...40 {
      let pause = RenewalTime.pause(afterFailures: count, random: random.next())
      #expect((45...108_000).contains(pause))
      if count > 10 { #expect(pause >= 64_800) }
      let asked = Int(random.next() % 1_000_000)
      let longer = RenewalTime.pause(afterFailures: count, retryAfter: asked, random: 0)
      #expect(longer >= Int64(min(asked, 604_800)))
    }
  }

  @Test("asks by the name of RFC 9773, section 4.1")
  func names() throws {
    // The example of that section.
    let authority: [UInt8] = [
      0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE,
      0x2C,
      0xDE, 0x01, 0xC8, 0xD4,
    ]
    let serial: [UInt8] = [0x00, 0x87, 0x65, 0x43, 0x21]
    #expect(
      RenewalInformation.name(authority: authority, serial: serial)
        == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    )
  }
}
