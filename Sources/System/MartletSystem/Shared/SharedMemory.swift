// Invariant of this file: `base` is a mapping of `byteCount` bytes that lives as long as the value, and every
// access is checked to lie within it.

import CLinux
import Synchronization

// @unchecked: a mapping that other processes change, too; who reads what others write does so by words or under
// a lock that lies in it.
/// Memory that several processes see.
///
/// It has a name, by which others open it, or none, and its descriptor is passed to them. What lies in it is
/// whatever others have put there: it is not to be believed further than those are.
@safe
public final class SharedMemory: @unchecked Sendable {
  /// The largest that is made or taken: 1 TiB.
  private static let limit = 1 << 40

  /// How many bytes it has.
  public let byteCount: Int
  /// Its descriptor, for another process.
  public let file: OpenFile
  private let base: UnsafeMutableRawPointer

  /// Takes over memory that another process has passed.
  ///
  /// - Throws: ``SystemError`` when it cannot be mapped.
  public init(adopting file: OpenFile) throws(SystemError) {
    let count = try check(martlet_file_size(file.number), .fstat)
    guard 1...Self.limit ~= count else { throw SystemError(.mmap, EINVAL) }
    var failure: Int64 = 0
    // Safe: the kernel chooses where it lies; the size is that of the file.
    let pages = unsafe martlet_map_shared(file.number, count, 1, &failure)
    try check(failure, .mmap)
    guard let pages = unsafe pages else { throw SystemError(.mmap, ENOMEM) }
    unsafe base = pages
    byteCount = count
    self.file = file
  }

  // Safe: it was mapped once, with this size, and nothing refers to it any more.
  deinit { unsafe martlet_unmap(base, byteCount) }

  /// Makes memory without a name, full of zeros, of a size that nobody can change.
  ///
  /// - Throws: ``SystemError``. System call: `memfd_create(2)`.
  public convenience init(byteCount: Int) throws(SystemError) {
    precondition(1...Self.limit ~= byteCount, "shared memory has 1 byte to 1 TiB")
    let file = try Descriptor.sealedMemoryFile("martlet-shared", byteCount: byteCount)
    try self.init(adopting: OpenFile(file))
  }

  /// Makes memory with a name such as `/shop`, full of zeros, for the processes of this user.
  ///
  /// It stays until ``remove(_:)``, or until the machine is started anew.
  ///
  /// - Throws: ``SystemError``; with code 17 (EEXIST) when there is some of this name.
  ///   Library call: `shm_open(3)`.
  public static func make(_ name: String, byteCount: Int) throws(SystemError) -> SharedMemory {
    precondition(1...limit ~= byteCount, "shared memory has 1 byte to 1 TiB")
    // Safe: the name is only read.
    let result = unsafe martlet_shared_open(name, 1, 0o600, Int64(byteCount))
    return try SharedMemory(adopting: OpenFile(adopting: Int32(try check(result, .shmOpen))))
  }

  /// Opens memory by its name.
  ///
  /// - Throws: ``SystemError``; with code 2 (ENOENT) when there is none. Library call: `shm_open(3)`.
  public static func open(_ name: String) throws(SystemError) -> SharedMemory {
    // Safe: the name is only read.
    let result = unsafe martlet_shared_open(name, 0, 0, 0)
    return try SharedMemory(adopting: OpenFile(adopting: Int32(try check(result, .shmOpen))))
  }

  /// Takes a name away; who has the memory keeps it.
  ///
  /// - Throws: ``SystemError`` when there is none of this name. Library call: `shm_unlink(3)`.
  public static func remove(_ name: String) throws(SystemError) {
    // Safe: the name is only read.
    try check(unsafe martlet_shared_unlink(name), .shmUnlink)
  }

  private func demand(_ offset: Int, _ count: Int, alignment: Int = 1) {
    precondition(
      offset >= 0 && count >= 0 && offset <= byteCount - count && offset % alignment == 0,
      "shared memory of \(byteCount) bytes is used at \(offset)"
    )
  }

  // MARK: Bytes

  /// Copies bytes out.
  public func read(_ range: Range<Int>) -> [UInt8] {
    demand(range.lowerBound, range.count)
    // Safe: the range was checked.
    return unsafe Array(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
  }

  /// Copies bytes in.
  public func write(_ bytes: ArraySlice<UInt8>, at offset: Int) {
    demand(offset, bytes.count)
    // Safe: the range was checked, and the slice outlives the copy.
    unsafe bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      unsafe (base + offset).copyMemory(from: start, byteCount: bytes.count)
    }
  }

