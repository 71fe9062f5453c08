import MartletBytes
import MartletLoop
import MartletNet
import MartletSync
public import MartletSystem

/// A server of connections; see ``TCPServer`` and ``UnixServer``.
public class StreamServer: @unchecked Sendable {
  // @unchecked: all is constant, and the core is Sendable.
  private let core: ServerCore
  private let socket: OpenFile?
  /// Where it listens, with the port that the kernel chose.
  public let address: SocketAddress

  init(_ address: SocketAddress, backlog: Int32, _ core: ServerCore) throws(SystemError) {
    self.core = core
    guard !core.isChild else {
      socket = nil
      self.address = address
      return
    }
    let bound = try Listener.bind(address, backlog: backlog)
    self.address = try bound.localAddress()
    socket = OpenFile(bound)
  }

  /// Begins to accept connections, on threads of its own.
  ///
  /// A process that was started for one connection (``ServerModel/processPerConnection``) serves it here and ends.
  ///
  /// - Throws: ``MartletSystem/SystemError`` when no thread or descriptor is to be had.
  public func start() throws(SystemError) {
    guard let socket else { core.serveAsChild() }
    for _ in 0..<core.loopCount {
      let number = try socket.descriptor.duplicate().release()
      try core.startAcceptor { loop in
        do throws(SystemError) {
          let listener = try Listener(adopting: Descriptor(adopting: number), on: loop)
          await Self.accept(listener, self.core, on: loop)
        } catch {
          self.core.stop()
        }
      }
    }
  }

  /// Accepts until the server is stopped; who comes while all permits are taken waits in the kernel's queue.
  private static func accept(_ listener: Listener, _ core: ServerCore, on loop: EventLoop) async {
    while !core.isOver {
      do {
        try await core.permits.acquire(1, within: .milliseconds(100))
      } catch {
        continue
      }
      do {
        let accepted = try await listener.accept(by: loop.deadline(after: ServerCore.turn))
        try await core.serve(accepted, on: loop)
      } catch StreamError.timedOut {
        core.permits.release()
      } catch {
        // No descriptor, thread or process is free: the others wait in the kernel's queue.
        core.permits.release()
        do throws(WaitError) { try await loop.sleep(for: .milliseconds(100)) } catch {}
      }
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
public final class UDPServer: Sendable {
  private let core: ServerCore
  private let socket: OpenFile
  /// Where it is bound, with the port that the kernel chose.
  public let address: SocketAddress

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
    core = ServerCore(model, limit: limit, handler, telling: tell)
    let address = try SocketAddress(own: host, port: port)
    let bound = try Descriptor.datagram(for: address)
    try bound.bind(to: address)
    self.address = try bound.localAddress()
    socket = OpenFile(bound)
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

  /// Begins to receive, on threads of its own.
  ///
  /// - Throws: ``MartletSystem/SystemError`` when no thread or descriptor is to be had.
  public func start() throws(SystemError) {
    for _ in 0..<core.loopCount {
      let number = try socket.descriptor.duplicate().release()
      try core.startAcceptor { loop in
        do throws(SystemError) {
          let datagrams = try Datagram(adopting: Descriptor(adopting: number), on: loop)
          await Self.receive(datagrams, self.core, self.socket, on: loop)
        } catch {
          self.core.stop()
        }
      }
    }
  }

  private static func receive(
    _ datagrams: Datagram,
    _ core: ServerCore,
    _ socket: OpenFile,
    on loop: EventLoop
  ) async {
    while !core.isOver {
      do {
        try await core.permits.acquire(1, within: .milliseconds(100))
      } catch {
        continue
      }
      do {
        let deadline = loop.deadline(after: ServerCore.turn)
        let received = try await datagrams.receive(.body, by: deadline)
        var bytes: [UInt8] = []
        bytes.append(copying: received.buffer.bytes)
        try await core.serve(bytes, from: received.sender, socket: socket, on: loop)
      } catch {
        core.permits.release()
      }
    }
  }

  /// Receives no more; what is under way goes on to its end.
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

extension SocketAddress {
  /// Reads an address of this machine.
  fileprivate init(own host: String, port: UInt16) throws(SystemError) {
    guard let address = SocketAddress(host: host == "localhost" ? "127.0.0.1" : host, port: port)
    else { throw SystemError(.bind, 22) }
    self = address
  }
}
