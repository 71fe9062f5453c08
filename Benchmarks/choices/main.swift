// Prints what a choice among members costs, for each algorithm and several numbers of members.
//
// Twice as many requests as members are under way; each step chooses a member, counts the request in,
// and ends the oldest one, as an edge does. Weights are 1 to 8, response times differ.

import Balancing
import Glibc

/// What members have to do, in this process.
final class Bench: MemberLoads {
  private(set) var counts: [Int]
  private let times: [ResponseTime]
  private(set) var totalCount = 0

  init(_ count: Int) {
    counts = Array(repeating: 0, count: count)
    times = (0..<count).map { ResponseTime().with(Int64(1_000_000 + $0 * 7919 % 500_000), at: 0) }
  }

  func activeCount(of number: Int) -> Int { counts[number] }
  func responseTime(of number: Int) -> ResponseTime { times[number] }

  func begin(_ number: Int) {
    counts[number] += 1
    totalCount += 1
  }

  func end(_ number: Int) {
    counts[number] -= 1
    totalCount -= 1
  }
}

/// The requests under way, in the order in which they began.
struct Window {
  private var members: [Int]
  private var oldest = 0
  private var key: UInt64 = 1

  init(_ count: Int) { members = Array(repeating: -1, count: count) }

  /// What the next choice is made for.
  mutating func next() -> BalancingRequest {
    key &+= 0x9E37_79B9_7F4A_7C15
    return BalancingRequest(hash: key ^ key >> 29, now: Int64(oldest) * 1000)
  }

  /// Counts a request in, and the oldest one out.
  mutating func step(_ number: Int, _ loads: Bench) -> Int {
    loads.begin(number)
    let ended = members[oldest]
    if ended >= 0 { loads.end(ended) }
    members[oldest] = number
    oldest = oldest + 1 == members.count ? 0 : oldest + 1
    return ended
  }
}

/// Chooses so many times; without a balancer it does all the rest.
@inline(never)
func run(_ balancer: inout Balancer, _ loads: Bench, _ window: inout Window, steps: Int) {
  let nobody = MemberSet()
  for _ in 0..<steps {
    let request = window.next()
    guard let number = balancer.choose(for: request, excluding: nobody, loads) else { return }
    let ended = window.step(number, loads)
    if ended >= 0 { balancer.noteEnd(of: ended) }
  }
}

/// The same without a choice: what the measuring itself costs.
@inline(never)
func runWithout(_ loads: Bench, _ window: inout Window, members count: Int, steps: Int) {
  var number = 0
  for _ in 0..<steps {
    let request = window.next()
    number += Int((request.hash ?? 0) & 1) + 1
    if number >= count { number -= count }
    _ = window.step(number, loads)
  }
}

/// What a body costs in nanoseconds of processor time, which others on the machine do not add to.
func processorTime(_ body: () -> Void) -> Double {
  let began = clock()
  body()
  return Double(clock() - began) * 1e9 / Double(CLOCKS_PER_SEC)
}

/// Nanoseconds for one choice, and for what an algorithm does when a request ends.
func nanoseconds(_ algorithm: Balancer.Algorithm, members count: Int, steps: Int) -> Double {
  let members = (0..<count).map { BalancedMember(number: $0, weight: $0 * 5 % 8 + 1) }
  var places: HashPlaces?
  if case .hash(let form, _) = algorithm {
    let owners = members.map {
      HashPlaces.Owner(number: $0.number, name: "10.0.0.\($0.number):80", weight: $0.weight)
    }
    places = HashPlaces(owners, form: form)
  }
  var balancer = Balancer(algorithm, Tiers(members).tiers[0].candidates, places: places)
  let loads = Bench(count)
  var window = Window(count * 2)
  run(&balancer, loads, &window, steps: steps / 4)
  // The best of several: a cache that others have filled only adds.
  let whole = (0..<3).map { _ in
    processorTime { run(&balancer, loads, &window, steps: steps) }
  }.min()
  let rest = (0..<3).map { _ in
    processorTime { runWithout(loads, &window, members: count, steps: steps) }
  }.min()
  return ((whole ?? 0) - (rest ?? 0)) / Double(steps)
}

let algorithms: [(name: String, algorithm: Balancer.Algorithm)] = [
  ("round_robin", .roundRobin),
  ("least_connections", .leastConnections),
  ("weighted_least_connections", .weightedLeastConnections),
  ("random", .randomOfTwo),
  ("latency", .peakEWMA),
  ("first", .firstAvailable),
  ("hash ring", .hash(.ring, bound: nil)),
  ("hash ring bounded 125%", .hash(.ring, bound: 125)),
  ("hash maglev", .hash(.maglev, bound: nil)),
  ("hash maglev bounded 125%", .hash(.maglev, bound: 125)),
]
let counts = [3, 10, 100, 1000]
for (name, algorithm) in algorithms {
  let figures = counts.map { nanoseconds(algorithm, members: $0, steps: 2_000_000) }
  print(([name] + figures.map { "\(($0 * 10).rounded() / 10)" }).joined(separator: "\t"))
}
