import Foundation
import HTTP2
import TestPeers
import Testing

extension PeerTests {
  /// Martlet before members that speak HTTP/2.
  @Suite("HTTP/2 with members", .timeLimit(.minutes(5 * slowness))) struct MemberHTTP2Tests {
    private func text(_ members: [Endpoint], _ more: String = "", route: String = "") -> String {
      """
      loops 1
      upstream api {
        \(members.map { "member \($0)" }.joined(separator: "\n"))
        http2 on
        \(more)
      }
      server {
        listen LISTEN
        body_limit 10MB
        access_log stdout json
        route / {
          \(route)
          proxy api
        }
      }
      """
    }

    private func figure(_ name: String, _ rig: Rig) throws -> Int? {
      let text = try rig.curl(
        "--unix-socket",
        rig.path("state/admin.sock"),
        "http://a/metrics"
      ).text
      let line = text.split(separator: "\n").first { $0.hasPrefix(name + "{") }
      return line?.split(separator: " ").last.flatMap { Int($0) }
    }

    @Test("nghttpd serves clients of both versions, byte for byte, over one connection")
    func nghttpd() async throws {
      try await Rig.run { rig in
        let large: [UInt8] = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 3) }
        try rig.write(large, to: "files/large.bin")
        try rig.write("small", to: "files/small")
        let endpoint = try rig.freePort()
        guard case .port(let port) = endpoint else { throw PeerError("not a port") }
        let server = try rig.start(
          ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", rig.path("files"), "\(port)"],
          at: endpoint
        )
        let martlet = try rig.martlet(configuration: text([server.endpoint]))
        for version in ["--http1.1", "--http2-prior-knowledge"] {
          let got = try rig.curl(
            version,
            "-o",
            rig.path("got"),
            "-w",
            "%{http_code} %{size_download}",
            martlet.endpoint.url("/large.bin")
          )
          #expect(got.text == "200 2000000")
          #expect(try rig.read("got") == large)
        }
        #expect(
          try rig.curl("-w", "%{http_code}", "-o", "/dev/null", martlet.endpoint.url("/none")).text
            == "404"
        )
        let head = try rig.curl("-I", martlet.endpoint.url("/large.bin")).text
        #expect(head.contains("content-length: 2000000"))
        let load = try rig.outcome(
          of: ["h2load", "-n", "3000", "-c", "4", "-m", "20", martlet.endpoint.url("/small")]
        )
        #expect(load.lines.contains { $0.contains("3000 succeeded, 0 failed") })
        #expect(try figure("martlet_upstream_connections_opened_total", rig) == 1)
        #expect(
          try martlet.line(with: "\"/large.bin\"").contains("\"member\":\"\(server.endpoint)\"")
        )
      }
    }

    /// A member by Python's h2 that takes three streams at a time, and answers each with its content, a
    /// piece at a time as the windows allow.
    private static let member = """
      import socket, sys, threading
      import h2.config, h2.connection, h2.events, h2.settings

      def serve(wire):
          config = h2.config.H2Configuration(client_side=False)
          connection = h2.connection.H2Connection(config=config)
          connection.initiate_connection()
          connection.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 3})
          bodies, waiting = {}, {}

          def pump():
              for stream in list(waiting):
                  while True:
                      room = min(connection.local_flow_control_window(stream), 16384, 5000)
                      part, rest = waiting[stream][:room], waiting[stream][room:]
                      if part or not rest:
                          connection.send_data(stream, part, end_stream=not rest)
                      waiting[stream] = rest
                      if not rest:
                          del waiting[stream]
                          break
                      if room <= 0:
                          break

          while True:
              wire.sendall(connection.data_to_send())
              data = wire.recv(65536)
              if not data:
                  return
              for event in connection.receive_data(data):
                  if isinstance(event, h2.events.RequestReceived):
                      bodies[event.stream_id] = b""
                  elif isinstance(event, h2.events.DataReceived):
                      bodies[event.stream_id] += event.data
                      connection.acknowledge_received_data(event.flow_controlled_length,
                                                           event.stream_id)
                  elif isinstance(event, h2.events.StreamEnded):
                      connection.send_headers(event.stream_id, [(":status", "200")])
                      waiting[event.stream_id] = bodies.pop(event.stream_id)
                  elif isinstance(event, h2.events.StreamReset):
                      waiting.pop(event.stream_id, None)
              pump()

      server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
      while True:
          wire, _ = server.accept()
          threading.Thread(target=serve, args=(wire,), daemon=True).start()
      """

    @Test("Python's h2 gets and gives long bodies, byte for byte", arguments: ["1.1", "2"])
    func python(version: String) async throws {
      try await Rig.run { rig in
        let large: [UInt8] = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 17 >> 3) }
        try rig.write(large, to: "large.bin")
        let member = try rig.python(Self.member)
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let got = try rig.curl(
          version == "2" ? "--http2-prior-knowledge" : "--http1.1",
          "--data-binary",
          "@" + rig.path("large.bin"),
          "-o",
          rig.path("got"),
          martlet.endpoint.url("/echo")
        )
        #expect(got.status == 0)
        #expect(try rig.read("got") == large)
        let load = try rig.outcome(
          of: [
            "h2load", "-n", "300", "-c", "2", "-m", "10", "-d", rig.path("martlet.conf"),
            martlet.endpoint.url("/echo"),
          ]
        )
        #expect(load.lines.contains { $0.contains("300 succeeded, 0 failed, 0 errored") })
      }
    }

    @Test("HAProxy speaks HTTP/2 in front and behind")
    func haproxy() async throws {
      try await Rig.run { rig in
        let large: [UInt8] = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
        try rig.write(large, to: "files/large.bin")
        let nginx = try rig.nginx("root \(rig.path("files"));")
        let behind = try rig.haproxy(to: [nginx.endpoint], bind: "proto h2")
        let martlet = try rig.martlet(configuration: text([behind.endpoint]))
        let front = try rig.haproxy(to: [martlet.endpoint], options: "proto h2", bind: "proto h2")
        _ = try rig.curl(
          "--http2-prior-knowledge",
          "-o",
          rig.path("got"),
          front.endpoint.url("/large.bin")
        )
        #expect(try rig.read("got") == large)
        let load = try rig.outcome(
          of: ["h2load", "-n", "500", "-c", "4", "-m", "4", front.endpoint.url("/large.bin")]
        )
        #expect(load.lines.contains { $0.contains("500 succeeded, 0 failed, 0 errored") })
      }
    }

    @Test("bodies and trailers pass both ways, of known length and of unknown")
    func bodies() async throws {
      try await Rig.run { rig in
        let seen = Guarded<[String]>([])
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          while let stream = try server.next() {
            try server.finish(stream)
            let body = String(decoding: server.bodies[stream] ?? [], as: UTF8.self)
            seen.withLock {
              $0.append((server.heads[stream] ?? "") + body + (server.trailers[stream] ?? ""))
            }
            try server.send(head: "HTTP/1.1 200 OK\nX-Got: yes", on: stream)
            try server.send("got " + body, on: stream)
            try server.sendTrailers("X-Sum: \(body.utf8.count)", on: stream)
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        let stream = try client.open("POST /t HTTP/1.1\nHost: a\nTE: trailers", isLast: false)
        try client.send("one", on: stream)
        try client.send("two", on: stream)
        try client.sendTrailers("X-Count: 2", on: stream)
        try client.finish(stream)
        #expect(client.bodies[stream] == Array("got onetwo".utf8))
        #expect(client.trailers[stream] == "x-sum: 6\r\n")
        let first = seen.withLock { $0[0] }
        #expect(first.contains("te: trailers\r\n"))
        #expect(!first.lowercased().contains("connection:"))
        #expect(first.hasSuffix("onetwox-count: 2\r\n"))
        let posted = try rig.curl("-i", "-d", "three", martlet.endpoint.url("/k")).text
        #expect(posted.contains("got three") && posted.contains("x-got: yes"))
        let second = seen.withLock { $0[1] }
        #expect(second.contains("content-length: 5\r\n") && second.hasSuffix("three"))
        #expect(second.hasPrefix("POST /k HTTP/1.1\r\nHost: \(martlet.endpoint)"))
      }
    }

    @Test("what either side says arrives at once, while neither has ended")
    func bothWays() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          guard let stream = try server.next() else { return }
          try server.send(head: "HTTP/1.1 200 OK", on: stream)
          for round in 1...3 {
            try server.receive { (server.bodies[stream]?.count ?? 0) >= round * 4 }
            try server.send("pong", on: stream)
          }
          try server.finish(stream)
          try server.sendTrailers("X-Rounds: 3", on: stream)
          try server.receive { false }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        let stream = try client.open("POST /chat HTTP/1.1\nHost: a", isLast: false)
        for round in 1...3 {
          try client.send("ping", on: stream)
          try client.receive { (client.bodies[stream]?.count ?? 0) >= round * 4 }
        }
        try client.send("", on: stream, isLast: true)
        try client.finish(stream)
        #expect(client.trailers[stream] == "x-rounds: 3\r\n")
      }
    }

    @Test(
      "more connections are opened when the member's streams are all in use, and no more than that"
    )
    func streamLimit() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire, streams: 2)
          while let stream = try server.next() {
            try server.finish(stream)
            try gate.pass()
            try server.answer(stream)
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        let streams = try (0..<6).map { _ in try client.open("GET /x HTTP/1.1\nHost: a") }
        let deadline = ContinuousClock.now + patience
        while member.connectionCount < 3, ContinuousClock.now < deadline { _ = poll(nil, 0, 5) }
        for _ in streams { gate.open() }
        for stream in streams {
          try client.finish(stream)
          #expect(client.bodies[stream] == Array("ok".utf8))
        }
        #expect(member.connectionCount == 3)
        #expect(member.failures.isEmpty)
      }
    }

    @Test("requests that a GOAWAY leaves behind are sent again, whatever their method")
    func goAway() async throws {
      try await Rig.run { rig in
        let number = Guarded(0)
        let member = try rig.member { wire in
          let isFirst = number.withLock { number in
            number += 1
            return number == 1
          }
          let server = try HTTP2Server(wire)
          if isFirst {
            // Three requests have come, of which one was looked at.
            try server.receive { server.streams.count == 3 }
            try server.goAway(behind: server.number(of: server.streams[0]))
            try server.finish(server.streams[0])
            try server.answer(server.streams[0], "first")
            return try server.receive { false }
          }
          while let stream = try server.next() {
            try server.finish(stream)
            try server.answer(stream, "again")
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        var streams: [Int] = []
        for _ in 0..<3 {
          streams.append(try client.open("POST /x HTTP/1.1\nHost: a", isLast: false))
          try client.send("body", on: streams[streams.count - 1], isLast: true)
        }
        for stream in streams { try client.finish(stream) }
        let bodies = streams.map { String(decoding: client.bodies[$0] ?? [], as: UTF8.self) }
        #expect(bodies.sorted() == ["again", "again", "first"])
        #expect(streams.allSatisfy { client.resets[$0] == nil })
        // The first one after that has one request, as many as the member has looked at.
        #expect(2...3 ~= member.connectionCount)
      }
    }

    @Test("a request that the member refuses by REFUSED_STREAM is sent again, whatever its method")
    func refused() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          var isFirst = true
          while let stream = try server.next() {
            try server.finish(stream)
            if isFirst {
              isFirst = false
              try server.reset(stream, .refusedStream)
            } else {
              try server.answer(stream, "again")
            }
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let answer = try rig.curl("-d", "x", martlet.endpoint.url("/"))
        #expect(answer.text == "again")
        // The figures are shown by the next look at the pools.
        _ = poll(nil, 0, 300)
        #expect(try figure("martlet_upstream_http2_refused_total", rig) == 1)
      }
    }

    @Test("under load no request fails when nginx ends its connections again and again")
    func renewal() async throws {
      try await Rig.run { rig in
        let nginx = try rig.nginx(
          "keepalive_requests 37; location / { return 200 hello; }",
          listen: "http2"
        )
        let martlet = try rig.martlet(configuration: text([nginx.endpoint]))
        let load = try rig.outcome(
          of: ["h2load", "-n", "4000", "-c", "4", "-m", "50", martlet.endpoint.url("/x")]
        )
        let line = load.lines.first { $0.hasPrefix("requests:") }
        #expect(line?.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout") == true)
        #expect(load.lines.contains { $0.contains("status codes: 4000 2xx") })
      }
    }

    @Test("an answer without content ends, and the connection goes on", arguments: ["204", "304"])
    func noContent(status: String) async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          while let stream = try server.next() {
            try server.finish(stream)
            if server.heads[stream]?.hasPrefix("HEAD") == true {
              try server.send(head: "HTTP/1.1 200 OK\nContent-Length: 77", on: stream)
            } else {
              try server.send(head: "HTTP/1.1 103 Early\nLink: </a>", on: stream)
              try server.send(head: "HTTP/1.1 \(status) X\nETag: \"a\"", on: stream)
            }
            // The end comes in a frame of its own.
            _ = poll(nil, 0, 20)
            try server.send("", on: stream, isLast: true)
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        for _ in 0..<3 {
          let got = try rig.curl("-i", martlet.endpoint.url("/")).text
          #expect(got.contains("HTTP/1.1 103") && got.contains("HTTP/1.1 \(status)"))
          #expect(try rig.curl("-I", martlet.endpoint.url("/")).text.contains("length: 77"))
        }
        #expect(member.connectionCount == 1)
      }
    }

    @Test("content that is not as long as was said never looks whole")
    func wrongLength() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          while let stream = try server.next() {
            try server.finish(stream)
            try server.send(head: "HTTP/1.1 200 OK\nContent-Length: 9", on: stream)
            try server.send("short", on: stream, isLast: true)
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let got = try rig.curl(martlet.endpoint.url("/"))
        #expect(got.status != 0)
        #expect(try martlet.line(with: "\"upstream_cut\"").contains("\"status\":200"))
      }
    }

    @Test(
      "a member that dies in the middle of its answers fails those, and serves again when it is back"
    )
    func killed() async throws {
      try await Rig.run { rig in
        let dies = Guarded(true)
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          var count = 0
          while let stream = try server.next() {
            try server.finish(stream)
            guard dies.withLock({ $0 }) else {
              try server.answer(stream)
              continue
            }
            try server.send(head: "HTTP/1.1 200 OK", on: stream)
            try server.send("half", on: stream)
            count += 1
            if count == 2 { return try server.end() }
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        let streams = try (0..<2).map { _ in try client.open("GET /x HTTP/1.1\nHost: a") }
        for stream in streams {
          try client.finish(stream)
          #expect(client.bodies[stream] == Array("half".utf8))
          #expect(client.resets[stream] != nil)
        }
        dies.withLock { $0 = false }
        let stream = try client.open("GET /x HTTP/1.1\nHost: a")
        try client.finish(stream)
        #expect(client.bodies[stream] == Array("ok".utf8))
      }
    }

    @Test("a member that does not speak HTTP/2 is a failure that says so")
    func notSpoken() async throws {
      try await Rig.run { rig in
        let nginx = try rig.nginx("location / { return 200 hello; }")
        let martlet = try rig.martlet(configuration: text([nginx.endpoint]))
        #expect(try rig.ask(martlet).status == 502)
        #expect(try martlet.line(with: "a member failed").contains("no HTTP/2"))
      }
    }

    @Test("what a client does not take is not fetched from the member, and keeps up nobody else")
    func slowClient() async throws {
      try await Rig.run { rig in
        let sent = Guarded(0)
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          while let stream = try server.next() {
            guard server.heads[stream]?.contains("/huge") == true else {
              try server.answer(stream)
              continue
            }
            try server.send(head: "HTTP/1.1 200 OK", on: stream)
            let block = String(repeating: "x", count: 1 << 14)
            // As much as the windows allow, and no more.
            for _ in 0..<4 {
              try server.send(block.prefix(16_000).description, on: stream)
              sent.withLock { $0 += 16_000 }
            }
          }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let client = try HTTP2Client(to: martlet.endpoint)
        client.consumes = false
        _ = try client.open("GET /huge HTTP/1.1\nHost: a")
        let deadline = ContinuousClock.now + patience
        while sent.withLock({ $0 }) < 64_000, ContinuousClock.now < deadline { _ = poll(nil, 0, 5) }
        client.consumes = true
        let other = try client.open("GET /small HTTP/1.1\nHost: a")
        try client.finish(other)
        #expect(client.bodies[other] == Array("ok".utf8))
      }
    }

    @Test("over TLS the member chooses, by ALPN", arguments: ["ssl http2", "ssl"])
    func tls(listen: String) async throws {
      try await Rig.run { rig in
        let authority = try rig.certificate("authority", for: [])
        let own = try rig.certificate("member", for: ["127.0.0.1"], authority: authority)
        let nginx = try rig.nginx(
          """
          ssl_certificate \(own.certificate);
          ssl_certificate_key \(own.key);
          location / { return 200 "$server_protocol $scheme $ssl_alpn_protocol $connection"; }
          """,
          listen: listen
        )
        let martlet = try rig.martlet(
          configuration: text([nginx.endpoint], "tls { authorities authority.pem }")
        )
        let first = try rig.ask(martlet)
        #expect(
          first.text.hasPrefix(
            listen == "ssl" ? "HTTP/1.1 https http/1.1 " : "HTTP/2.0 https h2 "
          )
        )
        // The connection was kept.
        #expect(try rig.ask(martlet).text == first.text)
      }
    }

    @Test("a reload keeps connections, and one without HTTP/2 ends them in order")
    func reload() async throws {
      try await Rig.run { rig in
        let ended = Gate()
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          while let stream = try server.next() {
            try server.finish(stream)
            try server.answer(stream, String(decoding: server.bodies[stream] ?? [], as: UTF8.self))
          }
          if server.wasTold { ended.open() }
        }
        let configuration = text([member.endpoint])
        let martlet = try rig.martlet(configuration: configuration)
        func ask() throws {
          #expect(try rig.curl("-d", "x", martlet.endpoint.url("/")).text == "x")
        }
        try ask()
        let place = martlet.endpoint.description
        let written = configuration.replacingOccurrences(of: "LISTEN", with: place)
        try rig.write(written + "\n# again\n", to: "martlet.conf")
        #expect(try rig.martlet(command: "reload").status == 0)
        try ask()
        #expect(member.connectionCount == 1)
        _ = poll(nil, 0, 300)
        #expect(try rig.members()[0]["http2_connections"] as? Int == 1)
        let off = written.replacingOccurrences(of: "http2 on", with: "")
        try rig.write(off, to: "martlet.conf")
        #expect(try rig.martlet(command: "reload").status == 0)
        // It was told, and has ended.
        try ended.pass()
      }
    }

    @Test("WebSocket reaches a member of HTTP/2 by extended CONNECT")
    func webSocket() async throws {
      try await Rig.run { rig in
        let heads = Guarded<[String]>([])
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire, allowsExtendedConnect: true)
          guard let stream = try server.next() else { return }
          heads.withLock { $0.append(server.heads[stream] ?? "") }
          try server.send(head: "HTTP/1.1 200 OK", on: stream)
          try server.receive { (server.bodies[stream]?.count ?? 0) >= 4 }
          try server.send("gnip", on: stream, isLast: true)
          try server.receive { false }
        }
        let martlet = try rig.martlet(configuration: text([member.endpoint]))
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(
          text: "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        let head = String(decoding: try wire.receive(through: "\r\n\r\n"), as: UTF8.self)
        #expect(head.hasPrefix("HTTP/1.1 101"))
        // RFC 6455, section 1.3.
        #expect(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
        try wire.send(text: "ping")
        #expect(try wire.receive(exactly: 4) == Array("gnip".utf8))
        wire.finishSending()
        try wire.receiveEnd()
        let asked = heads.withLock { $0[0] }
        #expect(asked.contains("Upgrade: websocket") && !asked.contains("sec-websocket-key"))
        #expect(member.failures.isEmpty)
      }
    }

    @Test("a member that does not answer a ping loses its connection")
    func ping() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          _ = try server.next()
          // Nothing is received any more, and no ping is answered.
          try gate.pass()
        }
        let configuration = text([member.endpoint]).replacingOccurrences(
          of: "http2 on",
          with: "http2 on ping 1s"
        )
        let martlet = try rig.martlet(configuration: configuration)
        #expect(try rig.ask(martlet).status == 502)
        gate.open()
      }
    }
  }
}
