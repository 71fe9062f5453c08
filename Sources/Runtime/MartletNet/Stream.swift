public import MartletLoop
public import MartletSystem

/// Why a stream cannot go on.
public enum StreamError: Error, Hashable, Sendable {
  /// The deadline came first.
  case timedOut
  /// The stream was cancelled by its loop.
  case cancelled
  /// The kernel refused: the connection was refused, reset or broken.
  case failed(SystemError)

  /// Creates the stream's form of a wait's end.
  @inlinable init(_ error: WaitError) {
    switch error {
    case .timedOut: self = .timedOut
    case .cancelled: self = .cancelled
    }
  }
}

/// A connected stream socket on a loop, closed when its last use ends.
///
/// One coroutine reads and one writes at a time. It never leaves its loop.
@safe
public final class Stream {
  /// The kernel's number for the socket.
  public let descriptor: Int32
  @usableFromInline let loop: EventLoop
  /// What the bytes pass through on their way to the socket and back; nil: nothing.
  ///
  /// It is set while nothing is under way.
  public var layer: SocketLayer? {
    didSet { hasLayer = layer != nil }
  }
  /// Whether there is a ``layer``; what looks at it counts no reference.
  @usableFromInline var hasLayer = false

  /// Takes over a connected socket.
  ///
  /// With `assumesReady` the first read is tried at once.
  ///
  /// - Throws: ``SystemError`` when the loop cannot watch the socket.
  public convenience init(
    adopting descriptor: consuming Descriptor,
    on loop: EventLoop,
    assumesReady: Bool = false
  ) throws(SystemError) {
    try loop.watch(descriptor.number, assumesReady: assumesReady)
    self.init(watched: descriptor, on: loop)
  }

  /// Takes over a socket that is watched.
  init(watched descriptor: consuming Descriptor, on loop: EventLoop) {
    self.descriptor = descriptor.release()
    self.loop = loop
  }

  deinit {
    layer?.close()
    loop.forget(descriptor)
    loop.kernel.close(descriptor)
  }

  // MARK: State

  /// Whether the other side is known to have closed, or bytes wait that nobody asked for.
  ///
  /// A pooled connection of which this is true is of no use.
  @inlinable public var hasEvent: Bool { loop.isReadable(descriptor) }

  /// Whether the other side is known to have closed.
  @inlinable public var isClosed: Bool { loop.isClosed(descriptor) }

  /// Whether the other side is known to have ended its sending, in order: what it has sent before that
  /// is there.
  ///
  /// With a ``layer`` that is not known: a read that leaves room may not have taken all.
  @inlinable public var isEnding: Bool {
    loop.isClosed(descriptor) && !loop.isBroken(descriptor) && !hasLayer
  }

  /// Asks the kernel itself whether the other side has closed or sent something.
  public func hasEventNow() -> Bool {
    guard loop.kernel.hasInput(descriptor) else { return false }
    return hasLayer ? hasUnexpectedInput() : true
  }

  /// Ends the present or the next wait of this stream with ``StreamError/cancelled``.
  public func cancel() { loop.cancelWaits(of: descriptor) }

  /// Rests until bytes or the end are there, or `deadline` comes: the loop's keeper is told then, by
  /// the number of `owner` if there is one.
  public func rest(for owner: Stream? = nil, until deadline: Deadline) {
    loop.rest(descriptor, for: owner?.descriptor, until: deadline)
  }

  /// Rests until it can be written, after it took less than it was given or while it connects, or
  /// until `deadline` comes: the loop's keeper is told then, by the number `owner`.
  @inlinable
  public func restForWriting(for owner: Int32, until deadline: Deadline) {
    loop.restForWriting(descriptor, for: owner, until: deadline)
  }

  // MARK: Reading

