/// Those who wait for something that is given to one after the other.
///
/// Who is next: the highest class first; in a class one of each source in turn; of a source the one that
/// came first. When the first of a class has waited for a time, more come than can be served, and whoever
/// has waited long will be late whenever it is served: then the newest source of the class is next, and
/// of a source the one that came last. So some are served in time instead of all too late, and those
/// that give up bring the usual order back.
///
/// A line that is full makes place for a higher class: of the lowest class the newest goes.
public struct WaitingLine<Payload: Sendable>: Sendable {
  /// Names one that waits.
  public struct Ticket: Hashable, Sendable {
    fileprivate let place: Int
    fileprivate let number: UInt64
  }

  /// What came of wanting to wait.
  public enum Entry: Sendable {
    /// It waits.
    case waits(Ticket)
    /// It waits, and this one, which is of a lower class, no longer does.
    case displaces(Payload, Ticket)
    /// As many wait as may.
    case full
  }

  /// How many classes there are; the highest has the highest number.
  public static var classCount: Int { 10 }

  // Lists are chains of places in `nodes` and `sources`; −1 ends a chain.
  private struct Node: Sendable {
    var payload: Payload?
    var number: UInt64 = 0
    var since: UInt64 = 0
    var source = -1
    /// Of the same source.
    var before = -1
    var behind = -1
    /// Of the same class.
    var earlier = -1
    var later = -1
  }

  private struct Source: Sendable {
    var key: UInt64 = 0
    var level = 0
    var first = -1
    var last = -1
    var before = -1
    var behind = -1
  }

  private struct Level: Sendable {
    var first = -1
    var last = -1
    /// Who has waited longest, and who shortest.
    var oldest = -1
    var newest = -1
    var places: [UInt64: Int] = [:]
  }

  /// How many may wait.
  public var length: Int
  /// After how many nanoseconds of waiting of the first the newest is next; nil: never.
  public var reversesAfter: UInt64?
  /// How many wait.
  public private(set) var count = 0
  private var nodes: [Node] = []
  private var freeNodes: [Int] = []
  private var sources: [Source] = []
  private var freeSources: [Int] = []
  private var levels = [Level](repeating: Level(), count: Self.classCount)
  private var number: UInt64 = 0

  /// Creates an empty line.
  public init(length: Int, reversesAfter: UInt64? = nil) {
    self.length = length
    self.reversesAfter = reversesAfter
  }

  /// Whether the first of a class has waited for so long that the newest is next.
  public func isReversed(class level: Int, at now: UInt64) -> Bool {
    let oldest = levels[level].oldest
    guard oldest >= 0, let limit = reversesAfter else { return false }
    return now >= nodes[oldest].since && now - nodes[oldest].since >= limit
  }

  /// Lets one wait.
  ///
  /// - Complexity: O(1), expected.
  public mutating func enter(
    _ payload: Payload,
    class level: Int,
    source: UInt64,
    at now: UInt64
  ) -> Entry {
    let level = min(max(level, 0), Self.classCount - 1)
    guard count >= length else {
      return .waits(append(payload, level, source, now))
    }
    guard let lowest = levels.indices.first(where: { levels[$0].last >= 0 }), lowest < level,
      let gone = remove(sources[levels[lowest].last].last)
    else { return .full }
    return .displaces(gone, append(payload, level, source, now))
  }

  /// Takes the next one for which `accepts` holds out of the line.
  ///
  /// - Complexity: O(1) when the next one is accepted, else O(*n*).
  public mutating func next(
    at now: UInt64,
    where accepts: (Payload) -> Bool = { _ in true }
  ) -> Payload? {
    for level in levels.indices.reversed() {
      let isReversed = isReversed(class: level, at: now)
      var source = isReversed ? levels[level].last : levels[level].first
      while source >= 0 {
        var node = isReversed ? sources[source].last : sources[source].first
        while node >= 0 {
          if let payload = nodes[node].payload, accepts(payload) {
            pass(source, isReversed: isReversed)
            return remove(node)
          }
          node = isReversed ? nodes[node].before : nodes[node].behind
        }
        source = isReversed ? sources[source].before : sources[source].behind
      }
    }
    return nil
  }

