import KeyedTables
import Limiting
import Synchronization
import Testing

/// A token bucket as textbooks have it, in whole tokens and nanoseconds.
private struct Bucket {
  let rate: Rate
  var tokens: UInt64
  /// When the last token that is counted came.
  var since: UInt64 = 0

  init(_ rate: Rate) {
    self.rate = rate
    tokens = rate.burst
  }

  mutating func admit(at now: UInt64) -> Bool {
    if tokens < rate.burst {
      let come = (now - since) / rate.interval
      tokens += come
      since += come * rate.interval
    }
    if tokens >= rate.burst {
      tokens = rate.burst
      since = now
    }
    guard tokens > 0 else { return false }
    tokens -= 1
    return true
  }
}

private let start: UInt64 = 5_000_000_000

@Suite("Rates")
struct RateTableTests {
  @Test(
    "are those of a token bucket, whenever requests come",
    arguments: [
      Rate(100, per: 1_000_000_000, burst: 50), Rate(1, per: 1_000_000_000, burst: 1),
      Rate(7, per: 1_000_000_000, burst: 3), Rate(1_000_000, per: 1_000_000_000, burst: 10),
    ],
    [UInt64(1), 2, 3]
  )
  func bucket(rate: Rate, seed: UInt64) {
    var numbers = Numbers(state: seed)
    let table = RateTable(rate, keyCount: 16)
    var bucket = Bucket(rate)
    var now = start
    for _ in 0..<20_000 {
      now += UInt64.random(in: 0...rate.interval * 2, using: &numbers)
      if UInt8.random(in: 0...255, using: &numbers) == 0 { now += rate.interval * rate.burst }
      let verdict = table.admit(KeyHash.common, at: now)
      #expect((verdict == .admitted) == bucket.admit(at: now))
    }
  }

  @Test("let the first of a refused key in after exactly the time that was told")
  func wait() {
    let table = RateTable(Rate(3, per: 1_000_000_000, burst: 2), keyCount: 16)
    var now = start
    for _ in 0..<2 { #expect(table.admit(1, at: now) == .admitted) }
    for _ in 0..<100 {
      guard case .refused(let wait) = table.admit(1, at: now) else {
        Issue.record("admitted without a token")
        return
      }
      #expect(table.admit(1, at: now + wait - 1) == .refused(wait: 1))
      now += wait
      #expect(table.admit(1, at: now) == .admitted)
    }
  }

  @Test("are the same for all threads together: at each moment as many pass as there are tokens")
  func threads() {
    let rate = Rate(1000, per: 1_000_000_000, burst: 20)
    let table = RateTable(rate, keyCount: 64)
    var bucket = Bucket(rate)
    var numbers = Numbers(state: 4)
    var now = start
    for _ in 0..<200 {
      now += UInt64.random(in: 0...20_000_000, using: &numbers)
      let moment = now
      let admitted = onThreads(4) { _ in
        (0..<25).count { _ in table.admit(77, at: moment) == .admitted }
      }.reduce(0, +)
      #expect(admitted == (0..<100).count { _ in bucket.admit(at: moment) })
    }
  }

  @Test("never let more pass in any time, when threads come at random with clocks of their own")
  func windows() {
    let rate = Rate(10_000, per: 1_000_000_000, burst: 30)
    let table = RateTable(rate, keyCount: 64)
    let clock = Atomic<UInt64>(start)
    let stamps = onThreads(4) { number in
      var numbers = Numbers(state: UInt64(number))
      var stamps: [UInt64] = []
      for _ in 0..<30_000 {
        let step = UInt64.random(in: 0...60_000, using: &numbers)
        let now = clock.wrappingAdd(step, ordering: .relaxed).newValue
        if table.admit(5, at: now) == .admitted { stamps.append(now) }
      }
      return stamps
    }.flatMap(\.self).sorted()
    // In any window: count ≤ burst + time / interval, so index · interval − stamp rises no further.
    var least = Int64.max
    var most: Int64 = 0
    for (index, stamp) in stamps.enumerated() {
      let place = Int64(stamp) - Int64(index) * Int64(rate.interval)
      if least != .max { most = max(most, least - place) }
      least = max(least == .max ? place : least, place)
    }
    #expect(most <= Int64(rate.interval * (rate.burst - 1)), "\(most)")
    #expect(stamps.count > 1000)
  }

  @Test("hold for each key alone, while keys come and go on several threads")
  func keys() {
    let rate = Rate(1, per: 1_000_000_000, burst: 3)
    let table = RateTable(rate, keyCount: 4096)
    let admitted = onThreads(4) { _ in
      var counts = [Int](repeating: 0, count: 1000)
      for _ in 0..<10 {
        for key in 0..<1000 where table.admit(spread(key), at: start) == .admitted {
          counts[key] += 1
        }
      }
      return counts
    }
    for key in 0..<1000 { #expect(admitted.reduce(0) { $0 + $1[key] } == 3, "key \(key)") }
    #expect(table.forgottenCount == 0)
    #expect(table.openCount(at: start) == 1000)
  }

  @Test("hold while places are taken over by other keys on several threads")
  func takenOver() {
    // One group of sixteen places, which 64 keys use one after the other.
    let rate = Rate(1000, per: 1_000_000_000, burst: 2)
    let table = RateTable(rate, keyCount: 16)
    let grace = RateTable.grace
    for turn in 0..<200 {
      let now = start + UInt64(turn) * (grace + 10_000_000)
      let base = turn % 4 * 16
      let counts = onThreads(4) { _ in
        (0..<16).map { key in
          (0..<4).count { _ in table.admit(spread(base + key), at: now) == .admitted }
        }
      }
      for key in 0..<16 { #expect(counts.reduce(0) { $0 + $1[key] } == 2) }
    }
    #expect(table.forgottenCount == 0)
  }

  @Test("forget the bucket that is the nearest to being full when there is no place, and count it")
  func full() {
    let rate = Rate(1, per: 1_000_000_000, burst: 10)
    let table = RateTable(rate, keyCount: 16)
    #expect(table.capacity == 16)
    // Key 1 owes the least, key 16 the most.
    for key in 1...16 {
      for _ in 0..<(key < 10 ? key : 10) {
        #expect(table.admit(UInt64(key), at: start) == .admitted)
      }
    }
    #expect(table.forgottenCount == 0)
    #expect(table.admit(17, at: start) == .admitted)
    #expect(table.forgottenCount == 1)
    // Those that owe most are still refused.
    for key in 10...16 { #expect(table.admit(UInt64(key), at: start) != .admitted) }
    #expect(table.openCount(at: start) == 16)
  }

  @Test("cost no place once a bucket is full again")
  func expiry() {
    let table = RateTable(Rate(1000, per: 1_000_000_000, burst: 1), keyCount: 16)
    var now = start
    for key in 1...10_000 {
      #expect(table.admit(UInt64(key), at: now) == .admitted)
      now += RateTable.grace / 8
    }
    #expect(table.forgottenCount == 0)
  }
}

/// Another key for each number, of which the lowest bits differ too.
func spread(_ number: Int) -> UInt64 {
  var numbers = Numbers(state: UInt64(number))
  return numbers.next() | 1 << 63
}
