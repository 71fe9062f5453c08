import Balancing
import Testing

/// Numbers that look random and are the same in every run.
private struct Numbers: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value &>> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value &>> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value &>> 31
  }
}

/// Both algorithms.
enum Algorithm: CaseIterable {
  case roundRobin
  case leastConnections

  func balancer(_ members: [BalancedMember], start: Int = 0) -> Balancer {
    switch self {
    case .roundRobin: .roundRobin(RoundRobin(members, start: start))
    case .leastConnections: .leastConnections(LeastConnections(members, start: start))
    }
  }
}

private func members(_ weights: [Int]) -> [BalancedMember] {
  weights.map { BalancedMember(weight: $0) }
}

private func set(_ indices: some Sequence<Int>) -> MemberSet {
  var set = MemberSet()
  for index in indices { set.insert(index) }
  return set
}

extension Balancer {
  /// The next `count` choices while nobody has anything to do.
  fileprivate mutating func choices(
    _ count: Int,
    excluding excluded: MemberSet = MemberSet()
  ) -> [Int?] {
    let active: [UInt32] = []
    var choices: [Int?] = []
    for _ in 0..<count { choices.append(choose(excluding: excluded, active: active.span)) }
    return choices
  }

  fileprivate mutating func choice(
    excluding excluded: MemberSet = MemberSet(),
    active: [UInt32]
  ) -> Int? {
    choose(excluding: excluded, active: active.span)
  }
}

private func counts(_ choices: [Int?], of count: Int) -> [Int] {
  var counts = Array(repeating: 0, count: count)
  for case let index? in choices { counts[index] += 1 }
  return counts
}

@Suite("Balancer")
struct BalancerTests {
  private static let weights = [
    [1], [1, 1], [1, 1, 1], [5, 1, 1], [1, 2, 3, 4], [7, 3], [100, 1], [256, 255, 1],
    [3, 3, 3, 1, 1, 13], [2, 4, 6], Array(1...20),
  ]

  @Test(
    "gives each member exactly its share over a period, wherever it starts",
    arguments: Algorithm.allCases,
    weights
  )
  func shares(algorithm: Algorithm, weights: [Int]) {
    let total = weights.reduce(0, +)
    for start in [0, 1, total / 2, total * 3 + 1, -1] {
      var balancer = algorithm.balancer(members(weights), start: start)
      let first = balancer.choices(total)
      #expect(counts(first, of: weights.count) == weights)
      #expect(balancer.choices(total) == first)
    }
  }

  @Test(
    "never gives a member a whole turn more than its share",
    arguments: Algorithm.allCases,
    weights
  )
  func smoothness(algorithm: Algorithm, weights: [Int]) {
    let total = weights.reduce(0, +)
    var balancer = algorithm.balancer(members(weights))
    var taken = weights.map { _ in 0 }
    for (turn, choice) in balancer.choices(total).enumerated() {
      guard let choice else {
        Issue.record("nobody was chosen in turn \(turn)")
        return
      }
      taken[choice] += 1
      for (index, weight) in weights.enumerated() {
        let owed = weight * (turn + 1) - taken[index] * total
        #expect(owed > -total, "member \(index) is ahead in turn \(turn)")
        #expect(owed < 2 * total, "member \(index) is behind in turn \(turn)")
      }
    }
  }

  @Test("spreads a heavy member between the light ones", arguments: Algorithm.allCases)
  func order(algorithm: Algorithm) {
    var balancer = algorithm.balancer(members([5, 1, 1]))
    #expect(balancer.choices(7) == [0, 0, 1, 0, 2, 0, 0])
  }

  @Test("begins `start` turns later", arguments: Algorithm.allCases)
  func start(algorithm: Algorithm) {
    var whole = algorithm.balancer(members([4, 2, 1, 3]))
    let choices = whole.choices(20)
    for start in 0..<10 {
      var shifted = algorithm.balancer(members([4, 2, 1, 3]), start: start)
      #expect(shifted.choices(10) == Array(choices[start..<start + 10]))
    }
  }

  @Test("lets loops begin at different members", arguments: Algorithm.allCases)
  func firstMembers(algorithm: Algorithm) {
    let first = (0..<8).map { start in
      var balancer = algorithm.balancer(members(Array(repeating: 1, count: 8)), start: start)
      return balancer.choices(1)[0]
    }
    #expect(first == Array(0..<8))
  }

  @Test(
    "shares what an excluded member had by the weights of the rest",
    arguments: Algorithm.allCases
  )
  func exclusion(algorithm: Algorithm) {
    let weights = [3, 5, 2, 1]
    for excluded in weights.indices {
      var balancer = algorithm.balancer(members(weights))
      let rest = weights.reduce(0, +) - weights[excluded]
      var expected = weights
      expected[excluded] = 0
      #expect(counts(balancer.choices(rest, excluding: set([excluded])), of: 4) == expected)
    }
  }

  @Test("chooses nobody who is excluded or drained", arguments: Algorithm.allCases, 0..<20)
  func neverChosen(algorithm: Algorithm, seed: Int) {
    var numbers = Numbers(state: UInt64(seed))
    let count = Int.random(in: 1...100, using: &numbers)
    let members = (0..<count).map { _ in
      BalancedMember(
        weight: Int.random(in: -1...3, using: &numbers),
        isBackup: Bool.random(using: &numbers)
      )
    }
    var balancer = algorithm.balancer(members, start: seed)
    for _ in 0..<200 {
      let share = Int.random(in: 0...10, using: &numbers)
      let excluded = members.indices.filter { _ in
        Int.random(in: 0...10, using: &numbers) <= share
      }
      let active = members.map { _ in UInt32.random(in: 0...3, using: &numbers) }
      let able = members.indices.filter { members[$0].weight > 0 && !excluded.contains($0) }
      let primary = able.filter { !members[$0].isBackup }
      let expected = primary.isEmpty ? able : primary
      let choice = balancer.choice(excluding: set(excluded), active: active)
      #expect(choice.map(expected.contains) ?? expected.isEmpty)
    }
  }

