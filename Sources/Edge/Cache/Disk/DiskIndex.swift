import MartletSystem

/// Where an answer is on a disk.
public struct DiskPlace: Sendable {
  let file: DiskFile
  let segment: UInt64
  let word: UInt64
  /// What its variant is known by.
  public let variant: UInt64
  let offset: UInt64
  /// How many bytes it takes.
  public let length: Int

  /// What the sums of everything at this place know.
  var seal: UInt64 { Self.seal(segment, offset) }

  static func seal(_ segment: UInt64, _ offset: UInt64) -> UInt64 {
    segment &* 0xD6E8_FEB8_6659_FD93 ^ offset
  }
}

/// A file with answers, one behind the other, and the journal that says which.
struct DiskSegment: Sendable {
  let number: UInt64
  let file: DiskFile
  /// How many bytes of answers there are, and how many of the journal.
  var contentCount = 0
  var journalCount = 0
  /// The last purge that none of its answers need be looked at for.
  var leastNumber = UInt64.max
  fileprivate var firstEntry = -1

  init(number: UInt64, file: OpenFile) {
    self.number = number
    self.file = DiskFile(file)
  }

  var byteCount: Int { contentCount + journalCount }
}

/// What is known in memory of a disk: where the answers are, by words of their keys.
///
/// An answer that is forgotten keeps its entry until its segment goes: nothing has to be found for that.
struct DiskIndex: Sendable {
  private struct Entry: Sendable {
    var word: UInt64 = 0
    var variant: UInt64 = 0
    var offset: UInt64 = 0
    var length = 0
    var segment: UInt64 = 0
    /// The next entry with the same word, and the next one of the segment; -1: none.
    var next: Int32 = -1
    var sibling: Int32 = -1
    var isAlive = false
  }

  private var entries = Slots(blank: Entry())
  private var firsts: [UInt64: Int32] = [:]
  private(set) var segments: [UInt64: DiskSegment] = [:]
  /// The numbers of the segments, the oldest first.
  private(set) var order: [UInt64] = []
  /// How many answers there are.
  private(set) var count = 0
  /// The bytes of all files.
  private(set) var byteCount = 0

  /// The most entries that there may be.
  static let entryLimit = 1 << 26

  /// How many answers are found by one word.
  static let variantLimit = 512

  /// The bytes of the answers that can be found.
  private(set) var liveByteCount = 0

  var isFull: Bool { entries.endIndex >= Self.entryLimit }

  // MARK: Answers

  /// Takes in an answer, in the place of one for the same requests.
  mutating func insert(_ entry: DiskEntry, in segment: UInt64) {
    remove(entry.word, variant: entry.variant)
    guard let owner = segments[segment], entries.endIndex < Int(Int32.max) else { return }
    let place = entries.insert(
      Entry(
        word: entry.word,
        variant: entry.variant,
        offset: entry.offset,
        length: Int(clamping: entry.length),
        segment: segment,
        next: firsts[entry.word] ?? -1,
        sibling: Int32(owner.firstEntry),
        isAlive: true
      )
    )
    firsts[entry.word] = Int32(place)
    segments[segment]?.firstEntry = place
    segments[segment]?.leastNumber = min(owner.leastNumber, entry.number)
    count += 1
    liveByteCount += Int(clamping: entry.length)
  }

  /// Forgets the answers with a word, or the one of them with a variant.
  ///
  /// - Returns: Whether there was one.
  @discardableResult
  mutating func remove(_ word: UInt64, variant: UInt64? = nil) -> Bool {
    var before: Int32 = -1
    var place = firsts[word] ?? -1
    var isFound = false
    while place >= 0 {
      let next = entries[Int(place)].next
      if variant == nil || entries[Int(place)].variant == variant {
        isFound = true
        bury(Int(place))
        if before >= 0 {
          entries[Int(before)].next = next
        } else {
          firsts[word] = next < 0 ? nil : next
        }
      } else {
        before = place
      }
      place = next
    }
    return isFound
  }

  /// Forgets the answer at a place, unless another one is there by now.
  mutating func remove(_ place: DiskPlace) {
    guard contains(place) else { return }
    remove(place.word, variant: place.variant)
  }

  private mutating func bury(_ place: Int) {
    entries[place].isAlive = false
    count -= 1
    liveByteCount -= entries[place].length
  }

