import HTTPCaching
import KeyedTables
import MartletSystem
import Synchronization

/// What there is to tell of a disk.
public enum DiskNews: Hashable, Sendable {
  /// It can be used: so many answers are there, and were found in this time.
  case opened(count: Int, byteCount: Int, milliseconds: Int)
  /// Another process has it; this one goes on in memory until that is over.
  case waiting
  /// It cannot be used, or not be written, for this reason; it is tried again.
  case failed(String)
  /// It can be written again.
  case recovered
  /// What was read is not what was written, at this place.
  case damaged(String)
}

/// The figures of a disk.
public struct DiskFigures: Hashable, Sendable {
  /// How far it is.
  public var phase = DiskStore.Phase.opening
  /// How many answers there are.
  public var objectCount = 0
  /// The bytes of all files.
  public var byteCount = 0
  /// How many there may be.
  public var limit = 0
  /// How many bytes wait to be written.
  public var queuedByteCount = 0
  /// How many answers were read.
  public var hitCount: UInt64 = 0
  /// How many were written.
  public var writtenCount: UInt64 = 0
  /// How many were not, because too much waited or they are too large.
  public var droppedCount: UInt64 = 0
  /// How many had to make room.
  public var evictionCount: UInt64 = 0
  /// How many were not what was written.
  public var damagedCount: UInt64 = 0
  /// How many calls to the disk have failed.
  public var failureCount: UInt64 = 0
}

/// An answer that is to be written.
final class DiskWrite: Sendable {
  let key: [UInt8]
  let word: UInt64
  let variant: UInt64
  let answer: CachedAnswer
  /// What of it is written, and which part of the whole that is.
  let body: CachedBody
  let part: StoredRecord.Part?
  let number: UInt64
  /// How many bytes it takes at most.
  let byteCount: Int
  private let cancellation = Atomic<Bool>(false)

  init(
    _ key: [UInt8],
    _ word: UInt64,
    _ variant: UInt64,
    _ answer: CachedAnswer,
    _ written: (body: CachedBody, part: StoredRecord.Part?),
    number: UInt64,
    byteCount: Int
  ) {
    self.key = key
    self.word = word
    self.variant = variant
    self.answer = answer
    (body, part) = written
    self.number = number
    self.byteCount = byteCount
  }

  var isCancelled: Bool { cancellation.load(ordering: .acquiring) }

  func cancel() { cancellation.store(true, ordering: .releasing) }

  /// How many bytes a record takes at most: fixed parts, and twelve for each piece.
  static func bytes(of answer: CachedAnswer, _ body: CachedBody, _ key: [UInt8]) -> Int {
    let vary = answer.vary?.encoded.count ?? 0
    return 512 + key.count + answer.head.bytes.count + body.count + vary
      + answer.variant.count + (answer.tags.count + body.pieces.count) * 8
  }
}

/// What is to be done on a disk.
enum DiskJob: Sendable {
  case open
  case write(DiskWrite)
  case forget(UInt64)
  case purge(DiskPurge)
  /// What is owed.
  case tend
  case close
  case tell(@Sendable () -> Void)
  /// What answers need that are written while they come.
  case begin(DiskSpool)
  case extend(DiskSpool)
  case finish(DiskSpool)
  case abandon(DiskSpool)
  /// A part of a segment that nothing is in, and nobody reads any more.
  case free(segment: UInt64, Range<Int>)

  /// Whether it takes something away.
  var isChange: Bool {
    switch self {
    case .forget, .purge: true
    default: false
    }
  }

  /// The answer that comes and fails with it.
  var spool: DiskSpool? {
    switch self {
    case .begin(let spool), .extend(let spool), .finish(let spool): spool
    default: nil
    }
  }
}

/// A change that came before the disk could be used.
enum EarlyChange: Sendable {
  case forget([UInt8])
  case purge(DiskPurge)
}

/// What all threads know of a disk.
struct DiskState: Sendable {
  struct Counts: Sendable {
    var written: UInt64 = 0
    var dropped: UInt64 = 0
    var evicted: UInt64 = 0
    var damaged: UInt64 = 0
    var failures: UInt64 = 0
  }

