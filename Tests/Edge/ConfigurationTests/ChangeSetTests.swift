import Configuration
import Directives
import Testing

/// A configuration with these members in the upstream `api`.
private func configuration(_ members: String...) throws -> EdgeConfiguration {
  let lines = members.map { "member \($0)" }.joined(separator: "\n")
  let text = """
    server { route / { proxy api } }
    upstream api { \(lines)
    }
    """
  return try #require(ConfigurationLoader.load(name: "a.conf", text: text).configuration)
}

private func address(_ port: Int) -> Address { .ip(.loopback, port: UInt16(port)) }

@Suite("Changes at run time")
struct ChangeSetTests {
  private func make(
    _ set: inout ChangeSet,
    _ change: RuntimeChange,
    keeping: Bool = false,
    on base: EdgeConfiguration
  ) throws -> EdgeConfiguration {
    try set.make(change, keeping: keeping, on: base)
  }

  @Test("add, remove, weigh and switch members; what is not said stays as configured")
  func members() throws {
    let base = try configuration("127.0.0.1:1 weight 2", "127.0.0.1:2")
    var set = ChangeSet()
    var now = try make(
      &set,
      .addMember(upstream: "api", line: "127.0.0.1:3 weight 4 backup"),
      on: base
    )
    let members = try #require(now.upstream(named: "api")?.members)
    #expect(members.map(\.address) == [address(1), address(2), address(3)])
    #expect(members[2].weight == 4 && members[2].isBackup)
    now = try make(&set, .weigh(upstream: "api", address(1), 7), on: base)
    now = try make(&set, .setMember(upstream: "api", address(2), .draining), on: base)
    now = try make(&set, .removeMember(upstream: "api", address(3)), on: base)
    let left = try #require(now.upstream(named: "api")?.members)
    #expect(left.map(\.weight) == [7, 1] && left.map(\.mode) == [.ready, .draining])
    // What came and went leaves nothing behind.
    #expect(set.untilReload.entryCount == 3 && set.kept.isEmpty)
  }

  @Test("what is kept stays when what holds until a reload is over")
  func layers() throws {
    let base = try configuration("127.0.0.1:1", "127.0.0.1:2")
    var set = ChangeSet()
    _ = try make(&set, .addMember(upstream: "api", line: "127.0.0.1:3"), keeping: true, on: base)
    _ = try make(&set, .removeMember(upstream: "api", address(3)), on: base)
    _ = try make(&set, .weigh(upstream: "api", address(1), 9), keeping: true, on: base)
    let now = try make(&set, .weigh(upstream: "api", address(1), 5), on: base)
    #expect(now.upstream(named: "api")?.members.map(\.weight) == [5, 1])
    let later = base.applying([set.kept])
    #expect(later.upstream(named: "api")?.members.map(\.weight) == [9, 1, 1])
    // A kept change of the same thing ends what held until the reload.
    _ = try make(&set, .weigh(upstream: "api", address(1), 6), keeping: true, on: base)
    #expect(base.applying(set.layers).upstream(named: "api")?.members[0].weight == 6)
  }

  @Test("the mode of an upstream holds its members back, also those that come later")
  func upstreamMode() throws {
    let base = try configuration("127.0.0.1:1", "127.0.0.1:2 mode disabled")
    var set = ChangeSet()
    _ = try make(&set, .setUpstream("api", .draining), on: base)
    var now = try make(&set, .addMember(upstream: "api", line: "127.0.0.1:3"), on: base)
    #expect(now.upstream(named: "api")?.members.map(\.mode) == [.draining, .disabled, .draining])
    now = try make(&set, .setUpstream("api", .ready), on: base)
    #expect(now.upstream(named: "api")?.members.map(\.mode) == [.ready, .disabled, .ready])
  }

  @Test("upstreams come and go, but not those that routes name")
  func upstreams() throws {
    let base = try configuration("127.0.0.1:1")
    var set = ChangeSet()
    let lines = "balance least_connections\nmember 127.0.0.1:5"
    var now = try make(&set, .addUpstream("new", lines: lines), on: base)
    #expect(now.upstream(named: "new")?.balance == .leastConnections)
    _ = try make(&set, .addMember(upstream: "new", line: "127.0.0.1:6"), on: base)
    #expect(throws: ChangeError.self) { try make(&set, .removeUpstream("api"), on: base) }
    now = try make(&set, .removeUpstream("new"), on: base)
    #expect(now == base && set == ChangeSet())
  }

  @Test(
    "says what is wrong and what may be meant",
    arguments: [
      (
        RuntimeChange.setUpstream("apo", .ready), ChangeError.Kind.noUpstream, "did you mean `api`?"
      ),
      (.removeMember(upstream: "api", address(11)), .noMember, "127.0.0.1:1"),
      (.addMember(upstream: "api", line: "127.0.0.1:1"), .exists, "already"),
      (.addMember(upstream: "api", line: "127.0.0.1:9 weigth 2"), .wrongText, "weight"),
      (.addMember(upstream: "api", line: "127.0.0.1:9 weight 257"), .wrongText, "256"),
      (.addMember(upstream: "api", line: ""), .wrongText, "member"),
      (.addMember(upstream: "api", line: "127.0.0.1:9\nhost a"), .wrongText, "one line"),
      (.addMember(upstream: "api", line: "127.0.0.1:9 }\nupstream b {"), .wrongText, "brace"),
      (.addUpstream("api", lines: "member 127.0.0.1:1"), .exists, "already"),
      (.addUpstream("new", lines: "balance fair\nmember 127.0.0.1:1"), .wrongText, "fair"),
      (.addUpstream("new", lines: "host a"), .wrongText, "no member"),
      (.addUpstream("new", lines: "member 127.0.0.1:1\n}\nserver {"), .wrongText, "brace"),
      (.addUpstream("new", lines: "include /etc/passwd"), .wrongText, "cannot read"),
      (.addUpstream("new", lines: "member {file /etc/passwd}"), .wrongText, ""),
      (.weigh(upstream: "api", address(1), 300), .wrongText, "256"),
      (.removeUpstream("api"), .inUse, "route"),
    ]
  )
  func refusals(change: RuntimeChange, kind: ChangeError.Kind, part: String) throws {
    let base = try configuration("127.0.0.1:1")
    var set = ChangeSet()
    do throws(ChangeError) {
      _ = try set.make(change, keeping: false, on: base)
      Issue.record("\(change) was made")
    } catch {
      #expect(error.kind == kind && error.message.contains(part), "\(error.message)")
    }
    #expect(set == ChangeSet())
  }

