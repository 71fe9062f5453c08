public import HTTPCaching
import KeyedTables
import MartletBytes
public import MartletLoop
import MartletSystem
import Synchronization

/// Answers on a disk, behind those in memory.
///
/// Everything that is kept is written here as well, one behind the other into files of some megabytes, the
/// segments; the oldest of them makes room. Nothing here waits for the disk but `load`: what is written waits in
/// a queue of limited size, and one thread of a pool works on it.
///
/// What goes wrong with the disk is told by ``takeNews()``, and otherwise as if nothing were kept there.
///
/// May be used from any thread.
public final class DiskStore: Sendable {
  /// How far it is.
  public enum Phase: String, Sendable {
    /// It is being read.
    case opening
    /// Another process has it.
    case waiting
    /// It can be used.
    case open
    /// It cannot be used; that is tried again.
    case failed
    /// It was left to another process.
    case closed
  }

  /// The folder that it is in.
  public let path: String
  let threads: BlockingPool
  let state: Mutex<DiskState>
  /// How many answers were read, or sent from there.
  let hits = Atomic<UInt64>(0)
  /// What the one who writes knows.
  let writer = Mutex(DiskWriter())

  /// Threads for the disks of all stores; nil: none are to be had.
  public static let threads: BlockingPool? = {
    do throws(SystemError) {
      return try BlockingPool(threadLimit: 8, queueLimit: 4096)
    } catch {
      return nil
    }
  }()

  /// How many bytes wait at most to be written.
  static let queueBytes = 64 << 20
  /// How many changes wait at most to be written.
  static let changeLimit = 1 << 14

  /// Names a folder and how many bytes there may be in it, and begins to open it.
  public init(path: String, limit: Int, threads: BlockingPool) {
    self.path = path
    self.threads = threads
    state = Mutex(DiskState(limit: limit))
    submit(.open)
  }

  // MARK: What is there

  /// Where answers for a key may be, the newest first.
  public func places(of key: Span<UInt8>) -> [DiskPlace] {
    state.withLock { state in
      guard state.phase == .open, state.index.count > 0, let hash = state.hash else { return [] }
      return state.index.places(of: hash.key(of: key))
    }
  }

  /// What the places of a variant are known by; 0: it cannot be told.
  public func variantWord(_ vary: VaryRule?, _ variant: [UInt8]) -> UInt64 {
    guard let hash = state.withLock({ $0.hash }) else { return 0 }
    return Self.variantWord(vary, variant, hash)
  }

  static func variantWord(_ vary: VaryRule?, _ variant: [UInt8], _ hash: KeyHash) -> UInt64 {
    var bytes = vary?.encoded ?? []
    bytes.append(0)
    bytes += variant
    return hash.key(of: bytes.span)
  }

  /// What a part of a variant is known by, which begins at a byte of the whole.
  static func partWord(_ variant: UInt64, _ start: UInt64) -> UInt64 {
    let word = (variant ^ (start &+ 1) &* 0x9E37_79B9_7F4A_7C15) &* 0xD6E8_FEB8_6659_FD93
    // 0 stands for all variants.
    return word == 0 ? 1 : word
  }

  // MARK: Changes

  /// Has an answer written, unless too much waits already.
  ///
  /// `number` is the last purge that it need not be looked at for. With `again` it was written before, and is only
  /// if it is no longer there.
  func offer(_ key: [UInt8], _ answer: CachedAnswer, number: UInt64, again: Bool) {
    let isSubmitted = state.withLock { state -> Bool in
      guard state.phase == .open, let hash = state.hash else { return false }
      guard let written = answer.written else { return false }
      let word = hash.key(of: key.span)
      var variant = Self.variantWord(answer.vary, answer.variant, hash)
      if let part = written.part { variant = Self.partWord(variant, part.start) }
      if again, state.index.contains(word, variant: variant) || state.isQueued(word, variant) {
        return false
      }
      let size = DiskWrite.bytes(of: answer, written.body, key)
      let isTaken =
        size <= state.objectLimit && state.queuedByteCount + size <= Self.queueBytes
        && SystemClock.monotonicNanoseconds() >= state.pausedUntil
        && state.base + number >= state.forgottenNumber
      guard isTaken else {
        state.counts.dropped += 1
        // What is there is older than what is known.
        if !again { state.index.remove(word, variant: variant) }
        return false
      }
      state.append(
        DiskWrite(
          key,
          word,
          variant,
          answer,
          written,
          number: state.base + number,
          byteCount: size
        )
      )
      return true
    }
    if isSubmitted { work() }
  }