  /// Takes one out of the line that no longer wants to wait; nil when it is not in it any more.
  ///
  /// - Complexity: O(1).
  @discardableResult
  public mutating func leave(_ ticket: Ticket) -> Payload? {
    guard nodes.indices.contains(ticket.place), nodes[ticket.place].number == ticket.number,
      nodes[ticket.place].payload != nil
    else { return nil }
    return remove(ticket.place)
  }

  // MARK: Chains

  private mutating func append(
    _ payload: Payload,
    _ level: Int,
    _ key: UInt64,
    _ now: UInt64
  ) -> Ticket {
    let source = levels[level].places[key] ?? newSource(key, level)
    number &+= 1
    let before = sources[source].last
    var node = Node(payload: payload, number: number, since: now, source: source, before: before)
    node.earlier = levels[level].newest
    let place = freeNodes.popLast() ?? nodes.count
    if place == nodes.count { nodes.append(node) } else { nodes[place] = node }
    if before >= 0 { nodes[before].behind = place } else { sources[source].first = place }
    sources[source].last = place
    if node.earlier >= 0 { nodes[node.earlier].later = place } else { levels[level].oldest = place }
    levels[level].newest = place
    count += 1
    return Ticket(place: place, number: number)
  }

  private mutating func remove(_ place: Int) -> Payload? {
    let node = nodes[place]
    if node.before >= 0 {
      nodes[node.before].behind = node.behind
    } else {
      sources[node.source].first = node.behind
    }
    if node.behind >= 0 {
      nodes[node.behind].before = node.before
    } else {
      sources[node.source].last = node.before
    }
    let level = sources[node.source].level
    if node.earlier >= 0 {
      nodes[node.earlier].later = node.later
    } else {
      levels[level].oldest = node.later
    }
    if node.later >= 0 {
      nodes[node.later].earlier = node.earlier
    } else {
      levels[level].newest = node.earlier
    }
    nodes[place] = Node()
    freeNodes.append(place)
    count -= 1
    if sources[node.source].first < 0 {
      levels[level].places[sources[node.source].key] = nil
      unlink(node.source)
      freeSources.append(node.source)
    }
    return node.payload
  }

  private mutating func newSource(_ key: UInt64, _ level: Int) -> Int {
    let place = freeSources.popLast() ?? sources.count
    if place == sources.count { sources.append(Source()) }
    sources[place] = Source(key: key, level: level)
    levels[level].places[key] = place
    linkLast(place)
    return place
  }

  /// Puts a source that has its turn now behind all others.
  private mutating func pass(_ source: Int, isReversed: Bool) {
    unlink(source)
    if isReversed { linkFirst(source) } else { linkLast(source) }
  }

  private mutating func linkLast(_ source: Int) {
    let level = sources[source].level
    let last = levels[level].last
    sources[source].before = last
    sources[source].behind = -1
    if last >= 0 { sources[last].behind = source } else { levels[level].first = source }
    levels[level].last = source
  }

  private mutating func linkFirst(_ source: Int) {
    let level = sources[source].level
    let first = levels[level].first
    sources[source].before = -1
    sources[source].behind = first
    if first >= 0 { sources[first].before = source } else { levels[level].last = source }
    levels[level].first = source
  }

  private mutating func unlink(_ source: Int) {
    let gone = sources[source]
    if gone.before >= 0 {
      sources[gone.before].behind = gone.behind
    } else {
      levels[gone.level].first = gone.behind
    }
    if gone.behind >= 0 {
      sources[gone.behind].before = gone.before
    } else {
      levels[gone.level].last = gone.before
    }
  }
}
