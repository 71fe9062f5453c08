public import MartletLoop
import MartletSystem

// Invariant of this file: a buffer that a layer reads or fills is borrowed from the caller until the call
// returns, and the layer keeps no pointer to it.

// What is done where bytes pass a layer. The loop's readiness flag stays set as long as the layer holds
// bytes, so that all that asks whether something can be read knows of them too.
extension Stream {
  /// Whether the other side has closed, or bytes wait that nobody asked for: as ``hasEvent``, but what the
  /// other side says to the ``layer`` alone is taken in first.
  @inlinable
  public func hasUnexpectedEvent() -> Bool {
    guard hasEvent else { return false }
    return hasLayer ? hasUnexpectedInput() : true
  }

  @usableFromInline
  func hasUnexpectedInput() -> Bool {
    guard let layer else { return true }
    if layer.hasInput() { return true }
    loop.clearReadiness(descriptor)
    return false
  }

  /// One receive: how many bytes came, nil if there were none yet.
  @usableFromInline
  func receiveThroughLayer(into buffer: inout Lent) throws(StreamError) -> Int? {
    guard let layer else { return nil }
    let result = unsafe layer.receive(into: buffer.freeStorage)
    if result >= 0 {
      if result > 0, layer.isDrained { loop.clearReadable(descriptor) }
      buffer.didFill(result)
      return result
    }
    loop.clearReadiness(descriptor)
    let error = SystemError(.recv, Int32(-result))
    if error.wouldBlock { return nil }
    throw .failed(error)
  }

  /// One send, in the form of the kernel's.
  @usableFromInline
  func sendThroughLayer(_ bytes: UnsafeRawBufferPointer, endsNext: Bool = false) -> Int {
    guard let layer else { return 0 }
    return unsafe layer.send(bytes, endsNext: endsNext)
  }

  /// Writes all of `head`, a part of `body` and `tail`, copied together where they are in pieces: each
  /// piece that a layer gets becomes one of its own on the wire.
  func writeThroughLayer(
    _ head: borrowing Lent,
    _ body: borrowing Lent,
    _ range: Range<Int>,
    tail: StaticString,
    by deadline: Deadline
  ) async throws(StreamError) {
    var start = range.lowerBound
    if !head.isEmpty {
      var block = loop.lend(.body)
      block.append(head.bytes)
      start = min(range.upperBound, start + block.freeCount)
      block.append(body.bytes.extracting(range.lowerBound..<start))
      if start == range.upperBound, tail.utf8CodeUnitCount <= block.freeCount {
        block.append(tail)
        return try await write(block, by: deadline)
      }
      try await write(block, by: deadline)
    }
    try await write(body, start..<range.upperBound, by: deadline)
    guard tail.utf8CodeUnitCount > 0 else { return }
    var end = loop.lend(.head)
    end.append(tail)
    try await write(end, by: deadline)
  }

  /// Sends `count` bytes of an open file from `offset` on, a block at a time.
  func sendThroughLayer(
    _ file: borrowing Descriptor,
    from offset: Int64,
    count: Int,
    by deadline: Deadline
  ) async throws(StreamError) -> Int {
    var sent = 0
    while sent < count {
      let bytes: [UInt8]
      do throws(SystemError) {
        let limit = min(count - sent, BufferSize.body.bytes)
        bytes = try file.read(upTo: limit, at: Int(offset) + sent)
      } catch {
        throw .failed(error)
      }
      if bytes.isEmpty { return sent }
      try await write(bytes, by: deadline)
      sent += bytes.count
    }
    return sent
  }
}
