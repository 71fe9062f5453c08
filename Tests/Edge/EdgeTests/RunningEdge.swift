import Configuration
import Directives
import Edge
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import Testing

/// An edge in this process, on ports that the kernel chose, and clients that speak to it.
actor RunningEdge {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
  let server: EdgeServer
  private let sockets = NamedDescriptors()
  private var addresses: [Address: SocketAddress] = [:]

  /// Starts an edge of `configuration`, whose listening addresses stand for chosen ones.
  ///
  /// `make` is given the addresses under which its servers really listen, in order.
  init(_ listeners: [Address], _ make: ([Address]) -> EdgeConfiguration) async throws {
    loop = try EventLoop(descriptorLimit: 65_536, mode: .parking)
    try loop.startThread()
    var chosen: [Address] = []
    for listener in listeners {
      let socket = try Listener.bind(.ipv4(0x7F00_0001, port: 0))
      let address = try socket.localAddress()
      addresses[listener] = address
      chosen.append(.ip(.ipv4(0x7F00_0001), port: try #require(address.port)))
      sockets.insert(socket, for: listener.description)
    }
    let generation = try Generation(make(chosen), number: 1, stateDirectory: "/nonexistent")
    server = try EdgeServer(loopCount: 2, generation: generation)
    try await server.publish(generation, sockets: sockets)
  }

  deinit { loop.stop() }

  /// Puts another configuration in force.
  func publish(_ configuration: EdgeConfiguration) async throws {
    try await server.publish(sockets: sockets, logs: NamedDescriptors()) { previous in
      try Generation(
        configuration,
        number: previous.number + 1,
        stateDirectory: "/nonexistent",
        continuing: previous
      )
    }
  }

  /// What configurations call the place that `listener` stands for.
  func place(of listener: Address) throws -> Address {
    .ip(.ipv4(0x7F00_0001), port: try #require(addresses[listener]?.port))
  }

  /// The upstream of a name.
  nonisolated func upstream(_ name: String) throws -> UpstreamPlan {
    try #require(server.generation.upstreams.first { $0.name == name })
  }

  /// Drains all loops.
  func drain(limit: Duration, closesIdle: Bool) async {
    await server.drain(limit: limit, closesIdle: closesIdle)
  }

  /// The figures of the edge.
  func metrics() -> String { String(decoding: server.metrics(), as: UTF8.self) }

  /// Waits until a member at `listener`, where the configuration has no server, has been sent a
  /// request, and leaves it without an answer.
  func silentMember(at listener: Address) async throws -> Client {
    guard let socket = try sockets.duplicate(of: listener.description) else {
      throw SystemError(.accept, 0)
    }
    let accepted = try await Listener(adopting: socket, on: loop).accept(by: soon)
    let stream: Stream = try Stream(adopting: accepted.descriptor, on: loop)
    _ = try await stream.read(.body, by: soon)
    return Client(stream: stream, edge: self)
  }

  private var soon: Deadline { loop.deadline(after: Timeout(.seconds(20))) }

  /// Connects to what `listener` stands for.
  func connect(to listener: Address) async throws -> Client {
    let address = try #require(addresses[listener])
    return Client(stream: try await Stream.connect(to: address, on: loop, by: soon), edge: self)
  }

  /// Sends `request` on a connection of its own and returns everything that comes until its end.
  func answer(to request: String, at listener: Address) async throws -> String {
    let address = try #require(addresses[listener])
    let stream = try await Stream.connect(to: address, on: loop, by: soon)
    try await stream.write(Array(request.utf8), by: soon)
    return try await everything(from: stream)
  }

  fileprivate func everything(from stream: Stream) async throws -> String {
    var received: [UInt8] = []
    while true {
      let part = try await stream.read(.body, by: soon)
      if part.isEmpty { break }
      received.append(copying: part.bytes)
    }
    return String(decoding: received, as: UTF8.self)
  }

  fileprivate func write(_ text: String, to stream: Stream) async throws {
    try await stream.write(Array(text.utf8), by: soon)
  }

  fileprivate func part(from stream: Stream) async throws -> String {
    let part = try await stream.read(.body, by: soon)
    return String(decoding: part.bytes)
  }
}

// @unchecked: the stream is touched by the edge's actor alone.
/// One connection of a client.
struct Client: @unchecked Sendable {
  fileprivate let stream: Stream
  fileprivate let edge: RunningEdge

  /// Sends `text` and returns what comes next; empty at the end.
  func send(_ text: String) async throws -> String {
    try await edge.write(text, to: stream)
    return try await edge.part(from: stream)
  }

  /// What comes until the end.
  func rest() async throws -> String { try await edge.everything(from: stream) }
}
