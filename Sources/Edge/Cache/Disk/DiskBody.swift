import HTTPCaching
public import MartletLoop
public import MartletSystem
import Synchronization

/// The file of a segment, until the segment makes room.
///
/// Who sends of it meanwhile holds the file itself, so that it stays as long as that takes, and no longer.
final class DiskFile: Sendable {
  private let file: Mutex<OpenFile?>
  private let gone = Atomic<Bool>(false)

  init(_ file: OpenFile) { self.file = Mutex(file) }

  /// The file; nil: it makes room.
  var open: OpenFile? { isGone ? nil : file.withLock { $0 } }

  var isGone: Bool { gone.load(ordering: .acquiring) }

  func close() {
    gone.store(true, ordering: .releasing)
    file.withLock { $0 = nil }
  }
}

/// Room that was set aside for an answer that comes; unless it is kept, it is given back when nobody reads there any
/// more.
final class DiskRoom: Sendable {
  private let range: Range<Int>
  private let segment: UInt64
  fileprivate let disk: DiskStore
  private let isKept = Atomic<Bool>(false)

  init(_ range: Range<Int>, in segment: UInt64, of disk: DiskStore) {
    self.range = range
    self.segment = segment
    self.disk = disk
  }

  func keep() { isKept.store(true, ordering: .releasing) }

  deinit {
    guard !isKept.load(ordering: .acquiring) else { return }
    let (disk, segment, range) = (disk, segment, range)
    // Whoever lets go may hold a lock. Without a thread it is taken until its segment makes room.
    do throws(BlockingPool.Refusal) {
      try disk.threads.submit { disk.change(.free(segment: segment, range)) }
    } catch {
      return
    }
  }
}

/// A body that stays on the disk: it is sent from there, and only what was looked at not long before.
///
/// It has a sum for each block. A block that agrees with its sum is good for a while, ``goodSeconds``, in which the
/// kernel may send it by itself; then a thread reads it again. So a loop hardly ever waits for the disk, for what
/// was read just now is in the memory of the kernel.
public final class DiskBody: Sendable {
  private struct State {
    var sums: [UInt64]
    /// When each was last found to be good, in seconds; 0: never.
    var goodAt: [UInt32]
    var count: Int
  }

  /// What came of a look at blocks.
  public enum Look: Hashable, Sendable {
    /// They are what was written.
    case good
    /// They are something else, or cannot be read.
    case bad
    /// There is no thread for it.
    case refused
  }

  /// For how many seconds a block is good that was looked at.
  public static let goodSeconds: UInt32 = 60
  /// How many bytes are looked at together at most.
  public static let lookBytes = 1 << 20

  /// The disk that it is on.
  public let disk: DiskStore
  /// Where the body begins in the file.
  public let start: Int
  private let source: DiskFile
  /// The file itself where it must not go, as long as the body is still written.
  private let held: OpenFile?
  private let place: DiskPlace?
  /// The room that it is written to, if that can be given back.
  private let room: DiskRoom?
  private let state: Mutex<State>
  private let damage = Atomic<Bool>(false)

  /// A body that is written while it comes, into a file that is held.
  init(
    writing file: OpenFile,
    _ source: DiskFile,
    start: Int,
    in room: DiskRoom?,
    of disk: DiskStore
  ) {
    self.disk = disk
    self.room = room
    self.start = start
    self.source = source
    held = file
    place = nil
    state = Mutex(State(sums: [], goodAt: [], count: 0))
  }

  /// A body at a place, with the sums of its blocks; `isGood` says that they were just compared.
  init(
    _ place: DiskPlace,
    start: Int,
    sums: [UInt64],
    count: Int,
    isGood: Bool,
    of disk: DiskStore
  ) {
    self.disk = disk
    self.start = start
    self.place = place
    room = nil
    source = place.file
    held = nil
    let now = isGood ? Self.now : 0
    state = Mutex(
      State(sums: sums, goodAt: [UInt32](repeating: now, count: sums.count), count: count)
    )
  }

  /// The same body at its place, when all of it was written.
  init(_ written: DiskBody, at place: DiskPlace) {
    disk = written.disk
    start = written.start
    self.place = place
    room = nil
    source = place.file
    held = nil
    state = Mutex(written.state.withLock { $0 })
  }

