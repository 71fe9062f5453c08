public import Edge
import MartletSystem

/// What is remembered of targets across a change of process: text, a line for each.
///
/// ```
///   health 1
///   b2a1f00c9e3d7744 down 1700000000000000 1
///   target, state, since when (microseconds since 1970), checks that contradict it
/// ```
public struct KeptHealth: Hashable, Sendable {
  /// What is known of one target.
  public struct Entry: Hashable, Sendable {
    /// What the checks have come to.
    public var history: CheckHistory
    /// Since when, in microseconds since 1970.
    public var since: Int64

    /// Creates an entry.
    public init(history: CheckHistory, since: Int64) {
      self.history = history
      self.since = since
    }
  }

  /// The most entries that are read or written.
  public static let entryCount = 65_536

  /// The entries, by ``Edge/MemberCheck/memory``.
  public var entries: [UInt64: Entry] = [:]

  private static let title = "health 1"

  /// Creates a memory of nothing.
  public init() {}

  /// Reads what ``encoded`` wrote; nil when it is something else.
  public init?(_ bytes: [UInt8]) {
    var lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: Self.entryCount + 1)[...]
    guard let first = lines.popFirst(), first.elementsEqual(Self.title.utf8),
      lines.count <= Self.entryCount
    else { return nil }
    for line in lines {
      let words = String(decoding: line, as: UTF8.self).split(separator: " ")
      guard words.count == 4, words[0].utf8.count == 16, let target = UInt64(words[0], radix: 16),
        let health = MemberState.Health(name: words[1]), let since = Int64(words[2]),
        let count = Int(words[3]), (0...1000).contains(count), since >= 0
      else { return nil }
      entries[target] = Entry(history: CheckHistory(health, contraryCount: count), since: since)
    }
  }

  /// The text.
  public var encoded: [UInt8] {
    let lines = entries.prefix(Self.entryCount).map { target, entry in
      let digits = String(target, radix: 16)
      let name = String(repeating: "0", count: 16 - digits.utf8.count) + digits
      let history = entry.history
      return "\(name) \(history.health.name) \(entry.since) \(history.contraryCount)"
    }
    return Array(([Self.title] + lines).joined(separator: "\n").utf8)
  }
}

extension KeptHealth {
  /// Gives upstreams that are about to be put in force what is known of their members.
  ///
  /// What is in force already of a member stays.
  public func apply(to upstreams: [UpstreamPlan]) {
    for check in MemberCheck.all(of: upstreams) where check.report.health == .unknown {
      guard let entry = entries[check.memory] else { continue }
      var report = check.report
      report.health = entry.history.health
      report.since = entry.since
      check.publish(report, at: SystemClock.monotonicNanoseconds())
    }
  }

  /// Forgets all targets but those of these checks.
  mutating func keep(_ checks: [MemberCheck]) {
    let wanted = Set(checks.map(\.memory))
    entries = entries.filter { wanted.contains($0.key) }
  }
}

extension MemberState.Health {
  /// The state that ``Edge/MemberState/Health/name`` names.
  fileprivate init?(name: Substring) {
    let all: [Self] = [.unknown, .up, .down]
    guard let health = all.first(where: { $0.name == name }) else { return nil }
    self = health
  }
}
