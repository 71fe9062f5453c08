import CLinux

/// An open file descriptor, closed when its last use ends.
public struct Descriptor: ~Copyable, Sendable {
  /// The kernel's number for it.
  public let number: Int32

  /// Takes over `number`: from here on this value closes it.
  public init(adopting number: Int32) {
    precondition(number >= 0, "a descriptor's number is not negative")
    self.number = number
  }

  deinit { _ = martlet_close(number) }

  /// Gives the number away: the caller closes it now.
  public consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }

  /// A second descriptor of the same file, whose number is not below `lowest`.
  ///
  /// System call: `fcntl(2)`, `F_DUPFD_CLOEXEC`.
  ///
  /// - Throws: ``SystemError`` when the process has no descriptor left.
  public borrowing func duplicate(from lowest: Int32 = 0) throws(SystemError) -> Descriptor {
    Descriptor(adopting: Int32(try check(martlet_duplicate(number, lowest), .dup)))
  }

  /// Makes reads and writes return instead of wait.
  ///
  /// System call: `fcntl(2)`.
  ///
  /// - Throws: ``SystemError`` when the descriptor is not open.
  public borrowing func setNonblocking() throws(SystemError) {
    try check(martlet_set_nonblocking(number), .fcntl)
  }

  /// Whether the descriptor is closed when the process executes another program.
  ///
  /// - Throws: ``SystemError`` when the descriptor is not open. System call: `fcntl(2)`.
  public borrowing func setCloseOnExecute(_ closes: Bool) throws(SystemError) {
    try check(martlet_set_close_on_exec(number, closes ? 1 : 0), .fcntl)
  }

  /// Reads what is there, at most `count` bytes; empty at the end.
  ///
  /// - Throws: ``SystemError`` when the call fails. System call: `read(2)`.
  public borrowing func read(upTo count: Int) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let received = try read(into: &bytes)
    bytes.removeLast(count - received)
    return bytes
  }

  /// Reads what is there over the first of `bytes`, which keep their number, and returns how many came; 0 at the end.
  ///
  /// - Throws: ``SystemError`` when the call fails. System call: `read(2)`.
  public borrowing func read(into bytes: inout [UInt8]) throws(SystemError) -> Int {
    // Safe: the array's storage is ours for this call, and the kernel writes no more than asked.
    let result = unsafe bytes.withUnsafeMutableBytes { storage in
      unsafe martlet_read(number, storage.baseAddress, storage.count)
    }
    return try check(result, .read)
  }

  /// Writes as much of `bytes` as the file takes at once, and returns how many bytes that was.
  ///
  /// - Throws: ``SystemError`` when the call fails. System call: `write(2)`.
  public borrowing func write(_ bytes: Span<UInt8>) throws(SystemError) -> Int {
    // Safe: the span outlives the call, and the kernel only reads.
    let result = unsafe bytes.withUnsafeBytes { storage in
      unsafe martlet_write(number, storage.baseAddress, storage.count)
    }
    return try check(result, .write)
  }

  /// A pipe: what is written to the second comes out of the first.
  ///
  /// - Throws: ``SystemError`` when the process has no descriptor left. System call: `pipe2(2)`.
  public static func pipe() throws(SystemError) -> DescriptorPair {
    var ends: (Int32, Int32) = (-1, -1)
    // Safe: a tuple of two Int32 is an array of two in C.
    let result = unsafe withUnsafeMutableBytes(of: &ends) { storage in
      unsafe martlet_pipe(storage.baseAddress?.assumingMemoryBound(to: Int32.self))
    }
    try check(result, .pipe)
    return DescriptorPair(first: .init(adopting: ends.0), second: .init(adopting: ends.1))
  }

  /// Two connected Unix stream sockets.
  ///
  /// - Throws: ``SystemError`` when the process has no descriptor left. System call: `socketpair(2)`.
  public static func socketPair() throws(SystemError) -> DescriptorPair {
    var ends: (Int32, Int32) = (-1, -1)
    // Safe: a tuple of two Int32 is an array of two in C.
    let result = unsafe withUnsafeMutableBytes(of: &ends) { storage in
      unsafe martlet_socket_pair(storage.baseAddress?.assumingMemoryBound(to: Int32.self))
    }
    try check(result, .socketpair)
    return DescriptorPair(first: .init(adopting: ends.0), second: .init(adopting: ends.1))
  }

  /// Two connected Unix sockets between which messages pass whole.
  ///
  /// - Throws: ``SystemError`` when the process has no descriptor left. System call: `socketpair(2)`,
  ///   `SOCK_SEQPACKET`.
  public static func messagePair() throws(SystemError) -> DescriptorPair {
    var ends: (Int32, Int32) = (-1, -1)
    // Safe: a tuple of two Int32 is an array of two in C.
    let result = unsafe withUnsafeMutableBytes(of: &ends) { storage in
      unsafe martlet_message_pair(storage.baseAddress?.assumingMemoryBound(to: Int32.self))
    }
    try check(result, .socketpair)
    return DescriptorPair(first: .init(adopting: ends.0), second: .init(adopting: ends.1))
  }

  /// A file without a name in a folder, to be written and read; it is gone with its last descriptor.
  ///
  /// - Throws: ``SystemError`` when the folder cannot be written, or its file system has no such files.
  ///   System call: `open(2)`, `O_TMPFILE`.
  public static func unnamedFile(in folder: String) throws(SystemError) -> Descriptor {
    Descriptor(adopting: Int32(try check(unsafe martlet_unnamed_file(folder), .open)))
  }
}

/// Two descriptors that were made together.
public struct DescriptorPair: ~Copyable, Sendable {
  /// The reading end of a pipe, or one end of a socket pair.
  public var first: Descriptor
  /// The writing end of a pipe, or the other end of a socket pair.
  public var second: Descriptor

  /// Creates a pair.
  public init(first: consuming Descriptor, second: consuming Descriptor) {
    self.first = first
    self.second = second
  }
}

/// How a file is opened.
public enum FileAccess: Sendable {
  /// To be read; it must exist.
  case read
  /// To be written at its end; it is created with mode 640 if it does not exist.
  case append
  /// To be written at its end by its owner alone; it is created with mode 600 if it does not exist.
  case appendSecret
  /// To be written anew: created with mode 600, or emptied.
  case replace
}

extension Descriptor {
  /// Opens a file.
  ///
  /// - Throws: ``SystemError`` when the file is not there or may not be opened.
  ///   System call: `open(2)`.
  public static func open(_ path: String, _ access: FileAccess) throws(SystemError) -> Descriptor {
    let (flags, mode): (Int32, UInt32) =
      switch access {
      case .read: (O_RDONLY, 0)
      case .append: (O_WRONLY | O_APPEND | O_CREAT, 0o640)
      case .appendSecret: (O_WRONLY | O_APPEND | O_CREAT, 0o600)
      case .replace: (O_WRONLY | O_TRUNC | O_CREAT, 0o600)
      }
    return Descriptor(adopting: Int32(try check(unsafe martlet_open(path, flags, mode), .open)))
  }
}
