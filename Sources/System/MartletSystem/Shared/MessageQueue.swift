import CLinux

/// A queue of messages that the kernel keeps, by its name, until it is removed.
///
/// The most urgent message comes first, among equals the oldest. A loop can wait for its descriptor as for any other.
/// See `mq_overview(7)`.
public final class MessageQueue: Sendable {
  /// What a queue may hold.
  public struct Shape: Hashable, Sendable {
    /// The most messages; the system allows 10, if nobody has changed that (`fs.mqueue.msg_max`).
    public var messageCount: Int
    /// The longest message, in bytes; the system allows 8192 (`fs.mqueue.msgsize_max`).
    public var messageBytes: Int

    /// Ten messages of 8192 bytes, if nothing else is said.
    public init(messageCount: Int = 10, messageBytes: Int = 8192) {
      self.messageCount = messageCount
      self.messageBytes = messageBytes
    }
  }

  /// Its descriptor.
  public let descriptor: Descriptor
  /// What it may hold.
  public let shape: Shape

  /// Opens a queue by its name, such as `/shop`, and makes it if it is not there and a shape is given; it is then for
  /// this user alone.
  ///
  /// - Throws: ``SystemError``: with code 2 (ENOENT) there is none, with 22 (EINVAL) the system allows no such
  ///   shape, with 28 (ENOSPC) there are too many. Library call: `mq_open(3)`.
  public init(_ name: String, making shape: Shape? = nil) throws(SystemError) {
    // Safe: the name is only read.
    let result = unsafe martlet_queue_open(
      name,
      2,
      shape == nil ? 0 : 1,
      0o600,
      shape?.messageCount ?? 0,
      shape?.messageBytes ?? 0
    )
    descriptor = Descriptor(adopting: Int32(try check(result, .mqOpen)))
    var (count, bytes, present): (Int64, Int64, Int64) = (0, 0, 0)
    // Safe: the shim writes one number to each place.
    try check(
      unsafe martlet_queue_facts(descriptor.number, &count, &bytes, &present),
      .mqOpen
    )
    self.shape = Shape(messageCount: Int(count), messageBytes: Int(bytes))
  }

  /// Takes a name away; who has the queue keeps it.
  ///
  /// - Throws: ``SystemError`` when there is none of this name. Library call: `mq_unlink(3)`.
  public static func remove(_ name: String) throws(SystemError) {
    // Safe: the name is only read.
    try check(unsafe martlet_queue_unlink(name), .mqUnlink)
  }

  /// How many messages are in it.
  public var count: Int {
    var (count, bytes, present): (Int64, Int64, Int64) = (0, 0, 0)
    // Safe: the shim writes one number to each place.
    _ = unsafe martlet_queue_facts(descriptor.number, &count, &bytes, &present)
    return Int(present)
  }

  /// Puts a message in if there is room; urgencies go from 0 to 32767.
  ///
  /// - Returns: false when the queue is full.
  /// - Throws: ``SystemError``, with code 90 (EMSGSIZE) for one that is longer than the shape says.
  ///   Library call: `mq_send(3)`.
  public func trySend(_ message: [UInt8], urgency: UInt32 = 0) throws(SystemError) -> Bool {
    // Safe: the array outlives the call, which only reads it.
    let result = unsafe message.withUnsafeBytes { bytes in
      unsafe martlet_queue_send(descriptor.number, bytes.baseAddress, bytes.count, urgency)
    }
    if result == -Int64(EAGAIN) { return false }
    try check(result, .mqSend)
    return true
  }

  /// Takes the first message out; nil when there is none.
  ///
  /// - Throws: ``SystemError``. Library call: `mq_receive(3)`.
  public func tryReceive() throws(SystemError) -> (message: [UInt8], urgency: UInt32)? {
    var bytes = [UInt8](repeating: 0, count: shape.messageBytes)
    var urgency: UInt32 = 0
    // Safe: the kernel writes no more than asked, and the shim one number.
    let result = unsafe bytes.withUnsafeMutableBytes { storage in
      unsafe martlet_queue_receive(
        descriptor.number,
        storage.baseAddress,
        storage.count,
        &urgency
      )
    }
    if result == -Int64(EAGAIN) { return nil }
    bytes.removeLast(bytes.count - (try check(result, .mqReceive)))
    return (bytes, urgency)
  }
}

/// Pipes that have a name in the file system.
///
/// See `fifo(7)`.
public enum NamedPipe {
  /// Makes one, for this user alone.
  ///
  /// - Throws: ``SystemError``, with code 17 (EEXIST) when something has this name. Library call: `mkfifo(3)`.
  public static func make(_ path: String) throws(SystemError) {
    // Safe: the path is only read.
    try check(unsafe martlet_make_pipe(path, 0o600), .mkfifo)
  }

  /// Opens the end that is read; nobody need write yet, and then it is at its end.
  ///
  /// - Throws: ``SystemError``. System call: `open(2)`.
  public static func openToRead(_ path: String) throws(SystemError) -> OpenFile {
    try open(path, O_RDONLY)
  }

  /// Opens the end that is written.
  ///
  /// - Throws: ``SystemError``, with code 6 (ENXIO) while nobody has opened it to read. System call: `open(2)`.
  public static func openToWrite(_ path: String) throws(SystemError) -> OpenFile {
    try open(path, O_WRONLY)
  }

  /// Opens both ends as one: it never comes to its end, be nobody else there.
  ///
  /// - Throws: ``SystemError``. System call: `open(2)`.
  public static func openBoth(_ path: String) throws(SystemError) -> OpenFile {
    try open(path, O_RDWR)
  }

  private static func open(_ path: String, _ mode: Int32) throws(SystemError) -> OpenFile {
    // Safe: the path is only read.
    let result = unsafe martlet_open(path, mode | O_NONBLOCK, 0)
    return OpenFile(adopting: Int32(try check(result, .open)))
  }
}

extension Descriptor {
  /// How a part of a file is locked.
  public enum PartLock: Int32, Sendable {
    /// Not at all.
    case none
    /// For those who read it, together.
    case shared
    /// For one alone.
    case exclusive
  }

  /// Locks a part of an open file, or gives it back; it need not exist yet.
  ///
  /// The lock belongs to the open file: it ends when this descriptor and its duplicates are closed, and not with
  /// another one of the same file. The whole file has a lock of its own, ``lock()``.
  ///
  /// - Returns: false when another has it and it `waits` not.
  /// - Throws: ``SystemError``, with code 35 (EDEADLK) where a wait would never end. System call: `fcntl(2)`,
  ///   `F_OFD_SETLK`.
  @discardableResult
  public borrowing func lock(
    part: Range<Int64>,
    _ kind: PartLock,
    waits: Bool = false
  ) throws(SystemError) -> Bool {
    precondition(!part.isEmpty && part.lowerBound >= 0, "a part of a file has bytes")
    let result = martlet_lock_part(
      number,
      kind.rawValue,
      waits ? 1 : 0,
      part.lowerBound,
      Int64(part.count)
    )
    if result == -Int64(EAGAIN) { return false }
    try check(result, .fcntl)
    return true
  }
}
