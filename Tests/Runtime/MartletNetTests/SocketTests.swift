import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import Synchronization
import TestLoop
import Testing

/// Two ends of a connection, and datagram sockets, on one loop.
extension Peers {
  /// Connects to a listener at `address` and runs `body` with both ends.
  func connected<Result: Sendable>(
    at address: SocketAddress = .ipv4(0x7F00_0001, port: 0),
    _ body: @Sendable (isolated Peers, Stream, Stream) async throws -> Result
  ) async throws -> Result {
    let listener = try Listener(adopting: try Listener.bind(address), on: loop)
    let client = try await Stream.connect(to: listener.address, on: loop, by: soon)
    let accepted = try await listener.accept(by: soon)
    let server = try Stream(adopting: accepted.descriptor, on: loop)
    return try await body(self, client, server)
  }

  /// What a stream reads until its end, or until it fails.
  func all(of stream: Stream) async throws(StreamError) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let part = try await stream.read(.head, by: soon)
      if part.isEmpty { return bytes }
      bytes.append(copying: part.bytes)
    }
  }

  /// Sends datagrams from one bound socket to another, and returns what arrived.
  func datagrams(
    _ messages: [[UInt8]],
    from source: SocketAddress,
    to target: SocketAddress
  ) async throws -> [(bytes: [UInt8], sender: SocketAddress, isTruncated: Bool)] {
    let receiver = try Datagram.bind(target, on: loop)
    let sender = try Datagram.bind(source, on: loop)
    let address = try receiver.localAddress()
    var received: [(bytes: [UInt8], sender: SocketAddress, isTruncated: Bool)] = []
    for message in messages { try await sender.send(message, to: address, by: soon) }
    for _ in messages {
      let message = try await receiver.receive(by: soon)
      var bytes: [UInt8] = []
      bytes.append(copying: message.buffer.bytes)
      received.append((bytes, message.sender, message.isTruncated))
    }
    return received
  }

  /// What a receiver without a message meets.
  func silence(_ end: @Sendable (Datagram) -> Void) async throws -> StreamError? {
    let receiver = try Datagram.bind(.ipv4(0x7F00_0001, port: 0), on: loop)
    end(receiver)
    do throws(StreamError) {
      _ = try await receiver.receive(by: loop.deadline(after: Timeout(.milliseconds(20))))
      return nil
    } catch {
      return error
    }
  }

  /// Fills a Unix datagram socket that nobody reads, then reads one: the writer goes on.
  func fullDatagrams(_ address: SocketAddress, _ count: Int) async throws -> Int {
    let receiver = try Datagram.bind(address, on: loop)
    let sender = try Datagram.bind(freshName(), on: loop)
    let sent = Sent()
    loop.spawn {
      for number in 0..<count {
        do { try await sender.send([UInt8(number & 255)], to: address, by: self.soon) } catch {
          return
        }
        sent.count += 1
      }
    }
    var received = 0
    while received < count {
      let message = try await receiver.receive(by: soon)
      guard message.buffer.bytes[0] == UInt8(received & 255) else { break }
      received += 1
    }
    return received
  }

  /// Accepts and closes connections on this loop, until the listener is cancelled.
  func acceptAll(_ socket: consuming Descriptor) throws -> Int32 {
    let listener = try Listener(adopting: socket, on: loop)
    accepting = listener
    let (loop, count) = (loop, accepted)
    loop.spawn {
      while true {
        do { _ = try await listener.accept(by: loop.deadline(after: Timeout(.seconds(30)))) } catch
        {
          return
        }
        count.count += 1
      }
    }
    return listener.descriptor
  }

  /// Ends ``acceptAll(_:)``, and returns how many it took.
  func acceptedCount() -> Int {
    accepting?.cancel()
    accepting = nil
    return accepted.count
  }

  /// Connects `count` times at once, and waits until each connection was closed by the other side.
  func connectAndWait(_ count: Int, to address: SocketAddress) async throws -> Int {
    var streams: [Stream] = []
    for _ in 0..<count {
      streams.append(try await Stream.connect(to: address, on: loop, by: soon))
    }
    var ended = 0
    for stream in streams where try await all(of: stream).isEmpty { ended += 1 }
    return ended
  }

  final class Sent {
    var count = 0
  }
}

private let namesGiven = Atomic(0)

/// A name in the abstract namespace that no other test has, nor the same test in another process.
func freshName() -> SocketAddress {
  // The clock alone is not enough: two tests that begin together have met in one nanosecond.
  let number = namesGiven.add(1, ordering: .relaxed).newValue
  return .unix("@martlet-net-\(SystemClock.monotonicNanoseconds())-\(number)")
}

@Suite("Sockets of the kernel", .timeLimit(.minutes(5)))
struct SocketTests {
  @Test("close one half, and the other half still carries bytes", arguments: LoopKind.all)
  func halfClose(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    let read = try await peers.connected { peers, client, server in
      try await client.write([1, 2], by: peers.soon)
      client.shutdownWrite()
      let request = try await peers.all(of: server)
      try await server.write([3, 4, 5], by: peers.soon)
      server.shutdownWrite()
      return [request, try await peers.all(of: client)]
    }
    #expect(read == [[1, 2], [3, 4, 5]])
  }

