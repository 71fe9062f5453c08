import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import TestLoop
import Testing

/// A server and its clients on one loop with a thread of its own.
actor Peers {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  /// What accepts connections on this loop, and how many it took.
  var accepting: Listener?
  let accepted = Sent()

  init(kind: LoopKind) throws {
    loop = try kind.makeLoop()
    try loop.startThread()
  }

  deinit { loop.stop() }

  private func echo(_ accepted: consuming Accepted) {
    guard let stream = try? Stream(adopting: accepted.descriptor, on: loop) else { return }
    loop.spawn { await Self.echo(stream) }
  }

  private static func echo(_ stream: Stream) async {
    do throws(StreamError) {
      while true {
        let bytes = try await stream.read(.head, by: .never)
        if bytes.isEmpty { break }
        try await stream.write(bytes, by: .never)
      }
      stream.shutdownWrite()
    } catch {}
  }

  /// Sends `bytes` through an echo server at `address` and returns what came back.
  func echoed(_ bytes: [UInt8], at address: SocketAddress) async throws -> [UInt8] {
    let listener = try Listener(adopting: try Listener.bind(address), on: loop)
    let client = try await Stream.connect(to: listener.address, on: loop, by: soon)
    echo(try await listener.accept(by: soon))
    loop.spawn { await Self.send(bytes, to: client) }
    var received: [UInt8] = []
    while true {
      let part = try await client.read(.body, by: soon)
      if part.isEmpty { return received }
      received.append(copying: part.bytes)
    }
  }

  private static func send(_ bytes: [UInt8], to client: Stream) async {
    try? await client.write(bytes, by: .never)
    client.shutdownWrite()
  }

  private func accepted(by listener: Listener) async throws -> Stream {
    let accepted = try await listener.accept(by: soon)
    return try Stream(adopting: accepted.descriptor, on: loop)
  }

  var soon: Deadline { loop.deadline(after: Timeout(.seconds(20))) }

  func connectionRefused() async throws -> StreamError? {
    let socket = try Listener.bind(.ipv4(0x7F00_0001, port: 0))
    let address = try socket.localAddress()
    _ = consume socket
    do throws(StreamError) {
      _ = try await Stream.connect(to: address, on: loop, by: soon)
      return nil
    } catch {
      return error
    }
  }

  /// Connects with bytes that wait for it, and gives what the other side has got of them.
  func spokenFirst(_ bytes: [UInt8]) async throws -> [UInt8] {
    let listener = try Listener(
      adopting: try Listener.bind(.ipv4(0x7F00_0001, port: 0)),
      on: loop
    )
    let begun = try Stream.beginConnecting(to: listener.address, speaksFirst: true, on: loop)
    guard case .mayStand = begun.progress else { return [] }
    var first = loop.lend(.head)
    first.append(bytes.span)
    // The connection stands by now, but nobody has waited for that.
    guard try begun.stream.writeNow(first, endsNext: true) == bytes.count else { return [] }
    begun.stream.shutdownWrite()
    let accepted = try await listener.accept(by: soon)
    guard let early = try accepted.descriptor.receiveNow(.head, on: loop) else { return [] }
    var received: [UInt8] = []
    received.append(copying: early.bytes)
    let server = try Stream(adopting: accepted.descriptor, on: loop)
    let end = try await server.read(.head, by: soon)
    // `select` has no word for the end before it is read.
    let isKnown = server.isEnding || loop.polling == .select
    return end.isEmpty && isKnown ? received : []
  }

  /// What a first write says of a connection that was refused.
  func refusesFirst() throws -> StreamError? {
    let socket = try Listener.bind(.ipv4(0x7F00_0001, port: 0))
    let address = try socket.localAddress()
    _ = consume socket
    let begun = try Stream.beginConnecting(to: address, speaksFirst: true, on: loop)
    var first = loop.lend(.head)
    first.append("too early")
    do throws(StreamError) {
      _ = try begun.stream.writeNow(first)
      return nil
    } catch {
      return error
    }
  }

  /// What the other side reads after an abort.
  func afterAbort() async throws -> StreamError? {
    let listener = try Listener(
      adopting: try Listener.bind(.ipv4(0x7F00_0001, port: 0)),
      on: loop
    )
    let client = try await Stream.connect(to: listener.address, on: loop, by: soon)
    do {
      let server = try await accepted(by: listener)
      server.abort()
    }
    do throws(StreamError) {
      _ = try await client.read(.head, by: soon)
      return nil
    } catch {
      return error
    }
  }

  func readTimesOut() async throws -> StreamError? {
    let listener = try Listener(
      adopting: try Listener.bind(.ipv4(0x7F00_0001, port: 0)),
      on: loop
    )
    let client = try await Stream.connect(to: listener.address, on: loop, by: soon)
    do throws(StreamError) {
      _ = try await client.read(.head, by: loop.deadline(after: Timeout(.milliseconds(20))))
      return nil
    } catch {
      return error
    }
  }

  func datagram(_ bytes: [UInt8]) async throws -> (bytes: [UInt8], truncated: Bool, same: Bool) {
    let receiver = try Datagram.bind(.ipv4(0x7F00_0001, port: 0), on: loop)
    let sender = try Datagram.bind(.ipv4(0x7F00_0001, port: 0), on: loop)
    try await sender.send(bytes, to: try receiver.localAddress(), by: soon)
    let received = try await receiver.receive(by: soon)
    var copy: [UInt8] = []
    copy.append(copying: received.buffer.bytes)
    return (copy, received.isTruncated, received.sender == (try sender.localAddress()))
  }

  func sentFile(
    _ file: consuming Descriptor,
    count: Int
  ) async throws -> (sent: Int, bytes: [UInt8]) {
    let listener = try Listener(
      adopting: try Listener.bind(.ipv4(0x7F00_0001, port: 0)),
      on: loop
    )
    let client = try await Stream.connect(to: listener.address, on: loop, by: soon)
    let server = try await accepted(by: listener)
    var received: [UInt8] = []
    let sent = try await server.sendFile(file, from: 0, count: count, by: soon)
    server.shutdownWrite()
    while true {
      let part = try await client.read(.body, by: soon)
      if part.isEmpty { break }
      received.append(copying: part.bytes)
    }
    return (sent, received)
  }
}

