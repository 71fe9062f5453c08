import Configuration
import Edge
import Handover
import HealthChecks
import MartletLoop
import Probes
import TestLoop
import Testing

/// A monitor whose targets answer what a test says, on a loop whose time a test moves.
private final class Ward {
  let driven: DrivenLoop
  private(set) var generation: Generation
  private(set) var monitor: HealthMonitor
  var answers: [String: ProbeVerdict] = [:]
  /// When each target was asked, in nanoseconds since the beginning.
  private(set) var asked: [String: [Int64]] = [:]
  private(set) var changes: [String] = []
  /// What questions were made of.
  var checks: [MemberCheck] = []
  private let start: Int64

  init(_ configuration: String, memory: EdgeMemory? = nil) throws {
    driven = try DrivenLoop(.parking)
    start = driven.kernel.now
    generation = try Ward.generation(configuration, continuing: nil)
    monitor = HealthMonitor(on: driven.loop, memory: nil) { _ in }
    let ward = self
    monitor = HealthMonitor(
      on: driven.loop,
      memory: memory,
      makeQuestion: { check in
        ward.checks.append(check)
        let name = check.memberName
        return {
          ward.asked[name, default: []].append(ward.driven.kernel.now - ward.start)
          return ward.answers[name] ?? .passed("ok")
        }
      },
      note: { change in
        ward.changes.append(
          "\(change.subject.upstream) \(change.subject.member) \(change.event.rawValue)"
        )
      }
    )
    monitor.known.apply(to: generation.upstreams)
    follow()
  }

  private static func generation(
    _ text: String,
    continuing previous: Generation?
  ) throws -> Generation {
    let loaded = ConfigurationLoader.load(name: "a.conf", text: text)
    let configuration = try #require(loaded.configuration, "\(loaded.rendered())")
    return try Generation(
      configuration,
      number: (previous?.number ?? 0) + 1,
      stateDirectory: "/nonexistent",
      continuing: previous
    )
  }

  private func follow() {
    let ward = self
    driven.start { ward.monitor.follow(ward.generation.upstreams) }
  }

  func reload(_ configuration: String) throws {
    generation = try Self.generation(configuration, continuing: generation)
    follow()
  }

  /// Lets time pass, tick by tick.
  func advance(by duration: Duration) {
    let end = driven.kernel.now + Int64(duration.components.seconds) * 1_000_000_000
    while driven.kernel.now < end { driven.advance(ticks: 1) }
  }

  func health(_ upstream: Int = 0, _ member: Int = 0) -> MemberState.Health {
    generation.upstreams[upstream].members[member].state.health
  }
}

private func text(_ check: String, members: Int = 1, upstreams: Int = 1) -> String {
  let list = (0..<members).map { "member 127.0.0.1:\(9000 + $0)" }.joined(separator: "\n")
  return (0..<upstreams).map { "upstream u\($0) {\n\(list)\n\(check)\n}\n" }.joined()
    + "server {\nlisten :80\nroute / { proxy u0 }\n}\n"
}

/// Whether a check is still there.
private struct Weakly {
  private(set) weak var check: MemberCheck?
  init(_ check: MemberCheck) { self.check = check }
}

private let failed = ProbeVerdict.failed(.unreachable, "no")

@Suite("The monitor of health")
struct HealthMonitorTests {
  @Test("asks a member once an interval, at the same distance")
  func interval() throws {
    let ward = try Ward(text("check tcp {\ninterval 2s\njitter 0%\n}"))
    ward.advance(by: .seconds(61))
    let times = try #require(ward.asked["127.0.0.1:9000"])
    #expect((29...31).contains(times.count))
    let distances = zip(times.dropFirst(2), times.dropFirst()).map { ($0 - $1) / 100_000_000 }
    #expect(distances.allSatisfy { (19...20).contains($0) }, "\(distances)")
    #expect(ward.health() == .up)
  }

