/// A number of permits among processes that have some memory in common.
///
/// It knows who has each permit: those of a process that has died, be it killed, are given to others, at most a
/// tenth of a second later.
public struct SharedSemaphore: Sendable {
  /// A permit that was taken, to be given back.
  public struct Permit: Hashable, Sendable {
    fileprivate let place: Int
  }

  private static let headBytes = SharedLock.byteCount + 16
  private static let entryBytes = 16
  private static let lookNanoseconds: Int64 = 100_000_000

  private let memory: SharedMemory
  private let offset: Int
  private let count: Int
  private let lock: SharedLock
  private let freed: SharedCondition

  /// How many bytes one with so many permits takes; it lies at a multiple of eight.
  public static func byteCount(permits: Int) -> Int { headBytes + permits * entryBytes }

  /// The semaphore at a place that ``prepare()`` was called for; all say the same number of permits.
  public init(permits: Int, in memory: SharedMemory, at offset: Int) {
    precondition(1...65_536 ~= permits, "a shared semaphore has 1 to 65536 permits")
    self.memory = memory
    self.offset = offset
    count = permits
    lock = SharedLock(in: memory, at: offset)
    freed = SharedCondition(of: lock, in: memory, at: offset + SharedLock.byteCount)
  }

  /// Makes it, with all permits, before anybody uses it.
  ///
  /// - Throws: ``SystemError`` as ``SharedLock/prepare()``.
  public func prepare() throws(SystemError) {
    try lock.prepare()
    for place in 0..<count { memory.setNumber(0, at: entry(place)) }
  }

  /// Takes a permit, and blocks the calling thread until a moment of ``SystemClock/monotonicNanoseconds()``;
  /// nil: as long as it takes.
  ///
  /// - Returns: nil when the moment came first.
  public func acquire(until nanoseconds: Int64? = nil) -> Permit? {
    lock.lock()
    defer { lock.unlock() }
    while true {
      if let permit = take() { return permit }
      let now = SystemClock.monotonicNanoseconds()
      if let nanoseconds, nanoseconds <= now { return nil }
      // Nobody says so when a holder dies.
      freed.wait(until: min(now + Self.lookNanoseconds, nanoseconds ?? .max))
    }
  }

  /// Takes a permit if there is one.
  public func tryAcquire() -> Permit? { acquire(until: 0) }

  /// Gives a permit back, from whatever thread of the process that has taken it.
  public func release(_ permit: Permit) {
    lock.lock()
    defer { lock.unlock() }
    precondition(
      holder(permit.place) == UInt64(Processes.own),
      "a permit is given back that this process does not have"
    )
    memory.setNumber(0, at: entry(permit.place))
    freed.signal()
  }

  /// How many permits nobody has, those of the dead among them.
  public var available: Int {
    lock.withLock { _ in (0..<count).count { !isHeld($0) } }
  }

  private func entry(_ place: Int) -> Int { offset + Self.headBytes + place * Self.entryBytes }
  private func holder(_ place: Int) -> UInt64 { memory.number(at: entry(place)) }

  private func take() -> Permit? {
    guard let place = (0..<count).first(where: { !isHeld($0) }) else { return nil }
    // First since when, then who: one that dies between the two has nothing.
    let started = Processes.startTicks(of: Processes.own) ?? 0
    memory.setNumber(started, at: entry(place) + 8)
    memory.setNumber(UInt64(Processes.own), at: entry(place))
    return Permit(place: place)
  }

  private func isHeld(_ place: Int) -> Bool {
    let process = holder(place)
    guard process > 0, let number = Int32(exactly: process) else { return false }
    // The number of one that has died may be another's by now.
    return Processes.startTicks(of: number) == memory.number(at: entry(place) + 8)
  }
}

extension Processes {
  /// When a process was started, in ticks of the clock since the machine was; nil when it has ended.
  ///
  /// See `proc(5)`.
  public static func startTicks(of process: Int32) -> UInt64? {
    do throws(SystemError) {
      let text = try Files.read("/proc/\(process)/stat", limit: 4096)
      // Its name, in parentheses, may have anything in it.
      guard let end = text.lastIndex(of: 0x29) else { return nil }
      let words = text[(end + 1)...].split(separator: 0x20)
      guard words.count > 19, words[0] != [0x5A] else { return nil }
      return UInt64(String(decoding: words[19], as: UTF8.self))
    } catch {
      return nil
    }
  }
}