  var phase = DiskStore.Phase.opening
  var limit: Int
  var index = DiskIndex()
  var purges = DiskPurges()
  /// What words are made with, of this folder alone.
  var hash: KeyHash?
  /// What is added to the number of a purge in this process, so that those of earlier ones come before.
  var base: UInt64 = 0
  /// The last purge of this process.
  var lastPurge: UInt64 = 0
  /// Purges up to this one are no longer known: what is older is not written.
  var forgottenNumber: UInt64 = 0
  var queue: [DiskJob] = []
  /// What goes before that: nobody waits for answers to be written who wants something gone.
  var changes: [DiskJob] = []
  /// How many changes have been submitted that are not done.
  var openChangeCount = 0
  private var next = 0
  var queuedByteCount = 0
  /// The one that is being written.
  private var inHand: DiskWrite?
  /// How many answers wait or are being written for a word.
  private var queuedWords: [UInt64: Int] = [:]
  /// Answers that are written while they come, by their words.
  var spools: [UInt64: [DiskSpool]] = [:]
  var isWorking = false
  var early: [EarlyChange] = []
  /// Whether there were too many of them: then nothing of what is found is of use.
  var forgetsAll = false
  /// The lock of the folder.
  var lock: OpenFile?
  /// When opening is tried again.
  var retryAt: Int64 = 0
  /// Until when nothing is written, after a failure.
  var pausedUntil: Int64 = 0
  /// Whether writing has failed the last time.
  var isFailing = false
  /// Whether a change could not be written: before anything else, everything is purged.
  var owesPurge = false
  var counts = Counts()
  var news: [DiskNews] = []

  init(limit: Int) { self.limit = limit }

  /// The largest record.
  var objectLimit: Int { min(limit / 4, Int(StoredRecord.contentLimit)) }

  /// For how long nothing is written after a failure.
  private static let pauseNanoseconds: Int64 = 5_000_000_000

  /// Notes that something could not be written: nothing is for a while.
  mutating func noteFailure(_ error: SystemError) {
    counts.failures += 1
    pausedUntil = SystemClock.monotonicNanoseconds() + Self.pauseNanoseconds
    if !isFailing { tell(.failed("\(error)")) }
    isFailing = true
  }

  // MARK: Queue

  mutating func append(_ write: DiskWrite) {
    queuedByteCount += write.byteCount
    queuedWords[write.word, default: 0] += 1
    queue.append(.write(write))
  }

  mutating func takeJob() -> DiskJob? {
    if let inHand {
      queuedByteCount -= inHand.byteCount
      let count = queuedWords[inHand.word] ?? 1
      queuedWords[inHand.word] = count > 1 ? count - 1 : nil
    }
    inHand = nil
    if !changes.isEmpty { return changes.removeFirst() }
    guard next < queue.count else {
      queue = []
      next = 0
      return nil
    }
    let job = queue[next]
    next += 1
    if next >= 1024 {
      queue.removeFirst(next)
      next = 0
    }
    if case .write(let write) = job { inHand = write }
    return job
  }

  private var waiting: ArraySlice<DiskJob> { queue[next...] }

  func isQueued(_ word: UInt64, _ variant: UInt64) -> Bool {
    guard queuedWords[word] != nil else { return false }
    if let inHand, inHand.word == word, inHand.variant == variant { return true }
    return waiting.contains { job in
      guard case .write(let write) = job else { return false }
      return write.word == word && write.variant == variant && !write.isCancelled
    }
  }

  /// Sees to it that nothing with a word is found once it was written.
  private func cancel(_ word: UInt64) -> Bool {
    var isFound = false
    for spool in spools[word] ?? [] {
      spool.cancel()
      isFound = true
    }
    guard queuedWords[word] != nil else { return isFound }
    if let inHand, inHand.word == word {
      inHand.cancel()
      isFound = true
    }
    for case .write(let write) in waiting where write.word == word {
      write.cancel()
      isFound = true
    }
    return isFound
  }

  // MARK: Changes

  /// Forgets what is kept for a key.
  ///
  /// - Returns: Whether something is to be written.
  mutating func forget(_ key: Span<UInt8>) -> Bool {
    guard let hash else { return false }
    let word = hash.key(of: key)
    let isCancelled = cancel(word)
    let isRemoved = index.remove(word)
    guard isCancelled || isRemoved else { return false }
    guard changes.count < DiskStore.changeLimit else {
      owesPurge = true
      return false
    }
    changes.append(.forget(word))
    openChangeCount += 1
    return true
  }

  mutating func purge(_ purge: DiskPurge) {
    var purge = purge
    purge.number += base
    purges.add(purge)
    guard changes.count < DiskStore.changeLimit else {
      owesPurge = true
      return
    }
    changes.append(.purge(purge))
    openChangeCount += 1
  }

  /// Remembers a change until the disk can be used.
  mutating func remember(_ change: EarlyChange) {
    if early.count < 4096 { early.append(change) } else { forgetsAll = true }
  }

  // MARK: What is told

  mutating func tell(_ item: DiskNews) {
    if news.count < 64, news.last != item { news.append(item) }
  }

  var figures: DiskFigures {
    DiskFigures(
      phase: phase,
      objectCount: index.count,
      byteCount: index.byteCount,
      limit: limit,
      queuedByteCount: queuedByteCount,
      writtenCount: counts.written,
      droppedCount: counts.dropped,
      evictionCount: counts.evicted,
      damagedCount: counts.damaged,
      failureCount: counts.failures
    )
  }
}
