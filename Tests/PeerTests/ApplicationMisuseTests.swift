import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications that do what they should not, and clients that do.
  @Suite("Applications that misbehave", .timeLimit(.minutes(5 * slowness)))
  struct ApplicationMisuseTests {
    /// An application that does as the path says.
    private static let program = """
      def kept(environ):
          data = environ["wsgi.input"]
          total = 0
          while True:
              piece = data.read(65536)
              if not piece:
                  return b"%d" % total
              total += len(piece)

      hoard = []

      def app(environ, start_response):
          path = environ["PATH_INFO"]
          body = b"alive"
          if path == "/hog":
              hoard.append(bytearray(200 << 20))
          elif path == "/who":
              body = b"%d" % os.getpid()
          elif path == "/fork":
              child = os.fork()
              if child == 0:
                  os._exit(7)
              body = b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
          elif path == "/child":
              # A child that goes on as the application would, and answers too.
              if os.fork() == 0:
                  raise SystemExit(3)
              os.wait()
          elif path == "/close":
              os.closerange(3, 256)
          elif path == "/print":
              os.close(1)
              os.close(2)
          elif path == "/exit":
              sys.exit(5)
          elif path == "/count":
              body = kept(environ)
          start_response("200 OK", [("Content-Type", "text/plain")])
          return [body]
      """

    private func ask(_ martlet: Peer, _ path: String) throws -> Answer {
      let wire = try Wire(to: martlet.endpoint)
      try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
      return try wire.receiveAnswer()
    }

    @Test("one that takes much memory is replaced, and the log says so")
    func hog() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          Self.program,
          "processes 1\nthreads 1\nmax_memory 150MB"
        )
        let first = try ask(martlet, "/who").text
        _ = try ask(martlet, "/hog")
        var last = first
        let deadline = ContinuousClock.now + .seconds(60)
        while last == first, ContinuousClock.now < deadline {
          last = try ask(martlet, "/who").text
        }
        #expect(last != first)
        try martlet.line(with: "MB, more than `max_memory`: another takes its place")
      }
    }

    @Test("one that forks goes on, and what its child does is not its answer")
    func forks() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(rig, Self.program, "processes 1\nthreads 2")
        #expect(try ask(martlet, "/fork").text == "7")
        let answer = try ask(martlet, "/child")
        #expect(answer.status == 200 || answer.status == 500)
        #expect(try ask(martlet, "/").text == "alive")
      }
    }

    @Test("one that closes its descriptors, or exits, is replaced")
    func closes() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(rig, Self.program, "processes 1\nthreads 1")
        for path in ["/close", "/exit", "/print"] {
          let status = try ask(martlet, path).status
          #expect([200, 500, 502].contains(status), "\(path): \(status)")
          #expect(try ask(martlet, "/").text == "alive")
          if path == "/exit" { try martlet.line(with: "to end an answer, return") }
          if path == "/close" {
            try martlet.line(with: "closes descriptors that it has not opened")
          }
        }
      }
    }

    @Test("uploads of 100 MB are taken in without the memory for them")
    func uploads() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          Self.program,
          "processes 1",
          route: "body_limit 200MB"
        )
        let size = 100 << 20
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
        let piece = [UInt8](repeating: 0x78, count: 1 << 20)
        for _ in 0..<100 { try wire.send(piece) }
        #expect(try wire.receiveAnswer().text == "\(size)")
        let edge = try #require(martlet.children.first)
        #expect(try residentMemory(of: edge).most < (60 << 20) * memoryFactor)
      }
    }

    @Test("a client that leaves in the middle of its body costs nobody anything")
    func leaves() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(rig, Self.program, "processes 1\nthreads 1")
        for count in [0, 1, 40_000, 300_000] {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n")
          if count > 0 { try wire.send([UInt8](repeating: 1, count: count)) }
          wire.end()
          #expect(try ask(martlet, "/").text == "alive")
        }
        try martlet.line(with: "\"end\":\"client_closed\"")
        let figures = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://a/metrics"
        ).text
        #expect(figures.contains("martlet_application_requests_active{application=\"shop\"} 0\n"))
        #expect(figures.contains("martlet_application_requests_waiting{application=\"shop\"} 0\n"))
      }
    }

    @Test(
      "a client that leaves in the middle of its answer keeps no place",
      arguments: ["wsgi", "asgi"]
    )
    func leavesAnswer(interface: String) async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          def plain(environ, start_response):
              start_response("200 OK", [("Content-Type", "text/plain")])
              if environ["PATH_INFO"] == "/long":
                  return (b"x" * 65536 for _ in iter(int, 1))
              return [b"alive"]

          async def events(scope, receive, send):
              await send({"type": "http.response.start", "status": 200})
              if scope["path"] == "/long":
                  while True:
                      await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
              await send({"type": "http.response.body", "body": b"alive"})

          app = \(interface == "wsgi" ? "plain" : "events")
          """,
          "processes 1\nthreads 1\nahead 0\nqueue_timeout 10s",
          interface: interface
        )
        for _ in 0..<3 {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
          _ = try wire.receive()
          wire.end()
          #expect(try ask(martlet, "/").text == "alive")
        }
      }
    }

    @Test(
      "requests that wait for something else are answered side by side, and quick ones meanwhile"
    )
    func sideBySide() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          import threading
          together = threading.Barrier(4, timeout=20)

          def app(environ, start_response):
              if environ["PATH_INFO"] == "/meet":
                  together.wait()
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"met"]
          """,
          "processes 1\nthreads 4"
        )
        // All four threads are needed at once, and none was seen to be slow before.
        let wires = try (0..<4).map { _ in try Wire(to: martlet.endpoint) }
        for wire in wires { try wire.send(text: "GET /meet HTTP/1.1\r\nHost: a\r\n\r\n") }
        for wire in wires { #expect(try wire.receiveAnswer().text == "met") }
      }
    }

    @Test(
      "files that an application wraps are sent by the kernel, whole or from where it has read to"
    )
    func wrapped() async throws {
      try await Rig.run { rig in
        try rig.write(pattern(2_000_000), to: "site/large")
        let martlet = try ApplicationTests.start(
          rig,
          """
          def app(environ, start_response):
              file = open("large", "rb")
              fields = [("Content-Type", "application/octet-stream")]
              if environ["PATH_INFO"] == "/rest":
                  file.read(1_000_000)
              if environ["PATH_INFO"] == "/part":
                  fields.append(("Content-Length", "1500000"))
              start_response("200 OK", fields)
              return environ["wsgi.file_wrapper"](file)
          """,
          "processes 1"
        )
        let all = pattern(2_000_000)
        for (path, expected) in [
          ("/", all[...]), ("/rest", all[1_000_000...]), ("/part", all[..<1_500_000]),
        ] {
          let isSame = try ask(martlet, path).body == Array(expected)
          #expect(isSame, "\(path)")
        }
        let head = try Wire(to: martlet.endpoint)
        try head.send(text: "HEAD /part HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try head.receiveAnswer(isToHead: true).fields["content-length"] == "1500000")
      }
    }
  }
}
