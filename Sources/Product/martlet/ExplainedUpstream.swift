import Balancing
import Configuration
import Directives
import Edge
import Supervision

/// An upstream as its configuration states it, whose choices are made without a server.
struct ExplainedUpstream {
  /// What members have to do, by their places.
  final class Loads: MemberLoads {
    var counts: [Int]
    var times: [ResponseTime]

    init(_ count: Int) {
      counts = Array(repeating: 0, count: count)
      times = Array(repeating: ResponseTime(), count: count)
    }

    func activeCount(of number: Int) -> Int { counts[number] }
    func responseTime(of number: Int) -> ResponseTime { times[number] }
    var totalCount: Int { counts.reduce(0, +) }
  }

  let settings: UpstreamSettings
  let names: [String]
  let loads: Loads
  var members: [BalancedMember]
  private let places: HashPlaces?

  init(_ settings: UpstreamSettings) {
    self.settings = settings
    let names = settings.members.map(\.address.description)
    self.names = names
    loads = Loads(names.count)
    members = settings.members.enumerated().map { place, member in
      BalancedMember(
        number: place,
        weight: member.weight,
        tier: member.tier,
        isBackup: member.isBackup
      )
    }
    if let form = settings.balance.hash?.settings.form {
      let owners = settings.members.enumerated().map { place, member in
        HashPlaces.Owner(number: place, name: names[place], weight: max(1, member.weight))
      }
      places = HashPlaces(owners, form: HashPlaces.Form(form))
    } else {
      places = nil
    }
  }

  /// A balancer for each tier that has somebody to choose.
  private func balancers() -> [Balancer] {
    Tiers(members, panicThreshold: settings.panicThreshold).tiers.map {
      Balancer(Balancer.Algorithm(settings.balance), $0.candidates, places: places)
    }
  }

  /// The members that are full now.
  private var full: MemberSet {
    var full = MemberSet()
    for (place, member) in settings.members.enumerated() {
      if let limit = member.maxConnectionCount, loads.counts[place] >= limit { full.insert(place) }
    }
    return full
  }

  private func choose(
    _ balancers: inout [Balancer],
    _ request: BalancingRequest,
    excluding excluded: MemberSet
  ) -> Int? {
    for tier in balancers.indices {
      if let place = balancers[tier].choose(for: request, excluding: excluded, loads) {
        return place
      }
    }
    return nil
  }

  // MARK: One choice

  /// Who is chosen for a key, and who would be next.
  func explained(key: String?) -> JSONValue {
    let hash = key.map { KeyHash.value(of: $0) }
    var excluded = full
    var ranks: [Int: Int] = [:]
    // Each try begins anew, as a request does that is tried on another member.
    while let place = next(hash, excluding: excluded) {
      ranks[place] = ranks.count + 1
      excluded.insert(place)
    }
    let chosen = ranks.first { $0.value == 1 }.map { JSONValue.text(names[$0.key]) }
    var report = heading
    if let key, let hash {
      report.append(JSONValue.Member("key", .text(key)))
      report.append(JSONValue.Member("hash", .text(hexadecimal(hash))))
    }
    report.append(JSONValue.Member("chosen", chosen ?? .null))
    report.append(JSONValue.Member("members", .list(members.map { described($0, ranks) })))
    return .object(report)
  }

  private func next(_ hash: UInt64?, excluding excluded: MemberSet) -> Int? {
    var balancers = balancers()
    return choose(&balancers, BalancingRequest(hash: hash, now: 1), excluding: excluded)
  }

  private var heading: [JSONValue.Member] {
    var words = settings.balance.name
    if let (key, settings) = settings.balance.hash {
      words += " \(key) \(settings.form.rawValue)"
      if let bound = settings.bound { words += " bounded \(bound)%" }
    }
    return [
      JSONValue.Member("upstream", .text(settings.name)), JSONValue.Member("balance", .text(words)),
    ]
  }

