import HTTPCaching
import KeyedTables
import MartletLoop
import MartletSystem
import Synchronization

/// An answer that is written to the disk while it comes, because memory has no room for it.
///
/// Its room is set aside first, or where its length is not known a segment for it alone. Then a thread writes what
/// has come, as often as there is a block of it; behind the last one the head is written, before the body, and the
/// line of the journal. A process that is killed meanwhile leaves bytes that nothing points to. What breaks off may be
/// kept as the part of the whole that has come.
final class DiskSpool: Sendable {
  private struct State {
    var file: OpenFile?
    var segment: UInt64 = 0
    /// Where the body begins.
    var start = 0
    /// How many bytes of it there is room for.
    var allowed = 0
    var body: DiskBody?
    var isOver = false
  }

  let disk: DiskStore
  let key: [UInt8]
  let word: UInt64
  /// The answer without its body.
  let form: CachedAnswer
  /// How long the body is; nil: that is not known.
  let length: Int?
  /// Which part of the whole it is; nil: all of it.
  private let part: StoredRecord.Part?
  /// The last purge that it need not be looked at for.
  let number: UInt64
  /// How many bytes there are before the body.
  let headRoom: Int
  private let fill: Fill
  private let state = Mutex(State())
  private let cancellation = Atomic<Bool>(false)
  private let onEnd: @Sendable (CachedAnswer?) -> Void

  /// What is set aside at first, and more and more of, where the length is not known.
  static let firstRoom = 4 << 20

  init(
    _ fill: Fill,
    _ form: CachedAnswer,
    length: Int?,
    part: StoredRecord.Part?,
    word: UInt64,
    number: UInt64,
    limit: Int,
    of disk: DiskStore,
    onEnd: @escaping @Sendable (CachedAnswer?) -> Void
  ) {
    self.fill = fill
    self.form = form
    self.length = length
    self.part = part
    self.word = word
    self.number = number
    self.disk = disk
    self.onEnd = onEnd
    key = fill.key
    let blocks = StoredRecord.blockCount(of: UInt64(length ?? limit))
    headRoom = DiskWrite.bytes(of: form, form.body, key) + blocks * 8
  }

  /// Which part of the whole the first `count` bytes are; nil: they are all of it.
  func part(of count: Int) -> StoredRecord.Part? {
    if let part { return part }
    guard fill.isCut, let whole = form.head.length, count < whole else { return nil }
    return StoredRecord.Part(start: 0, length: UInt64(whole))
  }

  var isCancelled: Bool { cancellation.load(ordering: .acquiring) }

  /// Sees to it that nothing is found once it was written.
  func cancel() { cancellation.store(true, ordering: .releasing) }

  // MARK: Its place

  /// The number of its segment.
  var segment: UInt64 { state.withLock { $0.segment } }

  /// Where the body begins in the file.
  var start: Int { state.withLock { $0.start } }

  /// How many bytes of the body there is room for.
  var allowed: Int { state.withLock { $0.allowed } }

  /// The body, as far as it was written.
  var body: DiskBody? { state.withLock { $0.body } }

  /// Has it written from `start` on.
  func begin(_ file: OpenFile, _ source: DiskFile, segment: UInt64, start: Int, allowed: Int) {
    // What has a segment for itself goes with that.
    let room =
      length == nil
      ? nil : DiskRoom(start - headRoom..<start + allowed, in: segment, of: disk)
    let body = DiskBody(writing: file, source, start: start, in: room, of: disk)
    state.withLock { state in
      state.file = file
      state.segment = segment
      state.start = start
      state.allowed = allowed
      state.body = body
    }
    fill.beginWriting(to: body)
    drain()
  }

  /// Notes that nothing of what was set aside has to be given back.
  func keepPlace() {
    state.withLock { state in
      state.segment = 0
      state.body?.keepRoom()
    }
  }

  /// Goes on with more room.
  func allow(_ count: Int) {
    state.withLock { $0.allowed += count }
    drain()
  }

  // MARK: Writing

