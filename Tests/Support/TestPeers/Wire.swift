import Glibc

/// One end of a connection, which blocks its thread; every wait has a limit.
public final class Wire: Sendable {
  /// How a connection ended, where that is not as it should be.
  public enum Failure: Error, Hashable {
    /// Nothing came or went within ``patience``.
    case timedOut
    /// The other end reset the connection, or no longer reads.
    case reset
    /// The connection ended where more was needed.
    case ended
    /// Nobody listens.
    case refused
  }

  private let number: Int32
  private let buffered = Guarded<[UInt8]>([])
  private let record: Record?

  /// Connects to `endpoint`; the kernel holds about `receiveBuffer` bytes that were not read.
  ///
  /// - Throws: ``Failure/refused`` when nobody listens.
  public init(to endpoint: Endpoint, receiveBuffer: Int32? = nil) throws {
    let family = if case .unix = endpoint { AF_UNIX } else { AF_INET }
    let number = socket(family, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    guard number >= 0 else { throw PeerError("no socket: errno \(errno)") }
    if var size = receiveBuffer { unsafe setsockopt(number, SOL_SOCKET, SO_RCVBUF, &size, 4) }
    let connected = try unsafe endpoint.withAddress { unsafe connect(number, $0, $1) }
    guard connected == 0 else {
      close(number)
      throw Failure.refused
    }
    self.number = number
    record = nil
  }

  /// Takes over an accepted connection; what is received is noted in `record`.
  init(accepted number: Int32, record: Record) {
    self.number = number
    self.record = record
  }

  deinit { close(number) }

  // MARK: Sending

  /// Sends all of `bytes`.
  ///
  /// - Throws: ``Failure/reset`` or ``Failure/timedOut``.
  public func send(_ bytes: some Collection<UInt8>) throws {
    try send(Array(bytes))
  }

  /// Sends all of `bytes`.
  ///
  /// - Throws: ``Failure/reset`` or ``Failure/timedOut``.
  public func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      try wait(for: POLLOUT)
      sent += try sendNow(bytes, from: sent)
    }
  }

  /// Sends `text`.
  ///
  /// - Throws: ``Failure/reset`` or ``Failure/timedOut``.
  public func send(text: String) throws { try send(Array(text.utf8)) }

  /// Sends what the kernel takes at once, and says how many bytes that were.
  ///
  /// - Throws: ``Failure/reset``.
  public func sendNow(_ bytes: [UInt8], from start: Int = 0) throws -> Int {
    let count = unsafe bytes.withUnsafeBytes { all in
      let rest = unsafe UnsafeRawBufferPointer(rebasing: all[start...])
      return unsafe Glibc.send(
        number,
        rest.baseAddress,
        rest.count,
        Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
      )
    }
    if count >= 0 { return count }
    guard errno == EAGAIN || errno == EINTR else { throw Failure.reset }
    return 0
  }

  /// Whether bytes can be sent within `limit`.
  public func isWritable(within limit: Duration) -> Bool {
    isReady(POLLOUT, limit.milliseconds)
  }

  /// Tells the other end that nothing more comes.
  public func finishSending() { shutdown(number, Int32(SHUT_WR)) }

  /// Ends the connection in both directions, whoever waits on it.
  public func end() { shutdown(number, Int32(SHUT_RDWR)) }

  /// Has the connection reset when its last use ends.
  public func resetAtEnd() {
    var option = linger(l_onoff: 1, l_linger: 0)
    unsafe setsockopt(
      number,
      SOL_SOCKET,
      SO_LINGER,
      &option,
      socklen_t(MemoryLayout<linger>.size)
    )
  }

  // MARK: Receiving

  /// What comes next, at most `count` bytes; empty at the end.
  ///
  /// - Throws: ``Failure/reset`` or ``Failure/timedOut``.
  public func receive(atMost count: Int = 1 << 16) throws -> [UInt8] {
    let kept = buffered.withLock { kept in
      let part = Array(kept.prefix(count))
      kept.removeFirst(part.count)
      return part
    }
    if !kept.isEmpty { return kept }
    try wait(for: POLLIN)
    return try receiveNow(atMost: count)
  }

  private func receiveNow(atMost count: Int) throws -> [UInt8] {
    var result = -1
    var failure: Int32 = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      result = unsafe recv(number, buffer.baseAddress, count, 0)
      failure = errno
      initialized = max(0, result)
    }
    guard result >= 0 else {
      if failure == EINTR { return try receive(atMost: count) }
      throw Failure.reset
    }
    record?.append(bytes)
    return bytes
  }

  /// Puts bytes back in front of what comes next.
  func putBack(_ bytes: some Collection<UInt8>) {
    buffered.withLock { $0.insert(contentsOf: bytes, at: 0) }
  }

  /// Everything up to and with `mark`.
  ///
  /// - Throws: ``Failure``; ``Failure/ended`` when the connection ends before.
  public func receive(through mark: String, limit: Int = 1 << 20) throws -> [UInt8] {
    let mark = Array(mark.utf8)
    var all: [UInt8] = []
    while true {
      let part = try receive()
      guard !part.isEmpty else {
        putBack(all)
        throw Failure.ended
      }
      let searched = max(0, all.count - mark.count + 1)
      all += part
      if let end = firstIndex(of: mark, in: all, from: searched) {
        putBack(all[(end + mark.count)...])
        return Array(all[..<(end + mark.count)])
      }
      guard all.count < limit else { throw PeerError("no \(mark) in \(limit) bytes") }
    }
  }

  /// Exactly `count` bytes.
  ///
  /// - Throws: ``Failure``; ``Failure/ended`` when the connection ends before.
  public func receive(exactly count: Int) throws -> [UInt8] {
    var all: [UInt8] = []
    all.reserveCapacity(count)
    while all.count < count {
      let part = try receive(atMost: min(1 << 18, count - all.count))
      guard !part.isEmpty else { throw Failure.ended }
      all += part
    }
    return all
  }

  /// Everything that still comes.
  ///
  /// - Throws: ``Failure/reset`` or ``Failure/timedOut``.
  public func receiveRest() throws -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let part = try receive()
      if part.isEmpty { return all }
      all += part
    }
  }

  /// Waits until the other end has ended or reset the connection, and drops what comes before.
  ///
  /// - Throws: ``Failure/timedOut``.
  public func receiveEnd() throws {
    do {
      while try !receive().isEmpty {}
    } catch Failure.reset {
      return
    }
  }

  /// Whether something, be it the end, is there to be received within `limit`.
  public func isReadable(within limit: Duration) -> Bool {
    if !buffered.withLock({ $0.isEmpty }) { return true }
    return isReady(POLLIN, limit.milliseconds)
  }

  // MARK: Waiting

  private func wait(for events: Int32) throws {
    guard isReady(events, patience.milliseconds) else { throw Failure.timedOut }
  }

  private func isReady(_ events: Int32, _ limit: Int32) -> Bool {
    var entry = pollfd(fd: number, events: Int16(events), revents: 0)
    return unsafe poll(&entry, 1, limit) > 0
  }
}

/// Where `part` begins in `bytes`, not before `start`.
func firstIndex(of part: [UInt8], in bytes: [UInt8], from start: Int = 0) -> Int? {
  guard let first = part.first, bytes.count >= part.count else { return nil }
  var index = start
  while index + part.count <= bytes.count {
    if bytes[index] == first, bytes[index..<index + part.count].elementsEqual(part) { return index }
    index += 1
  }
  return nil
}

/// All bytes that a member has received.
final class Record: Sendable {
  private let bytes = Guarded<[UInt8]>([])

  var all: [UInt8] { bytes.withLock { $0 } }

  // Enough for any test that looks at them; a body of a gigabyte is not kept.
  private static let limit = 1 << 22

  func append(_ more: [UInt8]) {
    bytes.withLock { if $0.count < Self.limit { $0 += more } }
  }
}
