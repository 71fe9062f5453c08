import Foundation
import TestPeers
import Testing

private let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

extension PeerTests {
  /// Members that break, hang, refuse and lie.
  @Suite("Failures of members", .timeLimit(.minutes(5 * slowness))) struct FailureTests {
    // A member of its own process, to be killed: it says when the first part of its body is out.
    private static let halfway = """
      import socket, sys
      listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
      head = sys.argv[2].encode().decode("unicode_escape").encode()
      while True:
          connection, _ = listener.accept()
          if not connection.recv(65536):
              continue
          connection.sendall(head)
          print("halfway", flush=True)
          connection.recv(65536)
      """

    @Test(
      "a member that is killed within its answer gives the client no complete answer",
      arguments: [
        (#"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"#, "1.1"),
        (#"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"#, "1.1"),
        (#"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"#, "1.1"),
        (#"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"#, "1.0"),
        (#"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"#, "1.0"),
      ]
    )
    func killed(head: String, version: String) async throws {
      try await Rig.run { rig in
        let member = try rig.python(Self.halfway, [head])
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: "GET / HTTP/\(version)\r\nHost: a\r\n\r\n")
        let first = try wire.receive(through: "half")
        #expect(String(decoding: first, as: UTF8.self).hasPrefix("HTTP/1.1 200 "))
        try member.line(with: "halfway")
        member.end()
        let isFramed = !String(decoding: first, as: UTF8.self).lowercased()
          .contains("content-length")
        do {
          let rest = try wire.receiveRest()
          // Chunks without a last one, or fewer bytes than were promised, are not complete;
          // without framing only a reset says so.
          #expect(!String(decoding: rest, as: UTF8.self).contains("0\r\n\r\n"))
          #expect(!isFramed || version == "1.1", "ended as if complete")
          #expect(rest.count < 5)
        } catch Wire.Failure.reset {
          return
        }
      }
    }

    @Test(
      "a time-out on a connection that was used before is a try like any other",
      arguments: [1, 2]
    )
    func silentWhenKept(tries: Int) async throws {
      try await Rig.run { rig in
        let asked = Guarded(0)
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            guard request.target == "/silent" else {
              try wire.send(text: ok)
              continue
            }
            asked.withLock { $0 += 1 }
            try wire.receiveEnd()
            return
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN
                route / { proxy back }
            }
            upstream back {
                member \(member.endpoint)
                first_byte_timeout 300ms
                tries \(tries)
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: plain)
        #expect(try wire.receiveAnswer().status == 200)
        try wire.send(text: "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 504)
        // There is but one member: a second try has nobody to ask, and the time-out is the answer.
        #expect(asked.withLock { $0 } == 1)
        #expect(member.connectionCount == 1)
        try wire.send(text: plain)
        #expect(try wire.receiveAnswer().status == 200)
      }
    }

    @Test("curl says that an answer was cut short")
    func curlNotices() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let result = try rig.curl(martlet.endpoint.url("/"))
        #expect([18, 56].contains(result.status), "curl ended with \(result.status)")
      }
    }

    @Test("a body without length that a reset ends is not taken for complete")
    func resetBody() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\n\r\nhalf")
          try gate.pass()
          wire.resetAtEnd()
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: plain)
        _ = try wire.receive(through: "half")
        gate.open()
        do {
          let rest = try wire.receiveRest()
          #expect(!String(decoding: rest, as: UTF8.self).contains("0\r\n\r\n"))
        } catch Wire.Failure.reset {
          return
        }
      }
    }