  @Test("refuse to be written once their sending half is closed", arguments: LoopKind.all)
  func brokenPipe(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    let error = try await peers.connected(at: freshName()) { peers, _, server -> StreamError? in
      server.shutdownWrite()
      do throws(StreamError) {
        try await server.write([1], by: peers.soon)
        return nil
      } catch {
        return error
      }
    }
    #expect(error == .failed(SystemError(.send, 32)))
  }

  @Test(
    "take options by name",
    arguments: [
      (SocketOption.noDelay, Int32(1)), (.cork, 1), (.keepAlive, 1), (.keepAliveIdle, 17),
      (.keepAliveInterval, 5), (.keepAliveCount, 3), (.userTimeout, 4000), (.reuseAddress, 1),
    ]
  )
  func options(option: SocketOption, value: Int32) throws {
    let socket = try Descriptor.stream(for: .ipv4(0x7F00_0001, port: 0))
    try socket.set(option, to: value)
    #expect(try socket.value(of: option) == value)
  }

  @Test("hold at least the buffers that were asked for, and know that they listen")
  func buffers() throws {
    let socket = try Listener.bind(.ipv4(0x7F00_0001, port: 0))
    try socket.set(.sendBuffer, to: 32_768)
    try socket.set(.receiveBuffer, to: 32_768)
    #expect(try socket.value(of: .sendBuffer) >= 32_768)
    #expect(try socket.value(of: .receiveBuffer) >= 32_768)
    #expect(try socket.value(of: .isListening) == 1)
  }

  @Test("refuse an option that they do not have")
  func strangeOption() throws {
    let socket = try Descriptor.stream(for: .unix("@x"))
    #expect(throws: SystemError(.setsockopt, 95)) { try socket.set(.noDelay, to: 1) }
  }

  @Test("inherit from their listener that small segments leave at once", arguments: LoopKind.all)
  func inheritance(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    let values = try await peers.connected { _, client, server in
      try [client, server].map { try $0.value(of: .noDelay) }
    }
    #expect(values == [1, 1])
  }

  @Test("send at once what does not leave this machine, on both sides", arguments: LoopKind.all)
  func pacing(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    let local = try await peers.connected { _, client, server in
      [client, server].map { Descriptor.isPaced($0.descriptor) }
    }
    #expect(local == [false, false])
    // What may leave it is sent as the machine is told.
    let other = try Descriptor.stream(for: .ipv4(0x0A00_0001, port: 0))
    #expect(Descriptor.isPaced(other.number) == Descriptor.isPacedUsually)
  }

  @Test(
    "carry streams over every family",
    arguments: LoopKind.all,
    [SocketAddress.ipv4(0x7F00_0001, port: 0), .ipv6(0, 1, port: 0, scope: 0), freshName()]
  )
  func streams(kind: LoopKind, address: SocketAddress) async throws {
    let peers = try Peers(kind: kind)
    let name = if case .unix = address { freshName() } else { address }
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
    #expect(try await peers.echoed(bytes, at: name) == bytes)
  }

  @Test(
    "carry datagrams over UDP and Unix sockets, and say who sent them",
    arguments: LoopKind.all,
    [SocketAddress.ipv4(0x7F00_0001, port: 0), .ipv6(0, 1, port: 0, scope: 0), .unix("@")]
  )
  func datagrams(kind: LoopKind, address: SocketAddress) async throws {
    let peers = try Peers(kind: kind)
    let isUnix = address.port == nil
    let (source, target) = isUnix ? (freshName(), freshName()) : (address, address)
    let messages: [[UInt8]] = [[1], [], [2, 3], Array(repeating: 4, count: 9000)]
    let received = try await peers.datagrams(messages, from: source, to: target)
    #expect(received.map(\.bytes) == messages)
    #expect(received.allSatisfy { !$0.isTruncated })
    if isUnix { #expect(received.allSatisfy { $0.sender == source }) }
    if !isUnix { #expect(received.allSatisfy { $0.sender.hostText == address.hostText }) }
  }

  @Test("make the writer of a full datagram socket wait", arguments: LoopKind.all)
  func fullDatagrams(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    #expect(try await peers.fullDatagrams(freshName(), 2000) == 2000)
  }

  @Test("wait for a datagram until the deadline or a cancellation", arguments: LoopKind.all)
  func silence(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    #expect(try await peers.silence { _ in } == .timedOut)
    #expect(try await peers.silence { $0.cancel() } == .cancelled)
  }

  @Test("listen on two loops, and each connection comes to one of them", arguments: LoopKind.all)
  func sharedListener(kind: LoopKind) async throws {
    let socket = try Listener.bind(.ipv4(0x7F00_0001, port: 0))
    let address = try socket.localAddress()
    let servers = [try Peers(kind: kind), try Peers(kind: kind)]
    for server in servers { _ = try await server.acceptAll(try socket.duplicate()) }
    let clients = try Peers(kind: kind)
    #expect(try await clients.connectAndWait(300, to: address) == 300)
    var sum = 0
    for server in servers { sum += await server.acceptedCount() }
    #expect(sum == 300)
  }

  @Test("refuse a second listener on their address", arguments: [false, true])
  func inUse(reusePort: Bool) throws {
    let first = try Listener.bind(.ipv4(0x7F00_0001, port: 0), reusePort: reusePort)
    let address = try first.localAddress()
    if reusePort {
      let second = try Listener.bind(address, reusePort: true)
      #expect(try second.localAddress() == address)
    } else {
      #expect(throws: SystemError(.bind, 98)) { _ = try Listener.bind(address) }
    }
  }
}
