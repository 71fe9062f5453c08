import Cache
import Foundation
import HTTPCaching
import MartletSystem
import Testing

/// A folder of a test, and disks in it.
final class DiskFolder {
  let path: String

  init() throws {
    path =
      FileManager.default.temporaryDirectory
      .appendingPathComponent("martlet-disk-\(UInt64.random(in: 0 ... .max))").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    // What is left of a folder under the system's temporary one does no harm.
    try? FileManager.default.removeItem(atPath: path)
  }

  /// The folder as it is now in another place, as a process leaves it that is killed.
  func copy() throws -> DiskFolder {
    let copy = try DiskFolder()
    for name in names { try copy.write(sparse: bytes(name), to: name) }
    return copy
  }

  /// Writes a file that takes no room for empty blocks, as those are that were given back.
  private func write(sparse bytes: [UInt8], to name: String) throws {
    let url = URL(fileURLWithPath: "\(path)/\(name)")
    try Data().write(to: url)
    let file = try FileHandle(forWritingTo: url)
    for start in stride(from: 0, to: bytes.count, by: 4096) {
      let block = bytes[start..<min(start + 4096, bytes.count)]
      guard block.contains(where: { $0 != 0 }) else { continue }
      try file.seek(toOffset: UInt64(start))
      try file.write(contentsOf: block)
    }
    try file.truncate(atOffset: UInt64(bytes.count))
    try file.close()
  }

  var names: [String] {
    // A folder that is gone has none.
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
  }

  func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
  }

  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
  }

  /// The bytes of all segments, without what was given back to the disk.
  var byteCount: Int {
    get throws {
      try names.filter { $0.contains(".") }.reduce(0) { sum, name in
        let file = try Descriptor.open("\(path)/\(name)", .read)
        return sum + min(Int(try file.facts().byteCount), try file.allocatedByteCount())
      }
    }
  }

  func open(limit: Int = 64 << 20) throws -> DiskStore {
    let disk = DiskStore(path: path, limit: limit, threads: try #require(DiskStore.threads))
    disk.settle()
    return disk
  }
}

extension DiskStore {
  /// Waits until everything so far is done.
  func settle() {
    let done = DispatchSemaphore(value: 0)
    whenSettled { done.signal() }
    done.wait()
  }

  /// The bodies of the answers that are read for a key.
  func bodies(_ key: String) -> [[UInt8]] {
    let key = Array(key.utf8)
    return places(of: key.span).compactMap {
      load($0, key: key)?.answer.body.pieces.flatMap(\.self)
    }
  }
}

extension CacheStore {
  /// Keeps an answer with this body and these tags, as after a fill.
  func keep(_ name: String, _ body: [UInt8], tags: [String] = [], variant: String = "") throws {
    let key = Array(name.utf8)
    let fill = try lead(key)
    guard grow(fill, by: body.count) else { return abandon(fill) }
    let form = try answer(body.count, key: key, variant: variant)
    let words = tags.map { tag in
      let bytes = Array(tag.utf8)
      return tagWord(of: bytes.span)
    }
    let kept = CachedAnswer(
      terms: form.terms,
      head: form.head,
      body: CachedBody(body),
      vary: form.vary,
      variant: form.variant,
      tags: words,
      keyCount: key.count
    )
    _ = keep(kept, of: fill)
  }
}

/// A body that tells what it is of, and how often it was made anew.
private func body(_ name: String, _ count: Int, version: Int = 0) -> [UInt8] {
  let mark = Array("\(name) \(version) ".utf8)
  return (0..<count).map { mark[$0 % mark.count] }
}

