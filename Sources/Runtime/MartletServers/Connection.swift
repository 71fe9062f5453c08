import MartletBytes
public import MartletLoop
public import MartletNet
public import MartletSystem

/// What a handler reads from and writes to: a connection, or a datagram and its sender.
///
/// It belongs to its loop. Each wait ends after ``patience`` with ``MartletNet/StreamError/timedOut``.
public final class Connection {
  private enum Channel {
    case stream(Stream)
    case datagram(socket: OpenFile)
  }

  /// Who is at the other end.
  public let peer: SocketAddress
  /// The loop that it belongs to; other coroutines are spawned there.
  public let loop: EventLoop
  /// How long a wait may take; a minute if nothing else is said.
  public var patience = Timeout(.seconds(60))
  private let channel: Channel
  /// What has come and was not given.
  private var held: [UInt8]

  /// Takes over a stream.
  public init(_ stream: Stream, from peer: SocketAddress, on loop: EventLoop) {
    channel = .stream(stream)
    self.peer = peer
    self.loop = loop
    held = []
  }

  init(_ datagram: [UInt8], from peer: SocketAddress, socket: OpenFile, on loop: EventLoop) {
    channel = .datagram(socket: socket)
    self.peer = peer
    self.loop = loop
    held = datagram
  }

  /// Connects to a server.
  ///
  /// - Throws: ``MartletNet/StreamError``.
  public static func open(
    to address: SocketAddress,
    on loop: EventLoop,
    within limit: Duration = .seconds(10)
  ) async throws(StreamError) -> Connection {
    let deadline = loop.deadline(after: Timeout(limit))
    let stream = try await Stream.connect(to: address, on: loop, by: deadline)
    return Connection(stream, from: address, on: loop)
  }

  /// The stream; nil for a datagram.
  public var stream: Stream? { if case .stream(let stream) = channel { stream } else { nil } }

  private var deadline: Deadline { loop.deadline(after: patience) }

  // MARK: Reading

  /// What has come, at least a byte; empty at the end, which a datagram has behind its bytes.
  ///
  /// - Throws: ``MartletNet/StreamError``.
  public func read() async throws(StreamError) -> [UInt8] {
    guard held.isEmpty else {
      defer { held = [] }
      return held
    }
    guard case .stream(let stream) = channel else { return [] }
    while true {
      if let buffer = try stream.readNow(.head) { return Array(copying: buffer.bytes) }
      try await stream.readable(by: deadline)
    }
  }

  /// All that comes until the end, at most `limit` bytes.
  ///
  /// - Throws: ``ConnectionError/tooLong(limit:)``, or ``MartletNet/StreamError``.
  public func readAll(limit: Int = 1 << 20) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let part = try await read()
      if part.isEmpty { return bytes }
      guard bytes.count + part.count <= limit else { throw ConnectionError.tooLong(limit: limit) }
      bytes += part
    }
  }

  /// The next line without its end, at most `limit` bytes; nil at the end.
  ///
  /// - Throws: ``ConnectionError/tooLong(limit:)``, or ``MartletNet/StreamError``.
  public func line(limit: Int = 64 << 10) async throws -> String? {
    var line: [UInt8] = []
    while true {
      let part = try await read()
      if part.isEmpty { return line.isEmpty ? nil : String(decoding: line, as: UTF8.self) }
      let end = part.firstIndex(of: 0x0A)
      line += part[..<(end ?? part.count)]
      guard line.count <= limit else { throw ConnectionError.tooLong(limit: limit) }
      guard let end else { continue }
      held = Array(part[(end + 1)...])
      if line.last == 0x0D { line.removeLast() }
      return String(decoding: line, as: UTF8.self)
    }
  }

  // MARK: Writing

  /// Sends bytes, all of them; to who has sent a datagram, as one datagram.
  ///
  /// - Throws: ``MartletNet/StreamError``.
  public func write(_ bytes: [UInt8]) async throws(StreamError) {
    switch channel {
    case .stream(let stream):
      // Mostly there is room for all of them, and nothing to wait for.
      let sent = try stream.writeNow(bytes, from: 0)
      if sent < bytes.count { try await stream.write(Array(bytes[sent...]), by: deadline) }
    case .datagram(let socket):
      do throws(SystemError) {
        // One that the socket has no room for is lost, as it may be anywhere on its way.
        _ = try peer.send(bytes.span, from: socket.number)
      } catch {
        throw .failed(error)
      }
    }
  }

  /// Sends a text as UTF-8.
  ///
  /// - Throws: ``MartletNet/StreamError``.
  public func write(_ text: String) async throws(StreamError) { try await write(Array(text.utf8)) }

  /// Says that nothing more will be written; the other side reads the end, and may still write.
  public func end() { stream?.shutdownWrite() }

  /// Makes the end of the connection a reset.
  public func abort() { stream?.abort() }
}

/// Why a connection was not read on.
public enum ConnectionError: Error, Hashable, Sendable {
  /// More has come than is allowed.
  case tooLong(limit: Int)
}

/// What a server does with a connection, or with a datagram.
public protocol ConnectionHandler: Sendable {
  /// Serves a connection, which is closed when this returns.
  nonisolated(nonsending) func serve(_ connection: Connection) async throws
}

/// A handler that is a function.
struct FunctionHandler: ConnectionHandler {
  let body: @Sendable (Connection) async throws -> Void

  nonisolated(nonsending) func serve(_ connection: Connection) async throws {
    try await body(connection)
  }
}
