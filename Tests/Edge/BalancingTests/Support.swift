import Balancing

/// Numbers that look random and are the same in every run.
struct TestNumbers: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value &>> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value &>> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value &>> 31
  }
}

/// What members have to do, as a test sets it.
final class TestLoads: MemberLoads {
  var counts: [Int]
  var times: [ResponseTime]

  init(_ counts: [Int]) {
    self.counts = counts
    times = Array(repeating: ResponseTime(), count: counts.count)
  }

  convenience init(idle count: Int) { self.init(Array(repeating: 0, count: count)) }

  func activeCount(of number: Int) -> Int { counts[number] }
  func responseTime(of number: Int) -> ResponseTime { times[number] }
  var totalCount: Int { counts.reduce(0, +) }
}

/// Members that have nothing to do.
struct NoLoads: MemberLoads {
  func activeCount(of number: Int) -> Int { 0 }
  func responseTime(of number: Int) -> ResponseTime { ResponseTime() }
  var totalCount: Int { 0 }
}

/// The candidates that members with these weights are.
func candidates(_ weights: [Int]) -> [Candidate] {
  weights.enumerated().map { Candidate(number: $0.offset, weight: $0.element) }
}

/// The set of these members.
func memberSet(_ numbers: some Sequence<Int>) -> MemberSet {
  var set = MemberSet()
  for number in numbers { set.insert(number) }
  return set
}

/// How often each of `count` members is among the choices.
func tally(_ choices: [Int?], of count: Int) -> [Int] {
  var counts = Array(repeating: 0, count: count)
  for case let number? in choices { counts[number] += 1 }
  return counts
}

/// The table of members `m0`, `m1`, … with these weights.
func places(_ weights: [Int], _ form: HashPlaces.Form) -> HashPlaces {
  HashPlaces(
    weights.enumerated().map {
      HashPlaces.Owner(number: $0.offset, name: "m\($0.offset)", weight: $0.element)
    },
    form: form
  )
}

/// Every algorithm.
let algorithms: [Balancer.Algorithm] = [
  .roundRobin, .leastConnections, .weightedLeastConnections, .randomOfTwo, .peakEWMA,
  .firstAvailable, .hash(.ring, bound: nil), .hash(.maglev, bound: nil), .hash(.ring, bound: 125),
  .hash(.maglev, bound: 150),
]

extension Balancer.Algorithm {
  func balancer(_ weights: [Int], start: Int = 0) -> Balancer {
    var table: HashPlaces?
    if case .hash(let form, _) = self { table = places(weights, form) }
    return Balancer(self, candidates(weights), start: start, places: table)
  }
}

extension Balancer {
  /// The next `count` choices while nobody has anything to do, with a key for each.
  mutating func choices(_ count: Int, excluding excluded: MemberSet = MemberSet()) -> [Int?] {
    let loads = TestLoads(idle: 2048)
    return (0..<count).map { step in
      choose(
        for: BalancingRequest(hash: KeyHash.value(of: "key \(step)"), now: Int64(step)),
        excluding: excluded,
        loads
      )
    }
  }
}
