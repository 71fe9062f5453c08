public import MartletLoop
public import MartletSystem

/// From which address a connection is opened.
public enum ConnectionSource: Hashable, Sendable {
  /// An address of this machine; with port 0 the kernel chooses the port when it connects.
  case own(SocketAddress)
  /// An address that need not be of this machine, whose answers are routed here; see
  /// `IP_TRANSPARENT` in `ip(7)`.
  case foreign(SocketAddress)

  /// Whether this process may open connections from foreign addresses.
  ///
  /// - Throws: ``SystemError``: EPERM without the capability CAP_NET_ADMIN or CAP_NET_RAW.
  public static func checkForeignIsAllowed() throws(SystemError) {
    let address = SocketAddress.ipv4(0, port: 0)
    try Descriptor.stream(for: address).set(.transparent(for: address), to: 1)
  }

  func bind(_ socket: borrowing Descriptor) throws(SystemError) {
    switch self {
    case .own(let address):
      if address.port == 0 { try socket.set(.bindsLate, to: 1) }
      try socket.bind(to: address)
    case .foreign(let address):
      try socket.set(.transparent(for: address), to: 1)
      if address.port == 0 { try socket.set(.bindsLate, to: 1) }
      try socket.bind(to: address)
    }
  }
}

extension Stream {
  /// Begins to connect to `address`, without waiting.
  ///
  /// If the connection does not stand yet, the stream can be written when it does, and
  /// ``isBroken`` when it could not be opened; see ``restForWriting(for:until:)``.
  ///
  /// - Throws: ``SystemError``: a resource is not to be had, or the connection was refused at once.
  public static func beginConnecting(
    to address: SocketAddress,
    from source: ConnectionSource? = nil,
    on loop: EventLoop
  ) throws(SystemError) -> (stream: Stream, isConnected: Bool) {
    let socket = try Descriptor.stream(for: address)
    if address.port != nil { try socket.set(.noDelay, to: 1) }
    if let source { try source.bind(socket) }
    let isConnected = try socket.connect(to: address)
    return (try Stream(adopting: socket, on: loop), isConnected)
  }

  /// Connects to `address`.
  ///
  /// - Throws: ``StreamError``.
  public static func connect(
    to address: SocketAddress,
    from source: ConnectionSource? = nil,
    on loop: EventLoop,
    by deadline: Deadline
  ) async throws(StreamError) -> Stream {
    let begun: (stream: Stream, isConnected: Bool)
    do throws(SystemError) {
      begun = try beginConnecting(to: address, from: source, on: loop)
    } catch {
      throw .failed(error)
    }
    if begun.isConnected { return begun.stream }
    try await begun.stream.writable(by: deadline)
    if let error = begun.stream.takeError(of: .connect) { throw .failed(error) }
    return begun.stream
  }

  /// Takes the error that waits on the socket, if there is one.
  ///
  /// Socket option: `SO_ERROR`.
  public func takeError(of call: SystemError.Call) -> SystemError? {
    let code = SocketError.take(from: descriptor)
    if code < 0 { return SystemError(.getsockopt, Int32(-code)) }
    return code == 0 ? nil : SystemError(call, Int32(code))
  }

  /// Whether the connection is known to have been reset, or not to have opened.
  @inlinable public var isBroken: Bool { loop.isBroken(descriptor) }
}
