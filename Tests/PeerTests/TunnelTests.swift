import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// WebSocket, and what else asks for an upgrade.
  @Suite("Tunnels", .timeLimit(.minutes(5 * slowness))) struct TunnelTests {
    private static let server = """
      import asyncio, sys, websockets
      async def echo(socket):
          try:
              while True:
                  await socket.send(await socket.recv())
          except websockets.ConnectionClosed:
              print("closed", socket.close_code, socket.close_reason, flush=True)
      async def main():
          async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=None):
              await asyncio.Future()
      asyncio.run(main())
      """

    private static let client = """
      import asyncio, sys, websockets
      async def main():
          async with websockets.connect(sys.argv[1], max_size=None) as socket:
              for number in range(1000):
                  message = "x" * number if number % 2 else bytes([number % 256]) * (number * 7)
                  await socket.send(message)
                  assert await socket.recv() == message, number
              large = bytes(range(256)) * 8000
              await socket.send(large)
              assert await socket.recv() == large
              await asyncio.gather(*(socket.ping() for _ in range(10)))
              await socket.close(4001, "enough")
              print("code", socket.close_code, socket.close_reason, flush=True)
      asyncio.run(main())
      """

    @Test("a WebSocket client gets 1,000 messages back, and both ends see it close in order")
    func webSocket() async throws {
      try await Rig.run { rig in
        let server = try rig.python(Self.server)
        let martlet = try rig.martlet(to: [server.endpoint])
        let program = try rig.write(Self.client, to: "client.py")
        let outcome = try rig.outcome(
          of: ["/usr/bin/python3", program, "ws://\(martlet.endpoint)/echo"]
        )
        #expect(outcome.status == 0 && outcome.lines == ["code 4001 enough"])
        #expect(try server.line(with: "closed") == "closed 4001 enough")
      }
    }

    private static let upgrade =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
    private static let switching =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"

    @Test("bytes that come with the heads pass, in both directions")
    func earlyBytes() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try wire.send(text: Self.switching + "from the member")
          let got = try wire.receive(exactly: 15)
          try wire.send(got.reversed())
          wire.finishSending()
          try wire.receiveEnd()
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: Self.upgrade + "from the client")
        #expect(try wire.receiveAnswer().status == 101)
        #expect(
          try String(decoding: wire.receiveRest(), as: UTF8.self)
            == "from the member" + String("from the client".reversed())
        )
      }
    }

    @Test("one direction may end before the other")
    func halfClose() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try wire.send(text: Self.switching)
          let all = try wire.receiveRest()
          try wire.send(text: "\(all.count)")
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: Self.upgrade)
        #expect(try wire.receiveAnswer().status == 101)
        try wire.send([UInt8](repeating: 1, count: 500_000))
        wire.finishSending()
        #expect(try String(decoding: wire.receiveRest(), as: UTF8.self) == "500000")
      }
    }

    @Test("an end that leaves ends the other", arguments: [true, false])
    func leaving(isClient: Bool) async throws {
      try await Rig.run { rig in
        let isOver = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try wire.send(text: Self.switching)
          if !isClient {
            wire.resetAtEnd()
            return
          }
          try wire.receiveEnd()
          isOver.open()
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: Self.upgrade)
        #expect(try wire.receiveAnswer().status == 101)
        if isClient {
          wire.end()
          try isOver.pass()
        } else {
          try wire.receiveEnd()
        }
      }
    }

    @Test("a hundred tunnels that nobody uses cost little, and work afterwards")
    func idle() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try wire.send(text: Self.switching)
          while true {
            let part = try wire.receive()
            if part.isEmpty { return }
            try wire.send(part)
          }
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let before = try martlet.memory()
        let wires = try (0..<100).map { _ in
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: Self.upgrade)
          #expect(try wire.receiveAnswer().status == 101)
          return wire
        }
        #expect(try martlet.memory().now - before.now < memoryFactor * 16 << 20)
        for (number, wire) in wires.enumerated() {
          try wire.send(text: "tunnel \(number)")
          #expect(
            try wire.receive(exactly: 8).starts(with: Array("tunnel \(number)".utf8.prefix(8)))
          )
        }
      }
    }

    /// A member that switches protocols and sends back what it gets.
    private func echo(_ rig: Rig) throws -> ScriptedMember {
      try rig.member { wire in
        guard try wire.receiveRequestHead() != nil else { return }
        try wire.send(text: Self.switching)
        while true {
          let part = try wire.receive()
          if part.isEmpty { return }
          try wire.send(part)
        }
      }
    }

    private func open(_ endpoint: Endpoint) throws -> Wire {
      let wire = try Wire(to: endpoint)
      try wire.send(text: Self.upgrade)
      #expect(try wire.receiveAnswer().status == 101)
      return wire
    }

    @Test("one on which nobody says anything ends at its time, in the route or its upstream")
    func silence() async throws {
      try await Rig.run { rig in
        let member = try echo(rig)
        let martlet = try rig.martlet(
          configuration: """
            upstream app {
              member \(member.endpoint)
              tunnel_timeout 300ms
            }
            server {
              listen LISTEN
              access_log stdout json
              route /long { proxy app
                tunnel_timeout 1h }
              route / { proxy app }
            }
            """
        )
        let long = try Wire(to: martlet.endpoint)
        try long.send(text: Self.upgrade.replacingOccurrences(of: "GET / ", with: "GET /long "))
        #expect(try long.receiveAnswer().status == 101)
        let wire = try open(martlet.endpoint)
        try wire.send(text: "x")
        #expect(try wire.receive(exactly: 1) == [0x78])
        try wire.receiveEnd()
        try martlet.line(with: "\"end\":\"idle_timeout\"")
        try long.send(text: "y")
        #expect(try long.receive(exactly: 1) == [0x79])
      }
    }

    @Test(
      "a silent client of a WebSocket is asked whether it is there, and one that is not loses it"
    )
    func ping() async throws {
      try await Rig.run { rig in
        let switching =
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        let heard = Guarded<[UInt8]>([])
        let goesOn = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          // A frame of five bytes, of which two come late: nothing may be said in between.
          try wire.send(text: switching)
          try wire.send([0x82, 5, 1, 2, 3])
          try goesOn.pass()
          try wire.send([4, 5])
          while true {
            let part = try wire.receive()
            if part.isEmpty { return }
            heard.withLock { $0 += part }
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            server {
              listen LISTEN
              access_log stdout json
              route / { proxy \(member.endpoint)
                websocket_ping 200ms }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: Self.upgrade.replacingOccurrences(of: "raw", with: "websocket"))
        #expect(try wire.receiveAnswer().status == 101)
        #expect(try wire.receive(exactly: 5) == [0x82, 5, 1, 2, 3])
        #expect(!wire.isReadable(within: .milliseconds(500)))
        goesOn.open()
        #expect(try wire.receive(exactly: 4) == [4, 5, 0x89, 0])
        let pong: [UInt8] = [0x8A, 0x80, 1, 2, 3, 4]
        for _ in 0..<2 {
          try wire.send(pong)
          #expect(try wire.receive(exactly: 2) == [0x89, 0])
        }
        #expect(heard.withLock { $0 } == pong + pong)
        try wire.receiveEnd()
        try martlet.line(with: "\"end\":\"idle_timeout\"")
      }
    }

    @Test("a reload leaves them alone, and a stop ends them when the time to drain is over")
    func reload() async throws {
      try await Rig.run { rig in
        let member = try echo(rig)
        let martlet = try rig.martlet(
          configuration: """
            drain_limit 500ms
            server {
              listen LISTEN
              access_log stdout json
              route / { proxy \(member.endpoint) }
            }
            """
        )
        let wire = try open(martlet.endpoint)
        let other = try rig.member { _ in }
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        try rig.write(
          text.replacingOccurrences(of: "\(member.endpoint)", with: "\(other.endpoint)"),
          to: "martlet.conf"
        )
        #expect(try rig.martlet(command: "reload").status == 0)
        try wire.send(text: "still here")
        #expect(try wire.receive(exactly: 10) == Array("still here".utf8))
        martlet.signal(SIGTERM)
        try wire.receiveEnd()
        try martlet.line(with: "\"end\":\"drained\"")
      }
    }

    @Test("a member that declines the upgrade answers as usual")
    func declined() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
          }
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        for _ in 0..<2 {
          try wire.send(text: Self.upgrade)
          #expect(try wire.receiveAnswer().text == "no")
        }
      }
    }
  }
}
