import FailurePolicies
import Synchronization
import Testing

@Suite("Retry budget")
struct RetryBudgetTests {
  @Test(
    "a window has its share of the requests and its least, and not one more",
    arguments: [0, 3]
  )
  func share(least: Int) {
    let budget = RetryBudget(RetryBudget.Terms(percent: 20, leastPerSecond: least))
    budget.add(requests: 1000, at: 0)
    let granted = (0..<1000).count { _ in budget.take(at: 0) }
    #expect(granted == 200 + 10 * least)
    #expect(budget.counts(at: 0) == (1000, granted))
  }

  @Test("what is older than the window counts no more, neither for nor against")
  func expires() {
    let budget = RetryBudget(RetryBudget.Terms(percent: 50, leastPerSecond: 0))
    budget.add(requests: 10, at: 0)
    #expect(budget.take(at: 0))
    #expect(budget.counts(at: milliseconds(9_999)) == (10, 1))
    #expect(budget.counts(at: milliseconds(10_000)) == (0, 0))
    #expect(!budget.take(at: milliseconds(10_000)))
    budget.add(requests: 2, at: milliseconds(10_000))
    #expect(budget.take(at: milliseconds(10_000)))
    #expect(!budget.take(at: milliseconds(10_000)))
  }

  @Test("at each retry the bound holds, and over any time", arguments: 0..<20)
  func property(seed: UInt64) {
    var numbers = Numbers(seed)
    let percent = Int.random(in: 0...150, using: &numbers)
    let least = Int.random(in: 0...5, using: &numbers)
    let budget = RetryBudget(
      RetryBudget.Terms(percent: percent, leastPerSecond: least, window: .seconds(2))
    )
    var now: Int64 = Int64.random(in: 0...milliseconds(1 << 40), using: &numbers)
    let start = now
    var events: [(slice: Int64, isRetry: Bool)] = []
    var all = 0
    for _ in 0..<2000 {
      // Mostly bursts, and now and then a rest of up to three windows.
      if Int.random(in: 0..<50, using: &numbers) == 0 {
        now += Int64.random(in: 0...milliseconds(6000), using: &numbers)
      } else {
        now += Int64.random(in: 0...milliseconds(3), using: &numbers)
      }
      let slice = now / milliseconds(200)
      if Bool.random(using: &numbers) {
        budget.add(requests: 1, at: now)
        events.append((slice, false))
        continue
      }
      let recent = events.reversed().prefix { $0.slice > slice - 10 }
      let retries = recent.count { $0.isRetry }
      let requests = recent.count - retries
      let mayTake = (retries + 1) * 100 <= requests * percent + least * 200
      #expect(budget.take(at: now) == mayTake)
      if mayTake {
        events.append((slice, true))
        all += 1
      }
      let seconds = Double(now - start) / 1e9 + 2
      let bound = Double((events.count - all) * percent) / 100 + Double(least) * seconds
      #expect(Double(all) <= bound + 1)
    }
  }

  @Test("loops that take at once take no more together", arguments: 0..<5)
  func concurrent(round: Int) async {
    let budget = RetryBudget(RetryBudget.Terms(percent: 20, leastPerSecond: 0))
    let requests = await together(4) { _ in
      for _ in 0..<5000 { budget.add(requests: 1, at: 0) }
      return 5000
    }
    let granted = await together(4) { _ in (0..<3000).count { _ in budget.take(at: 0) } }
    #expect(granted == requests / 5)
  }

  @Test("loops that take on both sides of a border take at most one too many each")
  func border() async {
    let loops = 4
    for border in 1..<10 as Range<Int64> {
      let budget = RetryBudget(RetryBudget.Terms(percent: 10, leastPerSecond: 0))
      budget.add(requests: 10_000, at: 0)
      let granted = await together(loops) { loop in
        let now = milliseconds(border * 1000) - (loop % 2 == 0 ? 1 : 0)
        return (0..<1000).count { _ in budget.take(at: now) }
      }
      #expect(granted >= 1000 && granted <= 1000 + loops - 1)
    }
  }

  @Test("more requests than a slice can count keep their share")
  func saturates() {
    let budget = RetryBudget(RetryBudget.Terms(percent: 1, leastPerSecond: 0))
    for _ in 0..<200 { budget.add(requests: 1 << 20, at: 0) }
    let (requests, _) = budget.counts(at: 0)
    #expect(requests >= 1 << 23 && requests < 1 << 25)
  }
}