@Suite("Answers on a disk")
struct DiskTests {
  @Test("are there as they were when the process was killed and the folder is opened again")
  func survives() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 64 << 20), disk: try folder.open())
    let sizes = [0, 1, 100, 65_535, 65_536, 65_537, 200_000, 1_000_000]
    for (index, size) in sizes.enumerated() {
      try store.keep("space---u\(index)", body("u\(index)", size))
      for variant in ["x", "y"] {
        try store.keep("space---v\(index)", body("v\(index)\(variant)", size), variant: variant)
      }
    }
    store.disk?.settle()
    let copy = try folder.copy()
    let again = try copy.open()
    #expect(again.figures.phase == .open && again.figures.objectCount == 3 * sizes.count)
    for (index, size) in sizes.enumerated() {
      #expect(again.bodies("space---u\(index)") == [body("u\(index)", size)])
      let both = again.bodies("space---v\(index)")
      #expect(both == [body("v\(index)y", size), body("v\(index)x", size)])
    }
    #expect(again.bodies("space---w").isEmpty)
    #expect(again.figures.damagedCount == 0)
    // A head is the same, too.
    let key = Array("space---u3".utf8)
    let place = try #require(again.places(of: key.span).first)
    let read = try #require(again.load(place, key: key)).answer
    let made = try answer(65_535, key: key)
    #expect(read.head.bytes == made.head.bytes && read.terms == made.terms)
    #expect(read.head.tag == made.head.tag)
    let other = Array("space---u4".utf8)
    #expect(again.load(place, key: other)?.answer == nil)
  }

  @Test("of which there was an older one are the newer one")
  func renews() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 16 << 20), disk: try folder.open())
    for version in 0..<5 { try store.keep("space---a", body("a", 5000, version: version)) }
    store.disk?.settle()
    #expect(store.disk?.bodies("space---a") == [body("a", 5000, version: 4)])
    #expect(try folder.copy().open().bodies("space---a") == [body("a", 5000, version: 4)])
  }

  @Test("are gone for good when they were invalidated, also while they waited to be written")
  func invalidates() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 64 << 20), disk: try folder.open())
    for index in 0..<50 { try store.keep("space---\(index)", body("\(index)", 50_000)) }
    for index in stride(from: 0, to: 50, by: 2) {
      let key = Array("space---\(index)".utf8)
      store.invalidate(key.span)
    }
    store.disk?.settle()
    let again = try folder.copy().open()
    for disk in [again, try #require(store.disk)] {
      for index in 0..<50 {
        let expected = index % 2 == 0 ? [] : [body("\(index)", 50_000)]
        #expect(disk.bodies("space---\(index)") == expected)
      }
    }
  }

  @Test(
    "are gone for good when they were purged, and those that come later are not",
    arguments: [
      (PurgeTarget.url(Array("https://a/1".utf8)), ["1"]),
      (.prefix(Array("https://a/1".utf8)), ["1", "12"]),
      (.pattern(Array("*/2*".utf8)), ["2", "23"]),
      (.tag(Array("even".utf8)), ["2", "12"]), (.everything, ["1", "12", "2", "23"]),
    ]
  )
  func purges(target: PurgeTarget, gone: [String]) throws {
    let names = ["1", "12", "2", "23"]
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 16 << 20), disk: try folder.open())
    func keep(_ name: String, version: Int) throws {
      let tags = ["all", name == "2" || name == "12" ? "even" : "odd"]
      try store.keep("space---https://a/\(name)", body(name, 3000, version: version), tags: tags)
    }
    for name in names { try keep(name, version: 0) }
    store.purge(target, softly: nil)
    store.disk?.settle()
    let first = try folder.copy().open()
    for name in names {
      let expected = gone.contains(name) ? [] : [body(name, 3000)]
      #expect(store.disk?.bodies("space---https://a/\(name)") == expected)
      #expect(first.bodies("space---https://a/\(name)") == expected)
    }
    for name in names { try keep(name, version: 1) }
    store.disk?.settle()
    let second = try folder.copy().open()
    for name in names {
      #expect(second.bodies("space---https://a/\(name)") == [body(name, 3000, version: 1)])
    }
  }

  @Test("are not written that were purged while they came")
  func purgedMeanwhile() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 16 << 20), disk: try folder.open())
    let key = Array("space---https://a/1".utf8)
    let fill = try store.lead(key)
    #expect(store.grow(fill, by: 100))
    store.purge(.prefix(Array("https://a/".utf8)), softly: nil)
    #expect(store.keep(try answer(100, key: key), of: fill) == .kept)
    store.disk?.settle()
    #expect(store.size("space---https://a/1") == nil)
    for disk in [try folder.copy().open(), try #require(store.disk)] {
      #expect(disk.places(of: key.span).isEmpty)
    }
  }

  @Test("that were purged softly are stale, also after a restart")
  func softPurge() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 16 << 20), disk: try folder.open())
    try store.keep("space---a", body("a", 10), tags: ["t"])
    let later = morning.advanced(byMilliseconds: 5000)
    store.purge(.tag(Array("t".utf8)), softly: later)
    store.disk?.settle()
    let key = Array("space---a".utf8)
    for disk in [try folder.copy().open(), try #require(store.disk)] {
      let place = try #require(disk.places(of: key.span).first)
      let answer = try #require(disk.load(place, key: key)).answer
      #expect(!answer.terms.isFresh(at: later) && answer.terms.rules.contains(.isExpired))
    }
  }

  @Test("never take more bytes than they may, and the oldest make room", arguments: [16, 20])
  func limit(megabytes: Int) throws {
    let limit = megabytes << 20
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 4 << 20), disk: try folder.open(limit: limit))
    var numbers = Numbers(state: UInt64(megabytes))
    var sizes: [Int] = []
    for index in 0..<300 {
      sizes.append(Int(numbers.next() % 220_000))
      try store.keep("space---\(index)", body("\(index)", sizes[index]))
      // So that nothing is dropped.
      store.disk?.settle()
      #expect(try folder.byteCount <= limit)
      #expect(store.disk?.figures.byteCount == (try folder.byteCount))
    }
    let disk = try #require(store.disk)
    #expect(disk.figures.evictionCount > 50 && disk.figures.byteCount > limit / 4 * 3)
    #expect(disk.bodies("space---0").isEmpty)
    let again = try folder.copy().open(limit: limit)
    #expect(again.figures.objectCount == disk.figures.objectCount)
    for index in 290..<300 {
      #expect(again.bodies("space---\(index)") == [body("\(index)", sizes[index])])
    }
    // A smaller one has less.
    again.setLimit(limit / 2)
    again.settle()
    #expect(again.figures.byteCount <= limit / 2 && again.figures.objectCount > 0)
  }

  @Test("are found that had no place in memory, or had to leave it")
  func behindMemory() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20), disk: try folder.open())
    for index in 0..<400 {
      try store.keep("space---\(index)", body("\(index)", 8000))
      store.disk?.settle()
    }
    #expect(store.count < 140)
    let disk = try #require(store.disk)
    for index in 0..<400 {
      #expect(disk.bodies("space---\(index)") == [body("\(index)", 8000)])
    }
    #expect(disk.figures.droppedCount == 0)
  }

  @Test("belong to one process at a time, and to the next one when that has left them")
  func lock() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 16 << 20), disk: try folder.open())
    for name in ["a", "b", "c"] { try store.keep("space---https://\(name)/", body(name, 100)) }
    store.disk?.settle()
    let second = CacheStore(CacheLimits(memoryBytes: 16 << 20), disk: try folder.open())
    let waiting = try #require(second.disk)
    #expect(waiting.figures.phase == .waiting && waiting.takeNews() == [.waiting])
    #expect(waiting.bodies("space---https://a/").isEmpty)
    // What is changed meanwhile counts when it is opened.
    second.purge(.url(Array("https://a/".utf8)), softly: nil)
    let key = Array("space---https://b/".utf8)
    second.invalidate(key.span)
    store.disk?.close()
    store.disk?.settle()
    #expect(store.disk?.figures.phase == .closed)
    let limit = ContinuousClock.now + .seconds(30)
    while waiting.figures.phase != .open, ContinuousClock.now < limit {
      waiting.tend()
      waiting.settle()
    }
    #expect(waiting.bodies("space---https://a/").isEmpty)
    #expect(waiting.bodies("space---https://b/").isEmpty)
    #expect(waiting.bodies("space---https://c/") == [body("c", 100)])
    waiting.settle()
    #expect(try folder.copy().open().bodies("space---https://b/").isEmpty)
    #expect(try folder.copy().open().bodies("space---https://a/").isEmpty)
  }

  @Test("that cannot be written are kept in memory, and that is told")
  func fails() throws {
    let folder = try DiskFolder()
    let store = CacheStore(CacheLimits(memoryBytes: 16 << 20), disk: try folder.open())
    let disk = try #require(store.disk)
    _ = disk.takeNews()
    try FileManager.default.removeItem(atPath: folder.path)
    try store.keep("space---a", body("a", 100))
    disk.settle()
    #expect(disk.figures.failureCount > 0 && disk.figures.objectCount == 0)
    #expect(disk.takeNews() == [.failed("open: No such file or directory")])
    #expect(store.size("space---a") == 100)
    // A file where the folder should be.
    let file = try DiskFolder()
    try file.write([1], to: "file")
    let none = DiskStore(
      path: "\(file.path)/file",
      limit: 1 << 24,
      threads: try #require(DiskStore.threads)
    )
    none.settle()
    #expect(none.figures.phase == .failed)
    #expect(none.takeNews() == [.failed("open: Not a directory")])
  }
}