  private func contains(_ place: DiskPlace) -> Bool {
    var entry = firsts[place.word] ?? -1
    while entry >= 0 {
      let found = entries[Int(entry)]
      if found.segment == place.segment, found.offset == place.offset { return true }
      entry = found.next
    }
    return false
  }

  func contains(_ word: UInt64, variant: UInt64? = nil) -> Bool {
    guard variant != nil else { return firsts[word] != nil }
    return places(of: word).contains { $0.variant == variant }
  }

  /// Where the answers with a word are, the newest first.
  func places(of word: UInt64) -> [DiskPlace] {
    guard var place = firsts[word] else { return [] }
    var places: [DiskPlace] = []
    while place >= 0, places.count < Self.variantLimit {
      let entry = entries[Int(place)]
      place = entry.next
      guard let segment = segments[entry.segment], !segment.file.isGone else { continue }
      places.append(self.place(of: entry, in: segment))
    }
    return places
  }

  /// Where the newest answers are, at most so many.
  func newest(_ limit: Int) -> [DiskPlace] {
    var places: [DiskPlace] = []
    for number in order.reversed() {
      guard let segment = segments[number], !segment.file.isGone else { continue }
      var entry = segment.firstEntry
      while entry >= 0, places.count < limit {
        let found = entries[entry]
        if found.isAlive { places.append(place(of: found, in: segment)) }
        entry = Int(found.sibling)
      }
    }
    return places
  }

  private func place(of entry: Entry, in segment: DiskSegment) -> DiskPlace {
    DiskPlace(
      file: segment.file,
      segment: entry.segment,
      word: entry.word,
      variant: entry.variant,
      offset: entry.offset,
      length: entry.length
    )
  }

  // MARK: Segments

  /// Takes in a segment.
  mutating func add(_ segment: DiskSegment) {
    segments[segment.number] = segment
    byteCount += segment.byteCount
    let index = order.lastIndex { $0 < segment.number }
    order.insert(segment.number, at: index.map { $0 + 1 } ?? 0)
  }

  /// Notes that files have become longer.
  mutating func grow(_ number: UInt64, content: Int, journal: Int) {
    segments[number]?.contentCount += content
    segments[number]?.journalCount += journal
    byteCount += content + journal
  }

  /// Has nothing of a segment found any more.
  func condemn(_ number: UInt64) { segments[number]?.file.close() }

  /// Forgets some entries of a segment that was condemned, and at last the segment.
  ///
  /// - Returns: How many answers that were, and whether it is gone.
  mutating func drop(_ number: UInt64, atMost limit: Int) -> (count: Int, isDone: Bool) {
    guard let segment = segments[number] else { return (0, true) }
    var gone = 0
    var place = segment.firstEntry
    for _ in 0..<limit {
      guard place >= 0 else { break }
      let next = Int(entries[place].sibling)
      if entries[place].isAlive {
        gone += 1
        unlink(place)
        bury(place)
      }
      _ = entries.remove(place)
      place = next
    }
    segments[number]?.firstEntry = place
    guard place < 0 else { return (gone, false) }
    byteCount -= segment.byteCount
    segments[number] = nil
    order.removeAll { $0 == number }
    return (gone, true)
  }

  /// Forgets the answers of a segment, which stays.
  mutating func removeAll(of number: UInt64) {
    var place = segments[number]?.firstEntry ?? -1
    while place >= 0 {
      let next = Int(entries[place].sibling)
      if entries[place].isAlive {
        unlink(place)
        bury(place)
      }
      _ = entries.remove(place)
      place = next
    }
    segments[number]?.firstEntry = -1
  }

  /// Takes an entry out of the chain of its word.
  private mutating func unlink(_ gone: Int) {
    let word = entries[gone].word
    guard var place = firsts[word] else { return }
    if Int(place) == gone {
      firsts[word] = entries[gone].next < 0 ? nil : entries[gone].next
      return
    }
    while entries[Int(place)].next >= 0 {
      let next = entries[Int(place)].next
      if Int(next) == gone {
        entries[Int(place)].next = entries[gone].next
        return
      }
      place = next
    }
  }

  /// The last purge that no answer need be looked at for.
  var leastNumber: UInt64 { segments.values.lazy.map(\.leastNumber).min() ?? .max }
}
