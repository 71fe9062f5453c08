import Balancing
import Testing

@Suite("Every algorithm")
struct BalancerTests {
  @Test("chooses nobody who is excluded, and somebody while one is not", arguments: algorithms)
  func exclusion(algorithm: Balancer.Algorithm) {
    var numbers = TestNumbers(state: 11)
    for count in [1, 2, 3, 8, 16, 17, 40, 130, 1000] {
      let weights = (0..<count).map { _ in Int.random(in: 1...9, using: &numbers) }
      var balancer = algorithm.balancer(weights, start: count)
      let loads = TestLoads(idle: count)
      for step in 0..<120 {
        let share = Int.random(in: 0...10, using: &numbers)
        let excluded = (0..<count).filter { _ in Int.random(in: 0...10, using: &numbers) <= share }
        let able = Set(0..<count).subtracting(excluded)
        for number in 0..<count where Int.random(in: 0..<8, using: &numbers) == 0 {
          loads.counts[number] = Int.random(in: 0...4, using: &numbers)
          loads.times[number] = ResponseTime().with(Int64(step * 1000), at: Int64(step))
        }
        let choice = balancer.choose(
          for: BalancingRequest(hash: UInt64(step) << 40, now: Int64(step)),
          excluding: memberSet(excluded),
          loads
        )
        #expect(choice.map(able.contains) ?? able.isEmpty, "\(count) members, step \(step)")
      }
    }
  }

  @Test("finds the only one of many that is left", arguments: algorithms)
  func lastOne(algorithm: Balancer.Algorithm) {
    for left in [0, 63, 64, 500, 999] {
      var balancer = algorithm.balancer(Array(repeating: 1, count: 1000))
      let excluded = memberSet((0..<1000).filter { $0 != left })
      #expect(balancer.choices(3, excluding: excluded) == [left, left, left])
      #expect(balancer.choices(1, excluding: memberSet(0..<1000)) == [nil])
    }
  }

  @Test("has nobody to choose among none", arguments: algorithms)
  func nobody(algorithm: Balancer.Algorithm) {
    var empty = algorithm.balancer([])
    #expect(empty.choices(2) == [nil, nil])
  }

  @Test("gives equal answers to equal questions", arguments: algorithms)
  func determinism(algorithm: Balancer.Algorithm) {
    func run() -> [Int?] {
      var numbers = TestNumbers(state: 7)
      let weights = (0..<60).map { _ in Int.random(in: 1...5, using: &numbers) }
      var balancer = algorithm.balancer(weights, start: 3)
      let loads = TestLoads(idle: 60)
      return (0..<500).map { step in
        loads.counts[step % 60] = Int.random(in: 0...5, using: &numbers)
        let excluded = memberSet((0..<60).filter { _ in Bool.random(using: &numbers) })
        return balancer.choose(
          for: BalancingRequest(hash: numbers.next(), now: Int64(step) << 20),
          excluding: excluded,
          loads
        )
      }
    }
    #expect(run() == run())
  }

  @Test("counts weights up to a limit, so that no sum overflows", arguments: algorithms)
  func heaviest(algorithm: Balancer.Algorithm) {
    let members = (0..<3).map { BalancedMember(number: $0, weight: .max) }
    let heavy = Tiers(members).tiers[0].candidates
    var balancer = Balancer(algorithm, heavy)
    #expect(balancer.choices(30).allSatisfy { $0 != nil })
  }
}

@Suite("Round robin")
struct RoundRobinTests {
  static let weights = [
    [1], [1, 1], [1, 1, 1], [5, 1, 1], [1, 2, 3, 4], [7, 3], [100, 1], [256, 255, 1],
    [3, 3, 3, 1, 1, 13], [2, 4, 6], Array(1...16), Array(1...20), Array(repeating: 1, count: 100),
    [100] + Array(repeating: 1, count: 100), (0..<1000).map { $0 % 7 + 1 },
    (0..<300).map { $0 % 256 + 1 },
  ]

  @Test("gives each member exactly its share over a period, wherever it starts", arguments: weights)
  func shares(weights: [Int]) {
    let total = weights.reduce(0, +)
    for start in [0, 1, total / 2, total * 3 + 1, -1] {
      var balancer = Balancer.Algorithm.roundRobin.balancer(weights, start: start)
      let first = balancer.choices(total)
      #expect(tally(first, of: weights.count) == weights)
      #expect(balancer.choices(total) == first)
    }
  }