  /// Waits until bytes or the end are there, without holding a buffer.
  ///
  /// - Throws: ``StreamError``.
  @inlinable
  public func readable(by deadline: Deadline) async throws(StreamError) {
    do throws(WaitError) {
      try await loop.readable(descriptor, by: deadline)
    } catch {
      throw StreamError(error)
    }
  }

  /// Takes a buffer and reads what is there; an empty buffer is the end, nil means nothing yet.
  ///
  /// - Throws: ``StreamError``.
  @inlinable
  public func readNow(_ size: BufferSize) throws(StreamError) -> Lent? {
    guard loop.isReadable(descriptor) else { return nil }
    var buffer = loop.lend(size)
    guard try receive(into: &buffer) != nil else { return nil }
    return consume buffer
  }

  /// Waits for bytes, then takes a buffer and reads them; an empty buffer is the end.
  ///
  /// - Throws: ``StreamError``.
  @inlinable
  public func read(_ size: BufferSize, by deadline: Deadline) async throws(StreamError) -> Lent {
    while true {
      if !loop.isReadable(descriptor) { try await readable(by: deadline) }
      var buffer = loop.lend(size)
      if try receive(into: &buffer) != nil { return buffer }
    }
  }

  /// Waits for bytes and appends them to `buffer`, which has room.
  ///
  /// - Returns: How many were appended; 0 is the end.
  /// - Throws: ``StreamError``.
  @inlinable
  public func more(_ buffer: inout Lent, by deadline: Deadline) async throws(StreamError) -> Int {
    while true {
      if !loop.isReadable(descriptor) { try await readable(by: deadline) }
      if let count = try receive(into: &buffer) { return count }
    }
  }

  /// Appends what is there to `buffer`, which has room.
  ///
  /// - Returns: How many bytes; 0 is the end, nil means nothing yet.
  /// - Throws: ``StreamError``.
  @inlinable
  public func moreNow(_ buffer: inout Lent) throws(StreamError) -> Int? {
    guard loop.isReadable(descriptor) else { return nil }
    return try receive(into: &buffer)
  }

  /// One `recv(2)`: how many bytes came, nil if there were none yet.
  @usableFromInline
  func receive(into buffer: inout Lent) throws(StreamError) -> Int? {
    precondition(buffer.freeCount > 0, "a read into a full buffer")
    if hasLayer { return try receiveThroughLayer(into: &buffer) }
    let free = buffer.freeCount
    // Safe: the free part is ours until `didFill`.
    let result = loop.withKernel { unsafe $0.receive(descriptor, into: buffer.freeStorage) }
    if result >= 0 {
      // A short read emptied the socket: the next read waits for an event, unless it is closed.
      if result < free { loop.clearReadable(descriptor) }
      buffer.didFill(result)
      return result
    }
    loop.clearReadiness(descriptor)
    let error = SystemError(.recv, Int32(-result))
    if error.wouldBlock { return nil }
    throw .failed(error)
  }

  // MARK: Writing

  /// Writes as much of `buffer` as the socket takes at once; with `endsNext` the end of the writing
  /// follows at once, and may go in the same packet.
  ///
  /// - Returns: How many bytes that was.
  /// - Throws: ``StreamError``.
  @inlinable
  public func writeNow(
    _ buffer: borrowing Lent,
    endsNext: Bool = false
  ) throws(StreamError) -> Int {
    // Safe: the buffer is borrowed until this returns.
    if hasLayer {
      return try result(unsafe sendThroughLayer(buffer.storage, endsNext: endsNext))
    }
    return try result(
      loop.withKernel { unsafe $0.send(descriptor, buffer.storage, more: endsNext) }
    )
  }

  /// Writes as much of `buffer` from `offset` on as the socket takes at once.
  ///
  /// - Returns: How many bytes that was.
  /// - Throws: ``StreamError``.
  public func writeNow(_ buffer: borrowing Lent, from offset: Int) throws(StreamError) -> Int {
    // Safe: the buffer is borrowed until this returns.
    try result(unsafe send(rest(buffer.storage, offset)))
  }

