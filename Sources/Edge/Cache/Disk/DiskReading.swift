import HTTPCaching
import KeyedTables
import MartletBytes
public import MartletLoop
import MartletSystem
import Synchronization

/// What the words of keys are made with, for one folder.
struct DiskSecret: Sendable {
  private let low: UInt64
  private let high: UInt64
  private static let magic: UInt64 = 0x3130_544B_5345_4344

  init() {
    var random = SystemRandomNumberGenerator()
    low = random.next()
    high = random.next()
  }

  init?(_ bytes: [UInt8]) {
    guard bytes.count == 32, bytes.word(at: 0) == Self.magic, let low = bytes.word(at: 8),
      let high = bytes.word(at: 16),
      bytes.word(at: 24) == XXH64.sum(of: bytes.span.extracting(0..<24))
    else { return nil }
    self.low = low
    self.high = high
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    for word in [Self.magic, low, high] { bytes.append(word: word) }
    bytes.append(word: XXH64.sum(of: bytes.span))
    return bytes
  }

  var hash: KeyHash { KeyHash(low: low, high: high) }
}

extension DiskState {
  /// Puts what was found in force, and what has come meanwhile.
  mutating func begin(_ found: DiskRecovery, _ secret: DiskSecret, _ lock: OpenFile) {
    phase = .open
    self.lock = lock
    hash = secret.hash
    index = found.index
    purges = found.purges
    base = found.lastNumber
    forgottenNumber = 0
    counts.damaged += UInt64(found.damagedCount)
    let changes = early
    early = []
    forgetsAll = false
    for change in changes {
      switch change {
      case .forget(let key): _ = forget(key.span)
      case .purge(let purge): self.purge(purge)
      }
    }
  }
}

/// Reading.
extension DiskStore {
  enum Reading: Sendable {
    case answer(DiskFinding)
    /// It is for another key.
    case other
    /// It was purged.
    case gone
    /// It is not what was written.
    case damaged
    case failed(SystemError)
  }

  /// How long a disk may take.
  static let timeLimit = Timeout(.seconds(5))

  /// The answer at a place, if that is for this key and was not purged: every byte as it was written.
  ///
  /// A body of more than `limit` bytes stays on the disk, and is looked at before it is sent.
  public func load(
    _ place: DiskPlace,
    key: [UInt8],
    upTo limit: Int = .max,
    on loop: EventLoop
  ) async -> DiskFinding? {
    let store = self
    do throws(BlockingPool.Refusal) {
      return try await threads.run(on: loop, by: loop.deadline(after: Self.timeLimit)) {
        store.load(place, key: key, upTo: limit)
      }
    } catch {
      return nil
    }
  }

  /// The same for a thread that may wait for the disk.
  public func load(_ place: DiskPlace, key: [UInt8], upTo limit: Int = .max) -> DiskFinding? {
    switch read(place, key, upTo: limit) {
    case .answer(let answer):
      noteHit()
      return answer
    case .other: break
    case .gone: state.withLock { $0.index.remove(place) }
    case .damaged: noteDamage(at: place)
    case .failed(let error): noteFailure(error, at: place)
    }
    return nil
  }

  /// The key of the answer at a place; nil: it cannot be read.
  func key(at place: DiskPlace) -> [UInt8]? {
    guard let file = place.file.open else { return nil }
    do throws(SystemError) {
      let size = min(place.length, Self.keyBytes)
      let first = try file.descriptor.read(upTo: size, at: Int(clamping: place.offset))
      return StoredRecord.key(first)
    } catch {
      return nil
    }
  }

  /// As long as most heads are.
  private static let headBytes = 8 << 10

  /// Enough for the longest key and what stands before it.
  private static let keyBytes = 72 << 10

