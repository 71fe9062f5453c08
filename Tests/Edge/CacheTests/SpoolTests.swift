import Cache
import Foundation
import HTTPCaching
import MartletLoop
import Testing

/// A body of which each part differs.
private func body(_ name: String, _ count: Int) -> [UInt8] {
  var numbers = Numbers(state: UInt64(name.utf8.reduce(7) { $0 &* 31 &+ Int($1) }))
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 8)
  while bytes.count < count {
    let number = numbers.next()
    for index in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(index * 8))) }
  }
  return Array(bytes[..<count])
}

extension CacheStore {
  /// Begins to receive an answer that memory has no room for; nil: the disk has none either.
  fileprivate func spool(_ name: String, length: Int?, tags: [String] = []) throws -> Fill? {
    let key = Array(name.utf8)
    let fill = try lead(key)
    let form = try answer(0, key: key)
    let head = AnswerHead(
      status: 200,
      statusLine: Array("HTTP/1.1 200 OK".utf8),
      lines: Array("ETag: \"a\"\r\n".utf8),
      length: length,
      tag: 6..<9,
      lastModified: 0..<0
    )
    let words = tags.map { tag in
      let bytes = Array(tag.utf8)
      return tagWord(of: bytes.span)
    }
    let spooled = CachedAnswer(
      terms: form.terms,
      head: head,
      body: CachedBody([]),
      tags: words,
      keyCount: key.count
    )
    guard spool(fill, spooled, length: length) else {
      abandon(fill)
      return nil
    }
    fill.begin(head, terms: form.terms)
    return fill
  }

  /// Waits until a fill is no longer under way.
  fileprivate func wait(for fill: Fill) {
    let limit = ContinuousClock.now + .seconds(60)
    let key = fill.key
    while ContinuousClock.now < limit {
      let start = begin(
        key.span,
        fill.word,
        at: morning,
        known: { _ in [] },
        joins: { _ in true },
        matching: { _ in false }
      )
      disk?.settle()
      if case .lead(let again) = start {
        abandon(again)
        return
      }
    }
  }
}

extension Fill {
  /// Gives it bytes, as fast as they are taken; false: it takes none any more.
  @discardableResult
  fileprivate func feed(_ bytes: [UInt8], step: Int = 40_000) -> Bool {
    let limit = ContinuousClock.now + .seconds(60)
    var offset = 0
    while offset < bytes.count, ContinuousClock.now < limit {
      let end = min(offset + step, bytes.count)
      guard let taken = append(bytes.span.extracting(offset..<end), writer: nil) else {
        return false
      }
      offset += taken
    }
    return offset == bytes.count
  }
}

extension DiskStore {
  /// Whether all of a body on the disk is what was written, as those see it who send it from there.
  fileprivate func isGood(_ name: String) -> Bool {
    let key = Array(name.utf8)
    guard let place = places(of: key.span).first,
      let body = load(place, key: key, upTo: 0)?.answer.body
    else { return false }
    guard let disk = body.disk else { return body.count == 0 }
    var offset = 0
    while offset < body.count {
      guard disk.look(from: offset, to: body.count) == .good else { return false }
      offset = disk.goodEnd(from: offset, to: body.count)
    }
    return disk.isUsable
  }
}

@Suite("Answers that go to the disk while they come")
struct SpoolTests {
  private func store(
    _ folder: DiskFolder,
    memory: Int = 4 << 20,
    disk: Int = 64 << 20
  ) throws -> CacheStore {
    CacheStore(
      CacheLimits(memoryBytes: memory, objectBytes: 64 << 10),
      disk: try folder.open(limit: disk)
    )
  }

  @Test(
    "are there when all has come, and at the next start, and take next to no memory",
    arguments: [
      (length: 1, known: true), (0, true), (65_536, true), (65_537, true), (5_000_001, true),
      (0, false), (1, false), (65_536, false), (5_000_001, false), (9_000_000, false),
    ]
  )
  func survives(length: Int, known: Bool) throws {
    let folder = try DiskFolder()
    let store = try store(folder)
    let content = body("a", length)
    try store.keep("space---before", Array(content.prefix(100)))
    let fill = try #require(try store.spool("space---a", length: known ? length : nil))
    try store.keep("space---while", Array(content.prefix(200)))
    #expect(fill.feed(content))
    #expect(store.budget.fillingByteCount <= 1 << 20)
    fill.end(.complete)
    store.wait(for: fill)
    #expect(store.size("space---a") == length)
    #expect(store.budget.fillingByteCount == 0 && store.budget.storedByteCount < 20_000)
    try store.keep("space---after", Array(content.prefix(300)))
    store.disk?.settle()
    #expect(store.disk?.isGood("space---a") == true)
    let again = try folder.copy().open()
    for disk in [again, try #require(store.disk)] {
      // What differs is not shown: it is long.
      let isSame = disk.bodies("space---a") == [content]
      #expect(isSame)
      for (name, count) in [("before", 100), ("while", 200), ("after", 300)] {
        #expect(disk.bodies("space---\(name)") == [Array(content.prefix(count))])
      }
    }
    #expect(again.figures.objectCount == 4 && again.figures.damagedCount == 0)
    #expect(store.listedByteCount == store.budget.storedByteCount)
  }

