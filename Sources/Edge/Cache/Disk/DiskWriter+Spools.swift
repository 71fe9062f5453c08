import HTTPCaching
import MartletSystem
import Synchronization

/// Room for answers that are written while they come, and their heads.
extension DiskStore {
  /// Does what a spool needs of the one who writes.
  func perform(_ job: DiskJob, of spool: DiskSpool, _ writer: inout DiskWriter) throws(SystemError)
  {
    switch job {
    case .begin: try begin(spool, &writer)
    case .extend: try extend(spool, &writer)
    case .finish: try finish(spool, &writer)
    case .abandon: try release(spool, &writer)
    default: break
    }
  }

  /// The blocks of most disks.
  private static let blockBytes = 4096

  /// Sets room aside for a spool.
  private func begin(_ spool: DiskSpool, _ writer: inout DiskWriter) throws(SystemError) {
    guard !spool.isCancelled else { return spool.fail() }
    let room = spool.length ?? DiskSpool.firstRoom
    let count = spool.headRoom + room
    if spool.length == nil {
      // It grows, so that nothing can stand behind it.
      if writer.active != nil { try seal(&writer) }
    }
    var active = try segment(for: count, &writer)
    let start = active.contentEnd + spool.headRoom
    active.contentEnd += count
    active.spoolCount += 1
    writer.active = active
    if spool.length == nil { try seal(&writer) }
    let source = state.withLock { state in
      state.index.grow(active.number, content: count, journal: 0)
      return state.index.segments[active.number]?.file
    }
    guard let source else { return spool.fail() }
    spool.begin(active.content, source, segment: active.number, start: start, allowed: room)
  }

  /// Sets more room aside for a spool that has a segment for itself.
  private func extend(_ spool: DiskSpool, _ writer: inout DiskWriter) throws(SystemError) {
    let limit = state.withLock { $0.objectLimit } - spool.headRoom - spool.allowed
    let more = min(max(DiskSpool.firstRoom, spool.allowed / 4), limit)
    guard spool.length == nil, !spool.isCancelled, more > 0 else { return spool.fail() }
    try makeRoom(more, &writer)
    // It may have been the oldest itself.
    guard writer.retired[spool.segment] != nil else { return spool.fail() }
    state.withLock { $0.index.grow(spool.segment, content: more, journal: 0) }
    writer.retired[spool.segment]?.contentEnd += more
    spool.allow(more)
  }

  /// Writes the head of an answer whose body is there, and its line in the journal.
  private func finish(_ spool: DiskSpool, _ writer: inout DiskWriter) throws(SystemError) {
    guard let body = spool.body, let found = judged(spool),
      let source = state.withLock({ $0.index.segments[spool.segment]?.file }), !source.isGone,
      var active = writer.open(spool.segment)
    else { return spool.fail() }
    let head = found.form.head
    let part = spool.part(of: body.count)
    // Of a part there must be something.
    guard part == nil || body.count > 0 else { return spool.fail() }
    let whole = found.form.with(
      terms: found.form.terms.ofPart(part != nil),
      head: head.length == nil ? head.with(length: body.count) : head
    )
    let record = StoredRecord(
      whole,
      key: spool.key,
      number: found.number,
      contentCount: body.count,
      blocks: body.sums,
      part: part
    )
    // It ends where the body begins, whose place was known before.
    let size = record.encoded(at: 0).count
    guard size <= spool.headRoom else { return spool.fail() }
    let start = spool.start - size
    let bytes = record.encoded(at: DiskPlace.seal(active.number, UInt64(start)))
    try active.content.descriptor.writeAll(bytes, at: start)
    let variant = variantWord(whole.vary, whole.variant)
    let entry = DiskEntry(
      .answer,
      word: spool.word,
      variant: part.map { Self.partWord(variant, $0.start) } ?? variant,
      offset: UInt64(start),
      length: UInt64(size + body.count),
      number: found.number
    )
    try append(entry, to: &active)
    writer.close(active)
    // What was set aside beyond its length was never written.
    let surplus = spool.allowed - body.count
    state.withLock { state in
      state.index.grow(active.number, content: -surplus, journal: DiskEntry.byteCount)
      if !spool.isCancelled { state.index.insert(entry, in: active.number) }
      state.counts.written += 1
    }
    spool.keepPlace()
    try letGo(active.number, &writer)
    guard !spool.isCancelled else { return spool.fail() }
    let place = DiskPlace(
      file: source,
      segment: active.number,
      word: spool.word,
      variant: entry.variant,
      offset: entry.offset,
      length: Int(entry.length)
    )
    let stays = CachedBody(disk: DiskBody(body, at: place))
    guard let part else { return spool.end(whole.with(terms: whole.terms, body: stays)) }
    spool.end(whole.with(terms: whole.terms, parts: CachedParts(part, stays)))
  }

  /// An answer as the purges since it was asked for leave it; nil: it is not kept.
  private func judged(_ spool: DiskSpool) -> (form: CachedAnswer, number: UInt64)? {
    judged(spool.form, spool.key, spool.number, isCancelled: { spool.isCancelled })
  }

  /// Lets go of a spool that has come to nothing; what stands between others is given back when nobody reads it.
  private func release(_ spool: DiskSpool, _ writer: inout DiskWriter) throws(SystemError) {
    let number = spool.segment
    guard number > 0, writer.open(number) != nil else { return }
    if spool.length == nil {
      writer.retired[number] = nil
      drop(number)
      return
    }
    try letGo(number, &writer)
  }

  /// Gives the room of a part of a segment back; on disks that have no such thing it goes with the segment.
  func free(_ range: Range<Int>, in number: UInt64) {
    // Only whole blocks are given back.
    let first = (range.lowerBound + Self.blockBytes - 1) / Self.blockBytes * Self.blockBytes
    let end = range.upperBound / Self.blockBytes * Self.blockBytes
    guard first < end,
      let file = state.withLock({ $0.index.segments[number]?.file.open })
    else { return }
    do throws(SystemError) {
      try file.descriptor.punch(first..<end)
    } catch {
      return
    }
    state.withLock { $0.index.grow(number, content: first - end, journal: 0) }
  }

  /// Notes that one spool less is written to a segment, and ends that if it was the last one.
  private func letGo(_ number: UInt64, _ writer: inout DiskWriter) throws(SystemError) {
    if writer.active?.number == number {
      writer.active?.spoolCount -= 1
      return
    }
    guard var active = writer.retired[number] else { return }
    active.spoolCount -= 1
    writer.retired[number] = active.spoolCount > 0 ? active : nil
    guard active.spoolCount == 0 else { return }
    try append(DiskEntry(.seal), to: &active)
    state.withLock { $0.index.grow(number, content: 0, journal: DiskEntry.byteCount) }
  }
}

extension DiskWriter {
  /// A segment to which something may be written.
  fileprivate func open(_ number: UInt64) -> Active? {
    active?.number == number ? active : retired[number]
  }

  /// Puts a segment back.
  fileprivate mutating func close(_ segment: Active) {
    if active?.number == segment.number {
      active = segment
    } else {
      retired[segment.number] = segment
    }
  }
}
