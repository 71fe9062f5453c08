public import HTTPCaching
import KeyedTables
import MartletBytes
import Synchronization

/// What keys look like.
public enum CacheKey {
  /// How many bytes say whose answers are meant; behind them stands the URL.
  public static let spaceCount = 8

  /// Where the URL is in a key: what else tells answers apart stands behind a line feed.
  static func url(in key: [UInt8]) -> Range<Int> {
    let start = min(spaceCount, key.count)
    return start..<(key[start...].firstIndex(of: 0x0A) ?? key.count)
  }

  /// Where the URL ends in a key.
  public static func urlEnd(in key: Span<UInt8>) -> Int {
    var end = min(spaceCount, key.count)
    while end < key.count, key[end] != 0x0A { end += 1 }
    return end
  }
}

/// How much a store may hold.
public struct CacheLimits: Hashable, Sendable {
  /// The bytes of all answers together, of those that come too.
  public var memoryBytes: Int
  /// The bytes of the body of one answer.
  public var objectBytes: Int
  /// The bytes of a key.
  public var keyBytes: Int
  /// How many answers are kept for one key, which differ in what they depend on.
  public var variantCount: Int

  /// Creates limits.
  public init(
    memoryBytes: Int,
    objectBytes: Int = 16 << 20,
    keyBytes: Int = 8 << 10,
    variantCount: Int = 32
  ) {
    self.memoryBytes = memoryBytes
    self.objectBytes = objectBytes
    self.keyBytes = keyBytes
    self.variantCount = variantCount
  }
}

/// What a store has for a request.
public enum CacheFinding: Sendable {
  /// This answer.
  case answer(CachedAnswer)
  /// What comes is not to be kept: there is no use in waiting for others.
  case pass
  /// Answers for other requests for the same.
  case otherVariants
  /// Nothing.
  case nothing
}

/// What is to be done when there was nothing.
public enum CacheStart: Sendable {
  /// Ask for it, and let others read what comes.
  case lead(Fill)
  /// Read what another one gets.
  case join(Fill)
  /// It has come meanwhile.
  case answer(CachedAnswer)
  /// Ask for it; nobody else will want to read it.
  case pass
}

/// What became of an answer that was to be kept.
public enum CacheKeeping: Hashable, Sendable {
  /// It is.
  case kept
  /// What would have had to go is asked for more often.
  case notAdmitted
  /// It is too large.
  case tooLarge
  /// It was not to be kept any more when it had come.
  case outdated
}

/// Answers in memory, for all loops.
///
/// May be used from any thread.
public final class CacheStore: Sendable {
  /// How much it may hold.
  public let limits: CacheLimits
  /// Who has the bytes.
  public let budget: CacheBudget
  /// What is kept on a disk; nil: nothing is.
  public let disk: DiskStore?
  private let purges: PurgeLog
  private let epochs = BodyEpochs()
  /// How far the look at everything is, after purges.
  private let sweeping = Mutex(Sweep())
  private let hash = KeyHash.random()
  let shards: [CacheShard]
  let evictions = Atomic<UInt64>(0)
  let refusals = Atomic<UInt64>(0)

  private static let shardCount = 32

  /// Creates an empty store, behind which there may be a disk.
  public init(_ limits: CacheLimits, disk: DiskStore? = nil) {
    self.limits = limits
    self.disk = disk
    purges = PurgeLog(behind: disk?.lastPurge ?? 0)
    budget = CacheBudget(limit: limits.memoryBytes)
    shards = (0..<Self.shardCount).map { _ in CacheShard(variantCount: limits.variantCount) }
  }

  /// What a key is found by.
  public func word(of key: Span<UInt8>) -> UInt64 { hash.key(of: key) }

  func shard(of word: UInt64) -> CacheShard {
    shards[Int(truncatingIfNeeded: word >> 59)]
  }

  // MARK: Finding

