import Cache
import Foundation
import HTTPCaching
import MartletSystem
import Testing

/// The bytes of a whole, of which each tells where it is.
private func bytes(_ range: Range<Int>) -> [UInt8] {
  range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}

extension CachedParts {
  /// What is there from an offset on, up to an end, of what is as it was written.
  fileprivate func read(_ range: Range<Int>) throws -> [UInt8] {
    var all: [UInt8] = []
    while all.count < range.count {
      let left = range.count - all.count
      switch source(at: range.lowerBound + all.count) {
      case .piece(let bytes, let place)?: all += bytes[place].prefix(left)
      case .disk(let body, let place)?:
        let end = min(place.upperBound, place.lowerBound + left)
        guard body.look(from: place.lowerBound, to: end) == .good else { return all }
        let good = body.goodEnd(from: place.lowerBound, to: end)
        let file = try #require(body.file)
        all += try file.descriptor.read(
          upTo: good - place.lowerBound,
          at: body.start + place.lowerBound
        )
      case nil: return all
      }
    }
    return all
  }
}

extension DiskStore {
  /// The parts that are found for a key.
  fileprivate func parts(of name: String) -> CachedParts? {
    let key = Array(name.utf8)
    let found = places(of: key.span)
    guard let first = found.first, let newest = load(first, key: key, upTo: 0) else { return nil }
    return gather(newest.answer, Array(found.dropFirst()), key: key).parts
  }

  /// Waits until its files have as few bytes.
  fileprivate func shrink(to byteCount: Int) -> Bool {
    let limit = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < limit {
      settle()
      if figures.byteCount <= byteCount { return true }
    }
    return false
  }
}

@Suite("Parts on a disk")
struct DiskPartTests {
  private static let length = 1_000_000

  private func head(_ length: Int, tag: String) -> AnswerHead {
    let line = Array("ETag: \(tag)\r\n".utf8)
    return AnswerHead(
      status: 200,
      statusLine: Array("HTTP/1.1 200 OK".utf8),
      lines: line,
      length: length,
      tag: 6..<line.count - 2,
      lastModified: 0..<0
    )
  }

  /// Keeps a part, as after a fill.
  private func keep(
    _ store: CacheStore,
    _ range: Range<Int>,
    tag: String = "\"a\"",
    key name: String = "space---a"
  ) throws {
    let key = Array(name.utf8)
    let fill = try store.lead(key)
    #expect(store.grow(fill, by: range.count))
    let new = CachedAnswer(
      terms: try terms().ofPart(true),
      head: head(Self.length, tag: tag),
      body: CachedBody([]),
      keyCount: key.count,
      parts: CachedParts(length: Self.length, start: range.lowerBound, CachedBody(bytes(range)))
    )
    let other = store.kept(beside: fill, nil, [])
    store.keep(other?.joined(with: new) ?? new, of: fill, new: new)
    store.disk?.settle()
  }

