import HTTPCaching
import MartletSystem
import Synchronization

/// What the one who writes knows.
struct DiskWriter: Sendable {
  /// The segment that is written to.
  struct Active: Sendable {
    let number: UInt64
    let content: OpenFile
    let journal: OpenFile
    var contentEnd = 0
    var entryCount = 0
    /// How many answers are written to it while they come.
    var spoolCount = 0
  }

  var active: Active?
  /// Segments to which nothing is written any more but answers that come, by their numbers.
  var retired: [UInt64: Active] = [:]
  /// The number of the next segment.
  var nextNumber: UInt64 = 1

  /// What a change may take besides its text: its entry, and one for the end.
  static let entryBytes = 2 * DiskEntry.byteCount
}

/// The names of the files in a folder.
enum DiskNames {
  static let lock = "lock"
  static let secret = "secret"

  static func content(_ number: UInt64) -> String { "\(digits(number)).data" }

  static func journal(_ number: UInt64) -> String { "\(digits(number)).journal" }

  private static func digits(_ number: UInt64) -> String {
    let text = String(number, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }

  /// The number of a segment that a file belongs to; nil: it is none of ours.
  static func number(of name: String) -> UInt64? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].count == 16, parts[1] == "data" || parts[1] == "journal"
    else { return nil }
    return UInt64(parts[0], radix: 16)
  }
}

/// Writing, which one thread does at a time.
extension DiskStore {
  private static let leastSegmentBytes = 1 << 20
  private static let mostSegmentBytes = 256 << 20
  /// The most entries of a journal.
  private static let entryLimit = 1 << 20

  /// Does what was submitted; what goes wrong is noted.
  func perform(_ job: DiskJob, _ writer: inout DiskWriter) {
    switch job {
    case .open: return open(&writer)
    case .tell(let body): return body()
    case .close: return close(&writer)
    case .free(let segment, let range): return free(range, in: segment)
    case .write, .forget, .purge, .tend, .begin, .extend, .finish, .abandon: break
    }
    defer { if job.isChange { state.withLock { $0.openChangeCount -= 1 } } }
    guard state.withLock({ $0.phase == .open }) else {
      job.spool?.fail()
      return
    }
    do throws(SystemError) {
      try settleDebt(&writer)
      switch job {
      case .write(let write): try self.write(write, &writer)
      case .forget(let word): try append(DiskEntry(.forget, word: word), &writer)
      case .purge(let purge): try append(purge, &writer)
      case .tend: try makeRoom(0, &writer)
      case .begin(let spool), .extend(let spool), .finish(let spool), .abandon(let spool):
        try perform(job, of: spool, &writer)
      case .open, .tell, .close, .free: break
      }
      state.withLock { state in
        if state.isFailing { state.tell(.recovered) }
        state.isFailing = false
      }
    } catch {
      state.withLock { $0.noteFailure(error) }
      // What cannot be noted must not be found at the next start: a file can be removed where none can be written.
      if job.isChange, !dropAll(&writer) { state.withLock { $0.owesPurge = true } }
      job.spool?.fail()
    }
  }

  /// Has everything purged before a change that could not be written.
  private func settleDebt(_ writer: inout DiskWriter) throws(SystemError) {
    let number = state.withLock { state -> UInt64? in
      guard state.owesPurge else { return nil }
      // What is written from now on comes behind it.
      state.base += 1
      return state.base + state.lastPurge
    }
    guard let number else { return }
    try append(DiskPurge(.everything, number: number, softly: nil), &writer)
    state.withLock { $0.owesPurge = false }
  }

  // MARK: Answers

  private func write(_ write: DiskWrite, _ writer: inout DiskWriter) throws(SystemError) {
    let judged = judged(
      write.answer,
      write.key,
      write.number,
      isCancelled: { write.isCancelled }
    )
    guard let (answer, number) = judged else { return }
    var active = try segment(for: write.byteCount, &writer)
    let record = StoredRecord(
      answer,
      key: write.key,
      number: number,
      contentCount: write.body.count,
      blocks: write.body.pieces.map { StoredRecord.sum(of: $0.span) },
      part: write.part
    )
    let start = active.contentEnd
    let head = record.encoded(at: DiskPlace.seal(active.number, UInt64(start)))
    var end = start
    for piece in [head] + write.body.pieces {
      try active.content.descriptor.writeAll(piece, at: end)
      end += piece.count
    }
    let entry = DiskEntry(
      .answer,
      word: write.word,
      variant: write.variant,
      offset: UInt64(start),
      length: UInt64(end - start),
      number: number
    )
    active.contentEnd = end
    try append(entry, to: &active)
    writer.active = active
    state.withLock { state in
      state.index.grow(active.number, content: end - start, journal: DiskEntry.byteCount)
      // What was invalidated meanwhile has its entry in the journal behind this one.
      if !write.isCancelled { state.index.insert(entry, in: active.number) }
      state.counts.written += 1
    }
  }

