import FailurePolicies
import Testing

@Suite("Hedging")
struct HedgingTests {
  @Test("the value is the quantile, or at most an eighth above", arguments: [50, 90, 95, 99])
  func accuracy(percent: Int) throws {
    var numbers = Numbers(UInt64(percent))
    var quantile = LatencyQuantile(percent: percent)
    var times: [Int64] = []
    for count in 1..<4096 {
      // From 0.02 to 300 ms, short ones more often.
      let octave = Int64.random(in: 14...27, using: &numbers)
      let time = (1 << octave) + Int64.random(in: 0..<1 << octave, using: &numbers)
      times.append(time)
      quantile.add(time)
      guard count >= LatencyQuantile.least, (count - LatencyQuantile.least) % 64 == 0 else {
        continue
      }
      let value = try #require(quantile.value)
      let exact = times.sorted()[(count * percent + 99) / 100 - 1]
      #expect(value > exact && Double(value) <= Double(exact) * 1.125 + 1, "\(count) times")
    }
  }

  @Test("there is no value before enough answers have come")
  func early() {
    var quantile = LatencyQuantile(percent: 95)
    for _ in 0..<LatencyQuantile.least - 1 { quantile.add(1_000_000) }
    let before = quantile.value
    #expect(before == nil)
    #expect(HedgeTerms.quantile(percent: 95, floor: .zero).nanoseconds(quantile) == nil)
    quantile.add(1_000_000)
    let after = quantile.value
    #expect(after != nil)
  }

  @Test("answers that have become slower are followed within two memories")
  func follows() throws {
    var quantile = LatencyQuantile(percent: 50)
    for _ in 0..<100_000 { quantile.add(1_000_000) }
    let fast = try #require(quantile.value)
    #expect(fast < 1_200_000)
    for _ in 0..<2 * LatencyQuantile.memory { quantile.add(50_000_000) }
    let slow = try #require(quantile.value)
    #expect(slow > 50_000_000)
  }

  @Test(
    "times at the ends of what is told apart are counted",
    arguments: [0, 1, .max, -5, 1 << 38]
  )
  func extremes(time: Int64) throws {
    var quantile = LatencyQuantile(percent: 50)
    for _ in 0..<LatencyQuantile.least { quantile.add(time) }
    let value = try #require(quantile.value)
    #expect(value >= 1 << 14 && value <= 1 << 38)
  }

  @Test("a hedge waits for its floor")
  func floor() {
    var quantile = LatencyQuantile(percent: 50)
    for _ in 0..<LatencyQuantile.least { quantile.add(1_000_000) }
    let terms = HedgeTerms.quantile(percent: 50, floor: .milliseconds(20))
    #expect(terms.nanoseconds(quantile) == milliseconds(20))
    #expect(HedgeTerms.after(.milliseconds(5)).nanoseconds(quantile) == milliseconds(5))
  }
}