@Suite("A disk that is broken")
struct BrokenDiskTests {
  /// A folder with answers of which some were invalidated, purged and renewed; and what may be read of it.
  private static func made(seed: UInt64) throws -> (folder: DiskFolder, allowed: [String: [UInt8]])
  {
    var numbers = Numbers(state: seed)
    let folder = try DiskFolder()
    let store = CacheStore(
      CacheLimits(memoryBytes: 64 << 20),
      disk: try folder.open(limit: 32 << 20)
    )
    var allowed: [String: [UInt8]] = [:]
    for step in 0..<60 {
      let name = "space---https://a/\(numbers.next() % 20)"
      switch numbers.next() % 8 {
      case 0:
        let key = Array(name.utf8)
        store.invalidate(key.span)
        allowed[name] = nil
      case 1:
        store.purge(.url(Array(name.dropFirst(8).utf8)), softly: nil)
        allowed[name] = nil
      default:
        let made = body(name, Int(numbers.next() % 70_000), version: step)
        try store.keep(name, made)
        allowed[name] = made
      }
      store.disk?.settle()
    }
    return (folder, allowed)
  }

  @Test(
    "never gives anything but what was kept last, whatever bit is flipped and wherever it is cut",
    arguments: 0..<5
  )
  func damages(seed: UInt64) throws {
    var numbers = Numbers(state: seed &+ 100)
    let (folder, allowed) = try Self.made(seed: seed)
    let whole = try folder.copy().open(limit: 32 << 20)
    for index in 0..<20 {
      let name = "space---https://a/\(index)"
      #expect(whole.bodies(name) == (allowed[name].map { [$0] } ?? []))
    }
    #expect(whole.figures.objectCount == allowed.count)
    var found = 0
    for _ in 0..<12 {
      let copy = try folder.copy()
      let files = copy.names.filter { $0 != "lock" }
      let file = try #require(files.randomElement(using: &numbers))
      var bytes = try copy.bytes(file)
      let isLast = file.hasPrefix(String(files.filter { $0.contains(".") }.max()?.prefix(16) ?? ""))
      switch numbers.next() % 4 {
      case 0 where !bytes.isEmpty:
        bytes[Int(numbers.next() % UInt64(bytes.count))] ^= 1 << (numbers.next() % 8)
      // The end of the last journal may be missing: it was not written when the process was killed.
      case 1 where !isLast || !file.hasSuffix("journal"):
        bytes.removeLast(Int(numbers.next() % UInt64(bytes.count + 1)))
      case 2: bytes += (0..<Int(numbers.next() % 300)).map { UInt8(truncatingIfNeeded: $0) }
      default:
        for _ in 0..<min(bytes.count, 50) {
          bytes[Int(numbers.next() % UInt64(bytes.count))] = UInt8(
            truncatingIfNeeded: numbers.next()
          )
        }
      }
      try copy.write(bytes, to: file)
      let disk = try copy.open(limit: 32 << 20)
      for index in 0..<20 {
        let name = "space---https://a/\(index)"
        for body in disk.bodies(name) {
          #expect(body == allowed[name], "\(file) of \(files), \(name)")
          found += 1
        }
      }
    }
    #expect(found > 0)
  }