  /// An answer as the purges so far leave it, and the number of the last of them; nil: it is not written.
  ///
  /// So whatever an answer still has to be looked at for stands behind it, and goes later.
  func judged(
    _ answer: CachedAnswer,
    _ key: [UInt8],
    _ seen: UInt64,
    isCancelled: () -> Bool
  ) -> (form: CachedAnswer, number: UInt64)? {
    state.withLock { state in
      // What it was purged by may be forgotten by now.
      guard !isCancelled(), seen >= state.forgottenNumber else { return nil }
      let url = key.span.extracting(CacheKey.url(in: key))
      let number = state.base + state.lastPurge
      switch state.purges.judge(url, answer.tags, since: seen) {
      case .kept: return (answer, number)
      case .gone: return nil
      case .stale(let moment):
        return (answer.with(terms: answer.terms.expired(at: moment)), number)
      }
    }
  }

  // MARK: Journal

  private func append(_ entry: DiskEntry, _ writer: inout DiskWriter) throws(SystemError) {
    var active = try segment(for: 0, &writer)
    try append(entry, to: &active)
    writer.active = active
    state.withLock { $0.index.grow(active.number, content: 0, journal: DiskEntry.byteCount) }
  }

  private func append(_ purge: DiskPurge, _ writer: inout DiskWriter) throws(SystemError) {
    let length = purge.encoded(at: 0).count
    var active = try segment(for: length, &writer)
    let start = active.contentEnd
    let bytes = purge.encoded(at: DiskPlace.seal(active.number, UInt64(start)))
    try active.content.descriptor.writeAll(bytes, at: start)
    active.contentEnd += length
    let entry = DiskEntry(
      .purge,
      offset: UInt64(start),
      length: UInt64(length),
      number: purge.number
    )
    try append(entry, to: &active)
    writer.active = active
    state.withLock {
      $0.index.grow(active.number, content: length, journal: DiskEntry.byteCount)
    }
  }

  func append(
    _ entry: DiskEntry,
    to active: inout DiskWriter.Active
  ) throws(SystemError) {
    try active.journal.descriptor.writeAll(
      entry.encoded(at: active.entryCount, of: active.number),
      at: active.entryCount * DiskEntry.byteCount
    )
    active.entryCount += 1
  }

  // MARK: Segments

  /// The segment that so many bytes are written to, for which there is room then.
  func segment(
    for byteCount: Int,
    _ writer: inout DiskWriter
  ) throws(SystemError) -> DiskWriter.Active {
    let limit = state.withLock { $0.limit }
    let usual = min(max(limit / 32, Self.leastSegmentBytes), Self.mostSegmentBytes)
    try makeRoom(byteCount + DiskWriter.entryBytes, &writer)
    if let active = writer.active {
      let hasRoom = active.contentEnd == 0 || active.contentEnd + byteCount <= usual
      if hasRoom, active.entryCount < Self.entryLimit { return active }
      try seal(&writer)
    }
    // Its first entry, and its last one.
    try makeRoom(byteCount + 2 * DiskWriter.entryBytes, &writer)
    return try begin(&writer)
  }

  /// Ends the segment that is written to; answers that come and are to be in it still are.
  func seal(_ writer: inout DiskWriter) throws(SystemError) {
    guard var active = writer.active else { return }
    try append(DiskEntry(active.spoolCount > 0 ? .retirement : .seal), to: &active)
    writer.active = nil
    if active.spoolCount > 0 { writer.retired[active.number] = active }
    state.withLock { $0.index.grow(active.number, content: 0, journal: DiskEntry.byteCount) }
  }

