import MartletBytes
import MartletLoop
import MartletNet
import MartletSync
public import MartletSystem

/// What all servers do: see ``TCPServer``, ``UnixServer`` and ``UDPServer``.
public class Server: @unchecked Sendable {
  // @unchecked: all is constant, and the core is Sendable.
  fileprivate let core: ServerCore
  /// nil in a process that was started for one connection.
  fileprivate let socket: OpenFile?
  /// Where it is bound, with the port that the kernel chose.
  public let address: SocketAddress

  fileprivate init(
    _ core: ServerCore,
    at address: SocketAddress,
    binding bind: () throws(SystemError) -> Descriptor
  ) throws(SystemError) {
    self.core = core
    guard !core.isChild else {
      socket = nil
      self.address = address
      return
    }
    let bound = try bind()
    self.address = try bound.localAddress()
    socket = OpenFile(bound)
  }

  /// Takes what comes to a duplicate of the socket, until the server is stopped.
  fileprivate nonisolated(nonsending) func accept(
    from own: consuming Descriptor,
    on loop: EventLoop
  ) async throws(SystemError) {
    preconditionFailure("a server says what it accepts")
  }

  /// Begins to accept connections or datagrams, on threads of its own.
  ///
  /// A process that was started for one connection (``ServerModel/processPerConnection``) serves it here and ends.
  ///
  /// - Throws: ``MartletSystem/SystemError`` when no thread or descriptor is to be had; it is stopped then.
  public func start() throws(SystemError) {
    guard let socket else { core.serveAsChild() }
    do throws(SystemError) {
      for _ in 0..<core.loopCount {
        try core.startAcceptor(of: socket) { own, loop throws(SystemError) in
          try await self.accept(from: own, on: loop)
        }
      }
    } catch {
      core.stop()
      throw error
    }
  }

  /// Accepts no more; what is under way goes on to its end.
  ///
  /// May be called from any thread.
  public func stop() { core.stop() }

  /// Blocks the calling thread until the server was stopped and all is done.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func join() { core.join() }

  /// Suspends the calling coroutine until the server was stopped and all is done.
  public func join() async { await core.join() }

  /// Begins, and blocks the calling thread until the server was stopped and all is done.
  ///
  /// - Throws: As ``start()``.
  @available(*, noasync, message: "this blocks the thread: start, and await the end")
  public func run() throws(SystemError) {
    try start()
    join()
  }
}

/// A server of connections; see ``TCPServer`` and ``UnixServer``.
public class StreamServer: Server, @unchecked Sendable {
  // @unchecked: it has nothing of its own.
  fileprivate init(
    _ address: SocketAddress,
    backlog: Int32,
    _ core: ServerCore
  ) throws(SystemError) {
    try super.init(core, at: address) { () throws(SystemError) in
      try Listener.bind(address, backlog: backlog)
    }
  }

  fileprivate override nonisolated(nonsending) func accept(
    from own: consuming Descriptor,
    on loop: EventLoop
  ) async throws(SystemError) {
    let listener = try Listener(adopting: own, on: loop)
    await core.acceptAll(on: loop) { deadline in
      try await core.serve(try await listener.accept(by: deadline), on: loop)
    }
  }
}

/// A server of TCP connections.
///
/// ```swift
/// let server = try TCPServer(port: 7007, model: .threadPerConnection) { connection in
///   try await connection.write("Hello, \(connection.peer)\n")
/// }
/// try server.run()
/// ```
public final class TCPServer: StreamServer, @unchecked Sendable {
  // @unchecked: it has nothing of its own.

  /// Binds to an address of this machine and a port, 0 for one that is free, and listens.
  ///
  /// At most `limit` connections are served at a time. `tell` is called with what a handler throws.
  ///
  /// - Throws: ``MartletSystem/SystemError``: the address is in use, not ours, or needs a right.
  public init(
    host: String = "127.0.0.1",
    port: UInt16,
    model: ServerModel = .events,
    limit: Int = 1024,
    backlog: Int32 = 4096,
    telling tell: @escaping @Sendable (SocketAddress, any Error) -> Void = { _, _ in },
    handler: any ConnectionHandler
  ) throws(SystemError) {
    let core = ServerCore(model, limit: limit, handler, telling: tell)
    try super.init(try SocketAddress(own: host, port: port), backlog: backlog, core)
  }

