import Certificates
import Testing

@Suite("When responders are asked")
struct StapleTimeTests {
  private static let day: Int64 = 86_400

  @Test("is between half and three quarters of a short response", arguments: [0, 1, 77, .max])
  func middle(random: UInt64) {
    let next = StapleTime.next(1000...1000 + Self.day, now: 1000, random: random)
    #expect((1000 + Self.day / 2...1000 + Self.day * 3 / 4).contains(next))
  }

  @Test("is within a day, and not at once", arguments: [0, 1, 77, .max])
  func bounds(random: UInt64) {
    let long = StapleTime.next(0...Self.day * 30, now: 10, random: random)
    #expect(long == 10 + Self.day)
    let late = StapleTime.next(0...Self.day, now: Self.day - 5, random: random)
    #expect(late == Self.day - 5 + 300)
    let short = StapleTime.next(0...60, now: 50, random: random)
    #expect((51...65).contains(short))
  }

  @Test("is later after each failure, up to an hour, and as late as the responder wants")
  func pauses() {
    let pauses = (1...8).map { StapleTime.pause(afterFailures: $0, random: 0) }
    #expect(pauses == pauses.sorted())
    #expect(pauses[0] == 45 && pauses[7] == 2700)
    for random in [0, 12_345, UInt64.max] {
      for count in 0...20 {
        let pause = StapleTime.pause(afterFailures: count, random: random)
        #expect(count == 0 ? pause == 0 : (45...4500).contains(pause))
      }
    }
    #expect(StapleTime.pause(afterFailures: 1, retryAfter: 7200, random: 0) == 7200)
    #expect(StapleTime.pause(afterFailures: 1, retryAfter: .max, random: 0) == Self.day)
    #expect(StapleTime.pause(afterFailures: 1, retryAfter: -5, random: 0) == 45)
  }
}