  @Test("are there at the next start, put together by their tag")
  func survives() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 8 << 20), disk: try folder.open())
    for start in [0, 300_000, 100_000, 500_001] { try keep(store, start..<start + 100_000) }
    // The same once more, and one of another whole.
    try keep(store, 300_000..<400_000)
    try keep(store, 0..<10, tag: "\"b\"", key: "space---b")
    try keep(store, 10..<20, tag: "\"c\"", key: "space---b")
    for disk in [try folder.copy().open(), try #require(store.disk)] {
      #expect(disk.figures.objectCount == 6)
      let parts = try #require(disk.parts(of: "space---a"))
      #expect(parts.isOfDisk && !parts.isComplete && parts.memoryCount == 0)
      let ranges: [Range<Int64>] = [0..<200_000, 300_000..<400_000, 500_001..<600_001]
      #expect(parts.present.ranges == ranges)
      #expect(try parts.read(0..<200_000) == bytes(0..<200_000))
      #expect(try parts.read(350_000..<390_000) == bytes(350_000..<390_000))
      #expect(try parts.read(599_000..<700_000) == bytes(599_000..<600_001))
      #expect(disk.parts(of: "space---b")?.present.ranges == [10..<20])
    }
    // What is invalidated is gone with all its parts.
    let key = Array("space---a".utf8)
    store.invalidate(key.span)
    store.disk?.settle()
    #expect(try folder.copy().open().parts(of: "space---a") == nil)
  }

  @Test("and in memory make one whole, which is read from both")
  func both() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 8 << 20), disk: try folder.open())
    try keep(store, 0..<400_000)
    let old = try #require(try folder.copy().open().parts(of: "space---a"))
    let new = CachedParts(
      length: Self.length,
      start: 300_000,
      CachedBody(bytes(300_000..<1_000_000))
    )
    for parts in [old.joined(with: new), new.joined(with: old)] {
      let parts = try #require(parts)
      #expect(parts.isComplete && parts.isOfDisk && !parts.isInMemory)
      #expect(try parts.read(0..<Self.length) == bytes(0..<Self.length))
    }
    #expect(old.joined(with: new)?.onDisk?.present.ranges == [0..<400_000])
    #expect(new.onDisk == nil)
  }

  @Test("that are not what was written are not used")
  func damaged() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 8 << 20), disk: try folder.open())
    try keep(store, 0..<100_000)
    try keep(store, 200_000..<300_000)
    let copy = try folder.copy()
    let data = try #require(copy.names.first { $0.hasSuffix("data") })
    var content = try copy.bytes(data)
    content[50] ^= 1
    content[content.count - 5] ^= 1
    try copy.write(content, to: data)
    let again = try copy.open()
    let parts = try #require(again.parts(of: "space---a"))
    #expect(parts.present.ranges == [200_000..<300_000])
    #expect(try parts.read(200_000..<250_000) == bytes(200_000..<250_000))
    #expect(try parts.read(290_000..<300_000).isEmpty)
    #expect(again.figures.damagedCount > 1)
  }

  /// Begins to receive an answer that memory has no room for.
  private func spool(_ store: CacheStore, _ part: StoredRecord.Part? = nil) throws -> Fill {
    let key = Array("space---a".utf8)
    let fill = try store.lead(key)
    let head = head(3_000_000, tag: "\"a\"")
    let form = CachedAnswer(
      terms: try terms(),
      head: head,
      body: CachedBody([]),
      keyCount: key.count
    )
    let length = part == nil ? 3_000_000 : 2_000_000
    #expect(store.spool(fill, form, length: length, part: part))
    fill.begin(head, terms: form.terms)
    return fill
  }

  /// Gives a fill bytes, as fast as they are taken.
  private func feed(_ fill: Fill, _ bytes: [UInt8]) {
    let limit = ContinuousClock.now + .seconds(60)
    var offset = 0
    while offset < bytes.count, ContinuousClock.now < limit {
      let end = min(offset + 40_000, bytes.count)
      offset += fill.append(bytes.span.extracting(offset..<end), writer: nil) ?? 0
    }
    #expect(offset == bytes.count)
  }

  private func store(_ folder: DiskFolder) throws -> CacheStore {
    let limits = CacheLimits(memoryBytes: 4 << 20, objectBytes: 64 << 10)
    return CacheStore(limits, disk: try folder.open())
  }

  @Test("are what has come of an answer that broke off, and take no more room than that")
  func cut() throws {
    let folder = try DiskFolder()
    let store = try store(folder)
    let disk = try #require(store.disk)
    let fill = try spool(store)
    feed(fill, bytes(0..<1_234_567))
    fill.cut()
    fill.end(.failed(Refused()))
    let limit = ContinuousClock.now + .seconds(60)
    while disk.figures.objectCount < 1, ContinuousClock.now < limit { disk.settle() }
    for disk in [disk, try folder.copy().open()] {
      let parts = try #require(disk.parts(of: "space---a"))
      #expect(parts.length == 3_000_000 && parts.present.ranges == [0..<1_234_567])
      #expect(try parts.read(0..<2_000_000) == bytes(0..<1_234_567))
      #expect(disk.figures.byteCount < 1_300_000)
    }
  }

  @Test("that are long are written while they come, like others")
  func spooled() throws {
    let folder = try DiskFolder()
    let store = try store(folder)
    let disk = try #require(store.disk)
    let fill = try spool(store, StoredRecord.Part(start: 500_000, length: 3_000_000))
    feed(fill, bytes(500_000..<2_500_000))
    fill.end(.complete)
    let limit = ContinuousClock.now + .seconds(60)
    while disk.figures.objectCount < 1, ContinuousClock.now < limit { disk.settle() }
    for disk in [disk, try folder.copy().open()] {
      let parts = try #require(disk.parts(of: "space---a"))
      #expect(parts.length == 3_000_000 && parts.present.ranges == [500_000..<2_500_000])
      #expect(try parts.read(500_000..<2_500_000) == bytes(500_000..<2_500_000))
    }
    // They are sent from there.
    let key = Array("space---a".utf8)
    let found = store.find(key.span, store.word(of: key.span), at: morning) { _ in true }
    guard case .answer(let answer) = found else { throw Refused() }
    #expect(answer.parts?.contains(500_000..<2_500_000) == true && answer.byteCount < 20_000)
  }

  @Test("that nothing comes of give their room back, when nobody reads them any more")
  func room() throws {
    let folder = try DiskFolder()
    let store = try store(folder)
    let disk = try #require(store.disk)
    try store.keep("space---before", bytes(0..<10_000))
    disk.settle()
    let before = disk.figures.byteCount
    var fill: Fill? = try spool(store)
    // Something stands behind it, which stays.
    try store.keep("space---behind", bytes(0..<20_000))
    feed(try #require(fill), bytes(0..<2_345_678))
    fill?.end(.failed(Refused()))
    disk.settle()
    // Whoever reads it may do so.
    #expect(disk.figures.byteCount > before + 2_000_000)
    fill = nil
    #expect(disk.shrink(to: before + 60_000))
    #expect(disk.bodies("space---behind") == [bytes(0..<20_000)])
    let again = try folder.copy().open()
    #expect(again.bodies("space---behind") == [bytes(0..<20_000)])
    #expect(again.bodies("space---before") == [bytes(0..<10_000)])
    #expect(try folder.byteCount <= before + 80_000)
  }
}