  @Test(
    "has everything up to where the last journal was cut, and can be written on",
    arguments: 0..<4
  )
  func cut(seed: UInt64) throws {
    let folder = try DiskFolder()
    let store = CacheStore(
      CacheLimits(memoryBytes: 16 << 20),
      disk: try folder.open(limit: 16 << 20)
    )
    for index in 0..<20 { try store.keep("space---\(index)", body("\(index)", 500)) }
    store.disk?.settle()
    let journal = try #require(folder.names.first { $0.hasSuffix("journal") })
    let bytes = try folder.bytes(journal)
    #expect(bytes.count == 21 * DiskEntry.byteCount)
    for count in stride(from: DiskEntry.byteCount + Int(seed), to: bytes.count, by: 17) {
      let copy = try folder.copy()
      try copy.write(Array(bytes[..<count]), to: journal)
      let again = CacheStore(
        CacheLimits(memoryBytes: 16 << 20),
        disk: try copy.open(limit: 16 << 20)
      )
      let disk = try #require(again.disk)
      let whole = count / DiskEntry.byteCount - 1
      for index in 0..<20 {
        #expect(disk.bodies("space---\(index)") == (index < whole ? [body("\(index)", 500)] : []))
      }
      try again.keep("space---new", body("new", 900))
      disk.settle()
      let third = try copy.copy().open(limit: 16 << 20)
      #expect(third.figures.objectCount == whole + 1 && third.figures.damagedCount == 0)
    }
  }

