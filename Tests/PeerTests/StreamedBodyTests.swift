import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications that read bodies while they come.
  @Suite("Bodies streamed to applications", .timeLimit(.minutes(5 * slowness)))
  struct StreamedBodyTests {
    /// Counts a body, tells of each piece, and answers with how much it was and the most memory that its
    /// process has had.
    private static let program = """
      import hashlib, resource

      def summary(total, digest):
          most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
          return b"%d %s %d" % (total, digest.hexdigest().encode(), most)

      def wait():
          while not os.path.exists("go"):
              time.sleep(0.01)

      def plain(environ, start_response):
          total, digest = 0, hashlib.md5()
          source = environ["wsgi.input"]
          path, name = environ["PATH_INFO"], environ["QUERY_STRING"]
          print("begun", name)
          if path == "/early":
              start_response("403 No", [("Content-Type", "text/plain")])
              return [b"no"]
          if path == "/wait":
              wait()
          try:
              while True:
                  data = source.read1(65536) if path == "/pieces" else source.read(1 << 20)
                  if not data:
                      break
                  total += len(data)
                  digest.update(data)
                  if path == "/pieces":
                      print("there are", total, "of", name)
          except OSError as error:
              print("reading failed:", type(error).__name__, error, "in", name)
              raise
          start_response("200 OK", [("Content-Type", "text/plain")])
          return [summary(total, digest)]

      async def events(scope, receive, send):
          total, digest, more = 0, hashlib.md5(), True
          path, name = scope["path"], scope["query_string"].decode()
          print("begun", name)
          if path == "/early":
              await send({"type": "http.response.start", "status": 403})
              return await send({"type": "http.response.body", "body": b"no"})
          if path == "/wait":
              wait()
          while more:
              event = await receive()
              if event["type"] != "http.request":
                  print("reading failed:", event["type"], "in", name)
                  return
              total += len(event["body"])
              digest.update(event["body"])
              more = event["more_body"]
              if path == "/pieces":
                  print("there are", total, "of", name)
          await send({"type": "http.response.start", "status": 200})
          await send({"type": "http.response.body", "body": summary(total, digest)})
      """

    private static func start(_ rig: Rig, _ interface: String) throws -> Peer {
      try ApplicationTests.start(
        rig,
        program + "\n\napp = " + (interface == "wsgi" ? "plain" : "events"),
        "processes 1\nthreads 1\nstream_bodies on",
        route: "body_limit 200MB",
        interface: interface
      )
    }

    /// The most memory that the edge process has had: the first that is started.
    private func edgeMemory(of martlet: Peer) throws -> Int {
      try residentMemory(of: try #require(martlet.children.first)).most
    }

    private static let megabyte = (0..<1 << 20).map { UInt8(truncatingIfNeeded: ($0 &* 7) >> 3) }

    @Test("100 MB pass without the memory for them", arguments: ["wsgi", "asgi"], [true, false])
    func large(interface: String, isChunked: Bool) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, interface)
        let wire = try Wire(to: martlet.endpoint)
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(100 << 20)"
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
        for _ in 0..<100 {
          if isChunked { try wire.send(text: "100000\r\n") }
          try wire.send(Self.megabyte)
          if isChunked { try wire.send(text: "\r\n") }
        }
        if isChunked { try wire.send(text: "0\r\n\r\n") }
        let words = try wire.receiveAnswer().text.split(separator: " ")
        try #require(words.count == 3)
        #expect(words[0] == "\(100 << 20)")
        // Of a hundred times ``megabyte``, as Python says.
        #expect(words[1] == "604ed2972fc8dadc65b552e079e1b48e")
        #expect(try #require(Int(words[2])) < 80 << 10)
        #expect(try edgeMemory(of: martlet) < memoryFactor * 60 << 20)
      }
    }

    @Test("are read piece by piece, as slowly as they come", arguments: ["wsgi", "asgi"])
    func pieces(interface: String) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, interface)
        for framing in ["Content-Length: 6", "Transfer-Encoding: chunked"] {
          let isChunked = framing.hasPrefix("T")
          let name = isChunked ? "chunks" : "length"
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "POST /pieces?\(name) HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
          for count in 1...3 {
            try wire.send(text: isChunked ? "2\r\nab\r\n" : "ab")
            try martlet.line(with: "there are \(2 * count) of \(name)")
          }
          if isChunked { try wire.send(text: "0\r\n\r\n") }
          #expect(try wire.receiveAnswer().text.hasPrefix("6 "))
        }
      }
    }

    @Test("end in an error when the client leaves", arguments: ["wsgi", "asgi"])
    func leaves(interface: String) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, interface)
        let reason = interface == "wsgi" ? "Disconnected the client has left" : "http.disconnect"
        for (name, framing, start) in [
          ("nothing", "Content-Length: 400000", ""),
          ("part", "Content-Length: 400000", String(repeating: "a", count: 300_000)),
          ("chunk", "Transfer-Encoding: chunked", "5\r\nabcde\r\n"),
          ("less", "Transfer-Encoding: chunked", "5\r\nab"),
        ] {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "POST /?\(name) HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n" + start)
          try martlet.line(with: "begun \(name)")
          wire.end()
          try martlet.line(with: "reading failed: \(reason) in \(name)")
          let other = try Wire(to: martlet.endpoint)
          try other.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
          #expect(try other.receiveAnswer().text.hasPrefix("2 "))
        }
        #expect(!martlet.lines.contains { $0.contains("Traceback") })
      }
    }

    @Test("are taken from the client no faster than they are read", arguments: ["wsgi", "asgi"])
    func pressure(interface: String) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, interface)
        let size = 64 << 20
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
        var sent = 0
        while sent < size, wire.isWritable(within: .milliseconds(500)) {
          sent += try wire.sendNow(Self.megabyte, from: sent % (1 << 20))
        }
        // What stands in sockets, of which those between client and edge are the larger ones.
        #expect(sent < 32 << 20)
        #expect(try edgeMemory(of: martlet) < memoryFactor * 60 << 20)
        try rig.write("", to: "site/go")
        while sent < size {
          let from = sent % (1 << 20)
          try wire.send(Array(Self.megabyte[from...]))
          sent += Self.megabyte.count - from
        }
        #expect(try wire.receiveAnswer().text.hasPrefix("\(size) "))
      }
    }

    @Test("are asked for by 100, and need not be read", arguments: ["wsgi", "asgi"])
    func expects(interface: String) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, interface)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(
          text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        let interim = try wire.receive(through: "\r\n\r\n")
        #expect(String(decoding: interim, as: UTF8.self).hasPrefix("HTTP/1.1 100"))
        try wire.send(text: "abc")
        #expect(try wire.receiveAnswer().text.hasPrefix("3 "))
        let other = try Wire(to: martlet.endpoint)
        try other.send(
          text: "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\nabc"
        )
        let answer = try other.receiveAnswer()
        #expect(answer.status == 403 && answer.text == "no")
        let last = try Wire(to: martlet.endpoint)
        try last.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na")
        #expect(try last.receiveAnswer().text.hasPrefix("1 "))
      }
    }
  }
}
