/// The patterns that take one path, given out in the order written.
///
/// They come as a few lists, each of them sorted; so the next one is the least of their heads.
@usableFromInline
struct Candidates {
  /// What is left of a list: positions in the table's indices.
  struct Cursor {
    var next: UInt32
    let end: UInt32
  }

  // More lists than these are rare: they would be prefixes of each other.
  private static let fewCount = 8

  private var few = InlineArray<8, Cursor>(repeating: Cursor(next: 0, end: 0))
  private var more: [Cursor] = []
  private var count = 0

  @usableFromInline
  init() {}

  private subscript(_ position: Int) -> Cursor {
    get { position < Self.fewCount ? few[position] : more[position &- Self.fewCount] }
    set {
      if position < Self.fewCount {
        few[position] = newValue
      } else {
        more[position &- Self.fewCount] = newValue
      }
    }
  }

  /// Adds a list that was not added before.
  mutating func add(_ list: PatternList) {
    let cursor = Cursor(next: list.start, end: list.end)
    if count < Self.fewCount { few[count] = cursor } else { more.append(cursor) }
    count &+= 1
  }

  /// Adds a list, unless it was added before and none was asked for since.
  mutating func addOnce(_ list: PatternList) {
    for position in 0..<count where self[position].end == list.end { return }
    add(list)
  }

  /// The next pattern of `indices` in the order written.
  mutating func next(of indices: Span<UInt32>) -> Int? {
    var least = UInt32.max
    var position = -1
    for candidate in 0..<count {
      let cursor = self[candidate]
      guard cursor.next < cursor.end else { continue }
      let index = indices[Int(cursor.next)]
      if position < 0 || index < least {
        least = index
        position = candidate
      }
    }
    guard position >= 0 else { return nil }
    self[position].next &+= 1
    return Int(least)
  }
}

/// A sorted list of patterns: a range of the table's indices.
struct PatternList: Sendable {
  var start: UInt32 = 0
  var end: UInt32 = 0

  var isEmpty: Bool { start == end }

  /// Appends a list to the table's indices.
  init(_ list: [Int], appendedTo indices: inout [UInt32]) {
    start = UInt32(indices.count)
    indices += list.map { UInt32($0) }
    end = UInt32(indices.count)
  }

  init() {}
}
