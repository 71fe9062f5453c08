import Foundation
import HTTP2
import TestPeers
import Testing

extension PeerTests {
  /// Clients that speak HTTP/2 from the first byte on.
  @Suite("HTTP/2", .timeLimit(.minutes(5 * slowness))) struct HTTP2Tests {
    private static let large: [UInt8] = (0..<3_000_000).map {
      UInt8(truncatingIfNeeded: $0 &* 11 >> 2)
    }

    private func store(_ rig: Rig) throws -> Peer {
      try rig.write(Self.large, to: "files/large.bin")
      return try rig.nginx(
        """
        root \(rig.path("files"));
        client_max_body_size 10m;
        location /store/ { dav_methods PUT; create_full_put_path on; }
        """
      )
    }

    private func text(
      _ members: [Endpoint],
      server: String = "",
      route: String = ""
    ) -> String {
      """
      server {
        listen LISTEN
        body_limit 10MB
        access_log stdout json
        \(server)
        route /fixed { respond 200 "fixed" }
        route / {
          \(route)
          proxy \(members.map(\.description).joined(separator: " "))
        }
      }
      """
    }

    @Test("curl gets and puts what is large, byte for byte")
    func curl() async throws {
      try await Rig.run { rig in
        let nginx = try store(rig)
        let martlet = try rig.martlet(configuration: text([nginx.endpoint]))
        let got = try rig.curl(
          "--http2-prior-knowledge",
          "-o",
          rig.path("got"),
          "-w",
          "%{http_code} %{http_version} %{size_download}",
          martlet.endpoint.url("/large.bin")
        )
        #expect(got.text == "200 2 3000000")
        #expect(try rig.read("got") == Self.large)
        let put = try rig.curl(
          "--http2-prior-knowledge",
          "-T",
          rig.path("files/large.bin"),
          "-w",
          "%{http_code}",
          martlet.endpoint.url("/store/a.bin")
        )
        #expect(put.text == "201")
        #expect(try rig.read("files/store/a.bin") == Self.large)
        let line = try martlet.line(with: "\"/large.bin\"")
        #expect(line.contains("\"HTTP/2.0\""))
        #expect(line.contains("\"sent\":3000000"))
      }
    }

    @Test("a refusal that comes before the body is read reaches curl")
    func refusal() async throws {
      try await Rig.run { rig in
        let nginx = try store(rig)
        let martlet = try rig.martlet(
          configuration: text([nginx.endpoint], route: "body_limit 100KB")
        )
        let put = try rig.curl(
          "--http2-prior-knowledge",
          "-T",
          rig.path("files/large.bin"),
          "-w",
          "%{http_code}",
          martlet.endpoint.url("/store/b.bin")
        )
        #expect(put.text.contains("413"))
      }
    }

    @Test("h2load has no failure with 100 streams on each connection")
    func load() async throws {
      try await Rig.run { rig in
        let nginx = try rig.nginx("location / { return 200 hello; }")
        let martlet = try rig.martlet(configuration: text([nginx.endpoint]))
        let outcome = try rig.outcome(
          of: ["h2load", "-n", "4000", "-c", "4", "-m", "100", martlet.endpoint.url("/x")]
        )
        let line = outcome.lines.first { $0.hasPrefix("requests:") }
        #expect(line?.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout") == true)
      }
    }

    @Test("trailers pass both ways, and so does a body of unknown length")
    func trailers() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while var request = try wire.receiveRequestHead() {
            try wire.receiveBody(of: &request)
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"
            )
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        let stream = try client.open("POST /t HTTP/1.1\nHost: a\nTE: trailers", isLast: false)
        try client.send("one", on: stream)
        try client.send("two", on: stream)
        try client.sendTrailers("X-Count: 2", on: stream)
        try client.finish(stream)
        #expect(client.bodies[stream] == Array("hello".utf8))
        #expect(client.trailers[stream] == "x-sum: 5\r\n")
        let received = String(decoding: member.received, as: UTF8.self)
        #expect(received.contains("Transfer-Encoding: chunked\r\n"))
        #expect(received.contains("TE: trailers\r\n"))
        #expect(received.hasSuffix("0\r\nx-count: 2\r\n\r\n"))
      }
    }

    @Test("a stream that the client resets ends the request at the member, and no other")
    func reset() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard let request = try wire.receiveRequestHead() else { return }
          if request.target == "/slow" { return try wire.receiveEnd() }
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        let slow = try client.open("GET /slow HTTP/1.1\nHost: a")
        let quick = try client.open("GET /quick HTTP/1.1\nHost: a")
        try client.finish(quick)
        #expect(client.bodies[quick] == Array("ok".utf8))
        try client.reset(slow)
        #expect(try martlet.line(with: "\"/slow\"").contains("\"status\":499"))
      }
    }

    @Test("what a client does not take is not fetched from the member, and times out")
    func slowClient() async throws {
      try await Rig.run { rig in
        let sent = Guarded(0)
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
          let block = [UInt8](repeating: 120, count: 1 << 16)
          for _ in 0..<3000 {
            try wire.send(block)
            sent.withLock { $0 += block.count }
          }
        }
        let martlet = try rig.martlet(
          configuration: text([member.endpoint], route: "send_timeout 1s")
        )
        let client = try HTTP2Client(to: martlet.endpoint)
        client.consumes = false
        let stream = try client.open("GET /huge HTTP/1.1\nHost: a")
        try client.finish(stream)
        #expect(client.bodies[stream]?.count == 65_535)
        #expect(client.resets[stream] == .cancel)
        // The rest is what the kernel's buffers take.
        #expect(sent.withLock { $0 } < 20_000_000)
        // The connection goes on.
        let other = try client.open("GET /fixed HTTP/1.1\nHost: a")
        client.consumes = true
        try client.receive { client.heads[other] != nil }
      }
    }

    @Test("a flood ends its connection with ENHANCE_YOUR_CALM and a line in the log")
    func flood() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in try wire.receiveEnd() }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let good = try HTTP2Client(to: martlet.endpoint)
        let bad = try HTTP2Client(to: martlet.endpoint)
        let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
        try bad.send(raw: Array(repeatElement(settings, count: 200).joined()))
        try bad.receiveEnd()
        #expect(bad.goAway == .enhanceYourCalm)
        #expect(try martlet.line(with: "was ended").contains("settings"))
        let stream = try good.open("GET /fixed HTTP/1.1\nHost: a")
        try good.finish(stream)
        #expect(good.bodies[stream] == Array("fixed".utf8))
      }
    }

    @Test("nghttp gets what it asks for, over TLS and without, many times over one connection")
    func nghttp() async throws {
      try await Rig.run { rig in
        let files = try rig.certificate("own", for: ["localhost"])
        let place = try rig.freePort()
        let martlet = try rig.martlet(
          configuration: """
            server localhost {
              listen \(place) tls
              listen LISTEN
              certificate \(files.certificate) \(files.key)
              route / { respond 200 "hello" }
            }
            """
        )
        for (url, version) in [
          (martlet.endpoint.url("/"), "h2c"), ("https://\(place)/", "h2"),
        ] {
          let told = try rig.outcome(
            of: ["nghttp", "-v", "-n", "-m", "20", "-H", ":authority: localhost", url]
          )
          #expect(told.status == 0, "\(told.lines)")
          #expect(told.lines.count { $0.contains(":status: 200") } == 20, "\(version)")
          #expect(!told.lines.contains { $0.contains("RST_STREAM") }, "\(version)")
        }
      }
    }

    /// A client's settings, the head of a WebSocket on a stream that does not end, and four bytes of content.
    static func webSocket(with more: [(String, String)] = []) -> [UInt8] {
      // Fields as literals that nobody keeps.
      let fields: [(String, String)] = [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
        (":path", "/chat"), (":authority", "a"), ("sec-websocket-version", "13"),
      ]
      var block: [UInt8] = []
      for (name, value) in fields + more {
        block += [0, UInt8(name.utf8.count)] + Array(name.utf8)
        block += [UInt8(value.utf8.count)] + Array(value.utf8)
      }
      var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
      bytes += [0, 0, 0, 4, 0, 0, 0, 0, 0] as [UInt8]
      bytes += [0, 0, UInt8(block.count), 1, 4, 0, 0, 0, 1] as [UInt8]
      bytes += block
      bytes += [0, 0, 4, 0, 0, 0, 0, 0, 1] as [UInt8]
      return bytes + Array("ping".utf8)
    }

    @Test("WebSocket passes from HTTP/2 to HTTP/2, by extended CONNECT on both sides")
    func webSocketBehind() async throws {
      try await Rig.run { rig in
        let head = Guarded("")
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire, allowsExtendedConnect: true)
          guard let stream = try server.next() else { return }
          let asked = server.heads[stream] ?? ""
          head.withLock { $0 = asked }
          try server.send(head: "HTTP/1.1 200 OK", on: stream)
          try server.receive { (server.bodies[stream]?.count ?? 0) >= 4 }
          try server.send("gnip", on: stream, isLast: true)
          try server.receive { false }
        }
        let martlet = try rig.martlet(
          configuration: """
            upstream api {
              member \(member.endpoint)
              http2 on
            }
            server { listen LISTEN
              route / { proxy api }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(Self.webSocket())
        #expect(try wire.receive(through: "gnip").suffix(4) == Array("gnip".utf8))
        let asked = head.withLock(\.self)
        #expect(asked.hasPrefix("GET /chat ") || asked.hasPrefix("CONNECT "), "\(asked)")
        #expect(asked.lowercased().contains("websocket"), "\(asked)")
        #expect(member.failures.isEmpty)
      }
    }

    @Test("WebSocket over HTTP/2 reaches a member of HTTP/1.1 as an upgrade")
    func webSocket() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard let request = try wire.receiveRequestHead() else { return }
          guard request.target == "/chat" else { return }
          try wire.send(
            text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
              + "Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"
          )
          let got = try wire.receive(exactly: 4)
          try wire.send(got.reversed())
          wire.finishSending()
          try wire.receiveEnd()
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(Self.webSocket())
        let got = try wire.receive(through: "gnip")
        #expect(got.suffix(4) == Array("gnip".utf8))
        let request = String(decoding: member.received, as: UTF8.self)
        #expect(request.contains("Upgrade: websocket\r\n"))
        #expect(request.contains("Sec-WebSocket-Key: "))
      }
    }

    @Test("a stop lets streams under way end, and tells the client")
    func drain() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          _ = poll(nil, 0, 500)
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        let stream = try client.open("GET /late HTTP/1.1\nHost: a")
        _ = poll(nil, 0, 100)
        martlet.signal(SIGTERM)
        try client.finish(stream)
        #expect(client.bodies[stream] == Array("late".utf8))
        try client.receiveEnd()
        #expect(client.goAway == .noError)
        #expect(try martlet.status() == 0)
      }
    }

    @Test("with http2 off the preface is a request that is refused")
    func off() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in try wire.receiveEnd() }
        let martlet = try rig.martlet(
          configuration: text([member.endpoint], server: "http2 off")
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        #expect(try wire.receiveAnswer().status >= 400)
      }
    }
  }
}
