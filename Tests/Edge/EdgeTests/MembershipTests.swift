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
private func configuration(_ members: [MemberSettings]) -> EdgeConfiguration {
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
    upstreams: [UpstreamSettings(name: "back", members: members)]
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

  fileprivate func member(_ index: Int) throws -> Member {
    let place = try place(of: backs[index])
    return try #require(try upstream("back").membership.plan(at: place)).member
  }
}

private var now: Int64 { SystemClock.monotonicNanoseconds() }

@Suite("Members while the edge runs")
struct MembershipTests {
  @Test(
    "have no request when they are not wanted or not well, and have again afterwards",
    arguments: [
      { (state: inout MemberState) in state.health = .down },
      { $0.isEjected = true },
      { $0.mode = .draining },
      { $0.mode = .disabled },
      { $0.weight = 0 },
    ] as [@Sendable (inout MemberState) -> Void]
  )
  func states(change: @Sendable (inout MemberState) -> Void) async throws {
    let edge = try await edge([0, 1])
    #expect(try await edge.answers(8) == ["0", "1"])
    #expect(try await edge.member(0).change(at: now, change))
    #expect(try await edge.answers(8) == ["1"])
    #expect(try await edge.member(0).change(at: now) { $0 = MemberState() })
    #expect(try await edge.answers(8) == ["0", "1"])
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

  @Test("come and go, are counted, and are another object only when nobody holds them")
  func membership() async throws {
    let edge = try await edge([0])
    let added = MemberSettings(address: try await edge.place(of: backs[2]))
    try await edge.server.add(added, to: "back")
    #expect(try await edge.answers(8) == ["0", "2"])
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
    #expect(try await edge.answers(8) == ["0"])
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
    #expect(try await edge.answers(8) == ["0", "2"])
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
    #expect(try await edge.answers(8) == ["2"])
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
    #expect(try await edge.answers(8) == ["0", "3"])
    try await edge.publish(configuration(before))
    #expect(try await edge.answers(8) == (scope == .untilReload ? ["0", "1"] : ["0", "3"]))
  }
}
