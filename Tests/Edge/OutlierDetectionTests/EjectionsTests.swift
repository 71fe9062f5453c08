import OutlierDetection
import Testing

private let second: Int64 = 1_000_000_000

private func policy(_ change: (inout EjectionPolicy) -> Void) -> EjectionPolicy {
  var policy = EjectionPolicy()
  change(&policy)
  return policy
}

@Suite("Ejections")
struct EjectionsTests {
  @Test("take a member out for as long as the policy says, and bring it back")
  func time() {
    var ejections = Ejections(policy { $0.failuresInARow = 5 }, memberCount: 3)
    let ejection = ejections.noteRow(of: 1, unavailable: [], at: 0)
    #expect(ejection?.cause == .failuresInARow(5))
    #expect(ejection?.nanoseconds == 30 * second)
    #expect(ejections.isEjected(1))
    #expect(ejections.takeDue(at: 30 * second - 1) == [])
    #expect(ejections.takeDue(at: 30 * second) == [1])
    #expect(!ejections.isEjected(1))
  }

  @Test("take twice as long each time, up to the longest, and are forgotten one by one")
  func growth() {
    var ejections = Ejections(policy { $0.failuresInARow = 1 }, memberCount: 3)
    var now: Int64 = 0
    var times: [Int64] = []
    for _ in 0..<6 {
      guard let ejection = ejections.noteRow(of: 0, unavailable: [], at: now) else { break }
      times.append(ejection.nanoseconds / second)
      now += ejection.nanoseconds
      #expect(ejections.takeDue(at: now) == [0])
    }
    #expect(times == [30, 60, 120, 240, 300, 300])
    let counts = Array(repeating: WindowCount(), count: 3)
    for number in (0..<6).reversed() {
      now += 300 * second
      #expect(ejections.endWindow(counts, unavailable: [], at: now) == [])
      #expect(ejections.members[0].number == number)
    }
  }

  @Test(
    "leave the last member that serves where it is, unless all may go",
    arguments: [(50, 1), (99, 2), (100, 3), (0, 0), (33, 0), (34, 1)]
  )
  func share(percent: Int, ejected: Int) {
    let policy = policy {
      $0.failuresInARow = 1
      $0.largestPercent = percent
    }
    var ejections = Ejections(policy, memberCount: 3)
    for member in 0..<3 { _ = ejections.noteRow(of: member, unavailable: [], at: 0) }
    #expect(ejections.ejectedCount == ejected)
  }

  @Test("count members that are down as not serving")
  func down() {
    let policy = policy {
      $0.failuresInARow = 1
      $0.largestPercent = 90
    }
    var ejections = Ejections(policy, memberCount: 3)
    #expect(ejections.noteRow(of: 0, unavailable: [1, 2], at: 0) == nil)
    #expect(ejections.noteRow(of: 0, unavailable: [1], at: 0) != nil)
    #expect(ejections.noteRow(of: 2, unavailable: [1], at: 0) == nil)
  }

  @Test(
    "judge a share of failures when there are requests enough",
    arguments: [(19, 0, false), (20, 10, true), (20, 9, false), (100, 100, true), (0, 0, false)]
  )
  func failureShare(requests: UInt64, failures: UInt64, isEjected: Bool) {
    var ejections = Ejections(policy { $0.failurePercent = 50 }, memberCount: 2)
    let counts = [
      WindowCount(successCount: requests - failures, failureCount: failures), WindowCount(),
    ]
    let ejected = ejections.endWindow(counts, unavailable: [], at: 0)
    #expect(ejected.map(\.member) == (isEjected ? [0] : []))
  }

  @Test("compare members with each other, and let all be bad together")
  func deviation() {
    let policy = policy {
      $0.deviationThousandths = 1500
      $0.largestPercent = 50
    }
    var ejections = Ejections(policy, memberCount: 5)
    let good = WindowCount(successCount: 99, failureCount: 1)
    let bad = WindowCount(successCount: 50, failureCount: 50)
    let all = Array(repeating: bad, count: 5)
    #expect(ejections.endWindow(all, unavailable: [], at: 0) == [])
    let one = [good, good, bad, good, good]
    #expect(ejections.endWindow(one, unavailable: [], at: 0).map(\.member) == [2])
  }

  @Test("take the worst first where not all may go")
  func worst() {
    var ejections = Ejections(policy { $0.failurePercent = 10 }, memberCount: 4)
    let counts = [20, 90, 50, 70].map {
      WindowCount(successCount: 100 - $0, failureCount: $0)
    }
    #expect(ejections.endWindow(counts, unavailable: [], at: 0).map(\.member) == [1, 3])
  }

  @Test("keep their word in any order of events", arguments: 0..<40)
  func anyOrder(seed: Int) {
    let count = Int.random(in: 1...12)
    let policy = policy {
      $0.failuresInARow = 3
      $0.failurePercent = Bool.random() ? Int.random(in: 1...100) : nil
      $0.deviationThousandths = Bool.random() ? Int.random(in: 1...4000) : nil
      $0.leastRequestCount = Int.random(in: 1...50)
      $0.largestPercent = Int.random(in: 0...100)
      $0.baseNanoseconds = Int64.random(in: 1...10) * second
      $0.longestNanoseconds = Int64.random(in: 10...60) * second
    }
    var ejections = Ejections(policy, memberCount: count)
    var returns: [Int: Int64] = [:]
    var now: Int64 = 0
    for _ in 0..<2000 {
      now += Int64.random(in: 0...5) * second
      let down = Set((0..<count).filter { _ in Int.random(in: 0..<5) == 0 })
      var ejected: [Ejection] = []
      switch Int.random(in: 0..<3) {
      case 0:
        let member = Int.random(in: 0..<count)
        ejected = ejections.noteRow(of: member, unavailable: down, at: now).map { [$0] } ?? []
      case 1:
        let counts = (0..<count).map { _ in
          WindowCount(
            successCount: UInt64.random(in: 0...100),
            failureCount: UInt64.random(in: 0...100)
          )
        }
        ejected = ejections.endWindow(counts, unavailable: down, at: now)
      default:
        let due = ejections.takeDue(at: now)
        #expect(Set(due) == Set(returns.filter { $0.value <= now }.keys))
        for member in due { returns[member] = nil }
      }
      for ejection in ejected {
        #expect(returns[ejection.member] == nil, "ejected twice")
        #expect(ejection.nanoseconds <= policy.longestNanoseconds)
        #expect(ejection.nanoseconds >= min(policy.baseNanoseconds, policy.longestNanoseconds))
        returns[ejection.member] = now + ejection.nanoseconds
      }
      #expect(ejections.ejectedCount == returns.count)
      #expect(ejections.ejectedCount <= policy.largestCount(of: count))
      if policy.largestPercent < 100, !ejected.isEmpty {
        #expect((0..<count).contains { !ejections.isEjected($0) && !down.contains($0) })
      }
    }
  }
}