@Suite("Streams and datagrams", .timeLimit(.minutes(5)))
struct StreamTests {
  @Test(
    "carry bytes both ways, also more than the sockets hold",
    arguments: LoopKind.all,
    [0, 1, 5_000_000]
  )
  func echo(kind: LoopKind, count: Int) async throws {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    let peers = try Peers(kind: kind)
    #expect(try await peers.echoed(bytes, at: .ipv4(0x7F00_0001, port: 0)) == bytes)
  }

  @Test("work over IPv6 and Unix sockets", arguments: LoopKind.all)
  func families(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    #expect(try await peers.echoed([1, 2, 3], at: .ipv6(0, 1, port: 0, scope: 0)) == [1, 2, 3])
    #expect(try await peers.echoed([1, 2, 3], at: freshName()) == [1, 2, 3])
  }

  @Test("say when a connection is refused, reset or silent", arguments: LoopKind.all)
  func failures(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    let refused = try await peers.connectionRefused()
    #expect(refused == .failed(SystemError(.connect, 111)))
    #expect(try await peers.afterAbort() == .failed(SystemError(.recv, 104)))
    #expect(try await peers.readTimesOut() == .timedOut)
  }

  @Test(
    "take what is said first before anybody has waited for the connection",
    arguments: LoopKind.all
  )
  func first(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    #expect(try await peers.spokenFirst([1, 2, 3]) == [1, 2, 3])
    #expect(try await peers.refusesFirst() == .failed(SystemError(.send, 111)))
  }

  @Test("keep the bounds of datagrams and tell the sender", arguments: LoopKind.all)
  func datagrams(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    let small = try await peers.datagram([1, 2, 3])
    #expect(small.bytes == [1, 2, 3] && !small.truncated && small.same)
    let large = try await peers.datagram([UInt8](repeating: 7, count: 20_000))
    #expect(large.bytes.count == BufferSize.head.bytes && large.truncated)
  }

  @Test("send a file, and no more than it holds", arguments: LoopKind.all)
  func files(kind: LoopKind) async throws {
    let peers = try Peers(kind: kind)
    let content = try Descriptor.open("/proc/self/exe", .read).read(upTo: 300_000)
    let file = try Descriptor.open("/proc/self/exe", .read)
    let part = try await peers.sentFile(file, count: content.count)
    #expect(part.sent == content.count && part.bytes == content)
    let short = try await peers.sentFile(try Descriptor.open("/etc/hostname", .read), count: 4096)
    #expect(short.sent == short.bytes.count && short.sent < 4096)
  }
}