  /// Does the same with a function as its handler.
  ///
  /// - Throws: ``MartletSystem/SystemError``.
  public convenience init(
    host: String = "127.0.0.1",
    port: UInt16,
    model: ServerModel = .events,
    limit: Int = 1024,
    telling tell: @escaping @Sendable (SocketAddress, any Error) -> Void = { _, _ in },
    _ serve: @escaping @Sendable (Connection) async throws -> Void
  ) throws(SystemError) {
    let handler = FunctionHandler(body: serve)
    try self.init(
      host: host,
      port: port,
      model: model,
      limit: limit,
      telling: tell,
      handler: handler
    )
  }
}

/// A server of connections to a Unix socket.
public final class UnixServer: StreamServer, @unchecked Sendable {
  // @unchecked: it has nothing of its own.

  /// Binds to a path, or to an abstract name that begins with `@`, and listens; see ``TCPServer``.
  ///
  /// - Throws: ``MartletSystem/SystemError``: something of that name is there, or the path needs a right.
  public init(
    path: String,
    model: ServerModel = .events,
    limit: Int = 1024,
    backlog: Int32 = 4096,
    telling tell: @escaping @Sendable (SocketAddress, any Error) -> Void = { _, _ in },
    handler: any ConnectionHandler
  ) throws(SystemError) {
    let core = ServerCore(model, limit: limit, handler, telling: tell)
    try super.init(.unix(path), backlog: backlog, core)
  }

  /// Does the same with a function as its handler.
  ///
  /// - Throws: ``MartletSystem/SystemError``.
  public convenience init(
    path: String,
    model: ServerModel = .events,
    limit: Int = 1024,
    telling tell: @escaping @Sendable (SocketAddress, any Error) -> Void = { _, _ in },
    _ serve: @escaping @Sendable (Connection) async throws -> Void
  ) throws(SystemError) {
    let handler = FunctionHandler(body: serve)
    try self.init(path: path, model: model, limit: limit, telling: tell, handler: handler)
  }
}

/// A server of datagrams: each is a connection that has its bytes and then the end, and what is written goes to
/// its sender.
public final class UDPServer: Server, @unchecked Sendable {
  // @unchecked: it has nothing of its own.

  /// Binds to an address of this machine and a port, 0 for one that is free; see ``TCPServer``.
  ///
  /// ``ServerModel/processPerConnection`` is not for datagrams, which are no connections.
  ///
  /// - Throws: ``MartletSystem/SystemError``: the address is in use, not ours, or needs a right.
  public init(
    host: String = "127.0.0.1",
    port: UInt16,
    model: ServerModel = .events,
    limit: Int = 1024,
    telling tell: @escaping @Sendable (SocketAddress, any Error) -> Void = { _, _ in },
    handler: any ConnectionHandler
  ) throws(SystemError) {
    precondition(model != .processPerConnection, "a datagram is no connection")
    let address = try SocketAddress(own: host, port: port)
    let core = ServerCore(model, limit: limit, handler, telling: tell)
    try super.init(core, at: address) { () throws(SystemError) in
      let socket = try Descriptor.datagram(for: address)
      try socket.bind(to: address)
      return socket
    }
  }

  /// Does the same with a function as its handler.
  ///
  /// - Throws: ``MartletSystem/SystemError``.
  public convenience init(
    host: String = "127.0.0.1",
    port: UInt16,
    model: ServerModel = .events,
    limit: Int = 1024,
    telling tell: @escaping @Sendable (SocketAddress, any Error) -> Void = { _, _ in },
    _ serve: @escaping @Sendable (Connection) async throws -> Void
  ) throws(SystemError) {
    let handler = FunctionHandler(body: serve)
    try self.init(
      host: host,
      port: port,
      model: model,
      limit: limit,
      telling: tell,
      handler: handler
    )
  }

  fileprivate override nonisolated(nonsending) func accept(
    from own: consuming Descriptor,
    on loop: EventLoop
  ) async throws(SystemError) {
    guard let socket else { return }
    let datagrams = try Datagram(adopting: own, on: loop)
    await core.acceptAll(on: loop) { deadline in
      let received = try await datagrams.receive(.body, by: deadline)
      let bytes = [UInt8](copying: received.buffer.bytes)
      try await core.serve(bytes, from: received.sender, socket: socket, on: loop)
    }
  }
}

extension SocketAddress {
  /// Reads an address of this machine.
  fileprivate init(own host: String, port: UInt16) throws(SystemError) {
    guard let address = SocketAddress(host: host == "localhost" ? "127.0.0.1" : host, port: port)
    else { throw SystemError(.bind, 22) }
    self = address
  }
}
