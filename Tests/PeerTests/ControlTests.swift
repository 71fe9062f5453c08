import Foundation
import JSON
import TestPeers
import Testing

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
private let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

/// A program that speaks JSON-RPC with nothing but the library of its language.
private let pythonClient = """
  import json, socket, sys
  wire = socket.socket(socket.AF_UNIX)
  wire.connect(sys.argv[1])
  lines = wire.makefile("rw", encoding="utf-8", newline="\\n")
  def ask(message):
      lines.write(json.dumps(message) + "\\n")
      lines.flush()
      return json.loads(lines.readline())
  document = ask({"jsonrpc": "2.0", "method": "rpc.discover", "id": 1})["result"]
  print("openrpc", document["openrpc"], document["info"]["title"])
  for method in document["methods"]:
      names = [p["name"] for p in method["params"]]
      print(method["name"], len(names) == len(set(names)) and bool(method["summary"]))
  answers = ask([
      {"jsonrpc": "2.0", "method": "status", "id": "a"},
      {"jsonrpc": "2.0", "method": "status"},
      {"jsonrpc": "2.0", "method": "nothing", "id": "b"},
      {"jsonrpc": "2.0", "method": "connection.list", "params": {"limit": 1}, "id": "c"},
  ])
  print([answer["id"] for answer in answers])
  print(answers[0]["result"]["state"], answers[1]["error"]["code"])
  print(answers[2]["result"]["next"])
  """

extension PeerTests {
  /// The control socket: JSON-RPC on a Unix socket.
  @Suite("The control socket", .timeLimit(.minutes(5 * slowness))) struct ControlTests {
    private func martlet(
      _ rig: Rig,
      _ serve: (@Sendable (Wire) throws -> Void)? = nil
    ) throws
      -> Peer
    {
      let member = try rig.member(
        serve ?? { wire in
          while try wire.receiveRequest() != nil { try wire.send(text: ok) }
        }
      )
      return try rig.martlet(
        configuration: """
          server {
              listen LISTEN
              route / { proxy back }
          }
          upstream back { member \(member.endpoint) }
          """
      )
    }

    @Test("a client in Python discovers the methods, calls them, and sends batches")
    func python() async throws {
      try await Rig.run { rig in
        _ = try martlet(rig)
        let file = try rig.write(pythonClient, to: "client.py")
        let socket = rig.path("state/control.sock")
        let outcome = try rig.outcome(of: ["/usr/bin/python3", file, socket])
        #expect(outcome.status == 0, "\(outcome.lines)")
        #expect(outcome.lines.first == "openrpc 1.3.2 Martlet")
        #expect(
          outcome.lines.contains("status True") && outcome.lines.contains("rpc.discover True")
        )
        #expect(!outcome.lines.contains { $0.hasSuffix("False") })
        #expect(outcome.lines.suffix(3) == ["['a', 'b', 'c']", "running -32601", "None"])
      }
    }

    @Test("every method that is discovered is there")
    func discovery() async throws {
      try await Rig.run { rig in
        _ = try martlet(rig)
        let control = try ControlWire(rig)
        let methods = try control.call("rpc.discover")["methods"]?.list ?? []
        #expect(methods.count > 5)
        for method in methods.compactMap({ $0["name"]?.text })
        where !["stop", "upgrade"].contains(method) {
          do {
            try control.call(method)
          } catch let refusal as ControlWire.Refusal {
            // Its arguments are missing, or what they name is; the method is not.
            #expect(refusal.code != -32601 && refusal.code != -32603, "\(method): \(refusal)")
          }
        }
      }
    }

    @Test("commands in the form of earlier versions are answered as ever")
    func earlier() async throws {
      try await Rig.run { rig in
        _ = try martlet(rig)
        for (line, answer) in [
          ("reload", "0 generation 2 is in force"), ("status json", "0 {\"version\""),
          ("nonsense", "2 `nonsense` is no command"),
        ] {
          let wire = try ControlWire(rig).wire
          try wire.send(text: line + "\n")
          let text = String(decoding: try wire.receiveRest(), as: UTF8.self)
          #expect(text.hasPrefix(answer), "\(text)")
        }
      }
    }

