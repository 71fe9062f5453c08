import MartletBytes

/// The fields that a connection has sent before, so that a number is enough to send them again.
///
/// A field is kept as the line that HTTP/1.1 writes, without its end: `name: value`. The newest one
/// has the number 0; the oldest go when the table is full.
///
/// - Source: RFC 7541, sections 2.3.2 and 4.
struct FieldTable: Sendable {
  /// A field of the table.
  struct Entry: Sendable {
    /// Where its line begins, counted from the first byte that the table ever held.
    var start = 0
    var lineCount = 0
    var nameCount = 0
    var kind = FieldKind.regular
    /// What it counts for: name and value with 32 more.
    var size: Int { lineCount - 2 + 32 }
  }

  /// The lines, one behind the other; the first byte is the one with the number `base`.
  private(set) var bytes: [UInt8] = []
  private var base = 0
  /// A ring: the newest entry stands before `head`.
  private var ring: [Entry] = []
  private var head = 0
  private(set) var count = 0
  private(set) var size = 0
  /// How many were ever inserted.
  private(set) var insertedCount = 0
  private(set) var capacity: Int

  init(capacity: Int) { self.capacity = capacity }

  /// The entry with a number; nil when there is none.
  func entry(_ index: Int) -> Entry? {
    guard index >= 0, index < count else { return nil }
    return ring[(head - 1 - index) & (ring.count - 1)]
  }

  /// Where the line of an entry lies in ``bytes``.
  func line(of entry: Entry) -> Range<Int> {
    let start = entry.start - base
    return start..<start + entry.lineCount
  }

  /// Appends the name of an entry.
  func copyName(_ entry: Entry, into out: inout [UInt8]) {
    let start = entry.start - base
    out.append(copying: bytes.span.extracting(start..<start + entry.nameCount))
  }

  /// Whether an entry's line is the one that lies in `range` of `line`.
  func isSame(_ entry: Entry, as line: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard entry.lineCount == range.count else { return false }
    let start = entry.start - base
    let own = bytes.span
    guard range.count >= 16 else {
      return SixteenBytes(own, at: start).first(range.count)
        == SixteenBytes(line, at: range.lowerBound).first(range.count)
    }
    var offset = 0
    // The last sixteen may overlap what was compared.
    while offset < range.count {
      let place = min(offset, range.count - 16)
      guard SixteenBytes(own, at: start + place) == SixteenBytes(line, at: range.lowerBound + place)
      else { return false }
      offset += 16
    }
    return true
  }

  /// Puts a line in front, and lets go of what has no room any more; all of it, if the line itself
  /// has none.
  mutating func insert(_ line: Span<UInt8>, nameCount: Int, kind: FieldKind) {
    let entry = Entry(
      start: base + bytes.count,
      lineCount: line.count,
      nameCount: nameCount,
      kind: kind
    )
    // A line that is larger than the whole table empties it.
    evict(to: max(0, capacity - entry.size))
    insertedCount += 1
    guard entry.size <= capacity else { return }
    if count == ring.count { growRing() }
    dropUnused()
    ring[head] = Entry(
      start: base + bytes.count,
      lineCount: line.count,
      nameCount: nameCount,
      kind: kind
    )
    bytes.append(copying: line)
    head = (head + 1) & (ring.count - 1)
    count += 1
    size += entry.size
  }

  /// Changes how much the table may hold.
  mutating func resize(to capacity: Int) {
    self.capacity = capacity
    evict(to: capacity)
  }

  private mutating func evict(to limit: Int) {
    while size > limit, let oldest = entry(count - 1) {
      count -= 1
      size -= oldest.size
    }
  }

  private mutating func growRing() {
    var grown: [Entry] = []
    grown.reserveCapacity(max(8, ring.count * 2))
    for index in stride(from: count - 1, through: 0, by: -1) {
      if let entry = entry(index) { grown.append(entry) }
    }
    grown.append(contentsOf: repeatElement(Entry(), count: max(8, ring.count * 2) - count))
    ring = grown
    head = count
  }

  /// Lets go of the bytes of entries that are gone, once they are more than the others.
  private mutating func dropUnused() {
    guard count > 0, let oldest = entry(count - 1) else {
      base += bytes.count
      bytes.removeAll(keepingCapacity: true)
      return
    }
    let unused = oldest.start - base
    guard unused > capacity else { return }
    bytes.removeFirst(unused)
    base = oldest.start
  }
}