  /// What is kept for a key, of which `matching` says whether it is for the request.
  ///
  /// `matching` is called behind a lock: it is to do little. With `isCounted` the key counts as asked for once
  /// more.
  public func find(
    _ key: Span<UInt8>,
    _ word: UInt64,
    at now: Moment,
    isCounted: Bool = true,
    matching: (CachedAnswer) -> Bool
  ) -> CacheFinding {
    let (found, freed) = shard(of: word).state.withLock { state -> (CacheFinding, Int) in
      if isCounted { state.count(word) }
      guard let place = state.place(of: key, word) else { return (.nothing, 0) }
      var freed = 0
      let found = state.find(at: place, now, purges, freed: &freed, matching)
      return (found, freed)
    }
    if freed > 0 { budget.free(freed) }
    return found
  }

  /// Begins to receive an answer, unless one is received already, or has come.
  ///
  /// `known` says what the request is, for answers that depend on some fields; `joins` whether it may read what a
  /// fill receives whose head is there; `matching` whether an answer that is kept can be sent; `scope` which bytes
  /// are asked for; `quota` what bounds it besides the store.
  public func begin(
    _ key: Span<UInt8>,
    _ word: UInt64,
    at now: Moment,
    scope: PartScope = .whole,
    quota: CacheQuota? = nil,
    known: (VaryRule) -> [UInt8],
    joins: (Fill.Glimpse) -> Bool,
    matching: (CachedAnswer) -> Bool
  ) -> CacheStart {
    var freed = 0
    defer { budget.free(freed) }
    return shard(of: word).state.withLock { state in
      let place = state.makePlace(of: key, word)
      switch state.find(at: place, now, purges, freed: &freed, matching) {
      case .answer(let answer): return .answer(answer)
      case .pass: return .pass
      case .otherVariants, .nothing: break
      }
      // What answers depended on so far, those that come will too.
      let asked = state.vary(at: place).map { ($0, known($0)) }
      for fill in state.fills(at: place) {
        let beginning = fill.beginning
        if beginning.head == nil {
          guard fill.asked.map({ $0.variant }) == asked.map({ $0.1 }),
            fill.scope.contains(scope)
          else { continue }
        } else if beginning.isDeclined || !joins(beginning) {
          continue
        }
        return .join(fill)
      }
      let fill = Fill(
        key: Array(copying: key),
        word: word,
        asked: asked.map { Fill.Asked(vary: $0.0, variant: $0.1) },
        purgeNumber: purges.number,
        scope: scope,
        quota: quota
      )
      state.add(fill, at: place)
      return .lead(fill)
    }
  }

  // MARK: Receiving

  /// Notes what the answers of a fill's resource depend on.
  public func note(_ vary: VaryRule?, of fill: Fill) {
    shard(of: fill.word).state.withLock { state in
      guard let place = state.place(of: fill) else { return }
      state.note(vary, at: place)
    }
  }

  /// What is kept of the resource of a fill for one kind of requests.
  public func kept(beside fill: Fill, _ vary: VaryRule?, _ variant: [UInt8]) -> CachedAnswer? {
    shard(of: fill.word).state.withLock { state in
      state.place(of: fill).flatMap { state.answer(at: $0, vary, variant) }
    }
  }

  /// Whether a body of so many bytes may ever be kept: a disk that fails now may take it later.
  public func mayHold(_ count: Int) -> Bool {
    count <= limits.objectBytes || disk?.mayHold(count) == true
  }

  /// Lets a fill have `count` more bytes in memory; if that is not possible it cannot be kept.
  public func grow(_ fill: Fill, by count: Int) -> Bool {
    guard fill.budgetedByteCount + count <= limits.objectBytes else { return false }
    return fund(fill, by: count)
  }

  private func fund(_ fill: Fill, by count: Int) -> Bool {
    while true {
      switch budget.fill(count) {
      case .granted:
        fill.addBudgeted(count)
        return true
      case .refused: return false
      case .lacks(let bytes):
        var beaten = 0
        guard makeRoom(bytes, for: nil, near: fill.word, &beaten) == .kept else { return false }
      }
    }
  }

  /// Takes the bytes back that a fill was let have.
  public func shrink(_ fill: Fill) { budget.endFill(fill.takeBudgeted()) }

  /// Ends a fill without keeping anything; it may have been ended before.
  public func abandon(_ fill: Fill) {
    abandon(fill, offering: nil)
  }

