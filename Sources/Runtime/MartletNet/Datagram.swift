import CLinux
public import MartletLoop
public import MartletSystem

/// A datagram socket on a loop, closed when its last use ends.
@safe
public final class Datagram {
  /// The kernel's number for the socket.
  public let descriptor: Int32
  private let loop: EventLoop

  /// Takes over a datagram socket.
  ///
  /// - Throws: ``SystemError`` when the loop cannot watch the socket.
  public init(adopting socket: consuming Descriptor, on loop: EventLoop) throws(SystemError) {
    try loop.watch(socket.number, assumesReady: true)
    descriptor = socket.release()
    self.loop = loop
  }

  deinit {
    loop.forget(descriptor)
    loop.kernel.close(descriptor)
  }

  /// Opens a socket bound to `address`; port 0 lets the kernel choose.
  ///
  /// - Throws: ``SystemError``: the address is in use, not ours, or needs a right.
  public static func bind(
    _ address: SocketAddress,
    on loop: EventLoop
  ) throws(SystemError) -> Datagram {
    let socket = try Descriptor.datagram(for: address)
    try socket.bind(to: address)
    return try Datagram(adopting: socket, on: loop)
  }

  /// The address it is bound to.
  ///
  /// - Throws: ``SystemError``.
  public func localAddress() throws(SystemError) -> SocketAddress {
    try SocketAddress(boundTo: descriptor)
  }

  /// Sets an option of the socket.
  ///
  /// - Throws: ``SystemError`` when the socket does not know it.
  public func set(_ option: SocketOption, to value: Int32) throws(SystemError) {
    try SocketError.set(option, of: descriptor, to: value)
  }

  /// Ends the present or the next wait of this socket with ``StreamError/cancelled``.
  public func cancel() { loop.cancelWaits(of: descriptor) }

  /// A datagram as it was received.
  public struct Received: ~Copyable {
    /// Its bytes, at most as many as the buffer holds.
    public var buffer: Lent
    /// Who sent it.
    public let sender: SocketAddress
    /// Whether bytes were lost because the buffer was too small.
    public let isTruncated: Bool
  }

  /// Waits for a datagram.
  ///
  /// - Throws: ``StreamError``.
  public func receive(
    _ size: BufferSize = .head,
    by deadline: Deadline
  ) async throws(StreamError) -> Received {
    while true {
      do throws(WaitError) {
        try await loop.readable(descriptor, by: deadline)
      } catch {
        throw StreamError(error)
      }
      var buffer = loop.lend(size)
      var sender = martlet_address()
      // Safe: the free part is ours until `didFill`; the kernel writes no more than its count.
      let result = unsafe martlet_receive_from(
        descriptor,
        buffer.freeStorage.baseAddress,
        buffer.freeCount,
        &sender
      )
      if result >= 0 {
        let count = min(Int(result), buffer.freeCount)
        buffer.didFill(count)
        return Received(
          buffer: buffer,
          sender: SocketAddress(&sender),
          isTruncated: Int(result) > count
        )
      }
      let error = SystemError(.recv, Int32(-result))
      guard error.wouldBlock else { throw .failed(error) }
      loop.clearReadiness(descriptor)
    }
  }

  /// Sends a datagram; waits while the socket is full.
  ///
  /// - Throws: ``StreamError``.
  public func send(
    _ bytes: [UInt8],
    to address: SocketAddress,
    by deadline: Deadline
  ) async throws(StreamError) {
    while true {
      let result: Int
      do throws(SystemError) {
        result = try address.send(bytes.span, from: descriptor)
      } catch {
        throw .failed(error)
      }
      if result >= 0 { return }
      do throws(WaitError) {
        try await loop.writable(descriptor, by: deadline)
      } catch {
        throw StreamError(error)
      }
    }
  }
}
