import CLinux
public import MartletLoop
public import MartletSystem

/// A connection that was accepted.
@frozen public struct Accepted: ~Copyable {
  /// The socket, non-blocking.
  public var descriptor: Descriptor
  /// Who connected.
  public let peer: SocketAddress
}

/// A listening socket on a loop, closed when its last use ends.
public final class Listener {
  /// The kernel's number for the socket.
  public let descriptor: Int32
  /// The address it listens on, with the port the kernel chose.
  public let address: SocketAddress
  private let loop: EventLoop
  private var isWatching = true

  /// Takes over a socket that listens, or is bound and will listen.
  ///
  /// Several loops may each have a listener with a duplicate of one socket: each connection goes to
  /// one of them.
  ///
  /// - Throws: ``SystemError`` when the loop cannot watch the socket.
  public init(adopting socket: consuming Descriptor, on loop: EventLoop) throws(SystemError) {
    address = try socket.localAddress()
    try loop.watchShared(socket.number)
    descriptor = socket.release()
    self.loop = loop
  }

  deinit {
    stopWatching()
    loop.kernel.close(descriptor)
  }

  /// Takes no more wake-ups, which others that watch the socket then get; nobody waits here.
  ///
  /// ``acceptNow()`` still finds what this listener was woken for and did not take.
  public func stopWatching() {
    guard isWatching else { return }
    isWatching = false
    loop.forget(descriptor, staysOpen: true)
  }

  /// Binds a socket to `address` and listens.
  ///
  /// - Throws: ``SystemError``: the address is in use, not ours, or needs a right.
  public static func bind(
    _ address: SocketAddress,
    backlog: Int32 = 4096,
    reusePort: Bool = false
  ) throws(SystemError) -> Descriptor {
    let socket = try Descriptor.stream(for: address)
    if address.port != nil {
      try socket.set(.reuseAddress, to: 1)
      // Accepted sockets inherit it.
      try socket.set(.noDelay, to: 1)
      if reusePort { try socket.set(.reusePort, to: 1) }
      if case .ipv6 = address { try socket.set(.ipv6Only, to: 1) }
    }
    try socket.bind(to: address)
    try socket.listen(backlog: backlog)
    return socket
  }

  /// Accepts a connection if one waits.
  ///
  /// - Throws: ``SystemError``; EMFILE and ENFILE mean that the process or the machine has no
  ///   descriptor left, and the connection still waits.
  public func acceptNow() throws(SystemError) -> Accepted? {
    var peer = martlet_address()
    while true {
      let result = loop.kernel.accept(descriptor, &peer)
      if result >= 0 {
        return Accepted(descriptor: .init(adopting: Int32(result)), peer: SocketAddress(&peer))
      }
      switch Int32(-result) {
      case EAGAIN: return nil
      // The client went away while it waited, see `accept(2)`.
      case ECONNABORTED, EINTR, EPROTO, ENETDOWN, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH: continue
      case let code: throw SystemError(.accept, code)
      }
    }
  }

  /// Waits until ``acceptNow()`` is worth a try.
  ///
  /// - Throws: ``WaitError``.
  public func acceptable(by deadline: Deadline = .never) async throws(WaitError) {
    loop.clearReadiness(descriptor)
    try await loop.readable(descriptor, by: deadline)
  }

  /// Waits for a connection and accepts it.
  ///
  /// - Throws: ``StreamError``.
  public func accept(by deadline: Deadline = .never) async throws(StreamError) -> Accepted {
    while true {
      do throws(SystemError) {
        if let accepted = try acceptNow() { return accepted }
      } catch {
        throw .failed(error)
      }
      do throws(WaitError) { try await acceptable(by: deadline) } catch { throw StreamError(error) }
    }
  }

  /// Ends the present or the next wait.
  public func cancel() { loop.cancelWaits(of: descriptor) }
}