  /// Forgets what is kept for a key.
  func forget(_ key: Span<UInt8>) {
    let isSubmitted = state.withLock { state -> Bool in
      switch state.phase {
      case .closed: return false
      case .opening, .waiting, .failed:
        state.remember(.forget([UInt8](copying: key)))
        return false
      case .open: return state.forget(key)
      }
    }
    if isSubmitted { work() }
  }

  /// Forgets what is meant, or lets it be stale; `number` is that of the purge.
  func purge(_ target: PurgeTarget, number: UInt64, softly: Moment?) {
    let isSubmitted = state.withLock { state -> Bool in
      state.lastPurge = max(state.lastPurge, number)
      let purge = DiskPurge(target, number: number, softly: softly)
      switch state.phase {
      case .closed: return false
      case .opening, .waiting, .failed:
        state.remember(.purge(purge))
        return false
      case .open:
        state.purge(purge)
        return true
      }
    }
    if isSubmitted { work() }
  }

  /// The number of the last purge.
  var lastPurge: UInt64 { state.withLock { $0.lastPurge } }

  /// Calls `body` when everything that was submitted before is done, on some thread.
  public func whenSettled(_ body: @escaping @Sendable () -> Void) {
    state.withLock { $0.queue.append(.tell(body)) }
    work()
  }

  /// Whether something was taken away that does not outlive this process yet.
  public var isChanging: Bool {
    state.withLock { $0.openChangeCount > 0 || $0.phase == .opening && !$0.early.isEmpty }
  }

  /// Waits until all changes so far outlive this process, or cannot.
  ///
  /// - Returns: Whether they do.
  public func settle(on loop: EventLoop) async -> Bool {
    guard let signal = Signal(on: loop) else { return false }
    let token = signal.token
    let deadline = loop.deadline(after: Timeout(.seconds(5)))
    do throws(WaitError) {
      if state.withLock({ $0.phase == .opening }) {
        // What has come so far is noted behind that.
        whenSettled { loop.wake(token) }
        try await signal.wait(by: deadline)
      }
      guard state.withLock({ $0.phase == .open }) else { return false }
      state.withLock { $0.changes.append(.tell { loop.wake(token) }) }
      work()
      try await signal.wait(by: deadline)
    } catch {
      return false
    }
    return state.withLock { !$0.owesPurge }
  }

  /// Lets the store have another size.
  public func setLimit(_ limit: Int) {
    state.withLock { $0.limit = limit }
    submit(.tend)
  }

  /// Does what is due: tries again what has failed; called again and again.
  public func tend() {
    let job = state.withLock { state -> DiskJob? in
      let now = SystemClock.monotonicNanoseconds()
      switch state.phase {
      case .waiting, .failed:
        guard now >= state.retryAt else { return nil }
        state.retryAt = .max
        return .open
      case .open:
        guard state.owesPurge, now >= state.pausedUntil, state.queue.isEmpty else { return nil }
        return .tend
      case .opening, .closed: return nil
      }
    }
    if let job { submit(job) }
  }

  /// Has what waits written, and leaves the folder to another process then.
  public func close() { submit(.close) }

  /// Writes what waits, and leaves the folder to another process; what is read meanwhile may be read on.
  ///
  /// - Returns: Whether all was written in the time of a second.
  public func close(on loop: EventLoop) async -> Bool {
    close()
    guard let signal = Signal(on: loop) else { return false }
    let token = signal.token
    whenSettled { loop.wake(token) }
    do throws(WaitError) {
      try await signal.wait(by: loop.deadline(after: Timeout(.seconds(1))))
    } catch {
      return false
    }
    return true
  }

  // MARK: Work

  func submit(_ job: DiskJob) {
    state.withLock { $0.queue.append(job) }
    work()
  }

  /// Has a thread work on the queue, unless one does.
  func work() {
    let starts = state.withLock { state in
      guard !state.isWorking else { return false }
      state.isWorking = true
      return true
    }
    guard starts else { return }
    do throws(BlockingPool.Refusal) {
      try threads.submit { self.workThrough() }
    } catch {
      // The next one who comes tries again.
      state.withLock { $0.isWorking = false }
    }
  }

  private func workThrough() {
    writer.withLock { writer in
      while let job = next() { perform(job, &writer) }
    }
  }

  private func next() -> DiskJob? {
    state.withLock { state in
      guard let job = state.takeJob() else {
        state.isWorking = false
        return nil
      }
      return job
    }
  }

  // MARK: What is told

  /// What there is to tell since the last time.
  public func takeNews() -> [DiskNews] {
    state.withLock { state in
      defer { state.news = [] }
      return state.news
    }
  }

  /// Its figures.
  public var figures: DiskFigures {
    var figures = state.withLock { $0.figures }
    figures.hitCount = hits.load(ordering: .relaxed)
    return figures
  }
}