  /// Sees to it that its room is not given back.
  func keepRoom() { room?.keep() }

  /// How many bytes there are.
  public var count: Int { state.withLock { $0.count } }

  /// How many blocks there are.
  var blockCount: Int { state.withLock { $0.sums.count } }

  var sums: [UInt64] { state.withLock { $0.sums } }

  /// The file; nil: it makes room.
  public var file: OpenFile? { held ?? source.open }

  /// Whether it may be sent: it is there, and no part of it was found to be something else.
  public var isUsable: Bool {
    !damage.load(ordering: .acquiring) && (held != nil || !source.isGone)
  }

  private static var now: UInt32 {
    UInt32(truncatingIfNeeded: SystemClock.monotonicNanoseconds() / 1_000_000_000 + 1)
  }

  /// Notes blocks that were written.
  func append(_ sums: [UInt64], count: Int) {
    let now = Self.now
    state.withLock { state in
      state.sums += sums
      state.goodAt += [UInt32](repeating: now, count: sums.count)
      state.count += count
    }
  }

  /// The end of what may be sent from `offset` on, at most `limit`; `offset` itself: a look is needed first.
  public func goodEnd(from offset: Int, to limit: Int) -> Int {
    let now = Self.now
    return state.withLock { state in
      var block = offset / StoredRecord.blockBytes
      while block < state.goodAt.count, block * StoredRecord.blockBytes < limit,
        now &- state.goodAt[block] < Self.goodSeconds, state.goodAt[block] > 0
      {
        block += 1
      }
      return max(offset, min(block * StoredRecord.blockBytes, limit, state.count))
    }
  }

  /// Has a thread look at what is to be sent from `offset` on, or the beginning of it.
  public func look(from offset: Int, to limit: Int, on loop: EventLoop) async -> Look {
    let body = self
    do throws(BlockingPool.Refusal) {
      return try await disk.threads.run(on: loop, by: loop.deadline(after: DiskStore.timeLimit)) {
        body.look(from: offset, to: limit)
      }
    } catch {
      return .refused
    }
  }

  /// The same for a thread that may wait for the disk.
  public func look(from offset: Int, to limit: Int) -> Look {
    let end = min(limit, offset + Self.lookBytes)
    // Somebody else may have looked meanwhile.
    var offset = goodEnd(from: offset, to: end)
    while offset < end {
      guard look(at: offset / StoredRecord.blockBytes) else {
        damage.store(true, ordering: .releasing)
        return .bad
      }
      offset = (offset / StoredRecord.blockBytes + 1) * StoredRecord.blockBytes
    }
    return .good
  }

  private func look(at block: Int) -> Bool {
    let (sum, count) = state.withLock { state in
      (state.sums.indices.contains(block) ? state.sums[block] : nil, state.count)
    }
    let first = block * StoredRecord.blockBytes
    guard isUsable, let sum, let file else { return false }
    do throws(SystemError) {
      let size = min(StoredRecord.blockBytes, count - first)
      let bytes = try file.descriptor.read(upTo: size, at: start + first)
      guard bytes.count == size, StoredRecord.sum(of: bytes.span) == sum else {
        disk.noteDamage(at: place)
        return false
      }
    } catch {
      disk.noteFailure(error, at: place)
      return false
    }
    let now = Self.now
    state.withLock { $0.goodAt[block] = now }
    return true
  }
}

extension DiskStore {
  /// Notes that what is at a place is not what was written.
  func noteDamage(at place: DiskPlace?) {
    state.withLock { state in
      state.counts.damaged += 1
      guard let place else { return }
      state.index.remove(place)
      state.tell(.damaged("\(DiskNames.content(place.segment)) at \(place.offset)"))
    }
  }

  /// Notes that what is at a place cannot be read.
  func noteFailure(_ error: SystemError, at place: DiskPlace?) {
    state.withLock { state in
      if let place { state.index.remove(place) }
      state.counts.failures += 1
      state.tell(.failed("\(error)"))
    }
  }

  /// Counts an answer that was sent from the disk.
  public func noteHit() { hits.add(1, ordering: .relaxed) }
}
