/// Messages from any number of processes to any number of others, through memory that they have in common.
///
/// A message is there whole or not at all, also when a process dies while it puts one in or takes one out. Who puts
/// one into a full ring waits, and who takes from an empty one.
public struct SharedRing: Sendable {
  private static let headBytes = SharedLock.byteCount + 40
  private static let lengthBytes = 4

  private let memory: SharedMemory
  private let offset: Int
  private let capacity: Int
  private let lock: SharedLock
  private let filled: SharedCondition
  private let emptied: SharedCondition
  private let closing: SharedWord

  /// How many bytes one takes that has room for so many; a message takes four besides its own.
  public static func byteCount(capacity: Int) -> Int { headBytes + capacity }

  /// The ring at a place, a multiple of eight, that ``prepare()`` was called for; all say the same capacity.
  public init(capacity: Int, in memory: SharedMemory, at offset: Int = 0) {
    precondition(capacity > Self.lengthBytes, "a ring has room for a message")
    self.memory = memory
    self.offset = offset
    self.capacity = capacity
    let words = offset + SharedLock.byteCount
    lock = SharedLock(in: memory, at: offset)
    filled = SharedCondition(of: lock, in: memory, at: words)
    emptied = SharedCondition(of: lock, in: memory, at: words + 4)
    closing = memory.word(at: words + 8)
  }

  /// Makes it, empty and open, before anybody uses it.
  ///
  /// - Throws: ``SystemError`` as ``SharedLock/prepare()``.
  public func prepare() throws(SystemError) {
    try lock.prepare()
    closing.store(0)
    (putCount, takenCount) = (0, 0)
  }

  /// The longest message.
  public var messageLimit: Int { capacity - Self.lengthBytes }

  /// Whether ``close()`` was called.
  public var isClosed: Bool { closing.value != 0 }

  /// Lets nothing in any more; what is there can still be taken.
  public func close() {
    lock.withLock { _ in closing.store(1) }
    filled.broadcast()
    emptied.broadcast()
  }

  /// What came of putting a message in.
  public enum Putting: Hashable, Sendable {
    /// It is in.
    case done
    /// There is no room for it yet.
    case full
    /// Nothing may be put in any more.
    case closed
  }

  /// Puts a message in, and blocks the calling thread while there is no room, until a moment of
  /// ``SystemClock/monotonicNanoseconds()``; nil: as long as it takes, 0: not at all.
  public func put(_ message: [UInt8], until nanoseconds: Int64? = nil) -> Putting {
    precondition(message.count <= messageLimit, "a message is longer than the ring")
    lock.lock()
    defer { lock.unlock() }
    while true {
      if isClosed { return .closed }
      let (put, taken) = (putCount, takenCount)
      // What does not fit together was not put there by this type: nothing is written over it.
      let used = put >= taken && put - taken <= UInt64(capacity) ? Int(put - taken) : capacity
      if capacity - used >= Self.lengthBytes + message.count {
        let length = UInt32(message.count)
        let head = (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(8 * $0)) }
        write(head[...], at: put)
        write(message[...], at: put + UInt64(Self.lengthBytes))
        // Until here the message is not there.
        putCount = put + UInt64(Self.lengthBytes + message.count)
        filled.signal()
        return .done
      }
      if let nanoseconds, nanoseconds <= SystemClock.monotonicNanoseconds() { return .full }
      emptied.wait(until: nanoseconds)
    }
  }

  /// What came of taking a message out.
  public enum Taking: Hashable, Sendable {
    /// This one.
    case message([UInt8])
    /// There is none yet.
    case empty
    /// There is none, and none comes any more.
    case closed
  }

  /// Takes the oldest message out, and blocks the calling thread while there is none, until a moment of
  /// ``SystemClock/monotonicNanoseconds()``; nil: as long as it takes, 0: not at all.
  public func take(until nanoseconds: Int64? = nil) -> Taking {
    lock.lock()
    defer { lock.unlock() }
    while true {
      let (put, taken) = (putCount, takenCount)
      if put > taken {
        let length = read(Self.lengthBytes, at: taken).reversed().reduce(0) { $0 << 8 | Int($1) }
        let whole = Self.lengthBytes + length
        guard put - taken <= UInt64(capacity), UInt64(whole) <= put - taken else { return .closed }
        let message = read(length, at: taken + UInt64(Self.lengthBytes))
        takenCount = taken + UInt64(whole)
        emptied.broadcast()
        return .message(message)
      }
      if isClosed { return .closed }
      if let nanoseconds, nanoseconds <= SystemClock.monotonicNanoseconds() { return .empty }
      filled.wait(until: nanoseconds)
    }
  }

  // MARK: Places

  private var counts: Int { offset + SharedLock.byteCount + 16 }

  /// How many bytes were ever put in, and taken out.
  private var putCount: UInt64 {
    get { memory.number(at: counts) }
    nonmutating set { memory.setNumber(newValue, at: counts) }
  }
  private var takenCount: UInt64 {
    get { memory.number(at: counts + 8) }
    nonmutating set { memory.setNumber(newValue, at: counts + 8) }
  }

  private func place(_ count: UInt64) -> Int { Int(count % UInt64(capacity)) }

  private func write(_ bytes: ArraySlice<UInt8>, at count: UInt64) {
    let start = place(count)
    let first = min(bytes.count, capacity - start)
    memory.write(bytes.prefix(first), at: offset + Self.headBytes + start)
    memory.write(bytes.dropFirst(first), at: offset + Self.headBytes)
  }

  private func read(_ length: Int, at count: UInt64) -> [UInt8] {
    let (start, base) = (place(count), offset + Self.headBytes)
    let first = min(length, capacity - start)
    return memory.read(base + start..<base + start + first)
      + memory.read(base..<base + length - first)
  }
}
