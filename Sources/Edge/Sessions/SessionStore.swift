import MartletLoop
public import MartletSystem
import Synchronization

/// Who keeps sessions.
public enum SessionStore: Sendable {
  /// This process, until it ends.
  case memory(SessionMemory)
  /// The files of a folder.
  case files(SessionFiles)
  /// A server of Redis, or one that speaks like it.
  case redis(RedisPlace)
}

/// Sessions in memory, for all loops; beyond the bound those go that were not used for longest.
public final class SessionMemory: Sendable {
  private struct Entry {
    let bytes: [UInt8]
    let end: Int64
    /// When it was used, in the order of uses.
    var use: UInt64
  }

  private struct Use {
    let number: SessionNumber
    let use: UInt64
  }

  private struct State {
    var entries: [SessionNumber: Entry] = [:]
    var byteCount = 0
    var lastUse: UInt64 = 0
    /// The uses, oldest first; those are over whose entry has been used again.
    var uses: [Use] = []
    var firstUse = 0
  }

  /// The most bytes of all sessions together, with what each costs besides.
  public let byteLimit: Int
  private let state = Mutex(State())
  private static let overheadBytes = 160

  /// Creates an empty store of at most so many bytes.
  public init(byteLimit: Int) { self.byteLimit = byteLimit }

  /// How many sessions there are, among them those that are over and have not been looked for.
  public var count: Int { state.withLock { $0.entries.count } }

  func bytes(of number: SessionNumber, at seconds: Int64) -> [UInt8]? {
    state.withLock { state in
      guard let entry = state.entries[number] else { return nil }
      guard entry.end > seconds else {
        Self.remove(number, &state)
        return nil
      }
      Self.use(number, &state)
      return entry.bytes
    }
  }

  func keep(_ bytes: [UInt8], as number: SessionNumber, until end: Int64, at seconds: Int64) {
    state.withLock { state in
      Self.remove(number, &state)
      state.entries[number] = Entry(bytes: bytes, end: end, use: 0)
      state.byteCount += bytes.count + Self.overheadBytes
      Self.use(number, &state)
      while state.byteCount > byteLimit, state.firstUse < state.uses.count {
        let oldest = state.uses[state.firstUse]
        state.firstUse += 1
        if state.entries[oldest.number]?.use == oldest.use { Self.remove(oldest.number, &state) }
      }
    }
  }

  func remove(_ number: SessionNumber) { state.withLock { Self.remove(number, &$0) } }

  private static func use(_ number: SessionNumber, _ state: inout State) {
    state.lastUse += 1
    state.entries[number]?.use = state.lastUse
    state.uses.append(Use(number: number, use: state.lastUse))
    // At most half of the uses are over: the work of a round is paid by those who made them.
    guard state.uses.count > 2 * state.entries.count + 64 else { return }
    let entries = state.entries
    state.uses = state.uses[state.firstUse...].filter { entries[$0.number]?.use == $0.use }
    state.firstUse = 0
  }

  private static func remove(_ number: SessionNumber, _ state: inout State) {
    guard let entry = state.entries.removeValue(forKey: number) else { return }
    state.byteCount -= entry.bytes.count + overheadBytes
  }
}

/// Sessions in a folder, a file for each: its end in seconds since 1970 (8 bytes), and what is remembered.
///
/// The machine may stop: what was kept in the seconds before may be gone then.
public final class SessionFiles: Sendable {
  /// The folder.
  public let path: String
  /// The most files.
  public let countLimit: Int
  private let threads: BlockingPool
  private let count = Mutex<Int?>(nil)
  private static let recordByteLimit = 1 << 20

  /// Keeps sessions in a folder, which is made when it is not there.
  ///
  /// - Throws: ``SystemError`` when a thread or the folder cannot be made.
  public init(path: String, countLimit: Int) throws(SystemError) {
    (self.path, self.countLimit) = (path, countLimit)
    // One thread: two that wrote the same file would be in each other's way.
    threads = try BlockingPool(threadLimit: 1, queueLimit: 1024)
    _ = try Files.makePrivateDirectory(path)
  }

