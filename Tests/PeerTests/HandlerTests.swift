import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// The program of `Snippets/WebShop.swift`, which has Martlet in it.
  @Suite("Handlers in Swift", .timeLimit(.minutes(2 * slowness))) struct HandlerTests {
    private func start(_ rig: Rig) throws -> Peer {
      let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      let program = tests.deletingLastPathComponent().appendingPathComponent("WebShop").path
      let endpoint = try rig.freePort()
      guard case .port(let port) = endpoint else { throw PeerError("no port") }
      return try rig.start([program, "\(port)"], at: endpoint)
    }

    @Test("curl is answered by routes, with JSON, in pieces, and is known again by its cookie")
    func answers() async throws {
      try await Rig.run { rig in
        let shop = try start(rig)
        func curl(_ path: String, _ words: String...) throws -> String {
          let outcome = try rig.outcome(
            of: ["curl", "--silent", "--show-error", "--noproxy", "*"] + words
              + [shop.endpoint.url(path)]
          )
          return outcome.lines.joined(separator: "\n")
        }
        #expect(try curl("/hello/J%C3%BCrgen") == "Hello, Jürgen")
        #expect(try curl("/sum", "-d", "[1, 2, 39]") == "{\"sum\":42}")
        #expect(try curl("/sum", "-d", "[1,", "-w", "%{http_code}").hasSuffix("400"))
        let numbers = (1...20_000).map { "\($0)" }.joined(separator: "\n")
        let isSame = try curl("/count/20000") == numbers
        #expect(isSame)
        #expect(try curl("/count/3", "--http1.0") == "1\n2\n3")
        #expect(try curl("/count/3", "--http2-prior-knowledge") == "1\n2\n3")
        #expect(try curl("/count/x", "-w", "%{http_code}").hasSuffix("400"))
        try rig.write(pattern(900_000), to: "large")
        #expect(try curl("/size", "-T", rig.path("large")) == "900000")
        #expect(try curl("/none", "-w", "%{http_code}").hasSuffix("404"))
        #expect(try curl("/sum", "-D", "-").lowercased().contains("allow: post"))
        #expect(try curl("/hello/a", "-I").hasPrefix("HTTP/1.1 200"))
        let jar = rig.path("jar")
        #expect(try curl("/me", "-w", "%{http_code}").hasSuffix("403"))
        _ = try curl("/login/alice", "-X", "POST", "-c", jar)
        #expect(try curl("/me", "-c", jar, "-b", jar) == "alice, visit 1")
        #expect(try curl("/me", "-c", jar, "-b", jar) == "alice, visit 2")
      }
    }

    @Test("messages of a WebSocket are said back, and a client that breaks the rules is told so")
    func webSocket() async throws {
      try await Rig.run { rig in
        let shop = try start(rig)
        func open() throws -> Wire {
          let wire = try Wire(to: shop.endpoint)
          try wire.send(
            text: "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
          )
          let head = String(decoding: try wire.receive(through: "\r\n\r\n"), as: UTF8.self)
          #expect(head.hasPrefix("HTTP/1.1 101 "))
          #expect(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
          return wire
        }
        let wire = try open()
        try wire.send([0x81, 0x85, 0, 0, 0, 0] + Array("hello".utf8))
        #expect(try wire.receive(exactly: 7) == [0x81, 5] + Array("hello".utf8))
        try wire.send([0x89, 0x82, 0, 0, 0, 0, 1, 2] + [0x82, 0x81, 0, 0, 0, 0, 7])
        #expect(try wire.receive(exactly: 7) == [0x8A, 2, 1, 2, 0x82, 1, 7])
        try wire.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8])
        #expect(try wire.receive(exactly: 4) == [0x88, 2, 0x03, 0xE8])
        try wire.receiveEnd()
        let rude = try open()
        try rude.send([0x81, 0x05] + Array("hello".utf8))
        #expect(try rude.receive(exactly: 4) == [0x88, 2, 0x03, 0xEA])
        try rude.receiveEnd()
        let plain = try Wire(to: shop.endpoint)
        try plain.send(text: "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try plain.receiveAnswer().status == 426)
      }
    }

    @Test("a program that is told to end lets requests end that are under way")
    func ends() async throws {
      try await Rig.run { rig in
        let shop = try start(rig)
        let wire = try Wire(to: shop.endpoint)
        try wire.send(text: "PUT /size HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        let other = try Wire(to: shop.endpoint)
        try other.send(text: "GET /hello/a HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try other.receiveAnswer().status == 200)
        shop.signal(SIGTERM)
        try other.receiveEnd()
        try wire.send(text: "bc")
        #expect(try wire.receiveAnswer().text == "3\n")
        #expect(try shop.status() == 0)
      }
    }
  }
}
