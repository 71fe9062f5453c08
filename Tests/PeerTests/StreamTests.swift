import Foundation
import TestPeers
import Testing

extension Rig {
  /// Starts Martlet with one `tcp` block in front of `members`, and `lines` in it.
  func stream(
    to members: [Endpoint],
    _ lines: String = "",
    outside: String = "",
    startedBy prefix: [String] = []
  ) throws -> Peer {
    try martlet(
      configuration: Self.streamConfiguration(to: members, lines, outside: outside),
      startedBy: prefix
    )
  }

  /// The configuration of ``stream(to:_:outside:startedBy:)``, which logs as JSON to standard output.
  static func streamConfiguration(
    to members: [Endpoint],
    _ lines: String = "",
    outside: String = ""
  ) -> String {
    let list = members.map { "\($0)" }.joined(separator: " ")
    return """
      \(outside)
      tcp {
          listen LISTEN
          proxy \(list)
          access_log stdout json
          \(lines)
      }

      """
  }

  /// A member that sends back what it has received, once the client has ended its sending.
  func mirror() throws -> ScriptedMember {
    try member { wire in
      let all = try wire.receiveRest()
      try wire.send(all)
    }
  }

  /// A member that sends back what comes, piece by piece.
  func echo() throws -> ScriptedMember {
    try member { wire in
      while true {
        let part = try wire.receive()
        if part.isEmpty { return }
        try wire.send(part)
      }
    }
  }
}

extension Wire {
  /// Whether `text` comes back.
  func echoes(_ text: String) throws -> Bool {
    try send(text: text)
    return try receive(exactly: text.utf8.count) == Array(text.utf8)
  }
}

/// Bytes of which no two places look alike.
func pattern(_ count: Int) -> [UInt8] {
  var state: UInt64 = 0x9E37_79B9_7F4A_7C15
  return (0..<count).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return UInt8(truncatingIfNeeded: state)
  }
}

