public import MartletLoop
import MartletSystem

// The kernel's way past the process: `splice(2)` from the socket into a pipe, and from the pipe into
// the other socket. The pages stay where they are. It pays for many bytes at a time only.

extension Stream {
  /// Whether bytes can pass between the socket and a pipe: not where there is a ``layer``.
  @inlinable public var passesPipes: Bool { !hasLayer }

  /// Waits for bytes, then takes a pipe and moves at most `limit` of them into it; an empty pipe is
  /// the end.
  ///
  /// Unlike ``read(_:by:)`` it may leave bytes that came after; ask ``hasUnreadInput()`` before the
  /// stream is given to somebody else.
  ///
  /// - Returns: nil when there is no pipe to be had: read the bytes instead.
  /// - Throws: ``StreamError``. System call: `splice(2)`.
  public func readPipe(
    upTo limit: Int,
    by deadline: Deadline
  ) async throws(StreamError) -> LentPipe? {
    guard passesPipes else { return nil }
    while true {
      if !hasEvent { try await readable(by: deadline) }
      // Not before bytes are there: a stream that waits holds no pipe.
      guard var pipe = loop.lendPipe() else { return nil }
      do throws(StreamError) {
        if try readNow(into: &pipe, upTo: limit) != nil { return pipe }
      } catch {
        // A kind of socket that has no splice.
        if error.isNotSupported { return nil }
        throw error
      }
    }
  }

  /// Moves at most `limit` bytes that are there into `pipe`.
  ///
  /// - Returns: How many that were; 0 is the end, nil means nothing yet.
  /// - Throws: ``StreamError``; see ``StreamError/isNotSupported``. System call: `splice(2)`.
  public func readNow(
    into pipe: inout LentPipe,
    upTo limit: Int
  ) throws(StreamError) -> Int? {
    guard passesPipes else { throw .failed(SystemError(.splice, StreamError.notSupported)) }
    let result = pipe.fill(from: descriptor, upTo: limit)
    if result >= 0 { return result }
    let error = SystemError(.splice, Int32(-result))
    if error.code == StreamError.notSupported { throw .failed(error) }
    loop.clearReadiness(descriptor)
    if error.wouldBlock { return nil }
    throw .failed(error)
  }

  /// Writes as much of what is in `pipe` as the socket takes at once.
  ///
  /// - Returns: Whether that was all.
  /// - Throws: ``StreamError``. System call: `splice(2)`.
  public func writeNow(_ pipe: inout LentPipe) throws(StreamError) -> Bool {
    precondition(passesPipes, "bytes that must pass a layer are given to the socket")
    while !pipe.isEmpty {
      let result = pipe.empty(into: descriptor)
      if result > 0 { continue }
      let error = SystemError(.splice, result == 0 ? StreamError.notSupported : Int32(-result))
      if error.wouldBlock { return false }
      throw .failed(error)
    }
    return true
  }

  /// Writes what is in `pipe`, all of it; between two pieces the socket may pause for `limit`.
  ///
  /// A pipe that is dropped before it is empty is closed with what is in it.
  ///
  /// - Throws: ``StreamError``. System call: `splice(2)`.
  public func write(
    _ pipe: inout LentPipe,
    pause limit: Timeout
  ) async throws(StreamError) {
    while try !writeNow(&pipe) { try await writable(by: loop.deadline(after: limit)) }
  }

  /// Whether bytes, the end or an error wait that nobody has read; if not, the next read waits for an
  /// event.
  ///
  /// System call: `recv(2)`, `MSG_PEEK`.
  public func hasUnreadInput() -> Bool {
    if let layer, !layer.isDrained { return true }
    if loop.kernel.hasInput(descriptor) { return true }
    loop.clearReadable(descriptor)
    return false
  }
}

extension StreamError {
  /// EINVAL.
  static let notSupported: Int32 = 22

  /// Whether a kind of socket cannot do what was asked of it.
  public var isNotSupported: Bool {
    if case .failed(let error) = self { error.code == Self.notSupported } else { false }
  }
}
