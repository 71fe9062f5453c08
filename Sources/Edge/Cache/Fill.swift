public import HTTPCaching
import MartletBytes
public import MartletLoop
import Synchronization

/// Who is to be woken when more has come of an answer.
public struct FillWaiter: Sendable {
  let loop: EventLoop
  let token: WakeToken

  /// Creates the waiter of a signal of `loop`.
  public init(_ signal: Signal, on loop: EventLoop) {
    self.loop = loop
    token = signal.token
  }

  func wake() { loop.wake(token) }
}

/// A part of a body that is being received, and what is there of the others.
public struct FillPart: Sendable {
  /// Where it is in the whole.
  public let range: Range<Int>
  /// The other parts; nil: none is there.
  public let others: CachedParts?

  /// Creates a part.
  public init(_ range: Range<Int>, others: CachedParts?) {
    self.range = range
    self.others = others
  }

  /// Whether all of these bytes are there, or will be.
  public func covers(_ wanted: Range<Int>) -> Bool {
    let missing =
      others.map { $0.span(missingOf: wanted) } ?? Int64(
        wanted.lowerBound
      )..<Int64(wanted.upperBound)
    guard let missing, !missing.isEmpty else { return true }
    return Int64(range.lowerBound) <= missing.lowerBound
      && missing.upperBound <= Int64(range.upperBound)
  }
}

/// An answer that is being received: one writes, any number read what has come so far, on any loop.
///
/// As long as everything is kept nobody waits for a reader. Once it slides, what every reader has had is
/// dropped, and the writer waits for the slowest of them, so that only a window is in memory.
public final class Fill: Sendable {
  /// How it ended.
  public enum Ending: Sendable {
    /// All of it has come.
    case complete
    /// This one is to be sent in its place: the one that was kept is good, or has to do.
    case replaced(CachedAnswer, isStale: Bool)
    /// This one was read from the disk.
    case restored(CachedAnswer)
    /// It failed, or was cut off.
    case failed(any Error)
  }

  /// What a reader sees at a moment.
  public struct Glimpse: Sendable {
    /// The head, once it is there.
    public var head: AnswerHead?
    /// What decides whether the answer may be sent to others; nil: it is for who has asked alone.
    public var terms: StoredTerms?
    /// Which fields of a request it depends on, and what they are for this one.
    public var vary: VaryRule?
    /// See ``vary``.
    public var variant: [UInt8] = []
    /// A piece with the next bytes, which begin at ``start``; empty: there are none yet.
    public var piece: [UInt8] = []
    /// See ``piece``.
    public var start = 0
    /// Where the next bytes are, up to ``writtenCount``, if they are no longer in memory.
    public var disk: DiskBody?
    /// See ``disk``.
    public var writtenCount = 0
    /// How many bytes have come.
    public var count = 0
    /// How it ended, if it did.
    public var ending: Ending?
    /// Whether it is for who leads it alone.
    public var isDeclined = false
    /// Which part of the body it is; nil: all of it.
    public var part: FillPart?
    /// Whether it goes to the disk while it comes.
    public var isSpooled = false
  }

  fileprivate struct State {
    var head: AnswerHead?
    var terms: StoredTerms?
    var vary: VaryRule?
    var variant: [UInt8] = []
    var pieces: [[UInt8]] = []
    /// How many bytes were dropped in front of the first piece.
    var dropped = 0
    var count = 0
    var ending: Ending?
    var isDeclined = false
    var part: FillPart?
    var slides = false
    var waiters: [FillWaiter] = []
    /// Where each reader is.
    var readers: [Int: Int] = [:]
    var lastReader = 0
    var writer: FillWaiter?
    /// Who writes it to the disk while it comes.
    var spool: DiskSpool?
    /// Where that is, and how much of it.
    var disk: DiskBody?
    var writtenCount = 0
    /// Whether a thread writes, or is about to.
    var isDraining = false
    /// Whether what was written is kept though the rest did not come.
    var isCut = false
  }

  /// The word and the key that it is found by.
  public let word: UInt64
  /// See ``word``.
  public let key: [UInt8]
  fileprivate let state = Mutex(State())
  /// The bytes that a budget has given it.
  private let budgeted = Atomic<Int>(0)

  /// How many bytes are in memory at most once it slides.
  public static let window = 256 << 10
  /// How many bytes are in memory at most that are not on the disk yet, where it goes there.
  static let spoolWindow = 512 << 10

  /// What a request was, for answers that depend on these fields.
  public struct Asked: Sendable {
    let vary: VaryRule
    let variant: [UInt8]
  }

  /// What is known of the request that leads; nil: no answer was known that depends on anything.
  let asked: Asked?
  /// The last purge before it began.
  let purgeNumber: UInt64
  /// Which bytes are asked for.
  public let scope: PartScope
  /// What bounds it besides the store.
  let quota: CacheQuota?