  /// Writes as much of an array from `offset` on as the socket takes at once.
  ///
  /// - Returns: How many bytes that was.
  /// - Throws: ``StreamError``.
  public func writeNow(_ bytes: [UInt8], from offset: Int) throws(StreamError) -> Int {
    // Safe: whoever sends only reads, during the call.
    let count = unsafe bytes.withUnsafeBytes { storage in
      unsafe send(rest(storage, offset))
    }
    return try result(count)
  }

  /// Writes the bytes of `buffer` from `offset` on, all of them.
  ///
  /// - Throws: ``StreamError``.
  @inlinable
  public func write(
    _ buffer: borrowing Lent,
    from offset: Int = 0,
    by deadline: Deadline
  ) async throws(StreamError) {
    var sent = offset
    while sent < buffer.count {
      // Safe: the buffer is borrowed until this returns.
      sent &+= try result(unsafe send(rest(buffer.storage, sent)))
      if sent < buffer.count { try await writable(by: deadline) }
    }
  }

  /// Writes a part of `buffer`, all of it.
  ///
  /// - Throws: ``StreamError``.
  @inlinable
  public func write(
    _ buffer: borrowing Lent,
    _ range: Range<Int>,
    by deadline: Deadline
  ) async throws(StreamError) {
    precondition(range.upperBound <= buffer.count, "a range beyond the buffer")
    var sent = range.lowerBound
    while sent < range.upperBound {
      // Safe: the buffer is borrowed until this returns; the range lies in it.
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer.storage[sent..<range.upperBound])
      sent &+= try result(unsafe send(bytes))
      if sent < range.upperBound { try await writable(by: deadline) }
    }
  }

  /// Writes all of `head`, a part of `body` and a constant `tail` with as few calls as possible.
  ///
  /// - Throws: ``StreamError``.
  public func write(
    _ head: borrowing Lent,
    _ body: borrowing Lent,
    _ range: Range<Int>,
    tail: StaticString = "",
    by deadline: Deadline
  ) async throws(StreamError) {
    precondition(range.upperBound <= body.count, "a range beyond the buffer")
    if hasLayer {
      return try await writeThroughLayer(head, body, range, tail: tail, by: deadline)
    }
    let tailCount = tail.utf8CodeUnitCount
    let total = head.count + range.count + tailCount
    var sent = 0
    while sent < total {
      let inBody = max(0, sent - head.count)
      let inTail = max(0, sent - head.count - range.count)
      // Safe: both buffers are borrowed until this returns, and a literal lives for ever.
      let count = unsafe loop.kernel.send(
        descriptor,
        rest(head.storage, min(sent, head.count)),
        UnsafeRawBufferPointer(
          rebasing: body.storage[
            min(range.lowerBound + inBody, range.upperBound)..<range.upperBound
          ]
        ),
        rest(UnsafeRawBufferPointer(start: tail.utf8Start, count: tailCount), inTail)
      )
      sent += try result(count)
      if sent < total { try await writable(by: deadline) }
    }
  }

  /// Writes the bytes of an array, all of them.
  ///
  /// - Throws: ``StreamError``.
  public func write(_ bytes: [UInt8], by deadline: Deadline) async throws(StreamError) {
    var sent = 0
    while sent < bytes.count {
      // Safe: the kernel only reads during the call.
      let count = unsafe bytes.withUnsafeBytes { storage in
        unsafe send(rest(storage, sent))
      }
      sent += try result(count)
      if sent < bytes.count { try await writable(by: deadline) }
    }
  }

  /// Sends `count` bytes of an open file from `offset` on, without copying them through here.
  ///
  /// - Returns: How many were sent: fewer only if the file is shorter than that.
  /// - Throws: ``StreamError``. System call: `sendfile(2)`.
  public func sendFile(
    _ file: borrowing Descriptor,
    from offset: Int64,
    count: Int,
    by deadline: Deadline
  ) async throws(StreamError) -> Int {
    if hasLayer {
      return try await sendThroughLayer(file, from: offset, count: count, by: deadline)
    }
    var sent = 0
    while sent < count {
      let result = loop.kernel.sendFile(
        descriptor,
        from: file.number,
        at: offset + Int64(sent),
        count: count - sent
      )
      if result == 0 { return sent }
      if result > 0 {
        sent += result
        continue
      }
      let error = SystemError(.sendfile, Int32(-result))
      guard error.wouldBlock else { throw .failed(error) }
      try await writable(by: deadline)
    }
    return sent
  }

  /// One send of `bytes`, by the layer if there is one.
  @usableFromInline
  func send(_ bytes: UnsafeRawBufferPointer) -> Int {
    // Safe: the caller keeps `bytes` for this call.
    if hasLayer { return unsafe sendThroughLayer(bytes) }
    return unsafe loop.kernel.send(descriptor, bytes, more: false)
  }

  /// What a send took; nothing if the socket is full for now.
  @usableFromInline
  func result(_ count: Int) throws(StreamError) -> Int {
    if count >= 0 { return count }
    let error = SystemError(.send, Int32(-count))
    if error.wouldBlock { return 0 }
    throw .failed(error)
  }

  /// Waits until the socket takes bytes again, after it took less than it was given.
  ///
  /// - Throws: ``StreamError``.
  public func writable(by deadline: Deadline) async throws(StreamError) {
    do throws(WaitError) {
      try await loop.writable(descriptor, by: deadline)
    } catch {
      throw StreamError(error)
    }
  }

  /// What is left of `bytes` from `offset` on.
  @usableFromInline @inline(__always)
  func rest(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(rebasing: bytes[offset...])
  }

  // MARK: Closing

  /// Says that nothing more will be written; the other side reads the end, and may still write.
  ///
  /// System call: `shutdown(2)`.
  public func shutdownWrite() {
    layer?.close()
    loop.kernel.shutdownWrite(descriptor)
  }

  /// Reads no more: to whoever reads or waits here it is as if the other side had closed.
  ///
  /// System call: `shutdown(2)`.
  public func shutdownRead() { loop.kernel.shutdownRead(descriptor) }

  /// Makes the close that follows discard what is unsent and reset the connection.
  public func abort() {
    // An end in order would be taken for one.
    layer = nil
    loop.kernel.discardOnClose(descriptor)
  }

  /// The address of this end.
  ///
  /// - Throws: ``SystemError``.
  public func localAddress() throws(SystemError) -> SocketAddress {
    try SocketAddress(boundTo: descriptor)
  }

  /// The value of an option of the socket.
  ///
  /// - Throws: ``SystemError`` when the socket does not know it.
  public func value(of option: SocketOption) throws(SystemError) -> Int32 {
    try option.value(on: descriptor)
  }

  /// Sets an option of the socket.
  ///
  /// - Throws: ``SystemError`` when the socket does not know it.
  public func set(_ option: SocketOption, to value: Int32) throws(SystemError) {
    try SocketError.set(option, of: descriptor, to: value)
  }
}

extension Descriptor {
  /// Takes a buffer and reads what has come on a socket that no loop watches yet; an empty buffer is the
  /// end, nil means nothing yet.
  ///
  /// - Throws: ``StreamError``. System call: `recv(2)`.
  public borrowing func receiveNow(
    _ size: BufferSize,
    on loop: EventLoop
  ) throws(StreamError) -> Lent? {
    var buffer = loop.lend(size)
    // Safe: the free part is ours until `didFill`.
    let result = loop.withKernel { unsafe $0.receive(number, into: buffer.freeStorage) }
    if result >= 0 {
      buffer.didFill(result)
      return consume buffer
    }
    let error = SystemError(.recv, Int32(-result))
    if error.wouldBlock { return nil }
    throw .failed(error)
  }
}