  @Test("reads its own entries and purges, and no others")
  func formats() {
    let entry = DiskEntry(.answer, word: 1, variant: .max, offset: 7, length: 9, number: 3)
    let bytes = entry.encoded(at: 2, of: 5)
    let journal = [UInt8](repeating: 0, count: 2 * DiskEntry.byteCount) + bytes
    #expect(DiskEntry(journal.span, at: 2, of: 5) == entry)
    #expect(
      DiskEntry(journal.span, at: 2, of: 6) == nil && DiskEntry(bytes.span, at: 0, of: 5) == nil
    )
    #expect(
      DiskEntry(journal.span, at: 3, of: 5) == nil && DiskEntry(journal.span, at: 0, of: 5) == nil
    )
    let purges = [
      DiskPurge(.url([1, 2]), number: 9, softly: nil),
      DiskPurge(.everything, number: 10, softly: Moment(milliseconds: -5)),
      DiskPurge(.tag([]), number: 11, softly: morning),
    ]
    for purge in purges {
      let bytes = purge.encoded(at: 4)
      #expect(DiskPurge(encoded: bytes, at: 4) == purge && DiskPurge(encoded: bytes, at: 5) == nil)
      for index in bytes.indices {
        for bit in 0..<8 {
          var other = bytes
          other[index] ^= 1 << bit
          #expect(DiskPurge(encoded: other, at: 4) == nil)
        }
        #expect(DiskPurge(encoded: Array(bytes[..<index]), at: 4) == nil)
      }
    }
    for index in bytes.indices {
      for bit in 0..<8 {
        var other = bytes
        other[index] ^= 1 << bit
        let journal = journal.prefix(2 * DiskEntry.byteCount) + other
        #expect(DiskEntry(Array(journal).span, at: 2, of: 5) == nil)
      }
    }
  }
}
