import Configuration
import Limiting
import MartletSystem
import Stickiness

/// A table in which something is remembered for each key.
public struct TableView: Hashable, Sendable {
  /// Its name: `upstream api` for the clients of an upstream, `limit logins` for a limit.
  public var name: String
  /// What it remembers: `sticky`, or the kind of the limit.
  public var kind: String
  /// How many keys it has something of.
  public var keyCount: Int
  /// How many it has place for; nil where that is not known.
  public var capacity: Int?
  /// Whether it can be cleared; what counts things that are under way cannot.
  public var canBeCleared: Bool
}

// The tables of clients and limits, which all loops share.
extension EdgeServer {
  /// All tables of the generation in force.
  ///
  /// - Complexity: O(*n*) in the places of the tables.
  public func tables() -> [TableView] { generation.tables.map(\.view) }

  /// The table of a name; nil where there is none.
  public func table(_ name: String) -> TableView? {
    generation.tables.first { $0.name == name }?.view
  }

  /// Forgets what a table remembers.
  ///
  /// - Returns: Whether it could be cleared.
  public func clearTable(_ name: String) -> Bool {
    guard let table = generation.tables.first(where: { $0.name == name }) else { return false }
    return table.clear()
  }
}

/// A table of either kind.
private enum SharedTable {
  case sticky(upstream: String, StickyTable)
  case limit(LimitPlan)

  var name: String {
    switch self {
    case .sticky(let upstream, _): "upstream \(upstream)"
    case .limit(let plan): "limit \(plan.label)"
    }
  }

  var view: TableView {
    let now = SystemClock.monotonicNanoseconds()
    switch self {
    case .sticky(_, let table):
      return TableView(
        name: name,
        kind: "sticky",
        keyCount: table.count(at: UInt32(truncatingIfNeeded: now / 1_000_000_000)),
        capacity: table.capacity,
        canBeCleared: true
      )
    case .limit(let plan):
      return TableView(
        name: name,
        kind: plan.settings.kindName,
        keyCount: plan.keyCount(at: UInt64(now)),
        capacity: plan.capacity,
        canBeCleared: plan.canBeCleared
      )
    }
  }

  func clear() -> Bool {
    switch self {
    case .sticky(_, let table):
      table.clear()
      return true
    case .limit(let plan): return plan.clear()
    }
  }
}

extension Generation {
  fileprivate var tables: [SharedTable] {
    upstreams.compactMap { upstream in
      upstream.affinity?.table.map { .sticky(upstream: upstream.name, $0) }
    } + limits.map { .limit($0) }
  }
}

extension LimitPlan {
  fileprivate var capacity: Int? {
    switch state {
    case .requests(let table): table.capacity
    case .connections(let table, _), .concurrency(let table, _): table.capacity
    case .bandwidth: nil
    }
  }

  fileprivate var canBeCleared: Bool {
    switch state {
    case .requests, .bandwidth(_?, _, _): true
    case .connections, .concurrency, .bandwidth: false
    }
  }

  fileprivate func clear() -> Bool {
    switch state {
    case .requests(let table): table.clear()
    case .bandwidth(let table?, _, _): table.clear()
    case .connections, .concurrency, .bandwidth: return false
    }
    return true
  }
}