    @Test("the result of a reload, its errors and the codes of commands agree")
    func reload() async throws {
      try await Rig.run { rig in
        let martlet = try martlet(rig)
        let control = try ControlWire(rig)
        #expect(try control.call("reload")["message"]?.text == "generation 2 is in force")
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        try rig.write(text + "\nwrong\n", to: "martlet.conf")
        let answer = try control.answer(to: #"{"jsonrpc":"2.0","method":"reload","id":7}"#)
        #expect(answer["error"]?["data"]?["status"]?.number == 3)
        #expect(answer["error"]?["message"]?.text?.contains("martlet.conf:6:1") == true)
        #expect(try rig.martlet(command: "reload").status == 3)
        try rig.write(text, to: "martlet.conf")
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(try rig.martlet(command: "reopen").lines == ["0 log files opened anew"])
        // The call is answered by the binary that was executed meanwhile.
        let upgraded = try control.answer(to: #"{"jsonrpc":"2.0","method":"upgrade","id":"u"}"#)
        #expect(upgraded["id"]?.text == "u")
        #expect(upgraded["result"]?["message"]?.text?.hasPrefix("upgraded to") == true)
        #expect(try rig.martlet(command: "stop").lines == ["stopped"])
        _ = martlet
      }
    }

    /// What is sent instead of a message; its name alone is printed.
    struct Garbage: CustomTestStringConvertible, Sendable {
      var testDescription: String
      var line: String
      var code: Int

      init(_ name: String, _ line: String, _ code: Int) {
        testDescription = name
        self.line = line
        self.code = code
      }
    }

    @Test(
      "what is no message is answered so, and the next one is heard",
      arguments: [
        Garbage("half an object", "{", -32700), Garbage("a number", "[1]", -32600),
        Garbage("a name twice", "{\"a\":1,\"a\":2}", -32700),
        Garbage("an empty batch", "[]", -32600),
        Garbage("lists in lists", String(repeating: "[", count: 500_000), -32700),
        Garbage(
          "an argument too many",
          #"{"jsonrpc":"2.0","method":"upgrade","id":1,"params":{"x":1}}"#,
          -32602
        ),
        Garbage("control characters", "{\u{0}\u{1}\u{7F}}", -32700),
      ]
    )
    func garbage(sent: Garbage) async throws {
      try await Rig.run { rig in
        _ = try martlet(rig)
        let control = try ControlWire(rig)
        let answer = try control.answer(to: sent.line)
        let first = answer.list?.first ?? answer
        #expect(first["error"]?["code"]?.number == sent.code, "\(answer.compact)")
        #expect(try control.call("status")["state"]?.text == "running")
      }
    }

    @Test("a message that is too long, or never ends, costs its connection and nothing else")
    func hostile() async throws {
      try await Rig.run { rig in
        _ = try martlet(rig)
        let long = try ControlWire(rig)
        let answer = try long.answer(to: "{" + String(repeating: " ", count: (1 << 20) + 1))
        #expect(answer["error"]?["code"]?.number == -32700)
        try long.wire.receiveEnd()
        let slow = try ControlWire(rig)
        try slow.wire.send(text: "{\"jsonrpc\"")
        // More connections than there may be: the others are closed at once.
        let many = try (0..<40).map { _ in try ControlWire(rig) }
        for control in many.suffix(5) { try control.wire.receiveEnd() }
        #expect(try many[0].call("status")["state"]?.text == "running")
        // Without its end within five seconds, the line is given up.
        try slow.wire.receiveEnd()
        _ = many
      }
    }

    @Test("random bytes never end the instance")
    func random() async throws {
      try await Rig.run { rig in
        _ = try martlet(rig)
        var numbers = SystemRandomNumberGenerator()
        for _ in 0..<30 {
          let control = try ControlWire(rig)
          let count = Int.random(in: 1...4000, using: &numbers)
          var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) }
          if Bool.random() { bytes.insert(UInt8(ascii: "{"), at: 0) }
          do {
            try control.wire.send(bytes + [0x0A])
            control.wire.finishSending()
            _ = try control.wire.receiveRest()
          } catch Wire.Failure.reset {
            continue
          }
        }
        #expect(try ControlWire(rig).call("status")["restarts"]?.number == 0)
      }
    }