  @Test("are read from there by all who come while they come, however far those are")
  func readers() throws {
    let folder = try DiskFolder()
    let store = try store(folder)
    let content = body("r", 3_000_000)
    let fill = try #require(try store.spool("space---r", length: content.count))
    let loop = try EventLoop()
    loop.turn(waitingAtMost: 0)
    let waiter = FillWaiter(try #require(Signal(on: loop)), on: loop)
    var readers: [(number: Int, offset: Int)] = [(fill.attach(), 0)]
    var fromDisk = 0
    func read() {
      for index in readers.indices {
        let (number, offset) = readers[index]
        guard let glimpse = fill.look(number, from: offset, hasHead: true, waiter: waiter)
        else { continue }
        if let disk = glimpse.disk {
          let end = disk.goodEnd(from: offset, to: glimpse.writtenCount)
          #expect(end == glimpse.writtenCount)
          readers[index].offset = end
          fromDisk += end - offset
        } else if !glimpse.piece.isEmpty {
          let part = glimpse.piece[glimpse.start...]
          #expect(Array(part) == Array(content[offset..<offset + part.count]))
          readers[index].offset += part.count
        }
      }
    }
    for start in stride(from: 0, to: content.count, by: 100_000) {
      fill.feed(Array(content[start..<start + 100_000]))
      if start == 1_000_000 { readers.append((fill.attach(), 0)) }
      // The second is slow.
      if start % 700_000 == 0 { read() }
    }
    fill.end(.complete)
    while readers.contains(where: { $0.offset < content.count }) { read() }
    #expect(fromDisk > 1_000_000)
    store.wait(for: fill)
    #expect(store.disk?.bodies("space---r") == [content])
  }

  @Test(
    "reach all who read, also the slow ones, when the disk takes no more of them",
    arguments: [(known: true, feeds: 0), (false, 0), (true, 1), (false, 1), (true, 9), (false, 9)]
  )
  func failing(known: Bool, feeds: Int) throws {
    let folder = try DiskFolder()
    let store = try store(folder)
    let content = body("f", 3_000_000)
    let fill = try #require(try store.spool("space---f", length: known ? content.count : nil))
    let loop = try EventLoop()
    loop.turn(waitingAtMost: 0)
    let waiter = FillWaiter(try #require(Signal(on: loop)), on: loop)
    // How often each looks while one hundred thousand bytes come.
    var readers = [1, 4].map { (number: fill.attach(), every: $0, offset: 0, isRight: true) }
    var rounds = 0
    func read() {
      rounds += 1
      for index in readers.indices where rounds % readers[index].every == 0 {
        let (number, _, offset, _) = readers[index]
        guard let glimpse = fill.look(number, from: offset, hasHead: true, waiter: waiter)
        else { continue }
        if let disk = glimpse.disk {
          // As whoever sends it reads it.
          let isGood = disk.look(from: offset, to: glimpse.writtenCount) == .good
          let end = disk.goodEnd(from: offset, to: glimpse.writtenCount)
          readers[index].isRight = readers[index].isRight && isGood && end > offset
          readers[index].offset = max(offset, end)
        } else if !glimpse.piece.isEmpty {
          let part = glimpse.piece[glimpse.start...]
          let isSame = part.elementsEqual(content[offset..<offset + part.count])
          readers[index].isRight = readers[index].isRight && isSame
          readers[index].offset += part.count
        } else if case .failed? = glimpse.ending {
          readers[index].isRight = false
          readers[index].offset = content.count
        }
      }
    }
    var offset = 0
    var fed = 0
    while offset < content.count {
      let end = min(offset + 100_000, content.count)
      let taken = fill.append(content.span.extracting(offset..<end), writer: nil)
      offset += try #require(taken)
      fed += 1
      // What is invalidated ends as what cannot be written does.
      if fed == feeds + 1 { _ = store.invalidate(Array("space---f".utf8).span) }
      read()
    }
    fill.end(.complete)
    while readers.contains(where: { $0.offset < content.count }) { read() }
    #expect(readers.allSatisfy { $0.isRight && $0.offset == content.count })
    store.wait(for: fill)
    #expect(store.size("space---f") == nil && store.budget.fillingByteCount == 0)
  }

  @Test(
    "leave nothing behind that is found, wherever the process is killed",
    arguments: [true, false]
  )
  func killed(known: Bool) throws {
    let folder = try DiskFolder()
    let store = try store(folder)
    let (first, second) = (body("1", 2_000_000), body("2", 700_000))
    var copies: [DiskFolder] = []
    // Two at once, and others in between that end one segment after the other.
    let one = try #require(try store.spool("space---1", length: known ? first.count : nil))
    let two = try #require(try store.spool("space---2", length: known ? nil : second.count))
    for step in 0..<10 {
      one.feed(Array(first[step * 200_000..<(step + 1) * 200_000]))
      two.feed(Array(second[step * 70_000..<(step + 1) * 70_000]))
      try store.keep("space---s\(step)", body("s\(step)", 50_000))
      for part in 0..<10 { try store.keep("space---p\(step).\(part)", body("p", 60_000)) }
      store.disk?.settle()
      copies.append(try folder.copy())
    }
    for (count, copy) in copies.enumerated() {
      let disk = try copy.open()
      #expect(disk.figures.damagedCount == 0)
      #expect(disk.bodies("space---1").isEmpty && disk.bodies("space---2").isEmpty)
      for step in 0...count {
        #expect(disk.bodies("space---s\(step)") == [body("s\(step)", 50_000)])
      }
    }
    two.end(.complete)
    store.wait(for: two)
    let later = try folder.copy().open()
    #expect(later.bodies("space---2") == [second] && later.bodies("space---1").isEmpty)
    one.end(.complete)
    store.wait(for: one)
    let last = try folder.copy().open()
    #expect(last.bodies("space---2") == [second] && last.bodies("space---1") == [first])
    #expect(last.figures.damagedCount == 0)
    // What is forgotten now stays so, though it stands in a journal that ended long ago.
    for name in ["1", "2"] {
      let key = Array("space---\(name)".utf8)
      store.invalidate(key.span)
    }
    store.disk?.settle()
    let end = try folder.copy().open()
    #expect(end.bodies("space---2").isEmpty && end.bodies("space---1").isEmpty)
  }

  @Test("are not kept that were invalidated or purged while they came", arguments: [0, 1, 2, 3])
  func invalidated(way: Int) throws {
    let folder = try DiskFolder()
    let store = try store(folder)
    let content = body("a", 1_000_000)
    let fill = try #require(
      try store.spool("space---https://a/1", length: way < 2 ? content.count : nil, tags: ["t"])
    )
    // Somebody reads, so that all of it is wanted.
    let loop = try EventLoop()
    loop.turn(waitingAtMost: 0)
    let waiter = FillWaiter(try #require(Signal(on: loop)), on: loop)
    let reader = fill.attach()
    fill.feed(Array(content[..<500_000]))
    let key = Array("space---https://a/1".utf8)
    switch way {
    case 0, 2: store.invalidate(key.span)
    case 1: store.purge(.tag(Array("t".utf8)), softly: nil)
    default: store.purge(.prefix(Array("https://".utf8)), softly: nil)
    }
    var offset = 500_000
    while offset < content.count {
      let end = min(offset + 30_000, content.count)
      let taken = fill.append(content.span.extracting(offset..<end), writer: waiter)
      offset += try #require(taken)
      _ = fill.look(reader, from: offset, hasHead: true, waiter: waiter)
    }
    fill.end(.complete)
    store.wait(for: fill)
    #expect(store.size("space---https://a/1") == nil)
    store.disk?.settle()
    for disk in [try folder.copy().open(), try #require(store.disk)] {
      #expect(disk.bodies("space---https://a/1").isEmpty)
    }
    #expect(store.budget.fillingByteCount == 0)
  }

  @Test("never take more bytes than the disk may have", arguments: 0..<3)
  func limit(seed: UInt64) throws {
    let limit = 16 << 20
    let folder = try DiskFolder()
    let store = try store(folder, disk: limit)
    var numbers = Numbers(state: seed)
    var last: [String: Int] = [:]
    for step in 0..<60 {
      let count = Int(numbers.next() % 3_000_000)
      let name = "space---\(numbers.next() % 12)"
      let isKnown = numbers.next() % 2 == 0
      guard let fill = try store.spool(name, length: isKnown ? count : nil) else { continue }
      let isWhole = fill.feed(body("\(step)", count)) && numbers.next() % 5 > 0
      fill.end(isWhole ? .complete : .failed(Refused()))
      store.wait(for: fill)
      if isWhole { last[name] = step }
      store.disk?.settle()
      // The last block of a file may not be full.
      #expect(try folder.byteCount <= limit + folder.names.count * 4096)
      #expect(store.disk?.figures.byteCount ?? .max <= limit)
    }
    #expect(store.disk?.figures.evictionCount ?? 0 > 10)
    let again = try folder.copy().open(limit: limit)
    #expect(again.figures.objectCount == store.disk?.figures.objectCount)
    #expect(again.figures.damagedCount == 0 && again.figures.objectCount > 0)
    // What had to go is not found in memory either.
    for (name, step) in last {
      let found = store.disk?.bodies(name) ?? []
      #expect(found.isEmpty == (store.size(name) == nil), "\(name) of \(step)")
      #expect(again.bodies(name) == found)
    }
  }

  @Test("are refused that are too large for the disk, and let go that become so")
  func tooLarge() throws {
    let folder = try DiskFolder()
    let store = try store(folder, disk: 16 << 20)
    #expect(try store.spool("space---a", length: 4 << 20) == nil)
    #expect(store.disk?.figures.droppedCount == 1)
    let fill = try #require(try store.spool("space---a", length: nil))
    fill.feed(body("a", 6 << 20))
    fill.end(.complete)
    store.wait(for: fill)
    #expect(store.size("space---a") == nil)
    store.disk?.settle()
    #expect(try folder.byteCount < 4 << 20)
    #expect(store.disk?.figures.objectCount == 0)
  }

  @Test("are not sent any more when a block is not what was written", arguments: 0..<4)
  func damaged(seed: UInt64) throws {
    var numbers = Numbers(state: seed)
    let folder = try DiskFolder()
    let store = try store(folder)
    let content = body("d", 1_000_000)
    let fill = try #require(
      try store.spool("space---d", length: seed % 2 == 0 ? content.count : nil)
    )
    fill.feed(content)
    fill.end(.complete)
    store.wait(for: fill)
    let copy = try folder.copy()
    let file = try #require(
      try copy.names.filter { $0.hasSuffix("data") }.max {
        try copy.bytes($0).count < copy.bytes($1).count
      }
    )
    var bytes = try copy.bytes(file)
    if seed < 2 {
      bytes[bytes.count - 1 - Int(numbers.next() % 999_000)] ^= 1 << (numbers.next() % 8)
    } else {
      bytes.removeLast(Int(1 + numbers.next() % 900_000))
    }
    try copy.write(bytes, to: file)
    let disk = try copy.open()
    #expect(!disk.isGood("space---d") && disk.bodies("space---d").isEmpty)
    let key = Array("space---d".utf8)
    #expect(disk.figures.damagedCount > 0 && disk.places(of: key.span).isEmpty)
  }

