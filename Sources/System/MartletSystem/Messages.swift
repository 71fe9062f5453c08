import CLinux

/// A message of a socket that keeps messages whole.
public struct SocketMessage: Sendable {
  /// How many bytes it has; 0 when the other end is closed.
  public var byteCount: Int
  /// The descriptor that came with it, which is the receiver's to close.
  public var descriptor: Int32?
  /// Who has sent it, which the kernel vouches for, where ``Descriptor/tellSenders()`` was called.
  public var sender: Sender?
  /// Whether it was longer than there was room for; the rest is lost.
  public var isCut: Bool

  /// A process and its user.
  public struct Sender: Hashable, Sendable {
    /// The number of the process.
    public var process: Int32
    /// The number of the user.
    public var user: UInt32
  }
}

extension Descriptor {
  /// Sends a message without waiting, with a descriptor of this process if one is given; `telling` who sends it.
  ///
  /// - Throws: ``SystemError``; it ``SystemError/wouldBlock`` when there is no room for the message.
  ///   System call: `sendmsg(2)`.
  public borrowing func sendMessage(
    _ bytes: [UInt8],
    descriptor: Int32? = nil,
    telling: Bool = false
  ) throws(SystemError) {
    // Safe: the array outlives the call, which only reads it.
    let result = unsafe bytes.withUnsafeBytes { bytes in
      unsafe martlet_send_message(
        number,
        bytes.baseAddress,
        bytes.count,
        descriptor ?? -1,
        telling ? 1 : 0
      )
    }
    try check(result, .sendmsg)
  }

  /// Takes a message into `bytes`, from their beginning; waits for one if it is told to.
  ///
  /// - Throws: ``SystemError``; it ``SystemError/wouldBlock`` when there is none.
  ///   System call: `recvmsg(2)`.
  public borrowing func takeMessage(
    into bytes: inout [UInt8],
    waits: Bool
  ) throws(SystemError) -> SocketMessage {
    var (descriptor, process, cut): (Int32, Int32, Int32) = (-1, -1, 0)
    var user: UInt32 = 0
    // Safe: the kernel writes no more bytes than asked, and the shim one number to each place.
    let result = unsafe bytes.withUnsafeMutableBytes { storage in
      unsafe martlet_take_message(
        number,
        storage.baseAddress,
        storage.count,
        waits ? 1 : 0,
        &descriptor,
        &process,
        &user,
        &cut
      )
    }
    return SocketMessage(
      byteCount: try check(result, .recvmsg),
      descriptor: descriptor < 0 ? nil : descriptor,
      sender: process < 0 ? nil : SocketMessage.Sender(process: process, user: user),
      isCut: cut != 0
    )
  }

  /// Has the kernel say with each message who has sent it.
  ///
  /// - Throws: ``SystemError``. System call: `setsockopt(2)`, `SO_PASSCRED`.
  public borrowing func tellSenders() throws(SystemError) {
    try check(martlet_tell_senders(number), .setsockopt)
  }
}

/// Something that may be waited for with others, by a thread.
public struct AwaitedDescriptor: Sendable {
  /// The descriptor.
  public var number: Int32
  /// Whether room to write is waited for, too.
  public var awaitsRoom: Bool
  /// Whether something to read is waited for; the end and errors are in any case.
  public var awaitsInput: Bool
  /// Whether something can be read, or the end or an error is there.
  public var isReadable = false
  /// Whether something can be written.
  public var isWritable = false

  /// Waits for what can be read.
  public init(_ number: Int32, awaitsRoom: Bool = false, awaitsInput: Bool = true) {
    self.number = number
    self.awaitsRoom = awaitsRoom
    self.awaitsInput = awaitsInput
  }

  /// Blocks the calling thread until one of them is ready, or for so many milliseconds; -1: for ever.
  ///
  /// - Returns: Whether one is.
  /// - Throws: ``SystemError`` but for a signal, which ends the wait. System call: `poll(2)`.
  @discardableResult
  public static func wait(
    for all: inout [AwaitedDescriptor],
    milliseconds: Int32
  ) throws(SystemError) -> Bool {
    var entries = all.map {
      pollfd(
        fd: $0.number,
        events: Int16(POLLIN) | ($0.awaitsRoom ? Int16(POLLOUT) : 0),
        revents: 0
      )
    }
    // Safe: the array is ours for this call.
    let result = unsafe entries.withUnsafeMutableBufferPointer { entries in
      unsafe martlet_poll(entries.baseAddress, entries.count, milliseconds)
    }
    if result == -Int64(EINTR) { return false }
    let count = try check(result, .poll)
    let ended = Int16(POLLHUP | POLLERR | POLLNVAL)
    for (index, entry) in entries.enumerated() {
      all[index].isReadable = entry.revents & (Int16(POLLIN) | ended) != 0
      all[index].isWritable = entry.revents & (Int16(POLLOUT) | ended) != 0
    }
    return count > 0
  }
}