    @Test("tells tables of clients and limits, and clears those that count nothing under way")
    func tables() async throws {
      try await Rig.run { rig in
        let members = try (0..<2).map { _ in
          try rig.member { wire in
            while try wire.receiveRequest() != nil { try wire.send(text: ok) }
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN
                limit requests 1/h burst 1 by {client.address}
                limit concurrency 20 by {client.address}
                route / { proxy back }
            }
            upstream back {
                sticky by {client.address}
                member \(members[0].endpoint)
                member \(members[1].endpoint)
            }
            """
        )
        let control = try ControlWire(rig)
        func status() throws -> Int {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: request)
          return try wire.receiveAnswer().status
        }
        #expect(try status() == 200)
        #expect(try status() == 429)
        let tables = try control.call("table.list")["tables"]?.list ?? []
        #expect(tables.count == 3)
        func name(_ kind: String) throws -> String {
          try #require(tables.first { $0["kind"]?.text == kind }?["table"]?.text)
        }
        let rates = JSONValue.object(["table": .text(try name("requests"))])
        #expect(try control.call("table.read", rates)["keys"]?.number == 1)
        try control.call("table.clear", rates)
        #expect(try control.call("table.read", rates)["keys"]?.number == 0)
        #expect(try status() == 200)
        let clients = JSONValue.object(["table": .text(try name("sticky"))])
        #expect(try control.call("table.read", clients)["keys"]?.number == 1)
        try control.call("table.clear", clients)
        #expect(try control.call("table.read", clients)["keys"]?.number == 0)
        #expect(throws: ControlWire.Refusal.self) {
          try control.call("table.clear", .object(["table": .text(try name("concurrency"))]))
        }
        let outcome = try rig.martlet(command: "table", "list")
        #expect(outcome.status == 0 && outcome.lines.count == 4, "\(outcome.lines)")
      }
    }

    // MARK: Connections

    @Test("tells open connections, by pages and by what they have in common")
    func connections() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let martlet = try martlet(rig) { wire in
          while try wire.receiveRequest() != nil {
            try gate.pass()
            try wire.send(text: ok)
          }
        }
        let idle = try (0..<5).map { _ in try Wire(to: martlet.endpoint) }
        let busy = try Wire(to: martlet.endpoint)
        try busy.send(text: request)
        let control = try ControlWire(rig)
        func list(_ parameters: JSONValue = .object([])) throws -> [JSONValue] {
          try control.call("connection.list", parameters)["connections"]?.list ?? []
        }
        // The last of them was accepted and has its member when it is told so.
        while try list(.object(["upstream": .text("back")])).count < 1 || list().count < 6 {}
        let one = try #require(try list(.object(["upstream": .text("back")])).first)
        #expect(one["idle"]?.flag == false && one["requests"]?.number == 1)
        #expect(one["listener"]?.text == martlet.endpoint.description)
        #expect(one["client"]?.text?.hasPrefix("127.0.0.1:") == true)
        let member = JSONValue.text(one["member"]?.text ?? "")
        #expect(try list(.object(["member": member])).count == 1)
        #expect(try list(.object(["idle": .flag(true)])).count == 5)
        #expect(try list(.object(["client": .text("127.0.0.0/8")])).count == 6)
        #expect(try list(.object(["client": .text("10.0.0.1")])).isEmpty)
        #expect(try list(.object(["older_than": .number(3600)])).isEmpty)
        #expect(try list(.object(["listener": .text("elsewhere")])).isEmpty)
        var seen: [String] = []
        var next: JSONValue = .null
        repeat {
          let page = try control.call(
            "connection.list",
            .object(["limit": .number(2), "after": next])
          )
          seen += page["connections"]?.list?.compactMap { $0["connection"]?.text } ?? []
          next = page["next"] ?? .null
        } while next != .null
        #expect(seen.count == 6 && Set(seen).count == 6)
        let table = try rig.martlet(command: "connection", "list")
        #expect(table.status == 0 && table.lines.count == 7, "\(table.lines)")
        gate.open()
        #expect(try busy.receiveAnswer().status == 200)
        _ = idle
      }
    }

    @Test("tells coroutines, what they wait for and for whom")
    func tasks() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let martlet = try martlet(rig) { wire in
          while try wire.receiveRequest() != nil {
            try gate.pass()
            try wire.send(text: ok)
          }
        }
        gate.open()
        let slow = try Wire(to: martlet.endpoint)
        try slow.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbeg")
        let control = try ControlWire(rig)
        func list(_ name: String) throws -> [JSONValue] {
          try control.call("task.list", .object(["name": .text(name)]))["tasks"]?.list ?? []
        }
        var uploads = try list("upload a body to a member")
        while uploads.first?["waits_for"]?.text != "reading" {
          uploads = try list("upload a body to a member")
        }
        #expect(uploads.count == 1 && uploads[0]["descriptor"]?.number != nil)
        let served = try #require(try list("serve a connection").first)
        #expect(served["subject"]?.text?.contains(" of 127.0.0.1:") == true, "\(served)")
        #expect(try list("accept connections").first?["waits_for"]?.text == "reading")
        let all = try control.call("task.list", .object(["limit": .number(2)]))
        #expect(all["tasks"]?.list?.count == 2 && all["count"]?.number ?? 0 > 5, "\(all)")
        let table = try rig.martlet(command: "tasks")
        #expect(table.status == 0 && table.lines.count > 5, "\(table.lines)")
        try slow.send(text: "-ended")
        #expect(try slow.receiveAnswer().status == 200)
        while try !list("upload a body to a member").isEmpty {}
      }
    }

    @Test("closes idle connections, those with a request, and softly those whose answer may end")
    func close() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let martlet = try martlet(rig) { wire in
          while let request = try wire.receiveRequest() {
            if request.target == "/slow" { try gate.pass() }
            try wire.send(text: ok)
          }
        }
        let control = try ControlWire(rig)
        func close(_ parameters: JSONValue) throws -> Int? {
          try control.call("connection.close", parameters)["closed"]?.number
        }
        func untilBusy(_ count: Int) throws {
          let parameters = JSONValue.object(["upstream": .text("back")])
          while try control.call("connection.list", parameters)["connections"]?.list?.count != count
          {}
        }
        #expect(throws: ControlWire.Refusal.self) { try close(.object([])) }

        let idle = try Wire(to: martlet.endpoint)
        try idle.send(text: request)
        #expect(try idle.receiveAnswer().status == 200)
        #expect(try close(.object(["idle": .flag(true)])) == 1)
        #expect(try idle.receiveRest() == [])

        let busy = try Wire(to: martlet.endpoint)
        try busy.send(text: "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        try untilBusy(1)
        #expect(try close(.object(["upstream": .text("back"), "soft": .flag(true)])) == 1)
        gate.open()
        let answer = try busy.receiveAnswer()
        #expect(answer.status == 200)
        #expect(try busy.receiveRest() == [])
        let log = try control.call("metrics")["text"]?.text ?? ""
        #expect(log.contains("martlet_connections_open"))
      }
    }

    @Test("a connection is closed in the middle of an answer, and of a tunnel")
    func closeBusy() async throws {
      try await Rig.run { rig in
        let martlet = try martlet(rig) { wire in
          while let request = try wire.receiveRequest() {
            if request.fields["upgrade"] != nil {
              let head = "Connection: Upgrade\r\nUpgrade: raw\r\n\r\n"
              try wire.send(text: "HTTP/1.1 101 Switching Protocols\r\n" + head)
            } else if request.target == "/half" {
              try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            }
            try wire.receiveEnd()
            return
          }
        }
        let control = try ControlWire(rig)
        let heads = [
          "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n", "GET /half HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n",
        ]
        for head in heads {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: head)
          if !head.contains("/silent") { _ = try wire.receive(through: "\r\n\r\n") }
          let parameters = JSONValue.object(["upstream": .text("back")])
          while try control.call("connection.list", parameters)["connections"]?.list?.count != 1 {}
          #expect(try control.call("connection.close", parameters)["closed"]?.number == 1)
          try wire.receiveEnd()
          while try control.call("connection.list")["connections"]?.list?.isEmpty == false {}
        }
        let metrics = try control.call("metrics")["text"]?.text ?? ""
        let count = metrics.split(separator: "\n").first { $0.contains("reason=\"cut\"") }
        #expect(count?.hasSuffix(" 2") == true || count?.hasSuffix(" 3") == true, "\(count ?? "")")
      }
    }
  }
}
