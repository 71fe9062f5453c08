// Invariant of this file: the kernel writes no more events than the buffer holds that it is given, and the
// buffer is the caller's for as long as the call takes.

import CLinux

extension OpenFile {
  /// A queue of `epoll(7)`.
  fileprivate static func eventQueue() throws(SystemError) -> OpenFile {
    OpenFile(adopting: Int32(try check(martlet_epoll_create(), .epollCreate)))
  }
}

/// `epoll(7)`, each change told once, by way of a kernel that a test may script.
@safe
final class EdgePoller: Poller {
  private let kernel: Kernel
  private let queue: OpenFile

  init(_ kernel: Kernel) throws(SystemError) {
    self.kernel = kernel
    queue = try .eventQueue()
  }

  func watch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    kernel.watch(queue.number, fd, events: events, data: data)
  }

  func rewatch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    kernel.rewatch(queue.number, fd, events: events, data: data)
  }

  func unwatch(_ fd: Int32) { _ = kernel.unwatch(queue.number, fd) }

  // Closing takes it out of the queue, unless another process has the file open: what is told of it then is
  // known by its `data` as of one that is gone.
  func forget(_ fd: Int32) {}

  func wait(
    into events: UnsafeMutableBufferPointer<martlet_event>,
    milliseconds: Int32
  ) -> Int {
    unsafe kernel.wait(queue.number, into: events, milliseconds: milliseconds)
  }
}

/// `epoll(7)`, told again for as long as it holds.
@safe
final class LevelPoller: Poller {
  private let queue: OpenFile
  /// Whether a descriptor is in the queue, by its number.
  private var isQueued: [Bool] = []

  init() throws(SystemError) { queue = try .eventQueue() }

  func watch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    let place = Int(fd)
    if place >= isQueued.count {
      isQueued += repeatElement(false, count: max(64, place + 1 - isQueued.count))
    }
    isQueued[place] = false
    return rewatch(fd, events: events, data: data)
  }

  func rewatch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    // A queue tells of breaks whatever it is asked for: only who is not in it is silent.
    if events == 0 {
      unwatch(fd)
      return 0
    }
    let levels = events & ~(martlet_event_edge | martlet_event_exclusive)
    if isQueued[Int(fd)] { return Int(martlet_epoll_change(queue.number, fd, levels, data)) }
    let result = Int(martlet_epoll_add(queue.number, fd, levels, data))
    isQueued[Int(fd)] = result == 0
    return result
  }

  func unwatch(_ fd: Int32) {
    guard fd < isQueued.count, isQueued[Int(fd)] else { return }
    isQueued[Int(fd)] = false
    _ = martlet_epoll_remove(queue.number, fd)
  }

  func wait(
    into events: UnsafeMutableBufferPointer<martlet_event>,
    milliseconds: Int32
  ) -> Int {
    Int(
      unsafe martlet_epoll_wait(
        queue.number,
        events.baseAddress,
        Int32(events.count),
        milliseconds
      )
    )
  }
}
