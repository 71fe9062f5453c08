// Invariant of this file: the arrays that the kernel is given are as long as it is told, and are not touched
// while it has them; events are written within the buffer that the caller gave.

import CLinux

/// `poll(2)`.
@safe
final class PollPoller: Poller {
  private var files: [pollfd] = []
  private var data: [UInt64] = []
  /// The place of a descriptor in `files`, by its number; −1: none.
  private var places: [Int] = []
  /// Where the next look at the answers begins, so that each descriptor is the first at times.
  private var start = 0

  func watch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    let number = Int(fd)
    if number >= places.count {
      places += repeatElement(-1, count: max(64, number + 1 - places.count))
    }
    if places[number] < 0 {
      places[number] = files.count
      files.append(pollfd(fd: fd, events: 0, revents: 0))
      self.data.append(data)
    }
    return rewatch(fd, events: events, data: data)
  }

  func rewatch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    let place = places[Int(fd)]
    guard place >= 0 else { return -Int(ENOENT) }
    // The bits are those of epoll; a negative number is passed over, breaks and all.
    files[place] = pollfd(
      fd: events == 0 ? -1 - fd : fd,
      events: Int16(truncatingIfNeeded: events & 0x7FFF),
      revents: 0
    )
    self.data[place] = data
    return 0
  }

  func unwatch(_ fd: Int32) {
    guard fd < places.count else { return }
    let place = places[Int(fd)]
    guard place >= 0 else { return }
    places[Int(fd)] = -1
    let (lastFile, lastData) = (files.removeLast(), data.removeLast())
    if place < files.count {
      (files[place], data[place]) = (lastFile, lastData)
      places[Int(lastFile.fd < 0 ? -1 - lastFile.fd : lastFile.fd)] = place
    }
  }

  func wait(
    into events: UnsafeMutableBufferPointer<martlet_event>,
    milliseconds: Int32
  ) -> Int {
    let ready = unsafe files.withUnsafeMutableBufferPointer { files in
      Int(unsafe martlet_poll(files.baseAddress, files.count, milliseconds))
    }
    guard ready > 0 else { return ready }
    var (count, looked, place) = (0, 0, start < files.count ? start : 0)
    while looked < files.count, count < min(ready, events.count) {
      let happened = UInt32(UInt16(bitPattern: files[place].revents))
      if happened != 0 {
        unsafe martlet_event_set(&events[count], happened, data[place])
        count += 1
      }
      looked += 1
      place = place + 1 < files.count ? place + 1 : 0
    }
    start = place
    return count
  }
}

/// `select(2)`.
@safe
final class SelectPoller: Poller {
  /// One more than the largest number that can be watched.
  private let limit: Int
  /// What is waited for, a bit for each descriptor; the kernel answers in copies.
  private var toRead: [UInt64]
  private var toWrite: [UInt64]
  private var data: [UInt64]
  /// One more than the largest number that was watched.
  private var end = 0
  private var start = 0

  init(limit: Int) {
    self.limit = limit
    toRead = [UInt64](repeating: 0, count: (limit + 63) / 64)
    toWrite = toRead
    data = [UInt64](repeating: 0, count: limit)
  }

  func watch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    guard fd < limit else { return -Int(EMFILE) }
    end = max(end, Int(fd) + 1)
    return rewatch(fd, events: events, data: data)
  }

  func rewatch(_ fd: Int32, events: UInt32, data: UInt64) -> Int {
    let number = Int(fd)
    self.data[number] = data
    toRead.set(number, events & martlet_event_readable != 0)
    toWrite.set(number, events & martlet_event_writable != 0)
    return 0
  }

  func unwatch(_ fd: Int32) {
    guard fd < limit else { return }
    _ = rewatch(fd, events: 0, data: 0)
  }

  func wait(
    into events: UnsafeMutableBufferPointer<martlet_event>,
    milliseconds: Int32
  ) -> Int {
    var (readable, writable) = (toRead, toWrite)
    let ready = unsafe readable.withUnsafeMutableBytes { readable in
      unsafe writable.withUnsafeMutableBytes { writable in
        // Safe: both have a bit for each number below `end`, which is as far as the kernel looks.
        Int(
          unsafe martlet_select(
            Int32(end),
            readable.baseAddress,
            writable.baseAddress,
            milliseconds
          )
        )
      }
    }
    guard ready > 0 else { return ready }
    var (count, looked, number) = (0, 0, start < end ? start : 0)
    while looked < end, count < events.count {
      let happened =
        (readable.contains(number) ? martlet_event_readable : 0)
        | (writable.contains(number) ? martlet_event_writable : 0)
      if happened != 0 {
        unsafe martlet_event_set(&events[count], happened, data[number])
        count += 1
      }
      looked += 1
      number = number + 1 < end ? number + 1 : 0
    }
    start = number
    return count
  }
}

/// Sets of small numbers, a bit for each.
extension [UInt64] {
  fileprivate func contains(_ number: Int) -> Bool { self[number / 64] >> (number % 64) & 1 != 0 }

  fileprivate mutating func set(_ number: Int, _ isMember: Bool) {
    let bit = UInt64(1) << (number % 64)
    if isMember { self[number / 64] |= bit } else { self[number / 64] &= ~bit }
  }
}
