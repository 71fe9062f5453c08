import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications in Python that Martlet runs, each behind the validator of the standard library.
  @Suite("Applications", .timeLimit(.minutes(5 * slowness))) struct ApplicationTests {
    /// Starts an application whose text follows the imports; `app` is what is called.
    static func start(
      _ rig: Rig,
      _ program: String,
      _ settings: String = "",
      route: String = "",
      interface: String = "wsgi"
    ) throws -> Peer {
      let text = """
        import os, sys, time
        from wsgiref.validate import validator

        \(program)
        """
      try rig.write(text, to: "site/shop.py")
      return try rig.martlet(
        configuration: """
          server {
              listen LISTEN
              access_log stdout json
              route / {
                  app shop
                  \(route)
              }
          }
          app shop {
              \(interface) shop:app
              folder \(rig.path("site"))
              \(settings)
          }
          """
      )
    }

    private static let hello = """
      @validator
      def app(environ, start_response):
          start_response("200 OK", [("Content-Type", "text/plain")])
          return [b"hello\\n"]
      """

    @Test("answer, on one connection and on many")
    func answers() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, Self.hello)
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<20 {
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try wire.receiveAnswer()
          #expect(answer.status == 200 && answer.text == "hello\n")
        }
        let others = try (0..<20).map { _ in try Wire(to: martlet.endpoint) }
        for other in others { try other.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
        for other in others { #expect(try other.receiveAnswer().text == "hello\n") }
        try wire.send(text: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        let head = try wire.receiveAnswer(isToHead: true)
        #expect(head.status == 200)
        // What comes behind it is the next answer.
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "hello\n")
      }
    }

    @Test("are told what the request is, and nothing that a client could pretend")
    func environment() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          @validator
          def app(environ, start_response):
              names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME",
                       "SERVER_PORT", "REMOTE_ADDR", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_A",
                       "HTTP_COOKIE", "HTTP_X_Y", "HTTP_PROXY", "HTTP_HOST", "wsgi.url_scheme",
                       "SERVER_PROTOCOL", "wsgi.multithread", "REQUEST_URI")
              text = "".join("%s=%s\\n" % (n, environ.get(n)) for n in names)
              text += "SHOP=%s\\n" % os.environ.get("SHOP")
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [text.encode("latin-1")]
          """,
          "environment SHOP \"a b\"",
          route: "strip_prefix /shop"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(
          text: "POST /shop/a%20%C3%A4%2Fb?q=1%20 HTTP/1.1\r\nHost: shop.example:81\r\nA: 1\r\n"
            + "a: 2\r\nCookie: x=1\r\nCookie: y=2\r\nX_Y: bad\r\nProxy: bad\r\n"
            + "Content-Type: text/x\r\nContent-Length: 3\r\n\r\nabc"
        )
        let answer = try wire.receiveAnswer()
        let lines = String(decoding: answer.body, as: UTF8.self).split(separator: "\n")
        for line in [
          "REQUEST_METHOD=POST", "SCRIPT_NAME=/shop", "PATH_INFO=/a ä/b", "QUERY_STRING=q=1%20",
          "SERVER_NAME=shop.example", "SERVER_PORT=81", "REMOTE_ADDR=127.0.0.1",
          "CONTENT_TYPE=text/x", "CONTENT_LENGTH=3", "HTTP_A=1, 2", "HTTP_COOKIE=x=1; y=2",
          "HTTP_X_Y=None", "HTTP_PROXY=None", "HTTP_HOST=shop.example:81", "wsgi.url_scheme=http",
          "SERVER_PROTOCOL=HTTP/1.1", "wsgi.multithread=True", "SHOP=a b",
          "REQUEST_URI=/shop/a%20%C3%A4%2Fb?q=1%20",
        ] {
          #expect(lines.contains { $0 == line }, "\(line) in \(answer.text)")
        }
        try wire.send(text: "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 400)
      }
    }

    private static let echo = """
      @validator
      def app(environ, start_response):
          source, parts = environ["wsgi.input"], []
          while True:
              part = source.read(10000)
              if not part:
                  break
              parts.append(part)
          body = b"".join(parts)
          start_response("200 OK", [("Content-Type", "text/plain"),
                                    ("X-Length", environ.get("CONTENT_LENGTH") or "none")])
          return [body]
      """

    @Test(
      "get bodies whole, and send them back, whatever their length and framing",
      arguments: [0, 1, 30_000, 32_768, 32_769, 70_000, 3_000_000]
    )
    func bodies(count: Int) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, Self.echo, route: "body_limit none")
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n")
        try wire.send(body)
        let answer = try wire.receiveAnswer()
        #expect(answer.body == body && answer.status == 200)
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in stride(from: 0, to: count, by: 50_000) {
          let piece = body[start..<min(count, start + 50_000)]
          try wire.send(text: String(piece.count, radix: 16) + "\r\n")
          try wire.send(piece)
          try wire.send(text: "\r\n")
        }
        try wire.send(text: "0\r\n\r\n")
        let second = try wire.receiveAnswer()
        #expect(second.body == body)
        #expect(second.fields["x-length"] == (count == 0 ? "none" : "\(count)"))
      }
    }

    @Test("may write, give pieces, and say the length or not")
    func pieces() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          class Pieces:
              def __init__(self): self.closed = False
              def __iter__(self):
                  for number in range(300):
                      yield b"%04d" % number * 500
              def close(self):
                  print("closed the pieces")

          def app(environ, start_response):
              path = environ["PATH_INFO"]
              fields = [("Content-Type", "text/plain")]
              if path == "/length":
                  fields.append(("Content-Length", "600000"))
              write = start_response("200 OK", fields)
              if path == "/write":
                  write(b"one ")
                  write(b"two ")
                  return [b"three"]
              if path == "/nothing":
                  return []
              if path == "/file":
                  return environ["wsgi.file_wrapper"](open(__file__, "rb"))
              return Pieces()

          app = validator(app)
          """
        )
        let expected = (0..<300).map { number in
          String(repeating: String("000\(number)".suffix(4)), count: 500)
        }.joined()
        let wire = try Wire(to: martlet.endpoint)
        for path in ["/length", "/chunks"] {
          try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try wire.receiveAnswer()
          #expect(answer.text == expected, "\(path)")
        }
        try wire.send(text: "GET /write HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "one two three")
        try wire.send(text: "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "")
        try wire.send(text: "GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().body == rig.read("site/shop.py"))
        try martlet.line(with: "closed the pieces")
      }
    }

    @Test("that fail are told of in the log alone")
    func failures() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          def app(environ, start_response):
              path = environ["PATH_INFO"]
              if path == "/raise":
                  raise ValueError("secret")
              start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "10")])
              if path == "/late":
                  def pieces():
                      yield b"abc"
                      raise ValueError("too late")
                  return pieces()
              if path == "/twice":
                  start_response("200 OK", [])
              if path == "/exc":
                  try:
                      raise KeyError("x")
                  except KeyError:
                      start_response("503 Later", [("Content-Type", "text/plain")], sys.exc_info())
                      return [b"later"]
              if path == "/header":
                  start_response("200 OK", [("A", "b\\r\\nC: d")], (None, None, None))
              return [b"0123456789"]
          """
        )
        for path in ["/raise", "/twice"] {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try wire.receiveAnswer()
          #expect(answer.status == 500 && !answer.text.contains("secret"))
        }
        try martlet.line(with: "GET /raise failed")
        try martlet.line(with: "ValueError: secret")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET /exc HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = try wire.receiveAnswer()
        #expect(answer.status == 503 && answer.text == "later")
        try wire.send(text: "GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        let rest = String(decoding: try wire.receiveRest(), as: UTF8.self)
        #expect(rest.hasSuffix("\r\n\r\nabc"))
        try martlet.line(with: "ValueError: too late")
      }
    }

    @Test("whose process dies are asked again where that is safe, and are started again")
    func dies() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          @validator
          def app(environ, start_response):
              mark = os.path.join(os.getcwd(), "died")
              if environ["PATH_INFO"] == "/die" and not os.path.exists(mark):
                  open(mark, "w").close()
                  os._exit(9)
              if environ["PATH_INFO"] == "/always":
                  os._exit(9)
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"alive\\n"]
          """,
          "processes 2\nthreads 1"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET /die HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "alive\n")
        try martlet.line(with: "ended with code 9: starting another")
        try wire.send(text: "POST /always HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 502)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "alive\n")
      }
    }

    @Test("that crash as soon as they are ready are started again after pauses that grow")
    func crashesAtOnce() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          import threading

          starts = []
          if os.path.exists("starts"):
              starts = [float(word) for word in open("starts").read().split()]
          with open("starts", "a") as file:
              file.write("%f " % time.monotonic())
          if len(starts) < 8:
              # By then it has said that it is ready.
              threading.Timer(0.1, os._exit, [9]).start()
          else:
              print("the eight starts took %.1f s" % (starts[-1] - starts[0]))

          @validator
          def app(environ, start_response):
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"alive\\n"]
          """,
          "processes 1"
        )
        let line = try martlet.line(with: "the eight starts took")
        let words = line.components(separatedBy: "took ").last?.split(separator: " ")
        let seconds = try #require(words?.first.flatMap { Double($0) })
        // The pauses alone: 0.05, 0.1, 0.2, 0.4, 0.8 and 1 s; without any it is over before.
        #expect(seconds > 2.5)
        try martlet.line(with: "starting another in 0.4 s")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "alive\n")
      }
    }

    @Test("answer without a failure while their processes are killed again and again")
    func killed() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          # Not checked by a validator: that would make an iterator of the list, and whatever has an end of its
          # own can be cut before it. A list is one message: it arrives, or it is asked for again.
          def app(environ, start_response):
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"%d" % os.getpid()]
          """
        )
        let wires = try (0..<16).map { _ in try Wire(to: martlet.endpoint) }
        var process: Int32?
        for _ in 0..<12 {
          for wire in wires { try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
          // It has some of them in hand.
          if let process { kill(process, SIGKILL) }
          for wire in wires {
            let answer = try wire.receiveAnswer()
            #expect(answer.status == 200)
            process = Int32(answer.text)
          }
        }
      }
    }

    @Test("are kept from waiting for clients that send and take slowly")
    func slowClients() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          @validator
          def app(environ, start_response):
              environ["wsgi.input"].read(100)
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"x" * (200000 if environ["PATH_INFO"] == "/large" else 2)]
          """,
          "processes 1\nthreads 1"
        )
        let senders = try (0..<30).map { _ in try Wire(to: martlet.endpoint) }
        for wire in senders {
          try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        }
        let takers = try (0..<30).map { _ in try Wire(to: martlet.endpoint) }
        for wire in takers { try wire.send(text: "GET /large HTTP/1.1\r\nHost: a\r\n\r\n") }
        let other = try Wire(to: martlet.endpoint)
        try other.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try other.receiveAnswer().text == "xx")
        for wire in takers { #expect(try wire.receiveAnswer().body.count == 200_000) }
        for wire in senders {
          try wire.send(text: String(repeating: "d", count: 97))
          #expect(try wire.receiveAnswer().text == "xx")
        }
      }
    }

    @Test("are shown in status and metrics, and their own time in the log")
    func seen() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, Self.hello, "processes 1")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 200)
        try martlet.line(with: "\"queued\":")
        let admin = ["--unix-socket", rig.path("state/admin.sock")]
        let status = try rig.curl(admin[0], admin[1], "http://a/status").text
        #expect(status.contains("\"application\":{\"ready\":1"))
        #expect(status.contains("\"answered\":1"))
        let metrics = try rig.curl(admin[0], admin[1], "http://a/metrics").text
        #expect(metrics.contains("martlet_application_workers{application=\"shop\"} 1\n"))
      }
    }

    @Test("have more processes when requests wait, and fewer when they do not need them")
    func scales() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          def app(environ, start_response):
              if environ["PATH_INFO"] == "/meet":
                  # Each waits in a process of its own until there are three.
                  open("here-%d" % os.getpid(), "w").close()
                  while sum(name.startswith("here-") for name in os.listdir(".")) < 3:
                      time.sleep(0.01)
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"%d" % os.getpid()]
          """,
          "processes 1..3\nthreads 1\nahead 0\nidle_time 1s"
        )
        let wires = try (0..<3).map { _ in try Wire(to: martlet.endpoint) }
        for wire in wires { try wire.send(text: "GET /meet HTTP/1.1\r\nHost: a\r\n\r\n") }
        var processes: Set<String> = []
        for wire in wires { processes.insert(try wire.receiveAnswer().text) }
        #expect(processes.count == 3)
        let socket = rig.path("state/admin.sock")
        let alone = "martlet_application_workers{application=\"shop\"} 1\n"
        let deadline = ContinuousClock.now + .seconds(60)
        var metrics = ""
        while !metrics.contains(alone), ContinuousClock.now < deadline {
          metrics = try rig.curl("--unix-socket", socket, "http://a/metrics").text
        }
        #expect(metrics.contains(alone))
        #expect(metrics.contains("martlet_application_workers_wanted{application=\"shop\"} 1\n"))
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 200)
      }
    }

    @Test("are looked at how long their threads wait for each other")
    func lock() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          def app(environ, start_response):
              until = time.perf_counter() + 3
              if environ["PATH_INFO"] == "/wait":
                  time.sleep(3)
              while time.perf_counter() < until:
                  pass
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"done"]
          """,
          "processes 1\nthreads 3"
        )
        /// How often it was looked so far, and how long was waited.
        func figures() throws -> (looks: Double, seconds: Double) {
          let text = try rig.curl("--unix-socket", rig.path("state/admin.sock"), "http://a/metrics")
            .text
          func value(_ name: String) throws -> Double {
            let start = "martlet_application_lock_\(name){application=\"shop\"} "
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(start) })
            return try #require(Double(line.dropFirst(start.count)))
          }
          return (try value("looks_total"), try value("wait_seconds_total"))
        }
        func ask(_ path: String) throws -> Double {
          let before = try figures()
          let wires = try (0..<3).map { _ in try Wire(to: martlet.endpoint) }
          for wire in wires { try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n") }
          for wire in wires { #expect(try wire.receiveAnswer().text == "done") }
          let after = try figures()
          try #require(after.looks > before.looks)
          return (after.seconds - before.seconds) / (after.looks - before.looks)
        }
        let waiting = try ask("/wait")
        let busy = try ask("/burn")
        #expect(busy > 0.002 && busy > 4 * waiting, "\(busy) and \(waiting) seconds")
      }
    }

    @Test("that take too long say what they are at, and are ended")
    func hangs() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          def stand_still():
              while True:
                  pass

          def app(environ, start_response):
              if environ["PATH_INFO"] == "/hang":
                  stand_still()
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"alive\\n"]
          """,
          "processes 1\nthreads 2\nrequest_timeout 500ms"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 504)
        try martlet.line(with: "in stand_still")
        try martlet.line(with: "was ended by SIGKILL: starting another")
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "alive\n")
      }
    }

    @Test("that cannot be loaded say why, and are loaded when they can be")
    func cannotLoad() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, "import nothing_of_this_name", "queue_timeout 20s")
        try martlet.line(with: "ModuleNotFoundError: No module named 'nothing_of_this_name'")
        try martlet.line(with: "before it was ready")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try rig.write("from wsgiref.validate import validator\n" + Self.hello, to: "site/shop.py")
        #expect(try wire.receiveAnswer().text == "hello\n")
      }
    }

    @Test("are renewed after so many requests, without a request that fails")
    func renewed() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          """
          @validator
          def app(environ, start_response):
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [b"%d" % os.getpid()]
          """,
          "processes 1\nthreads 1\nmax_requests 5"
        )
        var wire = try Wire(to: martlet.endpoint)
        var processes: Set<String> = []
        for number in 1...20_000 where processes.count < 4 {
          // A connection does not carry requests for ever.
          if number % 500 == 0 { wire = try Wire(to: martlet.endpoint) }
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try wire.receiveAnswer()
          #expect(answer.status == 200)
          processes.insert(answer.text)
        }
        #expect(processes.count == 4)
      }
    }

    @Test("are loaded anew when they change, if that is wanted")
    func reloads() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, Self.hello, "reload on\nprocesses 1")
        let wire = try Wire(to: martlet.endpoint)
        var text = "hello\n"
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == text)
        let other = Self.hello.replacingOccurrences(of: "hello", with: "other")
        let deadline = ContinuousClock.now + .seconds(60)
        while text != "other\n", ContinuousClock.now < deadline {
          // It may not have looked at the files before they were changed.
          try rig.write("from wsgiref.validate import validator\n" + other, to: "site/shop.py")
          // A connection does not carry requests for ever.
          let next = try Wire(to: martlet.endpoint)
          try next.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          text = try next.receiveAnswer().text
        }
        #expect(text == "other\n")
      }
    }

    @Test("need no configuration")
    func withoutConfiguration() async throws {
      try await Rig.run { rig in
        try rig.write("from wsgiref.validate import validator\n" + Self.hello, to: "shop.py")
        let endpoint = try rig.freePort()
        let martlet = try rig.start(
          [
            "/usr/bin/env", "-C", rig.folder.path, Rig.martletPath, "app", "shop:app", "--listen",
            endpoint.description, "--state-directory", rig.path("state"),
          ],
          at: endpoint
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "hello\n")
      }
    }
  }
}