    @Test(
      "a member that leaves before its answer is complete in its head becomes 502",
      arguments: ["", "H", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\n"]
    )
    func noAnswer(part: String) async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: part)
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 502)
        // Nobody knows whether it was done: it is not done again.
        #expect(member.connectionCount == 1)
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 502)
      }
    }

    @Test("an idempotent request goes to another member when the first one leaves without a word")
    func nextMember() async throws {
      try await Rig.run { rig in
        let bad = try rig.member { wire in _ = try wire.receiveRequest() }
        let good = try rig.member { wire in
          while try wire.receiveRequest() != nil { try wire.send(text: ok) }
        }
        let wire = try Wire(to: try rig.martlet(to: [bad.endpoint, good.endpoint]).endpoint)
        for _ in 0..<6 {
          try wire.send(text: plain)
          #expect(try wire.receiveAnswer().status == 200)
        }
        #expect(bad.connectionCount > 0)
      }
    }

    @Test(
      "a member that refuses connections is passed over",
      arguments: ["GET", "POST"]
    )
    func refusing(method: String) async throws {
      try await Rig.run { rig in
        let good = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            guard request.body == Array("abc".utf8) else { throw PeerError("another body") }
            try wire.send(text: ok)
          }
        }
        let members = [try rig.freePort(), good.endpoint, rig.socket("none.sock")]
        let wire = try Wire(to: try rig.martlet(to: members).endpoint)
        for _ in 0..<12 {
          try wire.send(text: "\(method) / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
          #expect(try wire.receiveAnswer().status == 200)
        }
        #expect(good.failures.isEmpty)
      }
    }

    @Test("all members down become 502 or 503, on a connection that lives on, and come back")
    func allDown() async throws {
      try await Rig.run { rig in
        let place = rig.socket("member.sock")
        let martlet = try rig.martlet(to: [place, try rig.freePort()])
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<5 {
          try wire.send(text: plain)
          let answer = try wire.receiveAnswer()
          #expect([502, 503].contains(answer.status))
        }
        try rig.write("hello", to: "files/a")
        _ = try rig.nginx("listen unix:\(rig.path("member.sock")); root \(rig.path("files"));")
        try wire.send(text: "GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "hello")
      }
    }

    @Test(
      "connections that a member closes while they are idle cost nothing",
      arguments: ["GET", "POST"]
    )
    func closesIdle(method: String) async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil { try wire.send(text: ok) }
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let wires = try (0..<8).map { _ in try Wire(to: martlet.endpoint) }
        for _ in 0..<125 {
          for wire in wires {
            try wire.send(text: "\(method) / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
          }
          for wire in wires { #expect(try wire.receiveAnswer().status == 200) }
          member.endConnections()
        }
        #expect(member.connectionCount >= 125)
      }
    }

    @Test("connections that a member closes while they are taken cost no idempotent request")
    func closesTaken() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          for _ in 0..<3 {
            guard try wire.receiveRequest() != nil else { return }
            try wire.send(text: ok)
          }
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let wires = try (0..<8).map { _ in try Wire(to: martlet.endpoint) }
        for _ in 0..<125 {
          for wire in wires { try wire.send(text: plain) }
          for wire in wires { #expect(try wire.receiveAnswer().status == 200) }
        }
        #expect(member.connectionCount >= 300)
      }
    }

    @Test("nginx that closes its connections after each few requests fails none")
    func closesAnnounced() async throws {
      try await Rig.run { rig in
        let nginx = try rig.nginx("location / { return 200 ok; }", outside: "keepalive_requests 3;")
        let wire = try Wire(to: try rig.martlet(to: [nginx.endpoint]).endpoint)
        for _ in 0..<300 {
          try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
          #expect(try wire.receiveAnswer().status == 200)
        }
      }
    }

    @Test("an answer that comes before the upload has ended reaches the client")
    func early() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try wire.send(
            text: "HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n"
              + "Connection: close\r\n\r\ntoo much"
          )
          wire.finishSending()
          try wire.receiveEnd()
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\nbegin")
        let answer = try wire.receiveAnswer()
        #expect(answer.status == 413 && answer.text == "too much")
        try wire.receiveEnd()
        let file = try rig.write([UInt8](repeating: 7, count: 900_000), to: "upload")
        let result = try rig.curl("-w", "%{http_code}", "-T", file, martlet.endpoint.url("/"))
        #expect(result.text == "too much413")
      }
    }

    @Test("a client that leaves ends the exchange with the member", arguments: [false, true])
    func clientLeaves(hasAnswerBegun: Bool) async throws {
      try await Rig.run { rig in
        let asked = Gate()
        let left = Gate()
        let member = try rig.member { wire in
          guard let request = try wire.receiveRequest() else { return }
          if request.target == "/ok" { return try wire.send(text: ok) }
          if hasAnswerBegun {
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
          }
          asked.open()
          try wire.receiveEnd()
          left.open()
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: plain)
        try asked.pass()
        wire.end()
        try left.pass()
        let other = try Wire(to: martlet.endpoint)
        try other.send(text: "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try other.receiveAnswer().status == 200)
      }
    }

    @Test("a client that leaves within its upload ends the exchange with the member")
    func clientLeavesUpload() async throws {
      try await Rig.run { rig in
        let begun = Gate()
        let left = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          _ = try wire.receive(exactly: 5)
          begun.open()
          try wire.receiveEnd()
          left.open()
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegin")
        try begun.pass()
        wire.end()
        try left.pass()
      }
    }
  }
}
