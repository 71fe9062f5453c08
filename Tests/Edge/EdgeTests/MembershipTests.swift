import Configuration
import Directives
import Edge
import MartletSystem
import Testing

private let front = Address.any(port: 1)
private let backs = (2...5).map { Address.any(port: $0) }

private func fixed(_ body: String) -> RouteSettings {
  RouteSettings(
    path: .prefix("/"),
    handler: .respond(FixedResponse(status: 200, body: Template(literal: body)))
  )
}

/// A front that proxies to the upstream `back`, and four servers that may be its members and answer
/// `0` to `3`.
private func configuration(
  _ members: [MemberSettings],
  _ balance: Balance = .roundRobin,
  panicThreshold: Int = 0
) -> EdgeConfiguration {
  var servers = [
    ServerSettings(
      listeners: [ListenerSettings(address: front)],
      routes: [RouteSettings(path: .prefix("/"), handler: .proxy(upstream: "back"))]
    )
  ]
  for (index, back) in backs.enumerated() {
    servers.append(
      ServerSettings(
        names: [],
        listeners: [ListenerSettings(address: back)],
        routes: [fixed("\(index)")]
      )
    )
  }
  return EdgeConfiguration(
    servers: servers,
    upstreams: [
      UpstreamSettings(
        name: "back",
        balance: balance,
        panicThreshold: panicThreshold,
        members: members
      )
    ]
  )
}

private func edge(_ members: [Int], limit: Int? = nil) async throws -> RunningEdge {
  try await RunningEdge([front] + backs) { places in
    configuration(
      members.map { MemberSettings(address: places[$0 + 1], maxConnectionCount: limit) }
    )
  }
}

extension RunningEdge {
  /// Who answers `count` requests, on both loops as the kernel gives out connections.
  fileprivate func answers(_ count: Int) async throws -> Set<String> {
    var answers: Set<String> = []
    for _ in 0..<count {
      let answer = try await answer(
        to: "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        at: front
      )
      answers.insert(answer.hasPrefix("HTTP/1.1 200") ? String(answer.suffix(1)) : answer)
    }
    return answers
  }

  fileprivate func answers(
    _ count: Int,
    are expected: Set<String>,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let answers = try await answers(count)
    #expect(answers == expected, sourceLocation: sourceLocation)
  }

  /// Who answers a request with a key.
  fileprivate func answer(forKey key: String) async throws -> String {
    let answer = try await answer(
      to: "GET / HTTP/1.1\r\nHost: x\r\nX-Key: \(key)\r\nConnection: close\r\n\r\n",
      at: front
    )
    return String(answer.suffix(1))
  }

  fileprivate func member(_ index: Int) throws -> Member {
    let place = try place(of: backs[index])
    return try #require(try upstream("back").membership.plan(at: place)).member
  }
}

private var now: Int64 { SystemClock.monotonicNanoseconds() }

@Suite("Members while the edge runs")
struct MembershipTests {
  /// What keeps a member from requests.
  enum Obstacle: CaseIterable {
    case down, draining, disabled, weightless

    func put(on state: inout MemberState) {
      switch self {
      case .down: state.health = .down
      case .draining: state.mode = .draining
      case .disabled: state.mode = .disabled
      case .weightless: state.weight = 0
      }
    }
  }

  @Test(
    "have no request when they are not wanted or not well, and have again afterwards",
    arguments: Obstacle.allCases
  )
  func states(obstacle: Obstacle) async throws {
    let edge = try await edge([0, 1])
    try await edge.answers(8, are: ["0", "1"])
    #expect(try await edge.member(0).change(at: now) { obstacle.put(on: &$0) })
    try await edge.answers(8, are: ["1"])
    #expect(try await edge.member(0).change(at: now) { $0 = MemberState() })
    try await edge.answers(8, are: ["0", "1"])
  }

  @Test("are told nothing new when nothing has changed")
  func unchanged() async throws {
    let member = try await edge([0]).member(0)
    #expect(!member.change(at: now) { $0.health = .unknown })
    #expect(member.change(at: now) { $0.health = .up })
    #expect(!member.change(at: now) { $0.health = .up })
  }

  @Test("are up since they could be used again")
  func upSince() async throws {
    let member = try await edge([0]).member(0)
    #expect(member.state.upSince == 0)
    member.change(at: 1 << 40) { $0.health = .down }
    member.change(at: 2 << 40) { $0.isEjected = true }
    member.change(at: 3 << 40) { $0.health = .up }
    #expect(member.state.upSince == 0)
    member.change(at: 4 << 40) { $0.isEjected = false }
    #expect(member.state.upSince == 4 << 40)
    member.change(at: 5 << 40) { $0.weight = 7 }
    #expect(member.state.weight == 7)
    #expect(member.state.health == .up)
    #expect(member.state.upSince == 4 << 40)
  }

  @Test("leave nobody to answer when none of them may be used")
  func none() async throws {
    let edge = try await edge([0, 1])
    for index in 0...1 { try await edge.member(index).change(at: now) { $0.health = .down } }
    let answers = try await edge.answers(2)
    #expect(answers.allSatisfy { $0.hasPrefix("HTTP/1.1 503 ") })
  }

  @Test("of a higher tier are used only while those of the lower one cannot be")
  func tiers() async throws {
    let edge = try await RunningEdge([front] + backs) { places in
      configuration([
        MemberSettings(address: places[1], isBackup: true),
        MemberSettings(address: places[2], tier: 2), MemberSettings(address: places[3]),
      ])
    }
    try await edge.answers(6, are: ["2"])
    try await edge.member(2).change(at: now) { $0.health = .down }
    try await edge.answers(6, are: ["1"])
    try await edge.member(1).change(at: now) { $0.mode = .disabled }
    try await edge.answers(6, are: ["0"])
    try await edge.member(2).change(at: now) { $0.health = .up }
    try await edge.answers(6, are: ["2"])
  }