  init(
    key: [UInt8],
    word: UInt64,
    asked: Asked?,
    purgeNumber: UInt64,
    scope: PartScope = .whole,
    quota: CacheQuota? = nil
  ) {
    self.quota = quota
    self.purgeNumber = purgeNumber
    self.scope = scope
    self.key = key
    self.word = word
    self.asked = asked
  }

  // MARK: Writing

  /// Shows the head to the readers; without `terms` all but the leader go their own way.
  public func begin(
    _ head: AnswerHead,
    terms: StoredTerms?,
    vary: VaryRule? = nil,
    variant: [UInt8] = [],
    part: FillPart? = nil
  ) {
    change { state in
      state.head = head
      state.part = part
      state.terms = terms
      state.vary = vary
      state.variant = variant
      state.isDeclined = terms == nil
      if terms == nil { state.slides = true }
    }
  }

  /// Drops from now on what all readers have had, and lets the writer wait for them.
  public func slide() { change { $0.slides = true } }

  /// Appends what has come.
  ///
  /// - Returns: How many bytes were taken: fewer only where it slides, and `writer` is woken then when there
  ///   is room; nil: nobody wants any.
  public func append(_ bytes: Span<UInt8>, writer: FillWaiter?) -> Int? {
    var taken: Int? = bytes.count
    var spool: DiskSpool?
    change { state in
      var limit = bytes.count
      if state.slides {
        guard !state.readers.isEmpty else {
          taken = nil
          return
        }
        limit = min(limit, max(0, Self.window - (state.count - state.dropped)))
      } else if state.spool != nil {
        limit = min(limit, max(0, Self.spoolWindow - (state.count - state.dropped)))
      }
      if limit < bytes.count { state.writer = writer }
      state.append(bytes.extracting(first: limit))
      taken = limit
      spool = state.spoolToDrain()
    }
    spool?.drain()
    return taken
  }

  /// Ends it; what was said first counts.
  public func end(_ ending: Ending) {
    var spool: DiskSpool?
    change { state in
      guard state.ending == nil else { return }
      state.ending = ending
      spool = state.spoolToDrain()
    }
    spool?.drain()
  }

  /// All that has come, as a body.
  ///
  /// The last piece is stripped of the room that it does not need.
  public func body() -> CachedBody {
    var (pieces, count) = state.withLock { ($0.pieces, $0.count) }
    if let last = pieces.popLast() {
      pieces.append(last.capacity > last.count + last.count / 8 + 64 ? exact(last) : last)
    }
    return CachedBody(pieces: pieces, count: count)
  }

  private func exact(_ bytes: [UInt8]) -> [UInt8] {
    var copy: [UInt8] = []
    copy.reserveCapacity(bytes.count)
    copy.append(copying: bytes.span)
    return copy
  }

  // MARK: The budget

  /// The bytes that a budget has given it.
  var budgetedByteCount: Int { budgeted.load(ordering: .relaxed) }

  func addBudgeted(_ count: Int) { budgeted.add(count, ordering: .relaxed) }

  func takeBudgeted() -> Int { budgeted.exchange(0, ordering: .relaxed) }

  // MARK: Reading

  /// Begins to read; what is returned names the reader.
  public func attach() -> Int {
    state.withLock { state in
      state.lastReader += 1
      state.readers[state.lastReader] = 0
      return state.lastReader
    }
  }

  /// Ends to read.
  public func detach(_ reader: Int) {
    let writer = state.withLock { state -> FillWaiter? in
      state.readers[reader] = nil
      guard state.slides, state.drop() || state.readers.isEmpty else { return nil }
      return state.writer.take()
    }
    writer?.wake()
  }

  /// What there is behind the first `offset` bytes, which the reader has had.
  ///
  /// - Returns: nil when there is nothing new for who has had `offset` bytes, and the head if `hasHead`:
  ///   `waiter` is woken when there is.
  public func look(
    _ reader: Int,
    from offset: Int,
    hasHead: Bool,
    waiter: FillWaiter
  ) -> Glimpse? {
    var glimpse: Glimpse?
    var writer: FillWaiter?
    state.withLock { state in
      state.readers[reader] = offset
      if state.slides, state.drop() {
        writer = state.writer
        state.writer = nil
      }
      let isNew =
        state.count > offset || state.ending != nil || !hasHead && state.head != nil
      guard isNew else {
        state.waiters.append(waiter)
        return
      }
      glimpse = state.glimpse(from: offset)
    }
    writer?.wake()
    return glimpse
  }

  /// Whether more than `offset` bytes have come, or the end.
  public func hasMore(behind offset: Int) -> Bool {
    state.withLock { $0.count > offset || $0.ending != nil }
  }

