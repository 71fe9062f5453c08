import Configuration
import MartletBytes

/// Patterns with `*` and `**` as one automaton, in which patterns that begin alike share states.
///
/// A path is read segment by segment with the set of states that it can have led to. A state behind
/// `**` stays in the set for good: whatever comes is one more segment of it. Every other state has
/// one way into it, so it enters the set at most once a segment, and none has to be looked for.
struct SegmentTrie: Sendable {
  private struct State: Sendable {
    // The states behind `*` and `**`; 0 where there is none, as nothing leads to the first state.
    var one: UInt32 = 0
    var many: UInt32 = 0
    // Whether a literal segment leads on from here: most states need no look-up for one.
    var hasLiterals = false
    // The patterns that end here.
    var ends = PatternList()
    // The trie of what the rest may begin with, plus one; 0 where there is none.
    var prefixRoot: UInt32 = 0
  }

  /// What is known of a state while the table is made.
  private struct Draft {
    var literals: [String: Int] = [:]
    var one: Int?
    var many: Int?
    var ends: [Int] = []
    var prefixes: [[UInt8]: ByteTrie.Patterns] = [:]
  }

  private var states: [State] = []
  // The states behind literal segments, by the state in front and the segment.
  private var literals = KeyTable()

  /// Whether there is no pattern at all.
  var isEmpty: Bool { states.isEmpty }

  init(
    _ patterns: [(index: Int, segments: [PathPattern.Segment], prefix: String?)],
    tries: inout ByteTrie,
    indices: inout [UInt32]
  ) {
    guard !patterns.isEmpty else { return }
    var drafts = [Draft()]
    for pattern in patterns {
      var state = 0
      for segment in pattern.segments { state = Self.state(behind: segment, of: state, &drafts) }
      if let prefix = pattern.prefix {
        drafts[state].prefixes[Array(prefix.utf8), default: .init()].prefixes.append(pattern.index)
      } else {
        drafts[state].ends.append(pattern.index)
      }
    }
    for (number, draft) in drafts.enumerated() {
      var state = State(one: UInt32(draft.one ?? 0), many: UInt32(draft.many ?? 0))
      state.ends = PatternList(draft.ends, appendedTo: &indices)
      if !draft.prefixes.isEmpty {
        state.prefixRoot = UInt32(tries.add(draft.prefixes, indices: &indices) + 1)
      }
      state.hasLiterals = !draft.literals.isEmpty
      states.append(state)
      for (text, next) in draft.literals {
        var hash = ByteHash()
        for byte in text.utf8 { hash.add(byte) }
        literals.insert(Array(text.utf8), hash: hash.value(tag: number), value: next, tag: number)
      }
    }
  }

  private static func state(
    behind segment: PathPattern.Segment,
    of state: Int,
    _ drafts: inout [Draft]
  ) -> Int {
    let known =
      switch segment {
      case .literal(let text): drafts[state].literals[text]
      case .one: drafts[state].one
      case .many: drafts[state].many
      }
    if let known { return known }
    let next = drafts.count
    drafts.append(Draft())
    switch segment {
    case .literal(let text): drafts[state].literals[text] = next
    case .one: drafts[state].one = next
    case .many: drafts[state].many = next
    }
    return next
  }

  /// Adds the patterns that take `path`, which begins with a slash.
  ///
  /// - Complexity: O(*n* · *m*) in the segments of the path and the states they can lead to at
  ///   once; no allocation for up to 16 states.
  func visit(_ path: Span<UInt8>, tries: ByteTrie, into candidates: inout Candidates) {
    var current = StateList()
    var lasting = StateList()
    enter(0, &current, &lasting)
    var start = 1
    while true {
      guard current.count &+ lasting.count > 0 else { return }
      for position in 0..<current.count {
        visitPrefixes(of: current[position], path, start, tries, &candidates)
      }
      for position in 0..<lasting.count {
        visitPrefixes(of: lasting[position], path, start, tries, &candidates)
      }
      var hash = ByteHash()
      var end = start
      while end < path.count, path[end] != UInt8(ascii: "/") {
        hash.add(path[end])
        end &+= 1
      }
      let segment = path.extracting(start..<end)
      var next = StateList()
      // What becomes lasting behind this segment must not take it.
      let lastingCount = lasting.count
      for position in 0..<current.count {
        step(from: current[position], segment, hash, &next, &lasting)
      }
      for position in 0..<lastingCount {
        step(from: lasting[position], segment, hash, &next, &lasting)
      }
      current = next
      guard end < path.count else { break }
      start = end &+ 1
    }
    for position in 0..<current.count { addEnds(of: current[position], &candidates) }
    for position in 0..<lasting.count { addEnds(of: lasting[position], &candidates) }
  }

  private func visitPrefixes(
    of number: UInt32,
    _ path: Span<UInt8>,
    _ start: Int,
    _ tries: ByteTrie,
    _ candidates: inout Candidates
  ) {
    let root = states[Int(number)].prefixRoot
    guard root > 0 else { return }
    tries.visit(path, from: start, root: Int(root) &- 1) { candidates.addOnce($0) }
  }

  private func addEnds(of number: UInt32, _ candidates: inout Candidates) {
    let ends = states[Int(number)].ends
    if !ends.isEmpty { candidates.add(ends) }
  }

  private func step(
    from number: UInt32,
    _ segment: Span<UInt8>,
    _ hash: ByteHash,
    _ next: inout StateList,
    _ lasting: inout StateList
  ) {
    let state = states[Int(number)]
    if state.one > 0, segment.count > 0 { enter(state.one, &next, &lasting) }
    guard state.hasLiterals else { return }
    let tag = Int(number)
    let literal = literals.value(hash: hash.value(tag: tag), count: segment.count, tag: tag) {
      key in
      for index in key.indices where key[index] != segment[index] { return false }
      return true
    }
    if let literal { enter(UInt32(truncatingIfNeeded: literal), &next, &lasting) }
  }

  /// Adds a state to the set, with those that `**` lets follow at once.
  private func enter(_ number: UInt32, _ set: inout StateList, _ lasting: inout StateList) {
    set.append(number)
    var many = states[Int(number)].many
    while many > 0, !lasting.contains(many) {
      lasting.append(many)
      many = states[Int(many)].many
    }
  }
}

/// A list of states; the first sixteen take no allocation.
private struct StateList {
  private var few = InlineArray<16, UInt32>(repeating: 0)
  private var more: [UInt32] = []
  private(set) var count = 0

  subscript(_ position: Int) -> UInt32 {
    position < 16 ? few[position] : more[position &- 16]
  }

  mutating func append(_ number: UInt32) {
    if count < 16 { few[count] = number } else { more.append(number) }
    count &+= 1
  }

  func contains(_ number: UInt32) -> Bool {
    for position in 0..<count where self[position] == number { return true }
    return false
  }
}