  private func described(_ member: BalancedMember, _ ranks: [Int: Int]) -> JSONValue {
    let reason: String
    if member.weight == 0 {
      reason = "drained: its weight is 0"
    } else if full.contains(member.number) {
      reason = "full"
    } else if let rank = ranks[member.number] {
      let isUnwell = member.condition == .unwell
      reason = (rank == 1 ? "chosen" : "eligible") + (isUnwell ? ", in panic" : "")
    } else {
      reason = member.condition == .unwell ? "down" : "not reached"
    }
    return .object([
      JSONValue.Member("address", .text(names[member.number])),
      JSONValue.Member("tier", .text(member.isBackup ? "backup" : String(member.tier))),
      JSONValue.Member("weight", .number(member.weight)),
      JSONValue.Member("active", .number(loads.counts[member.number])),
      JSONValue.Member("turn", ranks[member.number].map { .number($0) } ?? .null),
      JSONValue.Member("state", .text(reason)),
    ])
  }

  // MARK: A log

  /// How the requests of a log are shared out.
  ///
  /// A request is under way from its time for as long as it took, and is measured with that time.
  func replayed(_ log: AccessLogReader) throws(CommandFailure) -> JSONValue {
    let key = settings.balance.hash?.key
    var balancers = balancers()
    var counts = Array(repeating: 0, count: names.count)
    var most = counts
    var (total, refused, same) = (0, 0, 0)
    var underWay: [(end: Int64, place: Int)] = []
    for entry in log.entries where entry.upstream == nil || entry.upstream == settings.name {
      total += 1
      underWay.removeAll { request in
        guard request.end <= entry.time else { return false }
        loads.counts[request.place] -= 1
        for balancer in balancers { balancer.noteEnd(of: request.place) }
        return true
      }
      var hash: UInt64?
      if let key {
        let text = try entry.text(of: key)
        hash = text.isEmpty ? nil : KeyHash.value(of: text)
      }
      let request = BalancingRequest(hash: hash, now: entry.time)
      guard let place = choose(&balancers, request, excluding: full) else {
        refused += 1
        continue
      }
      counts[place] += 1
      if names[place] == entry.member { same += 1 }
      loads.counts[place] += 1
      most[place] = max(most[place], loads.counts[place])
      loads.times[place] = loads.times[place].with(entry.nanoseconds, at: entry.time)
      underWay.append((entry.time + entry.nanoseconds, place))
    }
    let tenths = { (count: Int) in total == 0 ? 0 : (count * 1000 + total / 2) / total }
    let rows = names.indices.map { place in
      JSONValue.object([
        JSONValue.Member("address", .text(names[place])),
        JSONValue.Member("requests", .number(counts[place])),
        JSONValue.Member(
          "share",
          .text("\(tenths(counts[place]) / 10).\(tenths(counts[place]) % 10)%")
        ),
        JSONValue.Member("most_active", .number(most[place])),
      ])
    }
    return .object(
      heading + [
        JSONValue.Member("requests", .number(total)), JSONValue.Member("refused", .number(refused)),
        JSONValue.Member("as_recorded", .number(same)),
        JSONValue.Member("unread_lines", .number(log.unreadCount)),
        JSONValue.Member("members", .list(rows)),
      ]
    )
  }

  // MARK: For people

  /// The report as lines, with the members in a table.
  static func text(of report: JSONValue) -> String {
    guard case .object(let parts) = report else { return "" }
    var lines: [String] = []
    var rows: [[String]] = []
    for part in parts {
      if case .list(let members) = part.value {
        for case .object(let columns) in members {
          if rows.isEmpty { rows.append(columns.map { words($0.name) }) }
          rows.append(columns.map { plain($0.value) })
        }
      } else {
        lines.append("\(words(part.name)): \(plain(part.value))")
      }
    }
    let widths = (rows.first ?? []).indices.map { column in
      rows.lazy.map { $0[column].count }.max() ?? 0
    }
    for row in rows {
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      lines.append(String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed()))
    }
    return lines.joined(separator: "\n")
  }

  private static func words(_ name: String) -> String {
    name.split(separator: "_").joined(separator: " ")
  }

  private static func plain(_ value: JSONValue) -> String {
    switch value {
    case .null: "-"
    case .flag(let flag): flag ? "yes" : "no"
    case .number(let number): String(number)
    case .real(let number): "\(number)"
    case .text(let text): text
    case .list, .object: ""
    }
  }
}

private func hexadecimal(_ number: UInt64) -> String {
  let digits = String(number, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