  // MARK: Words

  /// A number of four bytes, at a multiple of four, that any process may change at any time.
  public func word(at offset: Int) -> SharedWord {
    demand(offset, 4, alignment: 4)
    return SharedWord(memory: self, offset: offset)
  }

  /// A number of eight bytes, at a multiple of eight; it is read and written whole.
  public func number(at offset: Int) -> UInt64 {
    demand(offset, 8, alignment: 8)
    // Safe: checked above; the atomic has the size and place of its number.
    return unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(
      ordering: .acquiring
    )
  }

  /// Writes a number of eight bytes; what was written before it is seen by who reads it.
  public func setNumber(_ number: UInt64, at offset: Int) {
    demand(offset, 8, alignment: 8)
    // Safe: as ``number(at:)``.
    unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.store(
      number,
      ordering: .releasing
    )
  }

  fileprivate func withWord<Result>(
    at offset: Int,
    _ body: (UnsafeMutablePointer<Atomic<UInt32>>) -> Result
  ) -> Result {
    // Safe: a word was checked when it was made; the memory lives as long as the word.
    unsafe body((base + offset).assumingMemoryBound(to: Atomic<UInt32>.self))
  }

  // MARK: Locks

  /// How many bytes a lock takes, rounded up.
  static let lockBytes = 64

  /// Makes a lock at a place, once, before anybody uses it.
  func makeLock(at offset: Int) throws(SystemError) {
    precondition(martlet_shared_lock_bytes() <= Self.lockBytes, "a lock is larger than its place")
    demand(offset, Self.lockBytes, alignment: 8)
    // Safe: the place was checked to have room.
    try check(
      unsafe martlet_shared_lock_initialize(base + offset),
      .pthreadMutexLock
    )
  }

  func takeLock(at offset: Int, until moment: Int64, tries: Bool) -> Int64 {
    demand(offset, Self.lockBytes, alignment: 8)
    // Safe: the place was checked; who made the lock has initialised it.
    return unsafe martlet_shared_lock_take(base + offset, moment, tries ? 1 : 0)
  }

  func releaseLock(at offset: Int) -> Int64 {
    demand(offset, Self.lockBytes, alignment: 8)
    // Safe: as ``takeLock(at:until:tries:)``.
    return unsafe martlet_shared_lock_release(base + offset)
  }
}

/// A number of four bytes in shared memory, on which processes can sleep while it has a value.
///
/// System call: `futex(2)`.
public struct SharedWord: Sendable {
  fileprivate let memory: SharedMemory
  fileprivate let offset: Int

  /// The present value; what was written before it was stored is seen.
  public var value: UInt32 {
    // Safe: an atomic load.
    unsafe memory.withWord(at: offset) { word in unsafe word.pointee.load(ordering: .acquiring) }
  }

  /// Puts a value in.
  public func store(_ value: UInt32) {
    // Safe: an atomic store.
    unsafe memory.withWord(at: offset) { word in
      unsafe word.pointee.store(value, ordering: .releasing)
    }
  }

  /// Adds one, and begins anew at 0 behind the largest number.
  public func increment() {
    // Safe: an atomic addition.
    unsafe memory.withWord(at: offset) { word in
      _ = unsafe word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }
  }

  /// Blocks the calling thread while the word is `value`, until ``wake(_:)``, or until a moment of
  /// ``SystemClock/monotonicNanoseconds()``; it may end for no reason, too.
  ///
  /// - Returns: false when the moment has come.
  public func sleep(while value: UInt32, until nanoseconds: Int64? = nil) -> Bool {
    // Safe: the memory outlives the call; the kernel only reads the word.
    unsafe memory.withWord(at: offset) { word in
      unsafe martlet_shared_sleep(word, value, nanoseconds.map { max($0, 0) } ?? -1)
    } != -Int64(ETIMEDOUT)
  }

  /// Wakes so many of those that sleep, in whatever process.
  public func wake(_ count: Int32 = .max) {
    // Safe: the address is only a name here.
    unsafe memory.withWord(at: offset) { word in _ = unsafe martlet_shared_wake(word, count) }
  }
}
