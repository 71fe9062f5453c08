public import CLinux

// @unchecked: a class that others may inherit from cannot be proven Sendable; this one has no state,
// and a subclass of a test lives on the one thread of its loop.

/// The calls that a loop makes while it runs, one method each, so that a test can script them.
///
/// Every method returns its result or the negated error number, as the kernel itself does.
@safe open class Kernel: @unchecked Sendable {
  /// The kernel this process runs on.
  public static let linux = Kernel()

  /// Creates a kernel that makes the real calls.
  public init() {}

  /// Receives into `bytes`.
  ///
  /// System call: `recv(2)`.
  open func receive(_ fd: Int32, into bytes: UnsafeMutableRawBufferPointer) -> Int {
    // Safe: the caller owns `bytes` for this call.
    Int(unsafe martlet_receive(fd, bytes.baseAddress, bytes.count, 0))
  }

  /// Whether bytes, the end or an error wait to be received.
  ///
  /// System call: `recv(2)`, `MSG_PEEK`.
  open func hasInput(_ fd: Int32) -> Bool { martlet_peek(fd) != -Int64(EAGAIN) }

  /// Sends `bytes`; `more` follow at once.
  ///
  /// System call: `send(2)`.
  open func send(_ fd: Int32, _ bytes: UnsafeRawBufferPointer, more: Bool) -> Int {
    // Safe: the caller keeps `bytes` for this call.
    more
      ? Int(unsafe martlet_send_more(fd, bytes.baseAddress, bytes.count))
      : Int(unsafe martlet_send(fd, bytes.baseAddress, bytes.count))
  }

  /// Sends three runs of bytes, some of which may be empty, as one.
  ///
  /// System call: `sendmsg(2)`.
  open func send(
    _ fd: Int32,
    _ first: UnsafeRawBufferPointer,
    _ second: UnsafeRawBufferPointer,
    _ third: UnsafeRawBufferPointer
  ) -> Int {
    // Safe: the caller keeps all three for this call.
    Int(
      unsafe martlet_send_gathered(
        fd,
        first.baseAddress,
        first.count,
        second.baseAddress,
        second.count,
        third.baseAddress,
        third.count
      )
    )
  }

  /// Sends a part of a file.
  ///
  /// System call: `sendfile(2)`.
  open func sendFile(_ fd: Int32, from file: Int32, at offset: Int64, count: Int) -> Int {
    Int(martlet_sendfile(fd, file, offset, count))
  }

  /// Opens a pipe to splice through, with room for about `capacity` bytes: first its reading end.
  ///
  /// System call: `pipe2(2)`. A splice to a socket that broke raises `SIGPIPE`: if the process does
  /// nothing about that signal, it is ignored from here on.
  open func openPipe(_ ends: inout (Int32, Int32), capacity: Int) -> Int {
    // Safe: a tuple of two Int32 is an array of two in C.
    unsafe withUnsafeMutableBytes(of: &ends) { storage in
      let ends = unsafe storage.baseAddress?.assumingMemoryBound(to: Int32.self)
      return Int(unsafe martlet_splice_pipe(ends, Int32(capacity)))
    }
  }

  /// Moves at most `count` bytes from a socket into a pipe, or from a pipe to a socket.
  ///
  /// System call: `splice(2)`.
  open func splice(from source: Int32, to target: Int32, count: Int) -> Int {
    Int(martlet_splice(source, target, count))
  }

  /// Accepts a connection and tells who it is.
  ///
  /// System call: `accept4(2)`.
  open func accept(_ fd: Int32, _ peer: inout martlet_address) -> Int {
    // Safe: the kernel writes no more than the storage holds.
    Int(unsafe martlet_accept(fd, &peer))
  }

  /// Says that nothing more will be read.
  ///
  /// System call: `shutdown(2)`.
  open func shutdownRead(_ fd: Int32) { _ = martlet_shutdown_read(fd) }

  /// Says that nothing more will be written.
  ///
  /// System call: `shutdown(2)`.
  open func shutdownWrite(_ fd: Int32) { _ = martlet_shutdown_write(fd) }

  /// Makes the close that follows discard what is unsent.
  ///
  /// System call: `setsockopt(2)`, `SO_LINGER`.
  open func discardOnClose(_ fd: Int32) { _ = martlet_set_linger(fd, 1, 0) }

  /// Closes a descriptor.
  ///
  /// System call: `close(2)`.
  open func close(_ fd: Int32) { _ = martlet_close(fd) }

  /// Watches a descriptor; `data` comes back with its events.
  ///
  /// System call: `epoll_ctl(2)`.
  open func watch(_ queue: Int32, _ fd: Int32, events: UInt32, data: UInt64) -> Int {
    Int(martlet_epoll_add(queue, fd, events, data))
  }

  /// Watches a descriptor for other events; those that are there already come again.
  ///
  /// System call: `epoll_ctl(2)`.
  open func rewatch(_ queue: Int32, _ fd: Int32, events: UInt32, data: UInt64) -> Int {
    Int(martlet_epoll_change(queue, fd, events, data))
  }

  /// Ends the watch of a descriptor.
  ///
  /// System call: `epoll_ctl(2)`.
  open func unwatch(_ queue: Int32, _ fd: Int32) -> Int { Int(martlet_epoll_remove(queue, fd)) }

  /// Waits for events, at most `milliseconds` (−1: for ever).
  ///
  /// System call: `epoll_wait(2)`.
  open func wait(
    _ queue: Int32,
    into events: UnsafeMutableBufferPointer<martlet_event>,
    milliseconds: Int32
  ) -> Int {
    // Safe: the kernel writes no more events than the buffer holds.
    Int(
      unsafe martlet_epoll_wait(queue, events.baseAddress, Int32(events.count), milliseconds)
    )
  }

  /// Nanoseconds of a clock that never goes back.
  ///
  /// Library call: `clock_gettime(3)`.
  open func monotonicNanoseconds() -> Int64 { martlet_monotonic_ns() }
}

/// Clocks of the process.
public enum SystemClock {
  /// Nanoseconds of a clock that never goes back.
  ///
  /// Library call: `clock_gettime(3)`.
  @inlinable public static func monotonicNanoseconds() -> Int64 { martlet_monotonic_ns() }

  /// Microseconds since 1970.
  ///
  /// Library call: `clock_gettime(3)`.
  @inlinable public static func wallMicroseconds() -> Int64 { martlet_wall_us() }
}