  /// Ends a fill whose answer goes to the disk at most.
  private func abandon(_ fill: Fill, offering answer: CachedAnswer?) {
    budget.endFill(fill.takeBudgeted())
    shard(of: fill.word).state.withLock { state in
      guard let place = state.take(fill) else { return }
      state.tidy(place)
      offer(answer, of: fill)
    }
  }

  /// Has an answer that has come written to the disk.
  ///
  /// The shard is locked meanwhile, so that an invalidation comes before or after it.
  private func offer(_ answer: CachedAnswer?, of fill: Fill) {
    guard let disk, let answer else { return }
    disk.offer(fill.key, answer, number: fill.purgeNumber, again: false)
  }

  /// Ends a fill whose answer is not to be kept, and lets requests not wait for each other until `until`.
  public func pass(_ fill: Fill, until: Moment) {
    budget.endFill(fill.takeBudgeted())
    let count = ShardState.markBytes + fill.key.count
    var isGranted = false
    var beaten = 0
    switch budget.store(count, filled: 0) {
    case .granted: isGranted = true
    case .refused: break
    case .lacks(let bytes):
      isGranted =
        makeRoom(bytes, for: nil, near: fill.word, &beaten) == .kept
        && budget.store(count, filled: 0) == .granted
    }
    let freed = shard(of: fill.word).state.withLock { state -> Int? in
      guard let place = state.take(fill) else { return nil }
      defer { state.tidy(place) }
      var freed = state.makeWay(for: nil, at: place).bytes
      if isGranted {
        freed += state.insert(.pass(until: until), byteCount: count, at: place, seen: 0)
      }
      return freed
    }
    budget.free(freed ?? (isGranted ? count : 0))
  }

  /// Has requests for a key wait for each other again.
  public func endPass(_ key: Span<UInt8>) {
    let word = word(of: key)
    let freed = shard(of: word).state.withLock { state -> Int in
      guard let place = state.place(of: key, word) else { return 0 }
      defer { state.tidy(place) }
      return state.makeWay(for: nil, at: place).bytes
    }
    if freed > 0 { budget.free(freed) }
  }

  /// Keeps the answer of a fill, and ends that.
  ///
  /// Of parts that were put together `new` is the one that has come, which the disk lacks.
  @discardableResult
  public func keep(
    _ answer: CachedAnswer,
    of fill: Fill,
    new: CachedAnswer? = nil
  ) -> CacheKeeping {
    keep(answer, of: fill, offering: new ?? answer)
  }

  /// Keeps an answer that was read from the disk, if it deserves that, and ends the fill with it.
  ///
  /// If memory has no room for its body, what is needed to send it from the disk may be kept.
  public func restore(_ found: DiskFinding, of fill: Fill) {
    _ = keep(found.answer, of: fill, offering: nil, otherwise: found.onDisk)
    fill.end(.restored(found.answer))
  }

  /// Has the answer of a fill written to the disk while it comes, because it has no room in memory; `form` is all
  /// of it but the body, and `part` which part of the whole that is.
  ///
  /// The fill is ended here, when all of it is written, or that has failed.
  ///
  /// - Returns: False when there is no disk for it: nothing was begun.
  public func spool(
    _ fill: Fill,
    _ form: CachedAnswer,
    length: Int?,
    part: StoredRecord.Part? = nil
  ) -> Bool {
    guard let disk else { return false }
    let lack = Fill.spoolWindow - fill.budgetedByteCount
    guard lack <= 0 || fund(fill, by: lack) else { return false }
    let store = self
    return disk.spool(fill, form, length: length, part: part) { answer in
      if let answer {
        let other = store.kept(beside: fill, answer.vary, answer.variant)
        _ = store.keep(other?.joined(with: answer) ?? answer, of: fill, offering: nil)
      } else {
        store.abandon(fill)
      }
    }
  }

