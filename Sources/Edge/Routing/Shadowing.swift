public import Configuration

/// The routes that can never answer, each with the first one above it that takes all its paths.
///
/// A route is unconditional when it asks for nothing but its path. Whether several routes together
/// hide another one is not looked for.
///
/// - Complexity: O(*n* · *m*) in the routes and those of them that take one certain path of it.
public func shadowed(
  _ routes: [(pattern: PathPattern, isUnconditional: Bool)]
) -> [(index: Int, by: Int)] {
  let unconditional = routes.indices.filter { routes[$0].isUnconditional }
  let table = PathTable(unconditional.map { routes[$0].pattern })
  let automata = routes.map { SegmentAutomaton($0.pattern) }
  return routes.enumerated().compactMap { index, route in
    let lead = route.pattern.lead
    let symbols = PathSymbol.symbols(of: route.pattern)
    // What takes all paths takes this one: few do, and only they are compared.
    let first = table.firstMatch(PathSymbol.path(of: symbols).span) { number in
      let other = unconditional[number]
      guard other < index else { return true }
      switch routes[other].pattern.form {
      case .exact: return route.pattern.isExact
      case .prefix(let prefix): return lead.starts(with: prefix.utf8)
      case .segments: return automata[other]?.takesAll(symbols) ?? false
      }
    }
    return first.map { unconditional[$0] }.flatMap { $0 < index ? (index, $0) : nil }
  }
}

extension PathPattern {
  fileprivate var isExact: Bool {
    if case .exact = form { true } else { false }
  }

  /// What every path begins with that the pattern takes; of an exact pattern the path.
  fileprivate var lead: [UInt8] {
    switch form {
    case .exact(let text), .prefix(let text): return Array(text.utf8)
    case .segments(let segments, let prefix):
      var lead: [UInt8] = []
      for (index, segment) in segments.enumerated() {
        switch segment {
        case .literal(let text): lead += [UInt8(ascii: "/")] + text.utf8
        case .many where index == segments.count - 1 && prefix == nil: return lead
        case .one, .many: return lead + [UInt8(ascii: "/")]
        }
      }
      return prefix.map { lead + [UInt8(ascii: "/")] + $0.utf8 } ?? lead
    }
  }
}

/// A part of all the paths that a pattern takes.
private enum PathSymbol {
  /// A segment: exactly this, or this and at least one more character that nothing is known of.
  case segment([UInt8], isOpen: Bool)
  /// A segment that begins so.
  case beginning([UInt8])
  /// Any segments, or none.
  case any

  static func symbols(of pattern: PathPattern) -> [PathSymbol] {
    switch pattern.form {
    case .exact(let text): return parts(of: text).map { .segment($0, isOpen: false) }
    case .prefix(let text):
      let parts = parts(of: text)
      return parts.dropLast().map { .segment($0, isOpen: false) }
        + [.beginning(parts.last ?? []), .any]
    case .segments(let segments, let prefix):
      let front = segments.map { segment -> PathSymbol in
        switch segment {
        case .literal(let text): .segment(Array(text.utf8), isOpen: false)
        case .one: .segment([], isOpen: true)
        case .many: .any
        }
      }
      return front + (prefix.map { [.beginning(Array($0.utf8)), .any] } ?? [])
    }
  }

  /// One path of all of them, of which nothing is known wherever that can be.
  static func path(of symbols: [PathSymbol]) -> [UInt8] {
    // No pattern and no path has this byte.
    let unknown: UInt8 = 1
    return symbols.flatMap { symbol -> [UInt8] in
      switch symbol {
      case .segment(let bytes, let isOpen): [UInt8(ascii: "/")] + bytes + (isOpen ? [unknown] : [])
      case .beginning(let bytes): [UInt8(ascii: "/")] + bytes + [unknown]
      case .any: [UInt8(ascii: "/"), unknown]
      }
    }
  }

  private static func parts(of text: String) -> [[UInt8]] {
    text.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map(Array.init)
  }
}

/// A pattern with stars in the middle, as an automaton that reads ``PathSymbol``s.
///
/// State *n* is: the first *n* segments of the pattern are read. A set of states is a word.
private struct SegmentAutomaton {
  private enum Segment {
    case literal([UInt8])
    case one
    case many
  }

  // More sets than these are given up, and the patterns taken for unrelated: no real pattern has them.
  private static let setLimit = 4096
  // In this state whatever follows is taken.
  private static let taken: UInt64 = 1 << 63

  private let segments: [Segment]
  private let prefix: [UInt8]?

  init?(_ pattern: PathPattern) {
    guard case .segments(let segments, let prefix) = pattern.form, segments.count < 63 else {
      return nil
    }
    self.segments = segments.map { segment in
      switch segment {
      case .literal(let text): .literal(Array(text.utf8))
      case .one: .one
      case .many: .many
      }
    }
    self.prefix = prefix.map { Array($0.utf8) }
  }

  /// Whether the pattern takes every path that consists of these symbols.
  ///
  /// A segment of which nothing is known is the worst one: any other leads to more states.
  func takesAll(_ symbols: [PathSymbol]) -> Bool {
    struct Place: Hashable {
      let position: Int
      let states: UInt64
    }
    var waiting = [Place(position: 0, states: behindMany(1))]
    var seen = Set(waiting)
    func visit(_ position: Int, _ states: UInt64) {
      let place = Place(position: position, states: states)
      if seen.insert(place).inserted { waiting.append(place) }
    }
    while let place = waiting.popLast() {
      let (position, states) = (place.position, place.states)
      guard states & Self.taken == 0 else { continue }
      guard states != 0, seen.count < Self.setLimit else { return false }
      guard position < symbols.count else {
        guard prefix == nil, states >> UInt64(segments.count) & 1 == 1 else { return false }
        continue
      }
      switch symbols[position] {
      case .segment(let bytes, let isOpen):
        visit(position + 1, self.states(behind: states, bytes, isOpen: isOpen))
      case .beginning(let bytes):
        visit(position + 1, self.states(behind: states, bytes, isOpen: false))
        visit(position + 1, self.states(behind: states, bytes, isOpen: true))
      case .any:
        visit(position + 1, states)
        visit(position, self.states(behind: states, [], isOpen: false))
        visit(position, self.states(behind: states, [], isOpen: true))
      }
    }
    return true
  }

  private func states(behind states: UInt64, _ bytes: [UInt8], isOpen: Bool) -> UInt64 {
    var next: UInt64 = 0
    for (state, segment) in segments.enumerated() where states >> UInt64(state) & 1 == 1 {
      let isTaken =
        switch segment {
        case .literal(let text): !isOpen && text == bytes
        case .one: isOpen || !bytes.isEmpty
        case .many: true
        }
      guard isTaken else { continue }
      if case .many = segment { next |= 1 << UInt64(state) } else { next |= 2 << UInt64(state) }
    }
    if let prefix, states >> UInt64(segments.count) & 1 == 1, bytes.starts(with: prefix) {
      next |= Self.taken
    }
    return behindMany(next)
  }

  /// The states with those that a `**` of no segments lets follow.
  private func behindMany(_ states: UInt64) -> UInt64 {
    var states = states
    for (state, segment) in segments.enumerated() where states >> UInt64(state) & 1 == 1 {
      if case .many = segment { states |= 2 << UInt64(state) }
    }
    return states
  }
}
