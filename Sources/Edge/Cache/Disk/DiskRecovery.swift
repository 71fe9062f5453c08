import MartletSystem
import Synchronization

/// What a folder held when it was opened.
///
/// The journals are read, the oldest first, and answers are looked at when they are asked for. A journal of
/// which something is missing may have said that something older is gone: then all that is older goes.
struct DiskRecovery: Sendable {
  private(set) var index = DiskIndex()
  private(set) var purges = DiskPurges()
  /// The last purge that anything knows of.
  private(set) var lastNumber: UInt64 = 0
  /// The number of the next segment.
  private(set) var nextNumber: UInt64 = 1
  /// Segments that are of no use.
  private(set) var doomed: [UInt64] = []
  /// How many journals were broken.
  private(set) var damagedCount = 0

  /// The longest journal that is read.
  private static let journalLimit = 1 << 30

  /// Reads the journals of a folder.
  ///
  /// - Throws: ``SystemError`` when the last one cannot be ended.
  init(_ path: String) throws(SystemError) {
    let numbers = Set(Files.names(in: path).compactMap(DiskNames.number)).sorted()
    nextNumber = (numbers.last ?? 0) + 1
    for number in numbers {
      let (isWhole, isRetired, sealPlace) = read(number, path)
      if sealPlace == nil, isWhole { continue }
      guard isWhole, number == numbers.last || isRetired, let sealPlace else {
        // It goes itself, and with it whatever is older.
        forgetAll(before: number)
        damagedCount += 1
        _ = drop(number)
        continue
      }
      // It was written to when its process ended.
      let journal = try Descriptor.openShared("\(path)/\(DiskNames.journal(number))")
      let seal = DiskEntry(.seal).encoded(at: sealPlace, of: number)
      try journal.writeAll(seal, at: sealPlace * DiskEntry.byteCount)
    }
  }

  private mutating func drop(_ number: UInt64) -> Int {
    doomed.append(number)
    index.condemn(number)
    return index.drop(number, atMost: .max).count
  }

  /// Forgets what is in older segments, and what was found of this one.
  private mutating func forgetAll(before number: UInt64) {
    for older in index.order where older < number { _ = drop(older) }
    index.removeAll(of: number)
  }

  /// Reads a segment.
  ///
  /// - Returns: Whether its journal can be trusted, whether there need be no last entry, and where that has to be
  ///   put; nil: it is there.
  private mutating func read(
    _ number: UInt64,
    _ path: String
  ) -> (isWhole: Bool, isRetired: Bool, sealPlace: Int?) {
    let journal: [UInt8]
    let content: OpenFile
    let contentCount: Int
    let allocatedCount: Int
    do throws(SystemError) {
      journal = try Files.read("\(path)/\(DiskNames.journal(number))", limit: Self.journalLimit)
      content = OpenFile(try Descriptor.open("\(path)/\(DiskNames.content(number))", .read))
      contentCount = Int(clamping: try content.descriptor.facts().byteCount)
      allocatedCount = try content.descriptor.allocatedByteCount()
    } catch {
      return (false, false, nil)
    }
    var segment = DiskSegment(number: number, file: content)
    // What was given back is not there.
    segment.contentCount = min(contentCount, allocatedCount)
    segment.journalCount = journal.count
    index.add(segment)
    let count = journal.count / DiskEntry.byteCount
    guard count > 0, DiskEntry(journal.span, at: 0, of: number)?.kind == .opening else {
      return (false, false, nil)
    }
    var isRetired = false
    for place in 1..<max(count, 1) {
      guard let entry = DiskEntry(journal.span, at: place, of: number) else {
        damagedCount += 1
        // What stands behind a retirement takes nothing away.
        if !isRetired { forgetAll(before: number) }
        continue
      }
      if entry.kind == .seal { return (place == count - 1, isRetired, nil) }
      if entry.kind == .retirement { isRetired = true }
      take(entry, of: segment, contentCount)
    }
    return (true, isRetired, count)
  }

