// How connections end, and what becomes of those for whom there is no room, in the figures of the kernel.
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

/// Numbers of `/proc/net`, see `proc(5)`.
enum Figures {
  private static func lines(_ name: String) throws -> [[Substring]] {
    let bytes = try Files.read("/proc/self/net/\(name)", limit: 64 << 20)
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
      .map { $0.split(whereSeparator: { $0 == " " || $0 == ":" }) }
  }

  /// The states of the sockets from a port to another one, and what waits to be accepted or read there.
  static func sockets(
    from port: UInt16?,
    to other: UInt16?
  ) throws -> [(state: String, waiting: Int)] {
    let names = ["01": "ESTABLISHED", "06": "TIME_WAIT", "08": "CLOSE_WAIT", "0A": "LISTEN"]
    return try lines("tcp").dropFirst().compactMap { words in
      guard words.count > 7, UInt16(words[2], radix: 16) == port,
        UInt16(words[4], radix: 16) == other
      else { return nil }
      return (names[String(words[5])] ?? "state \(words[5])", Int(words[7], radix: 16) ?? 0)
    }
  }

  /// A counter, as `nstat` shows it.
  static func counter(_ name: Substring) throws -> Int {
    let tcp = try lines("netstat").filter { $0.first == "TcpExt" }
    return tcp[0].firstIndex(of: name).flatMap { Int(tcp[1][$0]) } ?? 0
  }

  /// Looks until they are in these states, or for two seconds.
  nonisolated(nonsending) static func settled(
    from port: UInt16?,
    to other: UInt16?,
    _ states: [String],
    _ loop: EventLoop
  ) async throws -> [String] {
    let end = ContinuousClock.now + .seconds(2)
    while true {
      let found = try sockets(from: port, to: other).map(\.state)
      if found == states || ContinuousClock.now > end { return found }
      try await loop.sleep(for: .milliseconds(20))
    }
  }
}

/// Two ends of a connection, of which nobody else knows.
struct Pair {
  var client: Stream?
  var server: Stream?
  let ports: (client: UInt16?, server: UInt16?)

  nonisolated(nonsending) init(_ loop: EventLoop) async throws {
    let socket = try Listener.bind(.ipv4(0x7F00_0001, port: 0))
    let listener = try Listener(adopting: socket, on: loop)
    let client = try await Stream.connect(to: listener.address, on: loop, by: .never)
    let accepted = try await listener.accept()
    server = try Stream(adopting: accepted.descriptor, on: loop)
    ports = (try client.localAddress().port, listener.address.port)
    self.client = client
  }
}

/// How many bytes come of those that the other side has sent before it went, and how that ended.
nonisolated(nonsending) func received(by stream: Stream?) async -> (count: Int, end: String) {
  var count = 0
  guard let stream else { return (0, "nobody reads") }
  do throws(StreamError) {
    while true {
      let bytes = try await stream.read(.body, by: .never)
      if bytes.isEmpty { return (count, "the end") }
      count += bytes.count
    }
  } catch {
    if case .failed(let failure) = error { return (count, "\(failure)") }
    return (count, "\(error)")
  }
}

/// A server that closes first, or that aborts, with more under way than the client has room for.
nonisolated(nonsending) func end(aborting: Bool, _ loop: EventLoop) async throws {
  let sent = [UInt8](repeating: 7, count: 250_000)
  var pair = try await Pair(loop)
  try pair.server?.set(.sendBuffer, to: 1 << 20)
  try await pair.server?.write(sent, by: .never)
  if aborting { pair.server?.abort() }
  pair.server = nil
  let (count, end) = await received(by: pair.client)
  pair.client = nil
  print(aborting ? "aborted:" : "closed:", count == sent.count ? "all came," : "not all came,", end)
  let (ours, theirs) = pair.ports
  let left = try await Figures.settled(from: theirs, to: ours, aborting ? [] : ["TIME_WAIT"], loop)
  print("  left at the server:", left)
  print("  left at the client:", try await Figures.settled(from: ours, to: theirs, [], loop))
  guard !aborting, let port = theirs else { return }
  // Without SO_REUSEADDR, which listeners have, the port is not to be had for a minute.
  let address = SocketAddress.ipv4(0x7F00_0001, port: port)
  let bare = try Descriptor.stream(for: address)
  do { try bare.bind(to: address) } catch { print("  another socket there:", error) }
  _ = try Listener.bind(address)
  print("  another listener there: listens")
}

/// Ten clients that come at once to a listener that has room for three and does not accept.
nonisolated(nonsending) func burst(_ loop: EventLoop) async throws {
  let socket = try Listener.bind(.ipv4(0x7F00_0001, port: 0), backlog: 2)
  let listener = try Listener(adopting: socket, on: loop)
  let (before, start) = (try Figures.counter("ListenOverflows"), ContinuousClock.now)
  let clients = loop.start {
    try await loop.map(0..<10, atMost: 10) { _ in
      let stream = try await Stream.connect(to: listener.address, on: loop, by: .never)
      // Who was told by a cookie that it is in, and found no room after all, is heard of when it speaks.
      try await stream.write([1], by: .never)
      return stream
    }
  }
  try await loop.sleep(for: .milliseconds(200))
  let inLine = try Figures.sockets(from: listener.address.port, to: 0).first
  // Others of this machine may find no room either.
  let overflows = min(try Figures.counter("ListenOverflows") - before, 7)
  print("burst of 10:", inLine?.waiting ?? 0, "wait in line,", overflows, "found no room")
  // Nobody has told them. They ask again after a second, and find room by then.
  try await loop.withTimeout(.seconds(20)) {
    for _ in 0..<10 { _ = try await listener.accept() }
    _ = try await clients.result()
  }
  let isLate = ContinuousClock.now - start > .milliseconds(900)
  print("all came in,", isLate ? "a second late" : "at once")
}

func main() throws {
  let loop = try EventLoop()
  loop.run(until: {
    do {
      try await end(aborting: false, loop)
      try await end(aborting: true, loop)
      try await burst(loop)
    } catch {
      print(error)
    }
  })
}

try main()
