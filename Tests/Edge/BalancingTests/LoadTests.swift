import Balancing
import Testing

@Suite("Least connections")
struct LeastConnectionsTests {
  @Test("chooses a member that no other undercuts, among few and many", arguments: 0..<30)
  func minimal(seed: Int) {
    var numbers = TestNumbers(state: UInt64(seed))
    let count = [3, 12, 16, 17, 50, 300][seed % 6]
    let weights = (0..<count).map { _ in Int.random(in: 1...4, using: &numbers) }
    for algorithm in [Balancer.Algorithm.leastConnections, .weightedLeastConnections] {
      var balancer = algorithm.balancer(weights)
      let loads = TestLoads(idle: count)
      func load(_ number: Int) -> Double {
        let weight = algorithm == .leastConnections ? 1 : weights[number]
        return Double(loads.counts[number]) / Double(weight)
      }
      for _ in 0..<100 {
        for number in 0..<count { loads.counts[number] = Int.random(in: 0...6, using: &numbers) }
        let excluded = (0..<count).filter { _ in Int.random(in: 0..<4, using: &numbers) == 0 }
        let able = Set(0..<count).subtracting(excluded)
        // Among many, what happened elsewhere is seen two members at a time.
        if count > 16 {
          for _ in 0..<count {
            let other = balancer.choose(excluding: memberSet(excluded), loads)
            if let other { balancer.noteEnd(of: other) }
          }
        }
        let choice = balancer.choose(excluding: memberSet(excluded), loads)
        #expect(choice.map(load) == able.map(load).min())
        if let choice { balancer.noteEnd(of: choice) }
      }
    }
  }

  @Test("lets those that are equally busy for their weight take turns by weight")
  func ties() {
    var balancer = Balancer.Algorithm.weightedLeastConnections.balancer([1, 2, 3])
    let loads = TestLoads([2, 4, 7])
    let choices = (0..<30).map { _ in balancer.choose(excluding: MemberSet(), loads) }
    #expect(tally(choices, of: 3) == [10, 20, 0])
  }

  @Test("takes turns by weight among many that have nothing to do")
  func manyIdle() {
    let weights = (0..<100).map { $0 % 4 + 1 }
    var balancer = Balancer.Algorithm.weightedLeastConnections.balancer(weights)
    let loads = TestLoads(idle: 100)
    var choices: [Int?] = []
    for _ in 0..<2500 {
      let choice = balancer.choose(excluding: MemberSet(), loads)
      choices.append(choice)
      if let choice { balancer.noteEnd(of: choice) }
    }
    for (count, weight) in zip(tally(choices, of: 100), weights) {
      #expect(abs(count - weight * 10) <= 2)
    }
  }

  @Test(
    "keeps members busy in proportion to their weights, or equally",
    arguments: [[1, 2, 5], (0..<100).map { $0 % 5 + 1 }]
  )
  func steadyState(weights: [Int]) {
    let total = weights.reduce(0, +)
    for algorithm in [Balancer.Algorithm.leastConnections, .weightedLeastConnections] {
      var balancer = algorithm.balancer(weights)
      let loads = TestLoads(idle: weights.count)
      let isPlain = algorithm == .leastConnections
      for _ in 0..<(isPlain ? weights.count : total) * 10 {
        if let choice = balancer.choose(excluding: MemberSet(), loads) { loads.counts[choice] += 1 }
      }
      #expect(loads.counts == weights.map { isPlain ? 10 : $0 * 10 })
    }
  }

  @Test("follows what other loops do with many members, a little late")
  func otherLoops() {
    let loads = TestLoads(idle: 200)
    var loops = (0..<4).map {
      Balancer.Algorithm.leastConnections.balancer(
        Array(repeating: 1, count: 200),
        start: $0
      )
    }
    var numbers = TestNumbers(state: 5)
    var underWay: [(loop: Int, member: Int)] = []
    for step in 0..<40_000 {
      let loop = step % 4
      if let choice = loops[loop].choose(excluding: MemberSet(), loads) {
        loads.counts[choice] += 1
        underWay.append((loop, choice))
      }
      guard underWay.count > 2000 else { continue }
      let ended = underWay.remove(at: Int.random(in: 0..<underWay.count, using: &numbers))
      loads.counts[ended.member] -= 1
      loops[ended.loop].noteEnd(of: ended.member)
    }
    // Ten each, if all loops knew everything at once.
    #expect(loads.counts.allSatisfy { (5...15).contains($0) })
  }
}

@Suite("Random of two")
struct RandomOfTwoTests {
  @Test("gives members their share by weight, within a tenth", arguments: [3, 10, 100])
  func shares(count: Int) {
    let weights = (0..<count).map { $0 % 3 + 1 }
    let total = weights.reduce(0, +)
    var balancer = Balancer.Algorithm.randomOfTwo.balancer(weights)
    let loads = TestLoads(idle: count)
    var window: [Int] = []
    var counts = Array(repeating: 0, count: count)
    for step in 0..<total * 2000 {
      guard let choice = balancer.choose(excluding: MemberSet(), loads) else { continue }
      counts[choice] += 1
      loads.counts[choice] += 1
      window.append(choice)
      if window.count > total * 4 { loads.counts[window[step - total * 4]] -= 1 }
    }
    for (count, weight) in zip(counts, weights) {
      #expect(abs(count - weight * 2000) < weight * 200)
    }
  }