  private mutating func take(_ entry: DiskEntry, of segment: DiskSegment, _ contentCount: Int) {
    lastNumber = max(lastNumber, entry.number)
    let end = entry.offset.addingReportingOverflow(entry.length)
    let isThere = !end.overflow && end.partialValue <= UInt64(contentCount)
    switch entry.kind {
    case .opening, .seal, .retirement: break
    case .answer:
      if isThere {
        index.insert(entry, in: segment.number)
      } else {
        // What it took the place of is older all the same.
        index.remove(entry.word, variant: entry.variant)
        damagedCount += 1
      }
    case .forget: index.remove(entry.word, variant: entry.variant == 0 ? nil : entry.variant)
    case .purge:
      guard isThere, let purge = purge(entry, of: segment) else {
        damagedCount += 1
        forgetAll(before: segment.number)
        return
      }
      purges.add(purge)
    }
  }

  private func purge(_ entry: DiskEntry, of segment: DiskSegment) -> DiskPurge? {
    guard entry.length <= UInt64(DiskPurge.textLimit + 40) else { return nil }
    do throws(SystemError) {
      guard let file = segment.file.open else { return nil }
      let bytes = try file.descriptor.read(
        upTo: Int(entry.length),
        at: Int(clamping: entry.offset)
      )
      return DiskPurge(encoded: bytes, at: DiskPlace.seal(segment.number, entry.offset))
    } catch {
      return nil
    }
  }
}

/// Opening, which the one who writes does.
extension DiskStore {
  private static let waitNanoseconds: Int64 = 500_000_000
  private static let failureNanoseconds: Int64 = 10_000_000_000

  /// Reads what is in the folder, unless another process has it.
  func open(_ writer: inout DiskWriter) {
    guard state.withLock({ $0.phase != .open && $0.phase != .closed }) else { return }
    let start = SystemClock.monotonicNanoseconds()
    do throws(SystemError) {
      try prepareFolder()
      let lock = OpenFile(try Descriptor.openShared(file(DiskNames.lock)))
      guard try lock.descriptor.lock() else {
        state.withLock { state in
          if state.phase != .waiting { state.tell(.waiting) }
          state.phase = .waiting
          state.retryAt = SystemClock.monotonicNanoseconds() + Self.waitNanoseconds
        }
        return
      }
      if state.withLock({ $0.forgetsAll }) { removeAll() }
      let secret = try readSecret()
      let found = try DiskRecovery(path)
      for number in found.doomed { remove(number) }
      writer.active = nil
      writer.nextNumber = found.nextNumber
      state.withLock { state in
        state.begin(found, secret, lock)
        let time = SystemClock.monotonicNanoseconds() - start
        state.tell(
          .opened(
            count: state.index.count,
            byteCount: state.index.byteCount,
            milliseconds: Int(time / 1_000_000)
          )
        )
        if found.damagedCount > 0 { state.tell(.damaged("a journal")) }
      }
      submit(.tend)
    } catch {
      state.withLock { state in
        if state.phase != .failed { state.tell(.failed("\(error)")) }
        state.phase = .failed
        state.counts.failures += 1
        state.retryAt = SystemClock.monotonicNanoseconds() + Self.failureNanoseconds
      }
    }
  }

  /// Makes the folder if it is not there, and sees to it that only its owner may enter.
  private func prepareFolder() throws(SystemError) {
    if try Files.makePrivateDirectory(path) { return }
    let status = try Files.status(of: path)
    // ENOTDIR, EACCES.
    guard status.isDirectory else { throw SystemError(.open, 20) }
    guard status.user == Processes.ownUser else { throw SystemError(.open, 13) }
    if status.rights & 0o077 != 0 { try Files.setRights(of: path, to: 0o700) }
  }

  private func removeAll() {
    for number in Set(Files.names(in: path).compactMap(DiskNames.number)) { remove(number) }
  }

  /// What words are made with; without it nothing in the folder can be found, and it is emptied.
  private func readSecret() throws(SystemError) -> DiskSecret {
    var bytes: [UInt8] = []
    do throws(SystemError) {
      bytes = try Files.read(file(DiskNames.secret), limit: 4096)
    } catch {
      // ENOENT: it is the first time.
      guard error.code == 2 else { throw error }
    }
    if let secret = DiskSecret(bytes) { return secret }
    removeAll()
    let secret = DiskSecret()
    try Files.write(secret.encoded, to: file(DiskNames.secret), rights: 0o600)
    return secret
  }
}