  @Test("what no longer fits a configuration is passed over")
  func orphans() throws {
    let base = try configuration("127.0.0.1:1", "127.0.0.1:2")
    var set = ChangeSet()
    for change: RuntimeChange in [
      .weigh(upstream: "api", address(2), 3), .addMember(upstream: "api", line: "127.0.0.1:3"),
      .addUpstream("new", lines: "member 127.0.0.1:5"),
    ] {
      _ = try set.make(change, keeping: true, on: base)
    }
    let text = "server { route / { proxy other } }\nupstream other { member 127.0.0.1:1 }\n"
    let other = try #require(ConfigurationLoader.load(name: "b", text: text).configuration)
    #expect(other.applying(set.layers).upstreams.map(\.name) == ["other", "new"])
  }

  @Test("mean the same after they were written and read", arguments: 0..<10 as Range<UInt64>)
  func roundTrip(seed: UInt64) throws {
    var random = SeededRandom(seed)
    let base = try configuration("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
    var set = ChangeSet()
    for _ in 0..<30 {
      let change = RuntimeChange.random(&random)
      do throws(ChangeError) {
        _ = try set.make(change, keeping: .random(using: &random), on: base)
      } catch { continue }
    }
    for changes in set.layers {
      #expect(RuntimeChanges(changes.json) == changes)
      let text = changes.json.compact
      #expect(RuntimeChanges(try JSONValue(parsing: text.utf8)) == changes)
    }
  }

  @Test(
    "are as a list of members that is changed step by step",
    arguments: 0..<30 as Range<UInt64>
  )
  func model(seed: UInt64) throws {
    var random = SeededRandom(seed)
    let base = try configuration("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
    var set = ChangeSet()
    var model: [Int: (weight: Int, mode: MemberMode)] = [:]
    for port in 1...3 { model[port] = (1, .ready) }
    var kept: Set<Int> = [1, 2, 3]
    for _ in 0..<40 {
      let change = RuntimeChange.random(&random)
      let keeps = Bool.random(using: &random)
      let isPossible = change.isPossible(in: model) && (!keeps || change.canBeKept(kept))
      do throws(ChangeError) {
        let now = try set.make(change, keeping: keeps, on: base)
        #expect(isPossible, "\(change)")
        if keeps { change.note(in: &kept) }
        change.apply(to: &model)
        let members = now.upstream(named: "api")?.members ?? []
        #expect(members.count == model.count)
        for member in members {
          let known = model[Int(member.address.port ?? 0)]
          #expect(member.weight == known?.weight && member.mode == known?.mode, "\(member)")
        }
      } catch {
        #expect(!isPossible, "\(change): \(error)")
      }
    }
  }
}

extension RuntimeChange {
  /// A change of the upstream `api` that is the same for the same numbers.
  static func random(_ random: inout SeededRandom) -> RuntimeChange {
    let port = Int.random(in: 1...6, using: &random)
    switch Int.random(in: 0..<5, using: &random) {
    case 0:
      let weight = Int.random(in: 0...9, using: &random)
      return .addMember(upstream: "api", line: "127.0.0.1:\(port) weight \(weight)")
    case 1: return .removeMember(upstream: "api", address(port))
    case 2: return .weigh(upstream: "api", address(port), .random(in: 0...256, using: &random))
    default:
      let mode = MemberMode.allCases.randomElement(using: &random) ?? .ready
      return .setMember(upstream: "api", address(port), mode)
    }
  }

  private var port: Int {
    switch self {
    case .addMember(_, let line): Int(line.split { $0 == ":" || $0 == " " }[1]) ?? 0
    case .removeMember(_, let address), .weigh(_, let address, _), .setMember(_, let address, _):
      Int(address.port ?? 0)
    default: 0
    }
  }

  func isPossible(in model: [Int: (weight: Int, mode: MemberMode)]) -> Bool {
    if case .addMember = self { return model[port] == nil }
    return model[port] != nil
  }

  /// Whether what it is about is kept, as far as it has to be.
  func canBeKept(_ kept: Set<Int>) -> Bool {
    switch self {
    case .addMember, .removeMember: true
    default: kept.contains(port)
    }
  }

  func note(in kept: inout Set<Int>) {
    switch self {
    case .addMember: kept.insert(port)
    case .removeMember: kept.remove(port)
    default: break
    }
  }

  func apply(to model: inout [Int: (weight: Int, mode: MemberMode)]) {
    switch self {
    case .addMember(_, let line):
      model[port] = (Int(line.split(separator: " ").last ?? "") ?? 0, .ready)
    case .removeMember: model[port] = nil
    case .weigh(_, _, let weight): model[port]?.weight = weight
    case .setMember(_, _, let mode): model[port]?.mode = mode
    default: break
    }
  }
}

/// Numbers that are the same in each run.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x2545_F491_4F6C_DD1D }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