  private func keep(
    _ answer: CachedAnswer,
    of fill: Fill,
    offering offered: CachedAnswer?,
    otherwise: CachedAnswer? = nil
  ) -> CacheKeeping {
    let shard = shard(of: fill.word)
    // One that was kept is renewed without a contest.
    let way = shard.state.withLock { state -> (bytes: Int, isUpdate: Bool)? in
      guard let place = state.place(of: fill),
        state.fills(at: place).contains(where: { $0 === fill })
      else { return nil }
      return state.makeWay(for: answer, at: place)
    }
    guard let way else {
      abandon(fill)
      return .outdated
    }
    budget.free(way.bytes)
    let contestant = way.isUpdate ? nil : fill.word
    var beaten = 0
    let taken = take(answer.byteCount, of: fill, for: contestant, &beaten)
    guard taken == .kept else {
      if let otherwise { return keep(otherwise, of: fill, offering: offered) }
      abandon(fill, offering: offered)
      return taken
    }
    while true {
      switch budget.store(answer.byteCount, filled: fill.budgetedByteCount) {
      case .granted:
        _ = fill.takeBudgeted()
        return insert(answer, of: fill, in: shard, offering: offered)
      case .refused:
        fill.quota?.free(answer.byteCount)
        if let otherwise { return keep(otherwise, of: fill, offering: offered) }
        abandon(fill, offering: offered)
        return .tooLarge
      case .lacks(let bytes):
        let made = makeRoom(bytes, for: contestant, near: fill.word, &beaten)
        guard made == .kept else {
          fill.quota?.free(answer.byteCount)
          if let otherwise { return keep(otherwise, of: fill, offering: offered) }
          abandon(fill, offering: offered)
          return made
        }
      }
    }
  }

  /// Takes bytes of the quota that bounds a fill, if there is one, for which others of the same make room.
  private func take(
    _ count: Int,
    of fill: Fill,
    for word: UInt64?,
    _ beaten: inout Int
  ) -> CacheKeeping {
    guard let quota = fill.quota else { return .kept }
    guard count <= quota.limit else { return .tooLarge }
    while true {
      let lack = quota.take(count)
      guard lack > 0 else { return .kept }
      let made = makeRoom(lack, for: word, in: quota, near: fill.word, &beaten)
      guard made == .kept else { return made }
    }
  }

  private func insert(
    _ answer: CachedAnswer,
    of fill: Fill,
    in shard: CacheShard,
    offering offered: CachedAnswer?
  ) -> CacheKeeping {
    let freed = shard.state.withLock { state -> Int? in
      guard let place = state.take(fill) else { return nil }
      state.note(answer.vary, at: place)
      offer(offered, of: fill)
      return state.insert(
        .answer(answer),
        byteCount: answer.byteCount,
        at: place,
        seen: fill.purgeNumber,
        quota: fill.quota
      )
    }
    budget.free(freed ?? answer.byteCount)
    if freed == nil { fill.quota?.free(answer.byteCount) }
    return freed == nil ? .outdated : .kept
  }

  /// Puts an answer in the place of one that was kept, as after its validation, and ends the fill.
  public func replace(_ old: CachedAnswer, with new: CachedAnswer, of fill: Fill) {
    budget.endFill(fill.takeBudgeted())
    // It takes hardly more than the other one, whose bytes are freed behind it.
    var beaten = 0
    guard take(new.byteCount, of: fill, for: nil, &beaten) == .kept else { return abandon(fill) }
    granting: while true {
      switch budget.store(new.byteCount, filled: 0) {
      case .granted: break granting
      case .lacks(let bytes) where makeRoom(bytes, for: nil, near: fill.word, &beaten) == .kept:
        continue
      case .lacks, .refused:
        fill.quota?.free(new.byteCount)
        return abandon(fill)
      }
    }
    let freed = shard(of: fill.word).state.withLock { state -> Int? in
      guard let place = state.take(fill) else { return nil }
      defer { state.tidy(place) }
      let seen = fill.purgeNumber
      let quota = fill.quota
      if let freed = state.replace(old, with: new, at: place, seen: seen, quota: quota) {
        return freed
      }
      // It was on the disk, or had to make room meanwhile.
      let freed = state.makeWay(for: new, at: place).bytes
      let content = ShardState.Content.answer(new)
      return freed
        + state.insert(content, byteCount: new.byteCount, at: place, seen: seen, quota: quota)
    }
    budget.free(freed ?? new.byteCount)
    if freed == nil { fill.quota?.free(new.byteCount) }
  }

