import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications whose processes are copies of one that has loaded them.
  @Suite("Applications that are loaded once", .timeLimit(.minutes(5 * slowness)))
  struct PreloadTests {
    /// Answers with the number of its process, that of the one that has loaded it, and how many KB of memory are
    /// its own.
    private static let program = """
      LOADED = os.getpid()
      COMMON = b"x" * (64 << 20)

      def own():
          with open("/proc/self/smaps_rollup") as file:
              return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))

      def answer(path):
          if path == "/meet":
              # Each in a process of its own.
              open("here-%d" % os.getpid(), "w").close()
              while sum(name.startswith("here-") for name in os.listdir(".")) < 2:
                  time.sleep(0.01)
          if path == "/orphan" and os.fork() == 0:
              if os.fork() == 0:
                  time.sleep(0.1)
              os._exit(0)
          return b"%d %d %d" % (os.getpid(), LOADED, own())

      def plain(environ, start_response):
          start_response("200 OK", [("Content-Type", "text/plain")])
          return [answer(environ["PATH_INFO"])]

      async def events(scope, receive, send):
          await send({"type": "http.response.start", "status": 200})
          await send({"type": "http.response.body", "body": answer(scope["path"])})

      """

    private static func start(
      _ rig: Rig,
      _ settings: String,
      _ interface: String = "wsgi"
    ) throws -> Peer {
      try ApplicationTests.start(
        rig,
        program + "app = " + (interface == "wsgi" ? "plain" : "events"),
        "preload on\nthreads 1\nahead 0\n" + settings,
        interface: interface
      )
    }

    private func ask(_ martlet: Peer, _ paths: [String] = ["/"]) throws -> [[Int]] {
      let wires = try paths.map { path in
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
        return wire
      }
      return try wires.map { wire in
        let answer = try wire.receiveAnswer()
        let numbers = answer.text.split(separator: " ").compactMap { Int($0) }
        try #require(numbers.count == 3, "\(answer.status): \(answer.text)")
        return numbers
      }
    }

    @Test("have in common what was loaded", arguments: ["wsgi", "asgi"])
    func common(interface: String) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, "processes 2", interface)
        let answers = try ask(martlet, ["/meet", "/meet"])
        #expect(answers[0][0] != answers[1][0])
        #expect(answers[0][1] == answers[1][1])
        #expect(!answers.contains { $0[0] == $0[1] })
        for answer in answers { #expect(answer[2] < 32 << 10, "\(answer[2]) KB are its own") }
      }
    }

    @Test("go on without the process that has loaded them, and are copies of another then")
    func parentEnds() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, "processes 1")
        let first = try ask(martlet)[0]
        kill(Int32(first[1]), SIGKILL)
        try martlet.line(with: "process \(first[1]), which is copied, was ended by SIGKILL")
        #expect(try ask(martlet)[0][0] == first[0])
        kill(Int32(first[0]), SIGKILL)
        try martlet.line(with: "process \(first[0]) was ended by SIGKILL: starting another")
        let second = try ask(martlet)[0]
        #expect(second[0] != first[0] && second[1] != first[1])
      }
    }

    @Test("are replaced by further copies, and nothing that they leave behind stays")
    func replaced() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, "processes 1\nmax_requests 5")
        var processes: Set<Int> = []
        var parents: Set<Int> = []
        for number in 0..<20_000 where processes.count < 4 {
          let answer = try ask(martlet, [number % 3 == 0 ? "/orphan" : "/"])[0]
          processes.insert(answer[0])
          parents.insert(answer[1])
        }
        #expect(processes.count == 4 && parents.count == 1)
        // The supervisor has an edge, what is copied, and one copy; or two, while one takes the place of another.
        let deadline = ContinuousClock.now + .seconds(30)
        var children: [Int32] = []
        repeat {
          children = martlet.children
        } while children.count > 4 && ContinuousClock.now < deadline
        #expect(children.count <= 4, "\(children)")
      }
    }

    @Test("are loaded anew when a file has changed")
    func reloads() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, "processes 2\nreload on")
        let first = try ask(martlet)[0]
        let text = String(decoding: try rig.read("site/shop.py"), as: UTF8.self)
        let deadline = ContinuousClock.now + .seconds(60)
        var last = first
        while last[1] == first[1], ContinuousClock.now < deadline {
          try rig.write(text + "\n# \(last[0])", to: "site/shop.py")
          last = try ask(martlet)[0]
        }
        #expect(last[1] != first[1])
      }
    }

    @Test("are copies of another process behind an upgrade")
    func upgrade() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, "processes 2")
        let first = try ask(martlet)[0]
        #expect(try rig.martlet(command: "upgrade").status == 0)
        try martlet.line(with: "upgraded to")
        // The edge that was there may have the next connection already.
        let deadline = ContinuousClock.now + .seconds(60)
        var last = first
        while last[1] == first[1], ContinuousClock.now < deadline { last = try ask(martlet)[0] }
        #expect(last[1] != first[1])
      }
    }

    @Test("are copies with the rights of another user", .enabled(if: getuid() == 0))
    func user() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          import pwd

          def rights():
              groups = {os.getgid(), *os.getgroups()}
              return "%s%s" % (pwd.getpwuid(os.getuid()).pw_name, " of root" if 0 in groups else "")

          LOADED = rights()

          def app(environ, start_response):
              if environ["PATH_INFO"] == "/end":
                  os._exit(1)
              start_response("200 OK", [("Content-Type", "text/plain")])
              return [("%s, %s" % (LOADED, rights())).encode()]
          """,
          "preload on\nprocesses 1\nuser nobody"
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<3 {
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          #expect(try wire.receiveAnswer().text == "nobody, nobody")
          try wire.send(text: "POST /end HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
          #expect(try wire.receiveAnswer().status == 502)
        }
      }
    }

    @Test("cannot have another process taken for one of theirs")
    func lies() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          LOADED = os.getpid()

          def lie():
              # Says that the copy is the supervisor's first child, which is the edge.
              if os.getpid() == LOADED:
                  number = os.getppid()
                  with open("/proc/%d/task/%d/children" % (number, number)) as file:
                      os.write(3, b"copied %s\\n" % file.read().split()[0].encode())

          os.register_at_fork(before=lie)

          def app(environ, start_response):
              pass
          """,
          "preload on\nprocesses 1\nqueue_timeout 100ms"
        )
        try martlet.line(with: "a process cannot be started")
        let edge = martlet.children.first
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 503)
        #expect(martlet.children.first == edge)
      }
    }

    @Test("that cannot be loaded say why, and are loaded when they can be")
    func cannotLoad() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          "import nothing_of_this_name",
          "preload on\nqueue_timeout 20s"
        )
        try martlet.line(with: "ModuleNotFoundError: No module named 'nothing_of_this_name'")
        try martlet.line(with: "before it had loaded the application")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try rig.write("import os, time\n" + Self.program + "app = plain\n", to: "site/shop.py")
        #expect(try wire.receiveAnswer().status == 200)
      }
    }
  }
}