  /// How many files there are, as far as that has been looked at.
  public var knownCount: Int? { count.withLock { $0 } }

  private func place(_ number: SessionNumber) -> String { "\(path)/\(number.text)" }

  func load(
    _ number: SessionNumber,
    at seconds: Int64,
    on loop: EventLoop
  ) async throws(SessionFault) -> [UInt8]? {
    let place = place(number)
    return try await run(on: loop) { () throws(SystemError) -> [UInt8]? in
      let bytes: [UInt8]
      do throws(SystemError) {
        bytes = try Files.read(place, limit: Self.recordByteLimit)
      } catch {
        // ENOENT: it is over, or never was.
        guard error.code == 2 else { throw error }
        return nil
      }
      guard let end = Self.end(bytes), end > seconds else { return nil }
      return Array(bytes[8...])
    }
  }

  func save(
    _ bytes: [UInt8],
    as number: SessionNumber,
    until end: Int64,
    on loop: EventLoop
  ) async throws(SessionFault) {
    let place = place(number)
    let all =
      (0..<8).map { UInt8(truncatingIfNeeded: end >> Int64($0 * 8)) } + bytes
    try await run(on: loop) { () throws(SystemError) in
      if !self.isThere(place) { try self.makeRoom() }
      try Files.put(all, at: place)
    }
  }

  func remove(_ number: SessionNumber, on loop: EventLoop) async throws(SessionFault) {
    let place = place(number)
    try await run(on: loop) { () throws(SystemError) in
      guard self.isThere(place) else { return }
      try Files.remove(place)
      self.count.withLock { $0 = $0.map { $0 - 1 } }
    }
  }

  /// Removes what is over.
  public func sweep(at seconds: Int64) {
    do throws(BlockingPool.Refusal) {
      try threads.submit { self.sweepNow(at: seconds) }
    } catch {
      // The next time will do.
    }
  }

  private func isThere(_ place: String) -> Bool {
    do throws(SystemError) { _ = try Files.status(of: place) } catch { return false }
    return true
  }

  /// Counts one more file, or finds that there are as many as may be.
  private func makeRoom() throws(SystemError) {
    let known = count.withLock { $0 }
    let there = known ?? Files.names(in: path).count
    guard there < countLimit else {
      count.withLock { $0 = nil }
      throw SystemError(.write, Self.noSpace)
    }
    count.withLock { $0 = there + 1 }
  }

  // ENOSPC
  private static let noSpace: Int32 = 28

  private func sweepNow(at seconds: Int64) {
    var kept = 0
    for name in Files.names(in: path) where name.utf8.count == 32 {
      do throws(SystemError) {
        let bytes = try Files.read("\(path)/\(name)", limit: Self.recordByteLimit)
        if let end = Self.end(bytes), end > seconds {
          kept += 1
        } else {
          try Files.remove("\(path)/\(name)")
        }
      } catch {
        // It went meanwhile, or stays until the next time.
        kept += 1
      }
    }
    count.withLock { $0 = kept }
  }

  private static func end(_ bytes: [UInt8]) -> Int64? {
    guard bytes.count >= 8 else { return nil }
    return (0..<8).reduce(0) { $0 | Int64(bytes[$1]) << Int64($1 * 8) }
  }

  private func run<Result: Sendable>(
    on loop: EventLoop,
    _ body: @escaping @Sendable () throws(SystemError) -> Result
  ) async throws(SessionFault) -> Result {
    let outcome: Swift.Result<Result, SystemError>
    do throws(BlockingPool.Refusal) {
      outcome = try await threads.run(on: loop) {
        do throws(SystemError) { return .success(try body()) } catch { return .failure(error) }
      }
    } catch {
      throw .store("too many sessions are read and written at once")
    }
    switch outcome {
    case .success(let value): return value
    case .failure(let error): throw .store("\(path): \(error)")
    }
  }
}