  /// Has a thread write what has come.
  func drain() {
    do throws(BlockingPool.Refusal) {
      try disk.threads.submit { self.write() }
    } catch {
      fail()
    }
  }

  private func write() {
    while true {
      guard disk.isOpen, !isCancelled else { return fail() }
      switch fill.takeUnwritten() {
      case .nothing: return
      case .failed: return fail()
      case .end: return disk.change(.finish(self))
      case .pieces(let pieces, let offset):
        let count = pieces.reduce(0) { $0 + $1.count }
        let (file, start, allowed) = state.withLock { ($0.file, $0.start, $0.allowed) }
        guard offset + count <= allowed else {
          // Room is made by the one who writes, who has it go on then.
          return disk.change(.extend(self))
        }
        guard let file, write(pieces, to: file, at: start + offset) else { return fail() }
        fill.didWrite(count)
      }
    }
  }

  private func write(_ pieces: [[UInt8]], to file: OpenFile, at start: Int) -> Bool {
    var offset = start
    do throws(SystemError) {
      for piece in pieces {
        try file.descriptor.writeAll(piece, at: offset)
        offset += piece.count
      }
    } catch {
      disk.noteWriteFailure(error)
      return false
    }
    body?.append(pieces.map { StoredRecord.sum(of: $0.span) }, count: offset - start)
    return true
  }

  // MARK: The end

  /// Ends it: the answer is on the disk, or not there at all.
  func end(_ answer: CachedAnswer?) {
    let isFirst = state.withLock { state in
      defer { state.isOver = true }
      return !state.isOver
    }
    guard isFirst else { return }
    disk.remove(self)
    onEnd(answer)
    fill.endWriting(isWhole: answer != nil)
    if answer == nil { disk.change(.abandon(self)) }
  }

  /// Ends it without an answer: whoever reads goes on with what is written, and with what comes.
  func fail() { end(nil) }
}

extension DiskStore {
  var isOpen: Bool { state.withLock { $0.phase == .open } }

  /// Whether a body of so many bytes is not too large for it.
  func mayHold(_ count: Int) -> Bool { state.withLock { count <= $0.objectLimit } }

  /// Has the answer of a fill written while it comes; `form` is all of it but the body.
  ///
  /// `onEnd` is called once, on some thread, with the answer when it is on the disk, and with nil when it is not to
  /// be.
  ///
  /// - Returns: False when that cannot be begun: `onEnd` is not called.
  func spool(
    _ fill: Fill,
    _ form: CachedAnswer,
    length: Int?,
    part: StoredRecord.Part?,
    onEnd: @escaping @Sendable (CachedAnswer?) -> Void
  ) -> Bool {
    let key = fill.key
    let isBegun = state.withLock { state -> Bool in
      guard state.phase == .open, let hash = state.hash,
        SystemClock.monotonicNanoseconds() >= state.pausedUntil,
        state.base + fill.purgeNumber >= state.forgottenNumber
      else { return false }
      let spool = DiskSpool(
        fill,
        form,
        length: length,
        part: part,
        word: hash.key(of: key.span),
        number: state.base + fill.purgeNumber,
        limit: state.objectLimit,
        of: self,
        onEnd: onEnd
      )
      guard (length ?? 0) + spool.headRoom <= state.objectLimit,
        state.changes.count < Self.changeLimit
      else {
        state.counts.dropped += 1
        return false
      }
      fill.spool(to: spool)
      state.spools[spool.word, default: []].append(spool)
      state.changes.append(.begin(spool))
      return true
    }
    if isBegun { work() }
    return isBegun
  }

  fileprivate func remove(_ spool: DiskSpool) {
    state.withLock { state in
      state.spools[spool.word]?.removeAll { $0 === spool }
      if state.spools[spool.word]?.isEmpty == true { state.spools[spool.word] = nil }
    }
  }

  /// Has something done before what waits to be written.
  func change(_ job: DiskJob) {
    state.withLock { $0.changes.append(job) }
    work()
  }

  /// Notes that something could not be written.
  func noteWriteFailure(_ error: SystemError) {
    state.withLock { $0.noteFailure(error) }
  }
}
