public import CLinux

/// How a loop learns which of its descriptors are ready.
public enum PollingModel: String, CaseIterable, Hashable, Sendable {
  /// `epoll(7)`, each change told once; what costs least on most machines.
  case epoll
  /// `epoll(7)`, told again at each wait for as long as it holds.
  case epollLevel = "epoll_level"
  /// `poll(2)`: each wait looks at every descriptor.
  case poll
  /// `select(2)`: as `poll(2)`, for descriptors below 1,024, and without a word of the other side's
  /// close before something is read.
  case select
  /// `io_uring(7)`: changes of what is watched go to the kernel together with the wait.
  case ioUring = "io_uring"

  /// Whether an event is told once for each change, and not for as long as it holds.
  public var isEdgeTriggered: Bool { self == .epoll || self == .ioUring }

  /// The call that fails when a descriptor cannot be watched.
  public var watchCall: SystemError.Call {
    switch self {
    case .epoll, .epollLevel: .epollControl
    case .poll: .poll
    case .select: .select
    case .ioUring: .ioUringSetup
    }
  }

  /// One more than the largest number of a descriptor that can be watched: as many as a set of the C library
  /// has room for; nil: whatever the process may open.
  public var descriptorLimit: Int? { self == .select ? Int(martlet_set_size) : nil }

  /// Creates what waits in this way for descriptors below `limit`.
  ///
  /// - Throws: ``SystemError`` when the kernel has no such thing, or no descriptor is left.
  public func makePoller(kernel: Kernel, limit: Int) throws(SystemError) -> any Poller {
    switch self {
    case .epoll: try EdgePoller(kernel)
    case .epollLevel: try LevelPoller()
    case .poll: PollPoller()
    case .select: SelectPoller(limit: limit)
    case .ioUring: try UringPoller()
    }
  }
}

/// What one loop watches, and how it waits for that: one of the ``PollingModel``s.
///
/// Events are bits of `epoll(7)` in all models. The calls return 0 or the negated number of an error, as
/// the kernel does. An event may come for a descriptor that is no longer watched: what was given as
/// `data` tells, whose lower half is the number of the descriptor.
public protocol Poller: AnyObject {
  /// Begins to watch a descriptor; `data` comes back with its events.
  func watch(_ fd: Int32, events: UInt32, data: UInt64) -> Int

  /// Watches a descriptor for other events, or for none until the next change; those that are there
  /// already come again.
  func rewatch(_ fd: Int32, events: UInt32, data: UInt64) -> Int

  /// Ends the watch of a descriptor that stays open, if there is one.
  func unwatch(_ fd: Int32)

  /// Ends the watch of a descriptor that is about to be closed, if there is one.
  func forget(_ fd: Int32)

  /// Waits for events, at most `milliseconds` (−1: for ever).
  ///
  /// - Returns: How many events there are.
  func wait(into events: UnsafeMutableBufferPointer<martlet_event>, milliseconds: Int32) -> Int
}

extension Poller {
  /// Ends the watch, as of one that stays open: the kernel may know it under other numbers too.
  public func forget(_ fd: Int32) { unwatch(fd) }
}