  /// Makes room, near a word first; with a `quota` by what takes of it.
  private func makeRoom(
    _ bytes: Int,
    for word: UInt64?,
    in quota: CacheQuota? = nil,
    near place: UInt64,
    _ beaten: inout Int
  ) -> CacheKeeping {
    let first = Int(truncatingIfNeeded: place >> 59)
    for step in 0..<shards.count {
      let shard = shards[(first + step) % shards.count]
      let room = shard.state.withLock { state in
        var sum = beaten
        let disk = disk.map { ($0, purges) }
        let room = state.makeRoom(bytes, for: word, in: quota, beaten: &sum, disk)
        return (room, sum)
      }
      beaten = room.1
      switch room.0 {
      case .freed(let count, let things):
        budget.free(count)
        evictions.add(UInt64(things), ordering: .relaxed)
        return .kept
      case .refused:
        refusals.add(1, ordering: .relaxed)
        return .notAdmitted
      case .empty: continue
      }
    }
    return .tooLarge
  }

  // MARK: Invalidation

  /// Forgets what is kept for a key, or with `softly` lets it be stale; what is being received is not kept.
  ///
  /// - Returns: How many answers that were.
  @discardableResult
  public func invalidate(_ key: Span<UInt8>, softly now: Moment? = nil) -> Int {
    let word = word(of: key)
    let gone = shard(of: word).state.withLock { state -> (bytes: Int, count: Int) in
      guard let place = state.place(of: key, word) else { return (0, 0) }
      defer { state.tidy(place) }
      if let now { return (0, state.expire(place, at: now)) }
      return state.clear(place)
    }
    budget.free(gone.bytes)
    disk?.forget(key)
    return gone.count
  }

  /// What belongs to the key of an answer that is kept by the body of a request: it changes when the answers for
  /// the URL of `key` do not hold any more.
  public func bodyEpoch(of key: Span<UInt8>) -> UInt64 { epochs.number(of: urlWord(of: key)) }

  /// Forgets what is kept for the URL of a key by the bodies of requests.
  public func invalidateBodies(of key: Span<UInt8>) { epochs.advance(urlWord(of: key)) }

  private func urlWord(of key: Span<UInt8>) -> UInt64 {
    word(of: key.extracting(first: CacheKey.urlEnd(in: key)))
  }

  // MARK: Purges

  private struct Sweep {
    /// The purges that all of it is looked at for; nil: it has not begun.
    var number: UInt64?
    var shard = 0
    var place = 0
  }

  /// Forgets what is meant, or with `softly` lets it be stale: nothing of it is found any more when this
  /// returns.
  ///
  /// - Complexity: O(1) in the answers; each is looked at when it is found, or by ``sweep()``.
  public func purge(_ target: PurgeTarget, softly now: Moment?) {
    var tag: UInt64 = 0
    if case .tag(let text) = target { tag = tagWord(of: text.span) }
    while !purges.add(target, tag: tag, softly: now) {
      // Too many are remembered: all answers are looked at now.
      let number = purges.number
      for shard in shards.indices {
        sweep(shard, from: 0, count: .max, number)
      }
      purges.forget(upTo: number)
    }
    disk?.purge(target, number: purges.number, softly: now)
  }

  /// What a tag of an answer is known by, in every process.
  public func tagWord(of tag: Span<UInt8>) -> UInt64 { DiskPurges.word(of: tag) }

  /// Looks at some answers for purges, so that what was purged gives its bytes back though nobody asks for it;
  /// called again and again.
  public func sweep() {
    guard !purges.isEmpty else { return }
    sweeping.withLock { sweeping in
      let number = sweeping.number ?? purges.number
      sweeping.number = number
      let next = sweep(sweeping.shard, from: sweeping.place, count: Self.sweptAtOnce, number)
      sweeping.place = next ?? 0
      if next == nil { sweeping.shard += 1 }
      guard sweeping.shard == shards.count else { return }
      purges.forget(upTo: number)
      sweeping = Sweep()
    }
  }

  private static let sweptAtOnce = 2048

  @discardableResult
  private func sweep(_ shard: Int, from start: Int, count: Int, _ number: UInt64) -> Int? {
    let (next, freed) = shards[shard].state.withLock { state in
      state.sweep(from: start, count: count, purges, number)
    }
    budget.free(freed)
    return next
  }
}