extension PeerTests {
  /// Bytes that pass through layer 4.
  @Suite("Layer 4", .timeLimit(.minutes(5 * slowness))) struct StreamTests {
    @Test(
      "every size passes byte for byte, and the answer after the client has ended its sending",
      arguments: [
        0, 1, 64, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145,
        524_288, 1_000_003, 5_000_000,
      ]
    )
    func sizes(count: Int) async throws {
      try await Rig.run { rig in
        let member = try rig.mirror()
        let martlet = try rig.stream(to: [member.endpoint])
        let bytes = pattern(count)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(bytes)
        wire.finishSending()
        #expect(try wire.receiveRest() == bytes)
        let line = try martlet.line(with: "\"received\":\(count),\"sent\":\(count),\"tries\":1")
        #expect(line.contains("\"end\":\"complete\",\"seconds\""))
      }
    }

    @Test("a member may end its sending first, and still takes what comes")
    func memberEndsFirst() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          try wire.send(text: "first")
          wire.finishSending()
          _ = try wire.receiveRest()
        }
        let wire = try Wire(to: try rig.stream(to: [member.endpoint]).endpoint)
        #expect(try wire.receiveRest() == Array("first".utf8))
        let bytes = pattern(300_000)
        try wire.send(bytes)
        wire.finishSending()
        try wait { member.received == bytes }
      }
    }

    private static let traffic = """
      import hashlib, os, random, socket, sys, threading
      def talk(number):
          rng = random.Random(number)
          s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
          sent, got = hashlib.sha256(), hashlib.sha256()
          def read():
              while True:
                  part = s.recv(rng.choice([100, 5000, 1 << 16, 1 << 20]))
                  if not part: return
                  got.update(part)
          reader = threading.Thread(target=read)
          reader.start()
          for _ in range(60):
              part = os.urandom(rng.choice([1, 64, 1000, 16384, 70000, 300000]))
              sent.update(part)
              s.sendall(part)
          s.shutdown(socket.SHUT_WR)
          reader.join()
          results.append(sent.digest() == got.digest())
      results = []
      threads = [threading.Thread(target=talk, args=(n,)) for n in range(24)]
      for t in threads: t.start()
      for t in threads: t.join()
      print("right", sum(results), "of", len(results), flush=True)
      """

    private static let echo = """
      import asyncio, sys
      async def serve(reader, writer):
          while part := await reader.read(1 << 16):
              writer.write(part)
              await writer.drain()
          writer.close()
      async def main():
          server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
          await server.serve_forever()
      asyncio.run(main())
      """

    @Test("both directions at once, in pieces of every size, on many connections")
    func traffic() async throws {
      try await Rig.run { rig in
        let server = try rig.python(Self.echo)
        let martlet = try rig.stream(to: [server.endpoint], outside: "loops 2")
        guard case .port(let port) = martlet.endpoint else { throw PeerError("no port") }
        let program = try rig.write(Self.traffic, to: "traffic.py")
        let outcome = try rig.outcome(of: ["/usr/bin/python3", program, "\(port)"])
        #expect(outcome.lines == ["right 24 of 24"])
      }
    }

    @Test("Unix sockets on both sides")
    func unix() async throws {
      try await Rig.run { rig in
        let inner = try rig.echo()
        let socket = rig.socket("inner.sock")
        let text = """
          tcp {
              listen LISTEN
              proxy \(socket)
          }
          tcp {
              listen \(socket)
              proxy \(inner.endpoint)
          }

          """
        let martlet = try rig.martlet(configuration: text)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.echoes("through two blocks"))
        let bytes = pattern(700_000)
        Thread { try? wire.send(bytes) }.start()
        #expect(try wire.receive(exactly: bytes.count) == bytes)
      }
    }

    @Test("a reader that is slow costs a bounded piece of memory, and gets every byte")
    func slowReader() async throws {
      try await Rig.run { rig in
        let count = 8 << 20
        let bytes = pattern(count)
        let member = try rig.member { try $0.send(bytes) }
        let martlet = try rig.stream(to: [member.endpoint])
        let before = try martlet.memory().now
        let wires = try (0..<20).map { _ in try Wire(to: martlet.endpoint, receiveBuffer: 1 << 14) }
        for wire in wires { #expect(try wire.receive(exactly: 1) == [bytes[0]]) }
        #expect(try martlet.memory().now - before < memoryFactor * 8 << 20)
        #expect(try wires[7].receive(exactly: count - 1) == Array(bytes.dropFirst()))
      }
    }

    private static let many = """
      import resource, selectors, socket, sys, time
      resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
      count = int(sys.argv[2])
      listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
      print("listening", flush=True)
      accepted = []
      while len(accepted) < count + 1:
          accepted.append(listener.accept()[0])
      print("all", flush=True)
      time.sleep(3600)
      """

    private static let opening = """
      import resource, socket, sys, time
      resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
      address = ("127.0.0.1", int(sys.argv[1]))
      clients = [socket.create_connection(address) for _ in range(int(sys.argv[2]))]
      print("open", flush=True)
      time.sleep(3600)
      """

    @Test(
      "an idle connection holds no buffer: thousands cost less than 2,560 bytes each",
      .disabled(if: isSanitized, "a sanitizer has an allocator of its own")
    )
    func idle() async throws {
      try await Rig.run { rig in
        // Each takes two descriptors, and a process may have 20,000 of them in most places.
        let count = 8000
        let server = try rig.python(Self.many, ["\(count)"])
        let martlet = try rig.stream(to: [server.endpoint])
        guard case .port(let port) = martlet.endpoint else { throw PeerError("no port") }
        let before = try martlet.memory().now
        let program = try rig.write(Self.opening, to: "opening.py")
        let clients = try rig.start(["/usr/bin/python3", program, "\(port)", "\(count)"])
        try clients.line(with: "open")
        try server.line(with: "all")
        #expect(try martlet.memory().now - before < count * 2560)
      }
    }

    @Test("`source` is the address that members see")
    func source() async throws {
      try await Rig.run { rig in
        let server = try rig.python(
          """
          import socket, sys
          listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
          while True:
              wire, peer = listener.accept()
              try: wire.sendall(peer[0].encode())
              except OSError: pass
              wire.close()
          """
        )
        let martlet = try rig.stream(to: [server.endpoint], "source 127.0.0.77")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try String(decoding: wire.receiveRest(), as: UTF8.self) == "127.0.0.77")
      }
    }

    @Test("figures and state tell of connections and bytes")
    func figures() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try rig.stream(to: [member.endpoint])
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.echoes("12345"))
        let socket = Endpoint.unix(rig.path("state/admin.sock"))
        func metric(_ name: String) throws -> String? {
          let path = rig.path("state/admin.sock")
          let page = try rig.curl("--unix-socket", path, socket.url("/metrics"))
          return page.text.split(separator: "\n").first { $0.hasPrefix(name + "{") }
            .flatMap { $0.split(separator: " ").last }.map { String($0) }
        }
        try wait { try metric("martlet_connections_open") == "1" }
        #expect(try metric("martlet_upstream_streams_open") == "1")
        wire.finishSending()
        #expect(try wire.receiveRest() == [])
        try wait { try metric("martlet_upstream_streams_open") == "0" }
        #expect(try metric("martlet_received_bytes_total") == "5")
        #expect(try metric("martlet_sent_bytes_total") == "5")
        let status = try rig.martlet(command: "status").lines.joined(separator: "\n")
        #expect(status.contains("tcp \(martlet.endpoint)"), "\(status)")
      }
    }
  }
}

/// Waits until something outside is so.
func wait(until holds: () throws -> Bool) throws {
  let deadline = ContinuousClock.now + patience
  while try !holds() {
    guard ContinuousClock.now < deadline else { throw PeerError("it did not come about") }
    _ = poll(nil, 0, 5)
  }
}