  @Test(
    "never gives one of few members a whole turn more than its share, or of many four",
    arguments: weights
  )
  func smoothness(weights: [Int]) {
    let total = weights.reduce(0, +)
    let (ahead, behind) = weights.count > 16 ? (4, 4) : (1, 2)
    var balancer = Balancer.Algorithm.roundRobin.balancer(weights)
    var taken = weights.map { _ in 0 }
    for (turn, choice) in balancer.choices(total).enumerated() {
      guard let choice else {
        Issue.record("nobody was chosen in turn \(turn)")
        return
      }
      taken[choice] += 1
      let owed = weights[choice] * (turn + 1) - taken[choice] * total
      #expect(owed > -ahead * total, "member \(choice) is ahead in turn \(turn)")
      guard turn % 17 == 0 else { continue }
      let last = weights.indices.map { weights[$0] * (turn + 1) - taken[$0] * total }.max() ?? 0
      #expect(last < behind * total, "somebody is behind in turn \(turn)")
    }
  }

  @Test("spreads a heavy member between the light ones")
  func order() {
    var balancer = Balancer.Algorithm.roundRobin.balancer([5, 1, 1])
    #expect(balancer.choices(7) == [0, 0, 1, 0, 2, 0, 0])
  }

  @Test("begins `start` turns later", arguments: [[4, 2, 1, 3], Array(1...30)])
  func start(weights: [Int]) {
    var whole = Balancer.Algorithm.roundRobin.balancer(weights)
    let choices = whole.choices(weights.reduce(0, +) * 2)
    for start in 0..<10 {
      var shifted = Balancer.Algorithm.roundRobin.balancer(weights, start: start)
      #expect(shifted.choices(10) == Array(choices[start..<start + 10]))
    }
  }

  @Test("shares what an excluded member had by the weights of the rest")
  func exclusion() {
    let weights = [3, 5, 2, 1]
    for excluded in weights.indices {
      var balancer = Balancer.Algorithm.roundRobin.balancer(weights)
      var expected = weights
      expected[excluded] = 0
      let choices = balancer.choices(
        expected.reduce(0, +),
        excluding: memberSet([excluded])
      )
      #expect(tally(choices, of: 4) == expected)
    }
  }

  @Test("shares what excluded ones of many had evenly, within a tenth")
  func manyExcluded() {
    var balancer = Balancer.Algorithm.roundRobin.balancer(Array(repeating: 1, count: 200))
    let counts = tally(balancer.choices(100_000, excluding: memberSet(0..<100)), of: 200)
    #expect(counts[..<100].allSatisfy { $0 == 0 })
    #expect(counts[100...].allSatisfy { (900...1100).contains($0) })
  }
}

@Suite("First available")
struct FirstAvailableTests {
  @Test("chooses the first that is not excluded, however they are numbered")
  func order() {
    var plain = Balancer.Algorithm.firstAvailable.balancer(Array(repeating: 1, count: 300))
    #expect(plain.choices(2) == [0, 0])
    #expect(plain.choices(1, excluding: memberSet(0..<70)) == [70])
    #expect(plain.choices(1, excluding: memberSet(0..<64)) == [64])
    let numbered = [4, 2, 9].map { Candidate(number: $0) }
    var other = Balancer(.firstAvailable, numbered)
    #expect(other.choices(1) == [4])
    #expect(other.choices(1, excluding: memberSet([4, 2])) == [9])
  }
}

@Suite("Member set")
struct MemberSetTests {
  @Test("has what was inserted and not removed, in one word and beyond", arguments: 0..<20)
  func inserted(seed: Int) {
    var numbers = TestNumbers(state: UInt64(seed))
    var set = MemberSet()
    var plain: Set<Int> = []
    #expect(set.isEmpty)
    for _ in 0..<60 {
      let index = Int.random(in: 0..<(seed % 2 == 0 ? 64 : 300), using: &numbers)
      if Int.random(in: 0..<4, using: &numbers) == 0 {
        set.remove(index)
        plain.remove(index)
      } else {
        set.insert(index)
        plain.insert(index)
      }
      #expect(set.count == plain.count)
      #expect(set.first(from: index) == plain.filter { $0 >= index }.min())
      #expect(set.firstAbsent == (0...300).first { !plain.contains($0) })
    }
    #expect((-1..<400).filter(set.contains) == plain.sorted())
    var union = memberSet([1, 200])
    union.formUnion(set)
    #expect((0..<400).filter(union.contains) == plain.union([1, 200]).sorted())
  }

  @Test("is not empty with one member, at each edge of a word", arguments: [0, 63, 64, 127, 128])
  func edges(index: Int) {
    let one = memberSet([index])
    #expect(!one.isEmpty)
    #expect(one.count == 1)
    #expect((-1..<200).filter(one.contains) == [index])
  }
}