  @Test("asks a member once an interval, however many upstreams have it")
  func shared() throws {
    let ward = try Ward(text("check tcp {\ninterval 1s\n}", members: 3, upstreams: 5))
    ward.advance(by: .seconds(20))
    #expect(ward.asked.count == 3)
    for times in ward.asked.values { #expect((19...22).contains(times.count)) }
    ward.answers["127.0.0.1:9001"] = failed
    ward.advance(by: .seconds(5))
    #expect((0..<5).allSatisfy { ward.health($0, 1) == .down })
    #expect((0..<5).allSatisfy { ward.health($0, 0) == .up })
    #expect(ward.changes.filter { $0.hasSuffix("down") }.count == 5)
  }

  @Test("takes other settings for another check")
  func unshared() throws {
    let two = text("check tcp") + "upstream v {\nmember 127.0.0.1:9000\ncheck tcp { fall 2 }\n}\n"
    let ward = try Ward(two)
    ward.advance(by: .seconds(20))
    #expect((19...23).contains(ward.asked["127.0.0.1:9000"]?.count ?? 0))
  }

  @Test("takes a member down and up with as many checks as are said, as fast as is said")
  func riseAndFall() throws {
    let check =
      "check tcp {\ninterval 10s\nfast_interval 1s\ndown_interval 5s\nrise 2\nfall 3\njitter 0%\n}"
    let ward = try Ward(text(check))
    let name = "127.0.0.1:9000"
    ward.advance(by: .seconds(30))
    #expect(ward.health() == .up)
    ward.answers[name] = failed
    let before = ward.asked[name]?.count ?? 0
    while ward.health() == .up { ward.driven.advance(ticks: 1) }
    var times = Array(ward.asked[name]?.dropFirst(before) ?? [])
    #expect(times.count == 3)
    #expect(
      zip(times.dropFirst(), times).allSatisfy { (980...1020).contains(($0 - $1) / 1_000_000) }
    )
    ward.advance(by: .seconds(30))
    times = Array(ward.asked[name]?.dropFirst(before + 4) ?? [])
    #expect(
      zip(times.dropFirst(), times).allSatisfy { (4980...5020).contains(($0 - $1) / 1_000_000) }
    )
    ward.answers[name] = nil
    let dead = ward.asked[name]?.count ?? 0
    while ward.health() == .down { ward.driven.advance(ticks: 1) }
    #expect((ward.asked[name]?.count ?? 0) - dead == 2)
    #expect(ward.changes == ["u0 \(name) up", "u0 \(name) down", "u0 \(name) up"])
  }

  @Test(
    "says nothing of a member whose check this machine could not make, but once that it could not"
  )
  func local() throws {
    let ward = try Ward(text("check tcp {\ninterval 1s\n}"))
    ward.advance(by: .seconds(5))
    ward.answers["127.0.0.1:9000"] = .failed(.local, "no descriptor")
    ward.advance(by: .seconds(20))
    #expect(ward.health() == .up)
    #expect(ward.changes.filter { $0.hasSuffix("unchecked") }.count == 1)
  }

  @Test("keeps what it knows over a reload, also where intervals and counts change")
  func reload() throws {
    let ward = try Ward(text("check tcp {\ninterval 1s\n}", members: 2))
    ward.answers["127.0.0.1:9001"] = failed
    ward.advance(by: .seconds(5))
    #expect(ward.health(0, 1) == .down)
    for check in ["check tcp {\ninterval 1s\n}", "check tcp {\ninterval 3s\nfall 9\n}"] {
      try ward.reload(text(check, members: 2))
      #expect(ward.health(0, 1) == .down)
      ward.advance(by: .seconds(5))
      #expect(ward.health(0, 1) == .down)
    }
    #expect(ward.changes.filter { $0.contains("9001") }.count == 1)
    try ward.reload(text("check http", members: 2))
    #expect(ward.health(0, 1) == .unknown)
    try ward.reload(text("check tcp", members: 2))
    ward.advance(by: .seconds(2))
    #expect(ward.health(0, 1) == .down)
    try ward.reload(text("", members: 2))
    #expect(ward.health(0, 1) == .unknown)
    let count = ward.asked["127.0.0.1:9001"]?.count
    ward.advance(by: .seconds(10))
    #expect(ward.asked["127.0.0.1:9001"]?.count == count)
  }

  @Test("leaves what it knows to the process that comes next")
  func memory() throws {
    let file = try EdgeMemory.makeFile()
    let configuration = text("check tcp {\ninterval 1s\nfall 3\n}", members: 3)
    let first = try Ward(configuration, memory: EdgeMemory(file))
    first.answers["127.0.0.1:9001"] = failed
    first.advance(by: .seconds(3))
    let second = try Ward(configuration, memory: EdgeMemory(file))
    #expect(second.health(0, 0) == .up)
    #expect(second.health(0, 1) == .down)
    // Known members are told of nobody again.
    second.answers["127.0.0.1:9001"] = failed
    second.advance(by: .seconds(5))
    #expect(second.changes == [])
  }

  @Test("lets go of what it asks no more, however long that would have had to wait")
  func stopped() throws {
    let ward = try Ward(text("check tcp {\ninterval 60m\n}", members: 3))
    ward.advance(by: .seconds(3))
    let checks = ward.checks
    ward.checks = []
    let before = checks.map { Weakly($0) }
    #expect(before.count == 3)
    try ward.reload(text("check tcp {\ninterval 30m\n}", members: 1))
    ward.advance(by: .seconds(3))
    ward.checks = []
    #expect(ward.asked["127.0.0.1:9000"]?.count == 2)
    #expect(before.count { $0.check != nil } == checks.count)
    _ = consume checks
    #expect(before.allSatisfy { $0.check == nil })
  }

  @Test("asks those that are due together in one turn")
  func group() throws {
    let ward = try Ward(text("check tcp {\ninterval 1s\njitter 0%\n}", members: 40))
    ward.advance(by: .seconds(3))
    let turns = Set(ward.asked.values.joined().map { $0 / DrivenLoop.tick })
    #expect(turns.count <= 3 * 16 + 1)
  }

  @Test("asks no more once it has ended")
  func end() throws {
    let ward = try Ward(text("check tcp {\ninterval 1s\n}", members: 10))
    ward.advance(by: .seconds(3))
    ward.driven.start { ward.monitor.end() }
    let count = ward.asked.values.reduce(0) { $0 + $1.count }
    ward.advance(by: .seconds(10))
    #expect(ward.asked.values.reduce(0) { $0 + $1.count } == count)
  }

  @Test("spreads a thousand checks over the interval")
  func many() throws {
    let ward = try Ward(text("check tcp {\ninterval 1s\n}", members: 1000))
    ward.advance(by: .seconds(5))
    // They come in eight groups; none may have more than twice its share.
    var ticks: [Int64: Int] = [:]
    for time in ward.asked.values.joined() { ticks[time / DrivenLoop.tick, default: 0] += 1 }
    #expect(ticks.values.max() ?? 0 < 2 * 1000 / 8)
    #expect(ticks.values.reduce(0, +) > 4500)
  }
}