  @Test("stay on the disk when memory refuses them, and are sent from there")
  func refused() throws {
    let folder = try DiskFolder()
    let store = CacheStore(
      CacheLimits(memoryBytes: 1 << 20, objectBytes: 400_000),
      disk: try folder.open()
    )
    let content = body("m", 300_000)
    for index in 0..<40 {
      for _ in 0..<8 { _ = store.size("space---\(index)") }
      try store.keep("space---\(index)", body("\(index)", 28_000))
    }
    try store.keep("space---m", content)
    store.disk?.settle()
    #expect(store.size("space---m") == nil)
    let disk = try #require(store.disk)
    let key = Array("space---m".utf8)
    for _ in 0..<10 { _ = store.size("space---m") }
    let fill = try store.lead(key)
    let place = try #require(disk.places(of: key.span).first)
    #expect(store.grow(fill, by: place.length))
    let before = store.budget.storedByteCount
    store.restore(try #require(disk.load(place, key: key)), of: fill)
    #expect(store.size("space---m") == content.count)
    #expect(store.budget.storedByteCount < before + 10_000)
    let found = store.find(key.span, store.word(of: key.span), at: morning) { _ in true }
    guard case .answer(let answer) = found else { throw Refused() }
    // It was looked at just now.
    #expect(answer.body.disk?.goodEnd(from: 0, to: content.count) == content.count)
    #expect(answer.body.disk?.goodEnd(from: 123_456, to: 200_000) == 200_000)
  }
}