  private func begin(_ writer: inout DiskWriter) throws(SystemError) -> DiskWriter.Active {
    let number = writer.nextNumber
    writer.nextNumber += 1
    let (content, journal) = (file(DiskNames.content(number)), file(DiskNames.journal(number)))
    do throws(SystemError) {
      var active = DiskWriter.Active(
        number: number,
        content: OpenFile(try Descriptor.openShared(content)),
        journal: OpenFile(try Descriptor.openShared(journal))
      )
      try append(DiskEntry(.opening), to: &active)
      writer.active = active
      var segment = DiskSegment(number: number, file: active.content)
      segment.journalCount = DiskEntry.byteCount
      state.withLock { $0.index.add(segment) }
      return active
    } catch {
      remove(number)
      throw error
    }
  }

  /// Removes the oldest segments until so many bytes are free.
  func makeRoom(_ byteCount: Int, _ writer: inout DiskWriter) throws(SystemError) {
    while true {
      let oldest = state.withLock { state -> UInt64? in
        guard state.index.byteCount + byteCount > state.limit || state.index.isFull else {
          return nil
        }
        return state.index.order.first
      }
      guard let oldest else {
        let isFree = state.withLock { $0.index.byteCount + byteCount <= $0.limit }
        // More than there may be at all: EFBIG.
        if !isFree { throw SystemError(.write, 27) }
        return
      }
      if writer.active?.number == oldest { writer.active = nil }
      writer.retired[oldest] = nil
      drop(oldest)
    }
  }

  /// Forgets a segment with everything in it.
  ///
  /// - Returns: Whether its files are gone.
  @discardableResult
  func drop(_ number: UInt64) -> Bool {
    state.withLock { $0.index.condemn(number) }
    let isGone = remove(number)
    var isDone = false
    while !isDone {
      // Others look things up meanwhile.
      isDone = state.withLock { state in
        let dropped = state.index.drop(number, atMost: 512)
        state.counts.evicted += UInt64(dropped.count)
        return dropped.isDone
      }
    }
    state.withLock { state in
      let least = min(state.index.leastNumber, state.base + state.lastPurge)
      guard state.purges.count > 0, least > state.forgottenNumber else { return }
      state.forgottenNumber = least
      state.purges.forget(upTo: least)
    }
    return isGone
  }

  /// Forgets everything.
  ///
  /// - Returns: Whether no file is left.
  private func dropAll(_ writer: inout DiskWriter) -> Bool {
    writer.active = nil
    writer.retired = [:]
    var isGone = true
    for number in state.withLock({ $0.index.order }) where !drop(number) { isGone = false }
    return isGone
  }

  /// Removes the files of a segment; one that cannot be removed is met again when the folder is opened.
  ///
  /// - Returns: Whether they are gone.
  @discardableResult
  func remove(_ number: UInt64) -> Bool {
    var isGone = true
    for name in [DiskNames.journal(number), DiskNames.content(number)] {
      do throws(SystemError) {
        try Files.remove(file(name))
      } catch {
        // ENOENT: it was never there, or went with its folder.
        if error.code != 2 { isGone = false }
        state.withLock { $0.counts.failures += 1 }
      }
    }
    return isGone
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  private func close(_ writer: inout DiskWriter) {
    writer.active = nil
    writer.retired = [:]
    state.withLock { state in
      state.phase = .closed
      state.lock = nil
      state.index = DiskIndex()
      state.purges = DiskPurges()
      state.early = []
    }
  }
}

extension Descriptor {
  /// Writes all of `bytes` from `offset` on.
  borrowing func writeAll(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
    var written = try write(bytes, at: offset)
    while written < bytes.count {
      let count = try write(Array(bytes[written...]), at: offset + written)
      // ENOSPC: a file that takes nothing more.
      guard count > 0 else { throw SystemError(.write, 28) }
      written += count
    }
  }
}

extension StoredRecord {
  /// What is written of an answer.
  init(
    _ answer: CachedAnswer,
    key: [UInt8],
    number: UInt64,
    contentCount: Int,
    blocks: [UInt64],
    part: Part?
  ) {
    let head = answer.head
    let start = head.fields.lowerBound
    func inLines(_ range: Range<Int>) -> Range<Int> {
      range.isEmpty ? 0..<0 : range.lowerBound - start..<range.upperBound - start
    }
    self.init(
      key: key,
      terms: answer.terms,
      statusLine: Array(head.bytes[..<max(0, start - 2)]),
      lines: Array(head.bytes[head.fields]),
      tag: inLines(head.tag),
      lastModified: inLines(head.lastModified),
      vary: answer.vary,
      variant: answer.variant,
      tags: answer.tags,
      number: number,
      contentCount: UInt64(contentCount),
      blocks: blocks,
      part: part
    )
  }
}
