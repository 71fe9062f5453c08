import HealthChecks
import Testing

private let second: Int64 = 1_000_000_000

@Suite("The schedule of checks")
struct CheckScheduleTests {
  @Test("spreads any number of targets evenly", arguments: [1, 2, 3, 10, 100, 1000])
  func spread(count: Int) {
    let times = (0..<count).map { number -> Int64 in
      var schedule = CheckSchedule(number: UInt32(number), seed: 1)
      let first = schedule.first(from: 0, interval: second)
      return schedule.next(after: first, now: first, interval: second, jitterPercent: 0) % second
    }.sorted()
    // A tenth of the interval never has more than twice its share, and one.
    for tenth in 0..<10 {
      let start = Int64(tenth) * second / 10
      let here = times.count { $0 >= start && $0 < start + second / 10 }
      #expect(here <= count / 5 + 1)
    }
  }

  @Test(
    "makes checks in groups, none too early and none later than an eighth of its interval",
    arguments: [1_000_000, second / 10, second, 60 * second]
  )
  func groups(interval: Int64) {
    let times = (0..<1000).map { 5 * second + $0 * interval / 1000 }
    let moments = times.map { CheckSchedule.together($0, interval: interval) }
    for (time, moment) in zip(times, moments) {
      #expect(moment >= time && moment - time < min(interval / 8, second / 8))
    }
    // Where an interval is long, a second has eight groups.
    #expect(Set(moments).count <= 9 * Int(max(1, interval / second)))
  }

  @Test("asks everybody within a second, however long the interval is", arguments: 0..<20)
  func first(number: UInt32) {
    let schedule = CheckSchedule(number: number, seed: 1)
    let time = schedule.first(from: 7 * second, interval: 3600 * second)
    #expect((7 * second..<8 * second).contains(time))
  }

  @Test("keeps its intervals to within the jitter, and does not drift", arguments: [0, 10, 50])
  func jitter(percent: Int) {
    let interval = 2 * second
    var schedule = CheckSchedule(number: 5, seed: 99)
    var time = schedule.first(from: 1000 * second, interval: interval)
    let start = time
    var largest: Int64 = 0
    for round in 0..<1000 {
      // A check that is late, or takes its time.
      let now = time + Int64.random(in: 0...interval / 5)
      let next = schedule.next(
        after: time,
        now: now,
        interval: interval,
        jitterPercent: percent
      )
      if round > 0 { largest = max(largest, abs(next - time - interval)) }
      time = next
    }
    #expect(largest <= interval * Int64(percent) / 100)
    #expect(abs(time - start - 1000 * interval) <= 2 * interval)
  }

  @Test("leaves out the times that a slow check has missed")
  func slow() {
    var schedule = CheckSchedule(number: 0, seed: 1)
    let next = schedule.next(
      after: 10 * second,
      now: 17 * second + 1,
      interval: 2 * second,
      jitterPercent: 0
    )
    #expect(next == 18 * second)
    let soon = schedule.soon(
      after: 10 * second,
      now: 17 * second,
      interval: 2 * second,
      jitterPercent: 0
    )
    #expect(soon == 17 * second)
  }
}