  @Test("are all used when too few of them are well, but not those that are not wanted")
  func panic() async throws {
    let edge = try await RunningEdge([front] + backs) { places in
      configuration(
        places[1...4].map { MemberSettings(address: $0) },
        panicThreshold: 60
      )
    }
    try await edge.member(0).change(at: now) { $0.health = .down }
    try await edge.answers(12, are: ["1", "2", "3"])
    try await edge.member(1).change(at: now) { $0.health = .down }
    try await edge.member(3).change(at: now) { $0.mode = .disabled }
    // Of three that are wanted one is well, which is less than 60 %.
    try await edge.answers(12, are: ["0", "1", "2"])
  }

  @Test(
    "keep their keys, and have them again when they are back",
    arguments: [HashSettings(), HashSettings(form: .maglev), HashSettings(bound: 200)]
  )
  func keys(settings: HashSettings) async throws {
    let key = Template([.variable(.requestHeader("x-key"))])
    let edge = try await RunningEdge([front] + backs) { places in
      configuration(places[1...4].map { MemberSettings(address: $0) }, .hash(key, settings))
    }
    var owners: [String: String] = [:]
    for key in 0..<20 { owners["\(key)"] = try await edge.answer(forKey: "\(key)") }
    #expect(Set(owners.values).count > 2)
    try await edge.member(1).change(at: now) { $0.health = .down }
    for (key, owner) in owners {
      let answer = try await edge.answer(forKey: key)
      if owner == "1" { #expect(answer != "1") } else { #expect(answer == owner) }
    }
    try await edge.member(1).change(at: now) { $0.health = .up }
    for (key, owner) in owners { #expect(try await edge.answer(forKey: key) == owner) }
  }

  @Test(
    "answer however they are chosen",
    arguments: [
      Balance.leastConnections, .weightedLeastConnections, .random, .latency, .first,
      .sourceHash(HashSettings()),
    ]
  )
  func ways(balance: Balance) async throws {
    let edge = try await RunningEdge([front] + backs) { places in
      configuration(places[1...3].map { MemberSettings(address: $0) }, balance)
    }
    let answers = try await edge.answers(12)
    #expect(answers.isSubset(of: ["0", "1", "2"]))
    switch balance {
    case .first: #expect(answers == ["0"])
    case .sourceHash: #expect(answers.count == 1)
    default: #expect(answers.count > 1)
    }
  }

  @Test("come and go, are counted, and are another object only when nobody holds them")
  func membership() async throws {
    let edge = try await edge([0])
    let added = MemberSettings(address: try await edge.place(of: backs[2]))
    try await edge.server.add(added, to: "back")
    try await edge.answers(8, are: ["0", "2"])
    let metrics = await edge.metrics()
    let place = added.address.description
    #expect(
      metrics.contains(
        "martlet_upstream_requests_total{upstream=\"back\",member=\"\(place)\",class=\"2xx\"} 4"
      )
    )
    await #expect(throws: MembershipError.memberExists(added.address)) {
      try await edge.server.add(added, to: "back")
    }
    let member = try await edge.member(2)
    try await edge.server.remove(added.address, from: "back")
    try await edge.answers(8, are: ["0"])
    #expect(!(await edge.metrics()).contains(place))
    await #expect(throws: MembershipError.noMember(added.address)) {
      try await edge.server.remove(added.address, from: "back")
    }
    await #expect(throws: MembershipError.noUpstream("other")) {
      try await edge.server.add(added, to: "other")
    }
    member.change(at: now) { $0.mode = .disabled }
    try await edge.server.add(added, to: "back")
    #expect(try await edge.member(2) === member)
    try await edge.answers(8, are: ["0", "2"])
  }

  @Test("keep their state over a reload, whatever else is configured of them")
  func reload() async throws {
    let edge = try await edge([0, 1])
    let member = try await edge.member(1)
    member.change(at: now) { $0.health = .down }
    let places = [try await edge.place(of: backs[1]), try await edge.place(of: backs[2])]
    try await edge.publish(
      configuration(
        [MemberSettings(address: places[0], weight: 3), MemberSettings(address: places[1])]
      )
    )
    #expect(try await edge.member(1) === member)
    #expect(member.state.health == .down)
    // What came by a reload is up since then; what was there before, for longer.
    #expect(try await edge.member(2).state.upSince > 0)
    try await edge.answers(8, are: ["2"])
  }

  @Test(
    "stay or go with a reload as was asked",
    arguments: [ChangeScope.untilReload, .overReloads]
  )
  func scope(scope: ChangeScope) async throws {
    let edge = try await edge([0, 1])
    let written = [MemberSettings(address: try await edge.place(of: backs[0]))]
    let before =
      written + [MemberSettings(address: try await edge.place(of: backs[1]))]
    let added = MemberSettings(address: try await edge.place(of: backs[3]))
    try await edge.server.add(added, to: "back", lasting: scope)
    try await edge.server.remove(before[1].address, from: "back", lasting: scope)
    try await edge.answers(8, are: ["0", "3"])
    try await edge.publish(configuration(before))
    try await edge.answers(8, are: (scope == .untilReload ? ["0", "1"] : ["0", "3"]))
  }
}
