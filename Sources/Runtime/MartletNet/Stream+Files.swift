public import MartletLoop
public import MartletSystem

// What is sent of files without waiting: whoever has to wait does so between two calls.

extension Stream {
  /// Sends as much of an open file as the socket takes at once, without copying it through here; not where
  /// there is a ``layer``, nor over an inner socket.
  ///
  /// - Returns: How many bytes were sent; 0: the file has no more; nil: the socket is full for now.
  /// - Throws: ``StreamError``. System call: `sendfile(2)`.
  public func sendFileNow(
    _ file: OpenFile,
    from offset: Int64,
    count: Int
  ) throws(StreamError) -> Int? {
    precondition(!hasLayer, "bytes that must pass a layer are given to the socket")
    let result = loop.kernel.sendFile(descriptor, from: file.number, at: offset, count: count)
    if result >= 0 { return result }
    let error = SystemError(.sendfile, Int32(-result))
    if error.wouldBlock { return nil }
    throw .failed(error)
  }

  /// Writes as much of `bytes` as the socket takes at once.
  ///
  /// - Returns: How many bytes that was; 0: the socket is full for now.
  /// - Throws: ``StreamError``.
  public func writeNow(_ bytes: Span<UInt8>) throws(StreamError) -> Int {
    // Safe: whoever sends only reads, during the call.
    let count = unsafe bytes.withUnsafeBytes { storage in unsafe send(storage) }
    return try result(count)
  }

  /// Writes as much of `head` from `offset` on and then of `body` as the socket takes at once, with one call
  /// where there is no ``layer``.
  ///
  /// - Returns: How many bytes of both together that was; 0: the socket is full for now.
  /// - Throws: ``StreamError``.
  public func writeNow(
    _ head: borrowing Lent,
    from offset: Int,
    _ body: Span<UInt8>
  ) throws(StreamError) -> Int {
    guard !hasLayer else { return try writeNow(head, from: offset) }
    // Safe: both are borrowed until this returns.
    let count = unsafe body.withUnsafeBytes { body in
      unsafe loop.kernel.send(
        descriptor,
        rest(head.storage, offset),
        body,
        UnsafeRawBufferPointer(start: nil, count: 0)
      )
    }
    return try result(count)
  }
}

extension Lent {
  /// Appends bytes of an open file from `offset` on, at most `limit` and as many as fit.
  ///
  /// - Returns: How many were appended; 0: the file has no more.
  /// - Throws: ``SystemError``. System call: `pread(2)`.
  public mutating func fill(
    from file: OpenFile,
    at offset: Int64,
    upTo limit: Int
  ) throws(SystemError) -> Int {
    // Safe: the free part is ours until `didFill`, and the kernel writes no more than that.
    let count = try unsafe file.descriptor.read(
      into: UnsafeMutableRawBufferPointer(rebasing: freeStorage.prefix(limit)),
      at: offset
    )
    didFill(count)
    return count
  }
}