  func read(_ place: DiskPlace, _ key: [UInt8], upTo limit: Int) -> Reading {
    guard let file = place.file.open else { return .gone }
    do throws(SystemError) {
      let start = Int(clamping: place.offset)
      // Where the body stays, its head is enough.
      let least = limit > 0 ? StoredRecord.blockBytes : Self.headBytes
      let first = try file.descriptor.read(upTo: min(place.length, least), at: start)
      guard let count = StoredRecord.headCount(first.span), count <= place.length else {
        return .damaged
      }
      let head =
        count <= first.count
        ? Array(first[..<count]) : try file.descriptor.read(upTo: count, at: start)
      guard let record = StoredRecord(encoded: head, at: place.seal),
        UInt64(place.length - count) == record.contentCount
      else { return .damaged }
      guard record.key == key else { return .other }
      let verdict = state.withLock {
        let url = key.span.extracting(CacheKey.url(in: key))
        return $0.purges.judge(url, record.tags, since: record.number)
      }
      var terms = record.terms
      switch verdict {
      case .kept: break
      case .gone: return .gone
      case .stale(let moment): terms = terms.expired(at: moment)
      }
      let length = Int(record.contentCount)
      func body(isGood: Bool) -> CachedBody {
        CachedBody(
          disk: DiskBody(
            place,
            start: start + count,
            sums: record.blocks,
            count: length,
            isGood: isGood,
            of: self
          )
        )
      }
      if let part = record.part {
        let parts = CachedParts(part, body(isGood: false))
        return .answer(DiskFinding(answer: CachedAnswer(record, terms, CachedBody([]), parts)))
      }
      if length > limit {
        return .answer(DiskFinding(answer: CachedAnswer(record, terms, body(isGood: false))))
      }
      var pieces: [[UInt8]] = []
      pieces.reserveCapacity(record.blocks.count)
      var offset = count
      for sum in record.blocks {
        let size = min(place.length - offset, StoredRecord.blockBytes)
        let piece =
          offset + size <= first.count
          ? Array(first[offset..<offset + size])
          : try file.descriptor.read(upTo: size, at: start + offset)
        guard piece.count == size, StoredRecord.sum(of: piece.span) == sum else { return .damaged }
        pieces.append(piece)
        offset += size
      }
      let answer = CachedAnswer(record, terms, CachedBody(pieces: pieces, count: length))
      guard length >= DiskFinding.leastBytes else { return .answer(DiskFinding(answer: answer)) }
      let lasting = CachedAnswer(record, terms, body(isGood: true))
      return .answer(DiskFinding(answer: answer, onDisk: lasting))
    } catch {
      return .failed(error)
    }
  }
}

/// An answer that was read from a disk.
public struct DiskFinding: Sendable {
  /// How long a body is that is sent from the disk if memory has no room for it: a shorter one takes as much as what
  /// is needed to find it.
  static let leastBytes = 16 << 10

  /// The answer.
  public var answer: CachedAnswer
  /// The same with a body that stays on the disk; nil: it does so anyway, or is too short for that.
  var onDisk: CachedAnswer?

  /// Creates what was found.
  public init(answer: CachedAnswer, onDisk: CachedAnswer? = nil) {
    self.answer = answer
    self.onDisk = onDisk
  }
}

extension CachedAnswer {
  /// What was read from a disk.
  convenience init(
    _ record: StoredRecord,
    _ terms: StoredTerms,
    _ body: CachedBody,
    _ parts: CachedParts? = nil
  ) {
    self.init(
      terms: terms,
      head: AnswerHead(
        status: terms.status,
        statusLine: record.statusLine,
        lines: record.lines,
        length: parts?.length ?? body.count,
        tag: record.tag,
        lastModified: record.lastModified
      ),
      body: body,
      vary: record.vary,
      variant: record.variant,
      tags: record.tags,
      keyCount: record.key.count,
      parts: parts
    )
  }
}

extension DiskStore {
  /// An answer of which a part was read, with the parts at further places that belong to it.
  public func gather(
    _ newest: CachedAnswer,
    _ places: [DiskPlace],
    key: [UInt8],
    on loop: EventLoop
  ) async -> CachedAnswer {
    let store = self
    do throws(BlockingPool.Refusal) {
      return try await threads.run(on: loop, by: loop.deadline(after: Self.timeLimit)) {
        store.gather(newest, places, key: key)
      }
    } catch {
      return newest
    }
  }

  /// The same for a thread that may wait for the disk.
  public func gather(
    _ newest: CachedAnswer,
    _ places: [DiskPlace],
    key: [UInt8]
  ) -> CachedAnswer {
    var all = newest
    for place in places {
      switch read(place, key, upTo: 0) {
      case .answer(let older): all = older.answer.joined(with: all) ?? all
      case .damaged: noteDamage(at: place)
      case .failed(let error): noteFailure(error, at: place)
      case .gone, .other: break
      }
    }
    return all.with(terms: all.terms, parts: all.parts?.ofDisk())
  }
}
