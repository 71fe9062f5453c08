import CLinux

/// A call to the kernel that failed: which one, and why.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The call, as in section 2 of the manual.
  public var call: Call
  /// The kernel's error number, positive.
  public var code: Int32

  /// Creates an error of `call` with the kernel's number `code`.
  public init(_ call: Call, _ code: Int32) {
    self.call = call
    self.code = code
  }

  /// The call and the kernel's words for its failure.
  public var description: String {
    if call == .select, code == EMFILE {
      return "select: a set of descriptors has room for those below \(martlet_set_size) alone"
    }
    return "\(call.rawValue): \(Self.message(of: code))"
  }

  /// The kernel's words for an error number.
  public static func message(of code: Int32) -> String {
    // Safe: the text is copied at once; strerror_r writes no more than the given length.
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { text in
      guard let start = text.baseAddress, unsafe strerror_r(code, start, text.count) == 0 else {
        return "error \(code)"
      }
      return unsafe String(cString: start)
    }
  }

  /// The calls that can fail, by their names in section 2 of the manual.
  public enum Call: String, Sendable {
    case accept, bind, chmod, chown, close, connect, dup, epollCreate = "epoll_create1"
    case epollControl = "epoll_ctl", epollWait = "epoll_wait", eventfd, execve, fcntl, fstat
    case getsockname, getsockopt, getrlimit, kill, listen, mkdir, mmap, open, pidfdOpen =
      "pidfd_open"
    case pipe, posixSpawn = "posix_spawn", prctl, prlimit, pthreadCreate = "pthread_create", read,
      recv,
      recvmsg
    case rename, rmdir, send, sendfile, sendmsg, setrlimit, setsockopt, setuid, shutdown, signalfd
    case splice
    case sigprocmask, socket, socketpair, unlink, waitpid, write, getpwnam, getgrnam, getrandom
    case fallocate, flock, futimens, fsync, ftruncate, link, lseek, memfdCreate = "memfd_create",
      readlink
    case stat, opendir, poll, select, ioUringSetup = "io_uring_setup"
    case chdir, vfork, getrusage, mkfifo, mqOpen = "mq_open", mqUnlink = "mq_unlink"
    case mqSend = "mq_send", mqReceive = "mq_receive", shmOpen = "shm_open", shmUnlink =
      "shm_unlink"
    case pthreadMutexLock = "pthread_mutex_lock"
  }

  /// Whether the call would have had to wait.
  public var wouldBlock: Bool { code == EAGAIN }
}

/// Turns the result of a shim into a value or an error.
///
/// - Throws: ``SystemError`` when `result` is negative.
@inlinable
@discardableResult
public func check(_ result: Int64, _ call: SystemError.Call) throws(SystemError) -> Int {
  guard result >= 0 else { throw SystemError(call, Int32(truncatingIfNeeded: -result)) }
  return Int(result)
}
