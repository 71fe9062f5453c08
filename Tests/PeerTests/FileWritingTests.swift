import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Files that clients write and remove.
  @Suite("Written files", .timeLimit(.minutes(5 * slowness))) struct FileWritingTests {
    private func start(_ rig: Rig, _ more: String = "") throws -> Peer {
      try FileTests.start(rig, "allow put delete\n\(more)", route: "body_limit 10MB")
    }

    private func ask(
      _ wire: Wire,
      _ method: String,
      _ target: String,
      _ body: [UInt8]? = nil,
      _ fields: String...
    ) throws -> Answer {
      let length = body.map { ["Content-Length: \($0.count)"] } ?? []
      let lines = ["\(method) \(target) HTTP/1.1", "Host: a"] + fields + length
      try wire.send(text: lines.joined(separator: "\r\n") + "\r\n\r\n")
      if let body { try wire.send(body) }
      return try wire.receiveAnswer()
    }

    /// What is in the folder that is no file of the tests.
    private func strangers(_ rig: Rig) throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: rig.path("www"))
        .filter { $0.hasPrefix(".martlet") }
    }

    @Test("are there whole, and have a tag at once")
    func puts() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "GET", "/new.txt").status == 404)
        let made = try ask(wire, "PUT", "/new.txt", Array("one".utf8))
        #expect(made.status == 201)
        let tag = try #require(made.fields["etag"])
        #expect(tag.hasPrefix("\""))
        let got = try ask(wire, "GET", "/new.txt")
        #expect(got.text == "one" && got.fields["etag"] == tag)
        let large = FileTests.large
        #expect(try ask(wire, "PUT", "/new.txt", large).status == 204)
        #expect(try ask(wire, "GET", "/new.txt").body == large)
        #expect(try ask(wire, "PUT", "/empty", []).status == 201)
        #expect(try ask(wire, "GET", "/empty").body.isEmpty)
        #expect(try ask(wire, "DELETE", "/new.txt").status == 204)
        #expect(try ask(wire, "GET", "/new.txt").status == 404)
        #expect(try ask(wire, "DELETE", "/new.txt").status == 404)
        #expect(try strangers(rig).isEmpty)
        let options = try ask(wire, "OPTIONS", "/new.txt")
        #expect(options.fields["allow"] == "GET, HEAD, OPTIONS, PUT, DELETE")
      }
    }

    @Test(
      "come however their length is told",
      arguments: [
        [], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"],
        ["-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked"],
      ]
    )
    func forms(options: [String]) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let file = try rig.write(FileTests.large, to: "upload")
        let outcome = try rig.outcome(
          of: ["curl", "-s", "-w", "%{http_code}", "-T", file] + options
            + [martlet.endpoint.url("/css/file"), martlet.endpoint.url("/ten.txt")]
        )
        #expect(outcome.lines.joined().hasPrefix("201"))
        #expect(try rig.read("www/css/file") == FileTests.large)
      }
    }

    @Test("and requests behind them on one connection do not get mixed up")
    func pipelined() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let put = "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        try wire.send(
          text: put + "3\r\none\r\n4\r\nmore\r\n0\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n"
            + "PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        #expect(try wire.receiveAnswer().status == 201)
        #expect(try wire.receiveAnswer().text == "onemore")
        #expect(try wire.receiveAnswer().status == 201)
        #expect(try wire.receiveAnswer().text == "hi")
        // Byte by byte the same.
        for byte in Array((put + "3\r\ntwo\r\n0\r\n\r\n").utf8) { try wire.send([byte]) }
        #expect(try wire.receiveAnswer().status == 204)
        #expect(try ask(wire, "GET", "/a").text == "two")
      }
    }

    @Test("change only what the client has seen")
    func conditions() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        func put(_ text: String, _ field: String) throws -> Answer {
          // An answer of 412 ends the connection, since the body was not read.
          try ask(try Wire(to: martlet.endpoint), "PUT", "/a", Array(text.utf8), field)
        }
        let first = try put("one", "If-None-Match: *")
        #expect(first.status == 201)
        #expect(try put("two", "If-None-Match: *").status == 412)
        let tag = try #require(first.fields["etag"])
        let second = try put("two", "If-Match: \(tag)")
        #expect(second.status == 204)
        #expect(try put("three", "If-Match: \(tag)").status == 412)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "DELETE", "/a", nil, "If-Match: \(tag)").status == 412)
        let other = try Wire(to: martlet.endpoint)
        #expect(try ask(other, "GET", "/a").text == "two")
        let last = try #require(second.fields["etag"])
        #expect(try ask(other, "DELETE", "/a", nil, "If-Match: \(last)").status == 204)
        #expect(try put("x", "If-Match: *").status == 412)
      }
    }

    @Test(
      "are refused where there must be none",
      arguments: [
        ("/css", 409), ("/css/", 409), ("/none/a", 409), ("/.hidden", 403), ("/ten.txt/a", 409),
        ("/out.txt", 403), ("/a%2fb", 403), ("/", 409),
      ]
    )
    func refused(target: String, status: Int) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let answer = try ask(try Wire(to: martlet.endpoint), "PUT", target, Array("x".utf8))
        #expect(answer.status == status)
        let removed = try ask(try Wire(to: martlet.endpoint), "DELETE", target)
        #expect(removed.status == status || removed.status == 404)
        #expect(try rig.read("outside.txt") == Array("secret".utf8))
        #expect(try strangers(rig).isEmpty)
      }
    }

    @Test("that do not come whole leave nothing behind")
    func cut() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "PUT /ten.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        let deadline = ContinuousClock.now + patience
        while try strangers(rig).isEmpty {
          guard ContinuousClock.now < deadline else { throw PeerError("no draft") }
        }
        wire.end()
        while try !strangers(rig).isEmpty {
          guard ContinuousClock.now < deadline else { throw PeerError("the draft is still there") }
        }
        #expect(try rig.read("www/ten.txt") == Array("0123456789".utf8))
        let long = try Wire(to: martlet.endpoint)
        try long.send(text: "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99000000\r\n\r\n")
        #expect(try long.receiveAnswer().status == 413)
      }
    }

    @Test("cannot be written where that is not allowed")
    func notAllowed() async throws {
      try await Rig.run { rig in
        let martlet = try FileTests.start(rig, "allow delete")
        let answer = try ask(try Wire(to: martlet.endpoint), "PUT", "/a", Array("x".utf8))
        #expect(answer.status == 405 && answer.fields["allow"] == "GET, HEAD, OPTIONS, DELETE")
      }
    }
  }
}