  @Test("leaves no member far busier than the others")
  func maximum() {
    var balancer = Balancer.Algorithm.randomOfTwo.balancer(Array(repeating: 1, count: 500))
    let loads = TestLoads(idle: 500)
    for _ in 0..<5000 {
      if let choice = balancer.choose(excluding: MemberSet(), loads) { loads.counts[choice] += 1 }
    }
    // By theory, log log n / log 2 above the mean of 10, about 3.2.
    #expect(loads.counts.max() ?? 0 <= 15)
  }

  @Test("prefers the less busy one of two members each time")
  func two() {
    var balancer = Balancer.Algorithm.randomOfTwo.balancer([1, 1])
    #expect(
      (0..<20).allSatisfy { _ in
        balancer.choose(excluding: MemberSet(), TestLoads([3, 2])) == 1
      }
    )
  }
}

@Suite("Peak EWMA")
struct PeakEWMATests {
  private let second: Int64 = 1_000_000_000

  @Test("follows a rise at once, and a fall by half in each half-life")
  func mean() {
    let halfLife = ResponseTime.halfLife
    let start = ResponseTime().with(10_000_000, at: second)
    #expect(abs(start.mean - 10_000_000) < 1)
    let peak = start.with(80_000_000, at: second * 2)
    #expect(abs(peak.mean - 80_000_000) < 8)
    let later = peak.with(0, at: second * 2 + halfLife)
    #expect(abs(later.mean - 40_000_000) < 400_000)
    let mixed = peak.with(20_000_000, at: second * 2 + halfLife)
    #expect(abs(mixed.mean - 50_000_000) < 400_000)
  }

  @Test("counts a failure that came at once as slow")
  func failure() {
    let failed = ResponseTime().withFailure(after: 1000, at: 0)
    #expect(failed.mean >= Float(ResponseTime.failurePenalty))
  }

  @Test("chooses the quickest of few, and fewer requests where all are as quick")
  func quickest() {
    var balancer = Balancer.Algorithm.peakEWMA.balancer([1, 1, 1])
    let loads = TestLoads([0, 0, 0])
    loads.times = [30, 10, 20].map { ResponseTime().with($0 * 1_000_000, at: second) }
    let request = BalancingRequest(now: second)
    #expect(balancer.choose(for: request, excluding: MemberSet(), loads) == 1)
    loads.counts = [0, 3, 0]
    #expect(balancer.choose(for: request, excluding: MemberSet(), loads) == 2)
    loads.counts = [0, 3, 1]
    #expect(balancer.choose(for: request, excluding: MemberSet(), loads) == 0)
  }

  @Test("sends one request to a member that nobody has measured, and no second one at once")
  func unknown() {
    var balancer = Balancer.Algorithm.peakEWMA.balancer([1, 1])
    let loads = TestLoads([0, 0])
    loads.times[0] = ResponseTime().with(10_000_000, at: second)
    let request = BalancingRequest(now: second)
    #expect(balancer.choose(for: request, excluding: MemberSet(), loads) == 1)
    loads.counts[1] = 1
    #expect(balancer.choose(for: request, excluding: MemberSet(), loads) == 0)
  }

  @Test("asks a slow member again when its time is half forgotten often enough")
  func recovery() {
    var balancer = Balancer.Algorithm.peakEWMA.balancer([1, 1])
    let loads = TestLoads([0, 0])
    loads.times = [
      ResponseTime().with(second, at: second), ResponseTime().with(1_000_000, at: second),
    ]
    #expect(
      balancer.choose(for: BalancingRequest(now: second), excluding: MemberSet(), loads) == 1
    )
    loads.times[1] = ResponseTime().with(1_000_000, at: 61 * second)
    #expect(
      balancer.choose(for: BalancingRequest(now: 61 * second), excluding: MemberSet(), loads) == 0
    )
  }

  @Test("sends much less to the slow half of many members")
  func many() {
    var balancer = Balancer.Algorithm.peakEWMA.balancer(Array(repeating: 1, count: 100))
    let loads = TestLoads(idle: 100)
    loads.times = (0..<100).map { ResponseTime().with($0 < 50 ? 1_000_000 : 9_000_000, at: second) }
    let choices = (0..<4000).map { _ in
      balancer.choose(for: BalancingRequest(now: second), excluding: MemberSet(), loads)
    }
    let slow = tally(choices, of: 100)[50...].reduce(0, +)
    // A quarter of the draws has two slow ones.
    #expect((800...1200).contains(slow))
  }
}
