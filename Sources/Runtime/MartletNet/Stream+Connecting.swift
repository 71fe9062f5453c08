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
  /// How far a connection is that was begun.
  public enum Progress: Sendable {
    /// It stands.
    case stands
    /// It may stand: a write tells, which else takes nothing yet, or fails with the reason.
    case mayStand
    /// It stands when it can be written, and is ``Stream/isBroken`` when it could not be opened; see
    /// ``Stream/restForWriting(for:until:)``.
    case underWay
  }

  /// Begins to connect to `address`, without waiting.
  ///
  /// With `speaksFirst` bytes wait that are written as soon as the connection stands: they then go in
  /// the same packet as the acknowledgement that opens it, of which the other side learns later.
  ///
  /// - Throws: ``SystemError``: a resource is not to be had, or the connection was refused at once.
  public static func beginConnecting(
    to address: SocketAddress,
    from source: ConnectionSource? = nil,
    speaksFirst: Bool = false,
    on loop: EventLoop
  ) throws(SystemError) -> (stream: Stream, progress: Progress) {
    let socket = try Descriptor.stream(for: address)
    if address.port != nil {
      try socket.set(.noDelay, to: 1)
      if speaksFirst { try socket.set(.quickAcknowledge, to: 0) }
    }
    if let source { try source.bind(socket) }
    let stands = try socket.connect(to: address)
    // Nothing but the call itself was needed to reach this machine.
    let mayStand = !stands && speaksFirst && address.isOfThisMachine
    try loop.watch(socket.number, isConnecting: !stands && !mayStand)
    return (
      Stream(watched: socket, on: loop), stands ? .stands : mayStand ? .mayStand : .underWay
    )
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
    let begun: (stream: Stream, progress: Progress)
    do throws(SystemError) {
      begun = try beginConnecting(to: address, from: source, on: loop)
    } catch {
      throw .failed(error)
    }
    if case .stands = begun.progress { return begun.stream }
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
