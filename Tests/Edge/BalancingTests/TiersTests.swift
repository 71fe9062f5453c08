import Balancing
import Testing

private func numbers(_ members: [BalancedMember], panicThreshold: Int = 0) -> [[Int]] {
  Tiers(members, panicThreshold: panicThreshold).tiers.map { $0.candidates.map(\.number) }
}

@Suite("Tiers")
struct TiersTests {
  @Test("stand in their order, backups last, without those that cannot be chosen")
  func order() {
    let members = [
      BalancedMember(number: 0, tier: 2), BalancedMember(number: 1),
      BalancedMember(number: 2, isBackup: true), BalancedMember(number: 3, tier: 16),
      BalancedMember(number: 4, weight: 0), BalancedMember(number: 5, condition: .unwell),
      BalancedMember(number: 6, condition: .unavailable), BalancedMember(number: 7),
    ]
    #expect(numbers(members) == [[1, 7], [0], [3], [2]])
  }

  @Test("are left out while nobody of them is well")
  func nobodyWell() {
    let members = [
      BalancedMember(number: 0, condition: .unwell),
      BalancedMember(number: 1, isBackup: true),
    ]
    #expect(numbers(members) == [[1]])
    #expect(numbers(members, panicThreshold: 50) == [[1]])
  }

  @Test(
    "use all their members when fewer than the threshold are well",
    arguments: [(0, [0]), (24, [0]), (25, [0]), (26, [0, 1, 2, 3]), (100, [0, 1, 2, 3])]
  )
  func panic(threshold: Int, expected: [Int]) {
    let members = (0..<4).map {
      BalancedMember(number: $0, condition: $0 == 0 ? .usable : .unwell)
    }
    let tiers = Tiers(members, panicThreshold: threshold).tiers
    #expect(tiers.map { $0.candidates.map(\.number) } == [expected])
    #expect(tiers[0].isPanicking == (expected.count > 1))
  }

  @Test("use everybody in panic when nobody at all is well, and nobody without")
  func allDown() {
    let members = (0..<3).map {
      BalancedMember(number: $0, isBackup: $0 == 2, condition: .unwell)
    }
    #expect(numbers(members) == [])
    #expect(numbers(members, panicThreshold: 1) == [[0, 1], [2]])
    let drained = [BalancedMember(number: 0, condition: .unavailable)]
    #expect(numbers(drained, panicThreshold: 100) == [])
  }

  @Test("have the weights as written, and finer ones only while somebody starts slowly")
  func weights() {
    let plain = Tiers([BalancedMember(number: 0, weight: 3)]).tiers[0].candidates[0]
    #expect(plain.weight == 3)
    #expect(plain.strength == 1)
    let slow = Tiers([
      BalancedMember(number: 0, weight: 3), BalancedMember(number: 1, weight: 3, ramp: 16),
    ]).tiers[0].candidates
    #expect(slow.map(\.weight) == [192, 48])
    #expect(slow.map(\.strength) == [64, 16])
  }
}

@Suite("Slow start")
struct SlowStartTests {
  private let rule = SlowStart(nanoseconds: 64_000)

  @Test("grows evenly from a little to the whole, and never falls")
  func grows() {
    #expect(rule.ramp(since: 1000, at: 1000) == 1)
    #expect(rule.ramp(since: 1000, at: 33_000) == 32)
    #expect(rule.ramp(since: 1000, at: 65_000) == 64)
    var last = 0
    for now in stride(from: 0 as Int64, to: 70_000, by: 100) {
      let ramp = rule.ramp(since: 1000, at: now)
      #expect((max(1, last)...64).contains(ramp))
      last = ramp
    }
  }

  @Test("is over for members that were there from the beginning, and where none is wanted")
  func none() {
    #expect(rule.ramp(since: 0, at: 5) == 64)
    #expect(SlowStart(nanoseconds: 0).ramp(since: 5, at: 5) == 64)
  }

  @Test("gives a member the part of its share that it has grown to")
  func share() {
    let members = [BalancedMember(number: 0), BalancedMember(number: 1, ramp: 16)]
    var balancer = Balancer(.roundRobin, Tiers(members).tiers[0].candidates)
    #expect(tally(balancer.choices(80), of: 2) == [64, 16])
    var least = Balancer(.leastConnections, Tiers(members).tiers[0].candidates)
    let loads = TestLoads([0, 0])
    for _ in 0..<80 {
      if let choice = least.choose(excluding: MemberSet(), loads) { loads.counts[choice] += 1 }
    }
    #expect(loads.counts == [64, 16])
  }
}
