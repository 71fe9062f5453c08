import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Answers that are kept by what the bodies of their requests are.
  @Suite("The cache, by body", .timeLimit(.minutes(1 * slowness))) struct CacheBodyTests {
    private static func start(_ rig: Rig, _ origin: Origin, _ rules: String) throws -> Wire {
      let martlet = try CacheTests.start(rig, origin.endpoint, rules)
      return try Wire(to: martlet.endpoint)
    }

    /// An answer that tells the method, the body and how many were before.
    private static func echo(_ control: String) -> @Sendable (Request, Int) -> String {
      { request, count in
        Origin.ok(
          "Cache-Control: \(control)\r\nX-Count: \(count)\r\n",
          request.method + " " + String(decoding: request.body, as: UTF8.self)
        )
      }
    }

    @Test(
      "answers a request with the same body, and the same type, from what it has",
      arguments: ["QUERY", "POST"]
    )
    func hits(method: String) async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig, Self.echo("max-age=60"))
        let wire = try Self.start(rig, origin, "body_methods QUERY POST")
        let type = "Content-Type: a/b"
        for count in 0..<3 {
          let answer = try wire.ask("/a", method, type, body: "one")
          #expect(answer.text == "\(method) one" && answer.fields["x-count"] == "0")
          let status = answer.fields["cache-status"]
          #expect(status?.contains(count == 0 ? "fwd=uri-miss" : "hit; ttl=") == true)
        }
        #expect(try wire.ask("/a", method, type, body: "two").text == "\(method) two")
        #expect(
          try wire.ask("/a", method, "Content-Type: c/d", body: "one").text == "\(method) one"
        )
        #expect(try wire.ask("/b", method, type, body: "one").fields["x-count"] == "3")
        #expect(try wire.ask("/a", method, body: "").text == "\(method) ")
        #expect(try wire.ask("/a", method, body: "").fields["x-count"] == "4")
        #expect(try wire.ask("/a").text == "GET ")
        let other = method == "POST" ? "QUERY" : "POST"
        #expect(try wire.ask("/a", other, type, body: "one").text == "\(other) one")
        #expect(origin.count == 7)
      }
    }

    @Test("goes to the member where nothing of this is said, or the body is too long")
    func passes() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig, Self.echo("max-age=60"))
        let plain = try Self.start(rig, origin, "")
        for count in 0..<2 {
          #expect(try plain.ask("/a", "QUERY", body: "a").fields["x-count"] == "\(count)")
        }
      }
      try await Rig.run { rig in
        let origin = try Origin(rig, Self.echo("max-age=60"))
        let wire = try Self.start(rig, origin, "body_methods QUERY\nbody_limit 8B")
        let long = String(repeating: "x", count: 300_000)
        for count in 0..<2 {
          let answer = try wire.ask("/a", "QUERY", body: long)
          #expect(answer.text == "QUERY " + long && answer.fields["x-count"] == "\(count)")
        }
        #expect(try wire.ask("/a", "QUERY", body: "12345678").fields["x-count"] == "2")
        #expect(try wire.ask("/a", "QUERY", body: "12345678").fields["x-count"] == "2")
        #expect(try wire.ask("/a", "QUERY", body: "123456789").fields["x-count"] == "3")
        #expect(origin.count == 4)
      }
    }

    @Test(
      "reads bodies in chunks, and passes on those that turn out too long",
      arguments: [5, 100_000]
    )
    func chunks(count: Int) async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig, Self.echo("max-age=60"))
        let wire = try Self.start(rig, origin, "body_methods QUERY\nbody_limit 1KB")
        let part = String(repeating: "p", count: count)
        let chunk = String(count, radix: 16) + "\r\n" + part + "\r\n"
        for _ in 0..<2 {
          try wire.send(
            text: "QUERY /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
          )
          try wire.send(text: chunk + "0\r\n\r\n")
          #expect(try wire.receiveAnswer().text == "QUERY " + part + part)
          // What stands behind it is the next request.
          #expect(try wire.ask("/b").text == "GET ")
        }
        #expect(origin.count == (count == 5 ? 2 : 3))
        // The same body is the same, however it is framed.
        if count == 5 {
          _ = try wire.ask("/a", "QUERY", body: part + part)
          #expect(origin.count == 2)
        }
      }
    }

    @Test("takes requests that stand behind each other apart")
    func pipelined() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig, Self.echo("max-age=60"))
        let wire = try Self.start(rig, origin, "body_methods POST")
        let request = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
        let next = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ntwo"
        try wire.send(text: request + next + request + next)
        for body in ["one", "two", "one", "two"] {
          #expect(try wire.receiveAnswer().text == "POST " + body)
        }
        #expect(origin.count == 2)
      }
    }

    @Test("keeps no answer to POST that does not say for how long, and each POST is sent once")
    func explicit() async throws {
      try await Rig.run { rig in
        let dated = "public\r\nLast-Modified: Sun, 01 Nov 2020 00:00:00 GMT"
        let origin = try Origin(rig, Self.echo(dated))
        let wire = try Self.start(rig, origin, "body_methods QUERY POST\nkeep 60s")
        for count in 0..<3 {
          #expect(try wire.ask("/a", "POST", body: "a").fields["x-count"] == "\(count)")
        }
        #expect(origin.count == 3)
        for _ in 0..<2 { _ = try wire.ask("/a", "QUERY", body: "a") }
        #expect(origin.count == 4)
      }
    }

    @Test("forgets what it has for all bodies when something is changed")
    func invalidates() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, count in
          let control = request.body == Array("change".utf8) ? "no-store" : "max-age=60"
          return Self.echo(control)(request, count)
        }
        let wire = try Self.start(rig, origin, "body_methods QUERY POST")
        func counts() throws -> [String?] {
          try [
            wire.ask("/a", "QUERY", body: "a"), wire.ask("/a", "POST", body: "b"), wire.ask("/a"),
            wire.ask("/c", "QUERY", body: "a"),
          ].map { $0.fields["x-count"] }
        }
        #expect(try counts() == ["0", "1", "2", "3"])
        #expect(try counts() == ["0", "1", "2", "3"])
        // A POST that is kept changes nothing that is kept by bodies.
        #expect(try wire.ask("/a", "POST", body: "d").fields["x-count"] == "4")
        #expect(try counts() == ["0", "1", "5", "3"])
        #expect(try wire.ask("/a", "POST", body: "change").fields["x-count"] == "6")
        #expect(try counts() == ["7", "8", "9", "3"])
        #expect(try wire.ask("/a", "PUT", body: "").fields["x-count"] == "10")
        #expect(try counts() == ["11", "12", "13", "3"])
        // A purge of a URL is about all bodies.
        #expect(try rig.martlet(command: "cache", "purge", "http://a/a").status == 0)
        #expect(try counts() == ["14", "15", "16", "3"])
      }
    }

    @Test("forgets what the answer to a POST names, which is not kept")
    func names() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, count in
          request.method == "POST"
            ? "HTTP/1.1 201 Created\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n"
            : Self.echo("max-age=60")(request, count)
        }
        let wire = try Self.start(rig, origin, "body_methods QUERY POST")
        func counts() throws -> [String?] {
          try [wire.ask("/new"), wire.ask("/new", "QUERY", body: "a"), wire.ask("/other")]
            .map { $0.fields["x-count"] }
        }
        #expect(try counts() == ["0", "1", "2"])
        #expect(try wire.ask("/a?b", "POST", body: "x").status == 201)
        #expect(try counts() == ["4", "5", "2"])
      }
    }

    @Test("is the same for streams of HTTP/2", arguments: [3, 200_000])
    func http2(count: Int) async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig, Self.echo("max-age=60"))
        let rules = "body_methods POST\nbody_limit 16KB"
        let martlet = try CacheTests.start(rig, origin.endpoint, rules)
        let client = try HTTP2Client(to: martlet.endpoint)
        let body = String(repeating: "x", count: count)
        for length in ["", "\nContent-Length: \(count)"] {
          for _ in 0..<2 {
            let stream = try client.open("POST /a HTTP/1.1\nHost: a\(length)", isLast: false)
            try client.send(body, on: stream, isLast: true)
            try client.finish(stream)
            #expect(client.bodies[stream] == Array("POST \(body)".utf8))
          }
        }
        // The larger one is longer than what is kept by.
        #expect(origin.count == (count == 3 ? 1 : 4))
      }
    }

    @Test("makes one request of many with the same body that come together")
    func collapses() async throws {
      try await Rig.run { rig in
        let (begun, gate) = (Gate(), Gate())
        let origin = try Origin(rig) { request, count in
          if count == 0 {
            begun.open()
            try gate.pass()
          }
          return Self.echo("max-age=60")(request, count)
        }
        let martlet = try CacheTests.start(rig, origin.endpoint, "body_methods QUERY")
        let wires = try (0..<20).map { _ in try Wire(to: martlet.endpoint) }
        let head = "QUERY /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
        for wire in wires { try wire.send(text: head + "Expect: 100-continue\r\n\r\n") }
        for wire in wires {
          _ = try wire.receive(through: "\r\n\r\n")
          try wire.send(text: "same")
        }
        try begun.pass()
        gate.open()
        for wire in wires { #expect(try wire.receiveAnswer().text == "QUERY same") }
        #expect(origin.count == 1)
      }
    }
  }
}
