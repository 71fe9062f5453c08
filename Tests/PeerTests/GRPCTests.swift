import Foundation
import GRPC
import HTTP2
import TestPeers
import Testing

extension PeerTests {
  /// Python's grpcio on both sides.
  @Suite("gRPC", .timeLimit(.minutes(5 * slowness))) struct GRPCTests {
    /// A server whose messages are bytes: what it does is said by the method, and by metadata.
    private static let server = """
      import sys, threading, time
      from concurrent import futures
      import grpc

      def one(request, context):
          told = dict(context.invocation_metadata())
          if "fail" in told:
              context.abort(grpc.StatusCode[told["fail"]], "asked for")
          if "sleep" in told:
              time.sleep(float(told["sleep"]))
          left = context.time_remaining()
          context.set_trailing_metadata((("left", "none" if left is None else "%.3f" % left),
                                         ("port", sys.argv[1])))
          return b"one:" + request

      def down(request, context):
          for number in range(int(request)):
              yield b"down:%d" % number
              if b"die" in dict(context.invocation_metadata()).get("how", "").encode():
                  time.sleep(60)

      def up(requests, context):
          return b"up:" + b",".join(requests)

      def both(requests, context):
          for request in requests:
              yield b"both:" + request

      def health(request, context):
          return b"\\x08\\x01" if b"bad" not in request else b"\\x08\\x02"

      class Handler(grpc.GenericRpcHandler):
          def service(self, details):
              name = details.method.rsplit("/", 1)[1]
              return {
                  "One": grpc.unary_unary_rpc_method_handler(one),
                  "Down": grpc.unary_stream_rpc_method_handler(down),
                  "Up": grpc.stream_unary_rpc_method_handler(up),
                  "Both": grpc.stream_stream_rpc_method_handler(both),
                  "Check": grpc.unary_unary_rpc_method_handler(health),
              }.get(name)

      server = grpc.server(futures.ThreadPoolExecutor(64))
      server.add_generic_rpc_handlers((Handler(),))
      server.add_insecure_port("127.0.0.1:" + sys.argv[1])
      server.start()
      server.wait_for_termination()
      """

    /// A client that does what its arguments say, and prints what came of it.
    private static let client = """
      import queue, sys, time
      import grpc

      channel = grpc.insecure_channel(sys.argv[1])
      one = channel.unary_unary("/t.T/One")
      down = channel.unary_stream("/t.T/Down")
      up = channel.stream_unary("/t.T/Up")
      both = channel.stream_stream("/t.T/Both")

      def outcome(call):
          try:
              return call()
          except grpc.RpcError as error:
              return "%s %s" % (error.code().name, error.details())

      what = sys.argv[2]
      if what == "kinds":
          print(one(b"a"))
          print(list(down(b"3")))
          print(up(iter([b"a", b"b", b"c"])))
          # Each message is sent when the one before it was answered.
          waiting = queue.Queue()
          answers = both(iter(waiting.get, None))
          for number in range(5):
              waiting.put(b"%d" % number)
              print(next(answers))
          waiting.put(None)
          print(list(answers))
          print(len(one(b"x" * 3000000)))
      elif what == "fail":
          print(outcome(lambda: one(b"a", metadata=(("fail", sys.argv[3]),))))
      elif what == "path":
          print(outcome(lambda: channel.unary_unary(sys.argv[3])(b"a")))
      elif what == "deadline":
          start = time.time()
          print(outcome(lambda: one(b"a", timeout=float(sys.argv[3]),
                                    metadata=(("sleep", sys.argv[4]),))))
          print("took %.1f" % (time.time() - start))
      elif what == "left":
          answer, call = one.with_call(b"a", timeout=float(sys.argv[3]))
          print(dict(call.trailing_metadata())["left"])
      elif what == "stream":
          answers = down(b"2", metadata=(("how", "die"),), timeout=float(sys.argv[3]))
          print(next(answers), flush=True)
          print(outcome(lambda: next(answers)))
      elif what == "many":
          ports = {}
          calls = [one.future(b"%d" % n) for n in range(int(sys.argv[3]))]
          for number, call in enumerate(calls):
              assert call.result() == b"one:%d" % number
              port = dict(call.trailing_metadata())["port"]
              ports[port] = ports.get(port, 0) + 1
          print(sorted(ports.values()))
      """

    private func configuration(
      _ members: [Endpoint],
      _ more: String = "",
      route: String = ""
    ) -> String {
      """
      loops 1
      upstream calls {
        \(members.map { "member \($0)" }.joined(separator: "\n"))
        http2 on
        \(more)
      }
      server {
        listen LISTEN
        body_limit 10MB
        access_log stdout json
        route /refused.T/ { respond 403 }
        route /t.T/ {
          \(route)
          proxy calls
        }
        route /grpc.health.v1.Health/ { proxy calls }
      }
      """
    }

    private func ask(_ rig: Rig, _ martlet: Peer, _ words: String...) throws -> [String] {
      let program = try rig.write(Self.client, to: "client.py")
      let place = martlet.endpoint.description
      return try rig.outcome(
        of: ["env", "GRPC_VERBOSITY=NONE", "/usr/bin/python3", "-u", program, place] + words
      ).lines
    }

    @Test("all four kinds of calls pass, every message at once")
    func kinds() async throws {
      try await Rig.run { rig in
        let server = try rig.python(Self.server)
        let martlet = try rig.martlet(configuration: configuration([server.endpoint]))
        #expect(try ask(rig, martlet, "kinds") == Self.kinds)
      }
    }

    private static let kinds = [
      "b'one:a'", "[b'down:0', b'down:1', b'down:2']", "b'up:a,b,c'", "b'both:0'", "b'both:1'",
      "b'both:2'", "b'both:3'", "b'both:4'", "[]", "3000004",
    ]

    @Test(
      "calls pass with nginx in front, and with nginx or HAProxy behind",
      arguments: [true, false]
    )
    func neighbours(isNginx: Bool) async throws {
      try await Rig.run { rig in
        let server = try rig.python(Self.server)
        let behind =
          isNginx
          ? try rig.nginx("location / { grpc_pass grpc://\(server.endpoint); }", listen: "http2")
          : try rig.haproxy(to: [server.endpoint], options: "proto h2", bind: "proto h2")
        let martlet = try rig.martlet(configuration: configuration([behind.endpoint]))
        let front = try rig.nginx(
          "location / { grpc_pass grpc://\(martlet.endpoint); }",
          listen: "http2"
        )
        #expect(try ask(rig, front, "kinds") == Self.kinds)
        #expect(try ask(rig, front, "fail", "NOT_FOUND") == ["NOT_FOUND asked for"])
      }
    }

    @Test(
      "what a server fails with reaches the client",
      arguments: ["UNAVAILABLE", "NOT_FOUND", "DATA_LOSS", "UNAUTHENTICATED"]
    )
    func failures(name: String) async throws {
      try await Rig.run { rig in
        let server = try rig.python(Self.server)
        let martlet = try rig.martlet(configuration: configuration([server.endpoint]))
        #expect(try ask(rig, martlet, "fail", name) == ["\(name) asked for"])
        let status = try martlet.line(with: "\"/t.T/One\"")
        let numbers = ["UNAVAILABLE": 14, "NOT_FOUND": 5, "DATA_LOSS": 15, "UNAUTHENTICATED": 16]
        #expect(status.contains("\"grpc_status\":\(numbers[name] ?? 0),"))
        #expect(try ask(rig, martlet, "kinds").count == Self.kinds.count)
        let metrics = try rig.outcome(
          of: [
            "curl", "--silent", "--unix-socket", rig.path("state/admin.sock"),
            "http://localhost/metrics",
          ]
        ).lines
        func metric(_ status: String) -> String {
          "martlet_upstream_grpc_calls_total{upstream=\"calls\",status=\"\(status)\"}"
        }
        #expect(metrics.contains("\(metric(name)) 1"))
        #expect(metrics.contains("\(metric("OK")) 5"))
        let shown = try rig.martlet(command: "status", "--json").lines.joined()
        #expect(shown.contains("\"grpc_calls\""))
      }
    }

    @Test("what Martlet fails with is told in the words of gRPC")
    func ownFailures() async throws {
      try await Rig.run { rig in
        let nobody = try rig.freePort()
        let martlet = try rig.martlet(
          configuration: configuration(
            [nobody],
            route: "limit requests 1/m by {client.address} burst 1"
          )
        )
        #expect(
          try ask(rig, martlet, "path", "/none.T/One")
            == ["UNIMPLEMENTED Not Found (no_route)"]
        )
        #expect(
          try ask(rig, martlet, "path", "/t.T/One")
            == ["UNAVAILABLE Bad Gateway (upstream_connect_failed)"]
        )
        let line = try martlet.line(with: "\"/t.T/One\"")
        #expect(line.contains("\"status\":502,\"grpc_status\":14,"))
      }
    }

    @Test("a deadline is passed on, and is enforced where the server does not")
    func deadlines() async throws {
      try await Rig.run { rig in
        let server = try rig.python(Self.server)
        let martlet = try rig.martlet(configuration: configuration([server.endpoint]))
        let left = try #require(Double(try ask(rig, martlet, "left", "20").first ?? ""))
        #expect(left <= 20 && left > 15)
        let late = try ask(rig, martlet, "deadline", "0.5", "8")
        #expect(late.first?.hasPrefix("DEADLINE_EXCEEDED") == true)
        // By hand, since a client that knows its deadline does not wait for others.
        let client = try HTTP2Client(to: martlet.endpoint)
        let stream = try client.open(
          "POST /t.T/One HTTP/1.1\nHost: a\nTE: trailers\nContent-Type: application/grpc\n"
            + "grpc-timeout: 300m\nsleep: 5",
          isLast: false
        )
        try client.send("\0\0\0\0\u{1}a", on: stream, isLast: true)
        let start = ContinuousClock.now
        try client.finish(stream)
        #expect(ContinuousClock.now - start < .seconds(3))
        #expect(client.heads[stream]?.contains("grpc-status: 4\r\n") == true)
        #expect(client.heads[stream]?.hasPrefix("HTTP/1.1 200") == true)
      }
    }

    @Test("a server that is killed in the middle of a stream ends the call with UNAVAILABLE")
    func killed() async throws {
      try await Rig.run { rig in
        let server = try rig.python(Self.server)
        let martlet = try rig.martlet(configuration: configuration([server.endpoint]))
        let program = try rig.write(Self.client, to: "client.py")
        let client = try rig.start(
          [
            "/usr/bin/python3", "-u", program, martlet.endpoint.description, "stream", "20",
          ]
        )
        try client.line(with: "down:0")
        server.signal(SIGKILL)
        #expect(try client.line(with: "UNAVAILABLE").contains("upstream_cut"))
      }
    }

    @Test("calls of one channel are balanced one by one, over a connection to each member")
    func balanced() async throws {
      try await Rig.run { rig in
        let servers = try (0..<2).map { _ in try rig.python(Self.server) }
        let martlet = try rig.martlet(configuration: configuration(servers.map(\.endpoint)))
        #expect(try ask(rig, martlet, "many", "200") == ["[100, 100]"])
        let members = try rig.members()
        for member in members {
          #expect((member["http2_connections"] as? Int ?? 9) <= 2)
        }
      }
    }

    @Test(
      "browsers call in both forms, and find the outcome behind the messages",
      arguments: ["", "-text"]
    )
    func browsers(form: String) async throws {
      try await Rig.run { rig in
        let server = try rig.python(Self.server)
        let martlet = try rig.martlet(configuration: configuration([server.endpoint]))
        func call(
          _ method: String,
          _ message: [UInt8],
          failing: String = ""
        ) throws -> (String, [UInt8]) {
          let type = "application/grpc-web\(form)+proto"
          let content: [UInt8] = [0, 0, 0, 0, UInt8(message.count)] + message
          let body = form.isEmpty ? content : WebForm.text.encoded(content)
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(
            text: "POST /t.T/\(method) HTTP/1.1\r\nHost: a\r\nContent-Type: \(type)\r\n\(failing)"
              + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
          )
          try wire.send(body)
          let answer = try wire.receiveAnswer()
          let head = answer.fields.lines.map { "\($0.name): \($0.value)\n" }.joined().lowercased()
          #expect(answer.status == 200)
          #expect(head.contains("content-type: application/grpc-web\(form)"))
          guard !form.isEmpty else { return (head, answer.body) }
          var decoder = WebTextDecoder()
          var bytes: [UInt8] = []
          let isFine = decoder.decode(answer.body.span, into: &bytes)
          #expect(isFine && decoder.isWhole)
          return (head, bytes)
        }
        let (_, answer) = try call("One", Array("a".utf8))
        #expect(answer.starts(with: [0, 0, 0, 0, 5] + Array("one:a".utf8) + [0x80]))
        #expect(
          String(decoding: answer.dropFirst(15), as: UTF8.self).contains("grpc-status: 0\r\n")
        )
        let (_, messages) = try call("Down", Array("3".utf8))
        let text = String(decoding: messages, as: UTF8.self)
        #expect(text.contains("down:0") && text.contains("down:2"))
        let (head, failed) = try call("One", [], failing: "fail: NOT_FOUND\r\n")
        #expect((head + String(decoding: failed, as: UTF8.self)).contains("grpc-status: 5"))
      }
    }

    @Test("a call is tried again by the status that its server has failed with at once")
    func retried() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try rig.member { wire in
          let server = try HTTP2Server(wire)
          while let stream = try server.next() {
            try server.finish(stream)
            let number = count.withLock { count in
              count += 1
              return count
            }
            let status = number % 3 == 0 ? 0 : 14
            try server.send(
              head: "HTTP/1.1 200 OK\nContent-Type: application/grpc\ngrpc-status: \(status)",
              on: stream,
              isLast: true
            )
          }
        }
        let rules = "retry {\non 503 non_idempotent\nbackoff 1ms\n}"
        let martlet = try rig.martlet(configuration: configuration([member.endpoint], rules))
        let client = try HTTP2Client(to: martlet.endpoint)
        let stream = try client.open(
          "POST /t.T/One HTTP/1.1\nHost: a\nContent-Type: application/grpc",
          isLast: false
        )
        try client.send("\0\0\0\0\0", on: stream, isLast: true)
        try client.finish(stream)
        #expect(client.heads[stream]?.contains("grpc-status: 0\r\n") == true)
        #expect(count.withLock { $0 } == 3)
      }
    }
  }
}