  @Test("chooses backups only when nobody else can be", arguments: Algorithm.allCases)
  func backups(algorithm: Algorithm) {
    var balancer = algorithm.balancer([
      BalancedMember(weight: 1), BalancedMember(weight: 0),
      BalancedMember(weight: 2, isBackup: true),
      BalancedMember(weight: 1, isBackup: true),
    ])
    #expect(balancer.choices(3) == [0, 0, 0])
    #expect(counts(balancer.choices(6, excluding: set([0])), of: 4) == [0, 0, 4, 2])
    #expect(balancer.choices(2, excluding: set([0, 2])) == [3, 3])
    #expect(balancer.choices(2, excluding: set([0, 2, 3])) == [nil, nil])
  }

  @Test("has nobody to choose among none", arguments: Algorithm.allCases)
  func nobody(algorithm: Algorithm) {
    var empty = algorithm.balancer([])
    #expect(empty.choices(2) == [nil, nil])
    var drained = algorithm.balancer(members([0, 0]), start: 3)
    #expect(drained.choices(2) == [nil, nil])
  }

  @Test("gives equal answers to equal questions", arguments: Algorithm.allCases)
  func determinism(algorithm: Algorithm) {
    func run() -> [Int?] {
      var numbers = Numbers(state: 7)
      var balancer = algorithm.balancer(members([1, 2, 3, 4, 5]), start: 3)
      return (0..<500).map { _ in
        let active = (0..<5).map { _ in UInt32.random(in: 0...5, using: &numbers) }
        let excluded = set((0..<5).filter { _ in Bool.random(using: &numbers) })
        return balancer.choice(excluding: excluded, active: active)
      }
    }
    #expect(run() == run())
  }

  @Test("counts weights up to a limit, so that no sum overflows", arguments: Algorithm.allCases)
  func heaviest(algorithm: Algorithm) {
    var balancer = algorithm.balancer(members([Int.max, BalancedMember.maxWeight]))
    #expect(balancer.choices(4) == [0, 1, 0, 1])
    #expect(balancer.choice(active: [.max, .max]) == 0)
  }
}

@Suite("Least connections")
struct LeastConnectionsTests {
  @Test("chooses a member that no other undercuts", arguments: 0..<30)
  func minimal(seed: Int) {
    var numbers = Numbers(state: UInt64(seed))
    let weights = (0..<12).map { _ in Int.random(in: 0...4, using: &numbers) }
    var balancer = Algorithm.leastConnections.balancer(members(weights))
    for _ in 0..<100 {
      let active = weights.map { _ in UInt32.random(in: 0...6, using: &numbers) }
      let excluded = weights.indices.filter { _ in Int.random(in: 0..<4, using: &numbers) == 0 }
      let able = weights.indices.filter { weights[$0] > 0 && !excluded.contains($0) }
      let loads = able.map { Double(active[$0]) / Double(weights[$0]) }
      let choice = balancer.choice(excluding: set(excluded), active: active)
      #expect(choice.map { Double(active[$0]) / Double(weights[$0]) } == loads.min())
    }
  }

  @Test("lets those that are equally busy for their weight take turns by weight")
  func ties() {
    var balancer = Algorithm.leastConnections.balancer(members([1, 2, 3]))
    let choices = (0..<30).map { _ in balancer.choice(active: [2, 4, 7]) }
    #expect(counts(choices, of: 3) == [10, 20, 0])
  }

  @Test("keeps members busy in proportion to their weights")
  func steadyState() {
    var balancer = Algorithm.leastConnections.balancer(members([1, 2, 5]))
    var active: [UInt32] = [0, 0, 0]
    for _ in 0..<80 {
      if let choice = balancer.choice(active: active) { active[choice] += 1 }
    }
    #expect(active == [10, 20, 50])
  }

  @Test("takes members without a count for idle")
  func missingCounts() {
    var balancer = Algorithm.leastConnections.balancer(members([1, 1, 1]))
    #expect((0..<4).map { _ in balancer.choice(active: [1]) } == [1, 2, 1, 2])
  }
}

@Suite("Member set")
struct MemberSetTests {
  @Test("has what was inserted, in one word and beyond", arguments: 0..<20)
  func inserted(seed: Int) {
    var numbers = Numbers(state: UInt64(seed))
    var set = MemberSet()
    var plain: Set<Int> = []
    #expect(set.isEmpty)
    for _ in 0..<40 {
      let index = Int.random(in: 0..<(seed % 2 == 0 ? 64 : 300), using: &numbers)
      set.insert(index)
      plain.insert(index)
      #expect(set.count == plain.count)
    }
    #expect(!set.isEmpty)
    #expect((-1..<400).filter(set.contains) == plain.sorted())
  }

  @Test("is not empty with one member, at each edge of a word", arguments: [0, 63, 64, 127, 128])
  func edges(index: Int) {
    let one = set([index])
    #expect(!one.isEmpty)
    #expect(one.count == 1)
    #expect((-1..<200).filter(one.contains) == [index])
  }
}
