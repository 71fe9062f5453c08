import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications in Python that Martlet runs by ASGI.
  @Suite("Applications by ASGI", .timeLimit(.minutes(5 * slowness))) struct EventApplicationTests {
    private static let events = """
      import asyncio

      async def app(scope, receive, send):
          if scope["type"] == "lifespan":
              while True:
                  event = await receive()
                  print("lifespan:", event["type"])
                  scope["state"]["word"] = "known"
                  await send({"type": event["type"] + ".complete"})
                  if event["type"] == "lifespan.shutdown":
                      return
          body, more = b"", True
          if scope["path"] == "/leave":
              print("a client is here")
              while (await receive())["type"] != "http.disconnect":
                  pass
              print("the client has left")
              return
          while more:
              event = await receive()
              body += event["body"]
              more = event["more_body"]
          fields = [(b"content-type", b"text/plain"), (b"x-word", scope["state"]["word"].encode())]
          await send({"type": "http.response.start", "status": 200, "headers": fields})
          if scope["path"] == "/raise":
              raise ValueError("secret")
          if scope["path"] == "/pieces":
              for number in range(20):
                  piece = b"%04d" % number * 10000
                  await send({"type": "http.response.body", "body": piece, "more_body": True})
              await send({"type": "http.response.body"})
              return
          text = "%s %s %s %s " % (scope["method"], scope["path"], scope["query_string"], scope["scheme"])
          await send({"type": "http.response.body", "body": text.encode() + body})
      """

    @Test("by ASGI are told of clients that leave as soon as they have asked")
    func leaving() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          counts = {"here": 0, "gone": 0}

          async def app(scope, receive, send):
              if scope["type"] != "http":
                  return
              if scope["path"] == "/leave":
                  counts["here"] += 1
                  while (await receive())["type"] != "http.disconnect":
                      pass
                  counts["gone"] += 1
                  return
              text = b"%d" % (counts["here"] - counts["gone"])
              await send({"type": "http.response.start", "status": 200, "headers": []})
              await send({"type": "http.response.body", "body": text})
          """,
          "processes 1",
          interface: "asgi"
        )
        for _ in 0..<20 {
          // They are let go of, and closed by that, as soon as all have asked.
          let wires = try (0..<16).map { _ in try Wire(to: martlet.endpoint) }
          for wire in wires {
            wire.resetAtEnd()
            try wire.send(text: "GET /leave HTTP/1.1\r\nHost: a\r\n\r\n")
          }
        }
        let wire = try Wire(to: martlet.endpoint)
        let deadline = ContinuousClock.now + patience
        var left = ""
        while left != "0", ContinuousClock.now < deadline {
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          left = try wire.receiveAnswer().text
        }
        #expect(left == "0", "clients of which nobody has said that they have left")
      }
    }

    @Test("by ASGI live from their beginning to their end, and answer in between")
    func asgi() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          Self.events,
          route: "body_limit none",
          interface: "asgi"
        )
        try martlet.line(with: "lifespan: lifespan.startup")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET /%C3%A4?b=c HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = try wire.receiveAnswer()
        #expect(String(decoding: answer.body, as: UTF8.self) == "GET /ä b'b=c' http ")
        #expect(answer.fields["x-word"] == "known")
        let body = [UInt8](repeating: 0x61, count: 200_000)
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n")
        try wire.send(body)
        #expect(try wire.receiveAnswer().body.count == body.count + "POST / b'' http ".utf8.count)
        try wire.send(text: "GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n")
        let expected = (0..<20).map { number in
          String(repeating: String("000\(number)".suffix(4)), count: 10_000)
        }.joined()
        #expect(try wire.receiveAnswer().text == expected)
        try wire.send(text: "GET /raise HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 500)
        try martlet.line(with: "ValueError: secret")
        let leaving = try Wire(to: martlet.endpoint)
        try leaving.send(text: "GET /leave HTTP/1.1\r\nHost: a\r\n\r\n")
        try martlet.line(with: "a client is here")
        leaving.end()
        try martlet.line(with: "the client has left")
        martlet.signal(SIGTERM)
        try martlet.line(with: "lifespan: lifespan.shutdown")
      }
    }

    private static let forms = """
      async def app(scope, receive, send):
          if scope["type"] == "lifespan":
              raise ValueError("nothing to begin")
          fields = [(b"x-one", b"1"), (b"x-two", b"2")]
          form = scope["path"][1:]
          if form == "generator":
              fields = (pair for pair in fields)
          elif form == "lists":
              fields = [list(pair) for pair in fields]
          elif form == "arrays":
              fields = [tuple(map(bytearray, pair)) for pair in fields]
          await send({"type": "http.response.start", "status": 200, "headers": fields})
          await send({"type": "http.response.body", "body": form.encode()})
      """

    @Test("by ASGI give the fields of an answer in any form, and each answer has them")
    func forms() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(rig, Self.forms, interface: "asgi")
        let wire = try Wire(to: martlet.endpoint)
        for form in ["generator", "tuples", "lists", "arrays", "generator", "tuples"] {
          try wire.send(text: "GET /\(form) HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try wire.receiveAnswer()
          #expect(answer.text == form)
          #expect(answer.fields["x-one"] == "1", "of \(form)")
          #expect(answer.fields["x-two"] == "2", "of \(form)")
        }
      }
    }

    @Test("by ASGI have a task and a context for each request, whether it waits or not")
    func tasks() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          import asyncio, contextvars

          who = contextvars.ContextVar("who", default=None)
          tasks = []

          async def ask():
              return who.get()

          async def app(scope, receive, send):
              if scope["type"] != "http":
                  raise ValueError("not for this")
              task, path, problems = asyncio.current_task(), scope["path"], []
              if task is None or task in tasks:
                  problems.append("the task is another's")
              tasks.append(task)
              if who.get() is not None:
                  problems.append("the context is another's")
              who.set(path)
              if path.startswith("/cancelled"):
                  raise asyncio.CancelledError
              if path.startswith("/child"):
                  if await asyncio.create_task(ask()) != path:
                      problems.append("what it starts has another context")
              if path.startswith("/late"):
                  try:
                      await asyncio.wait_for(asyncio.sleep(60), 0.001)
                      problems.append("what it waits for has no end")
                  except asyncio.TimeoutError:
                      pass
              if asyncio.current_task() is not task or who.get() != path:
                  problems.append("task or context have changed")
              await send({"type": "http.response.start", "status": 200})
              await send({"type": "http.response.body", "body": ", ".join(problems or ["good"]).encode()})
          """,
          "processes 1",
          interface: "asgi"
        )
        let wires = try (0..<40).map { _ in try Wire(to: martlet.endpoint) }
        let kinds = ["at-once", "child", "late", "cancelled"]
        for round in 0..<3 {
          for (number, wire) in wires.enumerated() {
            let path = "/\(kinds[number % kinds.count])-\(round)-\(number)"
            try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
          }
          for (number, wire) in wires.enumerated() {
            let answer = try wire.receiveAnswer()
            let isCancelled = kinds[number % kinds.count] == "cancelled"
            #expect(answer.status == (isCancelled ? 500 : 200))
            #expect(answer.text == (isCancelled ? "Internal Server Error\n" : "good"))
          }
        }
      }
    }

    /// A frame of a client, under a mask of zeros.
    private static func frame(_ opcode: UInt8, _ content: [UInt8]) -> [UInt8] {
      let count = content.count
      let length: [UInt8] =
        count < 126
        ? [0x80 | UInt8(count)] : [0x80 | 126, UInt8(count >> 8 & 255), UInt8(count & 255)]
      return [0x80 | opcode] + length + [0, 0, 0, 0] + content
    }

    @Test("by ASGI speak WebSocket")
    func webSocket() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          async def app(scope, receive, send):
              if scope["type"] != "websocket":
                  raise ValueError("not for this")
              await receive()
              if scope["path"] == "/no":
                  return await send({"type": "websocket.close"})
              await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
              while True:
                  event = await receive()
                  if event["type"] == "websocket.disconnect":
                      print("closed with", event["code"])
                      return
                  if event.get("text") == "end":
                      return await send({"type": "websocket.close", "code": 4001})
                  kind = "text" if "text" in event else "bytes"
                  await send({"type": "websocket.send", kind: event[kind] * 2})
          """,
          interface: "asgi"
        )
        func open(_ path: String) throws -> Wire {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(
            text: "GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              + "Sec-WebSocket-Protocol: chat, other\r\n\r\n"
          )
          return wire
        }
        let wire = try open("/")
        let head = String(decoding: try wire.receive(through: "\r\n\r\n"), as: UTF8.self)
        #expect(head.hasPrefix("HTTP/1.1 101 "))
        #expect(head.lowercased().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
        #expect(head.lowercased().contains("sec-websocket-protocol: chat"))
        try wire.send(Self.frame(1, Array("hello".utf8)))
        #expect(try wire.receive(exactly: 12) == [0x81, 10] + Array("hellohello".utf8))
        try wire.send(Self.frame(9, [1, 2]))
        #expect(try wire.receive(exactly: 4) == [0x8A, 2, 1, 2])
        let large = [UInt8](repeating: 7, count: 60_000)
        try wire.send(Self.frame(2, large))
        #expect(try wire.receive(exactly: 10 + 120_000).count == 120_010)
        try wire.send(Self.frame(8, [0x03, 0xE8]))
        #expect(try wire.receive(exactly: 4) == [0x88, 2, 0x03, 0xE8])
        try martlet.line(with: "closed with 1000")
        let second = try open("/")
        _ = try second.receive(through: "\r\n\r\n")
        try second.send(Self.frame(1, Array("end".utf8)))
        #expect(try second.receive(exactly: 4) == [0x88, 2, 0x0F, 0xA1])
        #expect(try open("/no").receiveAnswer().status == 403)
        let third = try open("/")
        _ = try third.receive(through: "\r\n\r\n")
        third.end()
        try martlet.line(with: "closed with 1006")
      }
    }
  }
}
