// Invariant of this file: the ring is opened by the first wait and used by that thread alone until it is
// closed with its owner; events are written within the buffer that the caller gave.

import CLinux

/// `io_uring(7)`: polls that repeat, handed to the kernel by the call that waits.
@safe
final class UringPoller: Poller {
  private struct Watch {
    var events: UInt32 = 0
    var data: UInt64 = 0
    /// Whether the kernel has been asked and goes on to tell.
    var isAsked = false
  }

  private static let entryCount: UInt32 = 1024
  /// What the kernel's answers to an end of a poll carry: the data of no descriptor.
  private static let ended = UInt64.max - 1

  private var ring: OpaquePointer?
  /// What is watched, by number; no events: nothing.
  private var watches: [Watch] = []
  /// What the next wait asks for: there was no ring yet, it was full, or a poll is told of no more.
  private var starting: [Int32] = []
  /// The polls whose end the kernel would not take note of yet.
  private var ending: [UInt64] = []

  /// Looks whether this kernel has what is needed, and lets us have it.
  ///
  /// The ring itself is opened by the thread that uses it, which the kernel remembers.
  init() throws(SystemError) {
    var ring: OpaquePointer?
    try check(unsafe martlet_ring_open(8, &ring), .ioUringSetup)
    if let ring = unsafe ring { unsafe martlet_ring_close(ring) }
  }

  deinit { if let ring = unsafe ring { unsafe martlet_ring_close(ring) } }

  func watch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    let place = Int(fd)
    if place >= watches.count {
      watches += repeatElement(Watch(), count: max(64, place + 1 - watches.count))
    }
    watches[place] = Watch(events: events, data: data)
    begin(fd)
    return 0
  }

  func rewatch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    unwatch(fd)
    return watch(fd, events: events, data: data)
  }

  // A poll keeps its file open: it ends with the watch, not with the number.
  func unwatch(_ fd: Int32) {
    guard fd < watches.count else { return }
    let watch = watches[Int(fd)]
    watches[Int(fd)] = Watch()
    if watch.isAsked { end(watch.data) }
  }

  private func end(_ data: UInt64) {
    guard let ring = unsafe ring else { return }
    if unsafe martlet_ring_end_poll(ring, data, Self.ended) < 0 { ending.append(data) }
  }

  private func begin(_ fd: Int32) {
    let watch = watches[Int(fd)]
    guard watch.events != 0, !watch.isAsked else { return }
    // What is told for as long as it holds is asked for anew each time.
    let repeats: Int32 = watch.events & martlet_event_edge != 0 ? 1 : 0
    let events = watch.events & ~martlet_event_edge
    guard let ring = unsafe ring,
      unsafe martlet_ring_poll(ring, fd, events, repeats, watch.data) == 0
    else { return starting.append(fd) }
    watches[Int(fd)].isAsked = true
  }

  func wait(
    into events: UnsafeMutableBufferPointer<martlet_event>,
    milliseconds: Int32
  ) -> Int {
    if unsafe ring == nil {
      let result = unsafe martlet_ring_open(Self.entryCount, &ring)
      guard result == 0 else { return Int(result) }
    }
    guard let ring = unsafe ring else { return -Int(ENOSYS) }
    askAgain()
    let result = unsafe martlet_ring_enter(ring, milliseconds)
    guard result >= 0 else { return Int(result) }
    return unsafe take(from: ring, into: events)
  }

  /// Asks the kernel for what it has not been asked yet, or would not take before.
  private func askAgain() {
    if !ending.isEmpty {
      let data = ending
      ending.removeAll()
      for data in data { end(data) }
    }
    if !starting.isEmpty {
      let descriptors = starting
      starting.removeAll()
      for fd in descriptors { begin(fd) }
    }
  }

  private func take(
    from ring: OpaquePointer,
    into events: UnsafeMutableBufferPointer<martlet_event>
  ) -> Int {
    var (data, result, repeats) = (UInt64(0), Int32(0), Int32(0))
    var count = 0
    while count < events.count, unsafe martlet_ring_take(ring, &data, &result, &repeats) != 0 {
      if data == Self.ended || result == -ECANCELED { continue }
      if repeats == 0 { beginAnew(data) }
      // What cannot be polled is broken; whoever reads it learns why.
      let happened = result < 0 ? martlet_event_closed : UInt32(result)
      unsafe martlet_event_set(&events[count], happened, data)
      count += 1
    }
    return count
  }

  /// Lets the next wait ask for what is told no more, unless its watch has ended.
  private func beginAnew(_ data: UInt64) {
    let fd = Int32(truncatingIfNeeded: data & 0xFFFF_FFFF)
    guard watches[Int(fd)].data == data, watches[Int(fd)].events != 0 else { return }
    watches[Int(fd)].isAsked = false
    starting.append(fd)
  }
}