  /// The head and what belongs to it, if it is there.
  public var beginning: Glimpse { state.withLock { $0.glimpse(from: .max) } }

  fileprivate func change(_ change: (inout State) -> Void) {
    let waiters = state.withLock { state in
      change(&state)
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.wake() }
  }
}

extension Fill {
  /// What a reader wants is no longer there.
  struct Gone: Error {}

  /// What there is to be written to a disk.
  enum Unwritten {
    /// These pieces, of which the first one begins at an offset.
    case pieces([[UInt8]], offset: Int)
    /// All is written, and nothing more comes.
    case end
    /// It came to nothing.
    case failed
    /// Nothing for now: whoever brings more tells.
    case nothing
  }

  /// Has what comes written, and what is there.
  func spool(to spool: DiskSpool) {
    state.withLock { state in
      state.spool = spool
      // Until it has a place.
      state.isDraining = true
    }
  }

  /// Names where it is written.
  func beginWriting(to body: DiskBody) { state.withLock { $0.disk = body } }

  /// What is to be written next.
  func takeUnwritten() -> Unwritten {
    state.withLock { state in
      guard !state.slides else { return .failed }
      var isComplete = false
      switch state.ending {
      case .complete?: isComplete = true
      case nil: break
      default:
        guard state.isCut else { return .failed }
        isComplete = true
      }
      var pieces = state.pieces
      if !isComplete, let last = pieces.last, last.count < CachedBody.pieceBytes {
        pieces.removeLast()
      }
      if !pieces.isEmpty { return .pieces(pieces, offset: state.dropped) }
      if isComplete { return .end }
      state.isDraining = false
      return .nothing
    }
  }

  /// Has what has come kept, though the rest does not: called before the end.
  public func cut() { state.withLock { $0.isCut = true } }

  var isCut: Bool { state.withLock { $0.isCut } }

  /// Notes that so many bytes more are written: they need not be in memory.
  func didWrite(_ count: Int) {
    let writer = state.withLock { state -> FillWaiter? in
      state.writtenCount += count
      let end = state.dropped + count
      while let first = state.pieces.first, state.dropped + first.count <= end {
        state.dropped += first.count
        state.pieces.removeFirst()
      }
      return state.writer.take()
    }
    writer?.wake()
  }

  /// Notes that nothing more is written: unless all of it was, what comes is in memory until all who read have it.
  func endWriting(isWhole: Bool) {
    var writer: FillWaiter?
    change { state in
      state.spool = nil
      state.isDraining = false
      guard !isWhole else { return }
      state.slides = true
      writer = state.writer.take()
    }
    writer?.wake()
  }
}

extension Fill.State {
  /// Who is to write now, if nobody does: there is a block, or the end.
  mutating func spoolToDrain() -> DiskSpool? {
    guard let spool, !isDraining, ending != nil || count - dropped >= CachedBody.pieceBytes
    else { return nil }
    isDraining = true
    return spool
  }

  mutating func append(_ bytes: Span<UInt8>) {
    var offset = 0
    while offset < bytes.count {
      let room = pieces.last.map { CachedBody.pieceBytes - $0.count } ?? 0
      if room == 0 {
        var piece: [UInt8] = []
        let rest = (head?.length).map { max($0 - count, 0) } ?? CachedBody.pieceBytes
        piece.reserveCapacity(min(rest, CachedBody.pieceBytes))
        pieces.append(piece)
        continue
      }
      let part = min(room, bytes.count - offset)
      pieces[pieces.count - 1].append(copying: bytes.extracting(offset..<offset + part))
      offset += part
      count += part
    }
  }

  /// Drops what all readers have had.
  ///
  /// - Returns: Whether there is room for a writer.
  @discardableResult mutating func drop() -> Bool {
    guard slides else { return false }
    let least = readers.values.min() ?? count
    while let first = pieces.first, dropped + first.count <= least,
      pieces.count > 1 || first.count == CachedBody.pieceBytes
    {
      dropped += first.count
      pieces.removeFirst()
    }
    return count - dropped < Fill.window
  }

  func glimpse(from offset: Int) -> Fill.Glimpse {
    var glimpse = Fill.Glimpse(head: head, terms: terms, vary: vary, variant: variant)
    glimpse.count = count
    glimpse.ending = ending
    glimpse.isDeclined = isDeclined
    glimpse.part = part
    glimpse.isSpooled = spool != nil
    if offset < writtenCount, let disk {
      glimpse.disk = disk
      glimpse.writtenCount = writtenCount
    } else if offset < dropped {
      // It began to slide before this reader was there.
      glimpse.ending = .failed(Fill.Gone())
    } else if offset < count {
      let place = offset - dropped
      glimpse.piece = pieces[place / CachedBody.pieceBytes]
      glimpse.start = place % CachedBody.pieceBytes
    }
    return glimpse
  }
}
