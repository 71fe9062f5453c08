import Compression
import HTTPMessage
import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Bodies that are taken out of their coding.
  @Suite("Decompression", .timeLimit(.minutes(2 * slowness))) struct DecompressionTests {
    private func start(_ rig: Rig, _ member: Endpoint, _ decompress: String) throws -> Peer {
      try CompressionTests.start(rig, "proxy \(member)", compress: decompress)
    }

    private func ask(
      _ wire: Wire,
      _ target: String = "/",
      _ method: String = "GET",
      _ fields: String...
    ) throws -> Answer {
      let lines = (["\(method) \(target) HTTP/1.1", "Host: a"] + fields).joined(separator: "\r\n")
      try wire.send(text: lines + "\r\n\r\n")
      return try wire.receiveAnswer(isToHead: method == "HEAD")
    }

    @Test(
      "answers are decoded for clients that do not take their coding",
      arguments: [("gzip", ContentCoding.gzip), ("br", .brotli), ("zstd", .zstandard)],
      [500, 20_000, 1_000_000]
    )
    func decodedAnswers(coding: (String, ContentCoding), count: Int) async throws {
      try await Rig.run { rig in
        let body = Coding.page(count)
        let bytes = try Coding.coded(body, coding.1)
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"a\"\r\n"
                + "Content-Encoding: \(coding.0)\r\nContent-Length: \(bytes.count)\r\n\r\n"
            )
            try wire.send(bytes)
          }
        }
        let martlet = try start(rig, member.endpoint, "decompress")
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<2 {
          let answer = try ask(wire)
          #expect(answer.text == body && answer.ending == .complete)
          #expect(answer.fields["content-encoding"] == nil)
          #expect(answer.fields["etag"] == "W/\"a\"" && answer.fields["vary"] == "Accept-Encoding")
          let same = try ask(wire, "/", "GET", "Accept-Encoding: \(coding.0)")
          #expect(same.body == bytes && same.fields["content-encoding"] == coding.0)
          #expect(same.fields["etag"] == "\"a\"")
        }
      }
    }

    @Test("an answer that is not what it says, or becomes too large, is 502 or breaks off")
    func wrongAnswers() async throws {
      try await Rig.run { rig in
        let bomb = try Coding.coded(String(repeating: "0", count: 4_000_000), .gzip)
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            let bytes = request.target == "/bomb" ? bomb : Array("no gzip at all".utf8)
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                + "Content-Length: \(bytes.count)\r\n\r\n"
            )
            try wire.send(bytes)
          }
        }
        let martlet = try start(rig, member.endpoint, "decompress {\nsize_limit 2MB\n}")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "/none").status == 502)
        let other = try Wire(to: martlet.endpoint)
        let answer = try ask(other, "/bomb")
        #expect(answer.ending == .truncated && answer.body.count <= 2 << 20)
        try martlet.line(with: "\"detail\":\"decompressed_too_large\"")
      }
    }

    @Test(
      "requests reach their member decoded, whatever frames them",
      arguments: [("gzip", ContentCoding.gzip), ("br", .brotli), ("zstd", .zstandard)],
      [100, 30_000, 1_000_000]
    )
    func decodedRequests(coding: (String, ContentCoding), count: Int) async throws {
      try await Rig.run { rig in
        let body = Coding.page(count)
        let bytes = try Coding.coded(body, coding.1)
        let seen = Guarded<[Request]>([])
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            seen.withLock { $0.append(request) }
            try wire.send(text: Coding.ok("", "done"))
          }
        }
        let martlet = try start(rig, member.endpoint, "decompress requests")
        let wire = try Wire(to: martlet.endpoint)
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: \(coding.0)\r\nX-Kept: a\r\n"
        try wire.send(
          text: "\(head)Content-Digest: sha-256=:YQ==:\r\nContent-Length: \(bytes.count)\r\n\r\n"
        )
        try wire.send(bytes)
        #expect(try wire.receiveAnswer().text == "done")
        try wire.send(text: "\(head)Transfer-Encoding: chunked\r\n\r\n")
        for start in stride(from: 0, to: bytes.count, by: 5000) {
          let part = bytes[start..<min(start + 5000, bytes.count)]
          try wire.send(Array("\(String(part.count, radix: 16))\r\n".utf8) + part + [13, 10])
        }
        try wire.send(text: "0\r\n\r\n")
        #expect(try wire.receiveAnswer().text == "done")
        // What has no coding passes as it is.
        try wire.send(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        #expect(try wire.receiveAnswer().text == "done")
        let requests = seen.withLock { $0 }
        try #require(requests.count == 3)
        for request in requests.prefix(2) {
          #expect(String(decoding: request.body, as: UTF8.self) == body)
          #expect(
            request.fields["content-encoding"] == nil && request.fields["content-digest"] == nil
          )
          #expect(request.fields["content-length"] == nil && request.fields["x-kept"] == "a")
        }
        #expect(
          requests[2].fields["content-length"] == "3" && requests[2].body == Array("abc".utf8)
        )
      }
    }

    @Test("requests in no coding that is known, or in none that is true, are refused")
    func wrongRequests() async throws {
      try await Rig.run { rig in
        let bomb = try Coding.coded(String(repeating: "0", count: 4_000_000), .brotli)
        let member = try Coding.origin(rig) { _ in Coding.ok("", "done") }
        let martlet = try start(rig, member.endpoint, "decompress {\nratio_limit 50\n}")
        func answer(_ coding: String, _ bytes: [UInt8]) throws -> Answer {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(
            text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: \(coding)\r\n"
              + "Content-Length: \(bytes.count)\r\n\r\n"
          )
          try wire.send(bytes)
          return try wire.receiveAnswer()
        }
        let unknown = try answer("compress", [1, 2, 3])
        #expect(unknown.status == 415)
        #expect(unknown.fields["accept-encoding"] == "zstd, br, gzip")
        #expect(try answer("gzip, br", [1, 2, 3]).status == 415)
        #expect(try answer("gzip", [1, 2, 3]).status == 400)
        #expect(try answer("br", bomb).status == 413)
        #expect(try answer("identity", [1, 2, 3]).status == 200)
      }
    }

    @Test("a decoded request is sent again to another member, whole")
    func retried() async throws {
      try await Rig.run { rig in
        let body = Coding.page(40_000)
        let bytes = try Coding.coded(body, .gzip)
        let seen = Guarded<[Request]>([])
        let broken = try rig.member { wire in
          // All of it is read, and then nothing is said.
          if let request = try wire.receiveRequest() { seen.withLock { $0.append(request) } }
        }
        let sound = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            seen.withLock { $0.append(request) }
            try wire.send(text: Coding.ok("", "done"))
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            upstream two {
                member \(broken.endpoint)
                member \(sound.endpoint) backup
                tries 2
            }
            server {
                listen LISTEN
                decompress
                route / { proxy two }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(
          text: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
            + "Content-Length: \(bytes.count)\r\n\r\n"
        )
        try wire.send(bytes)
        #expect(try wire.receiveAnswer().text == "done")
        let requests = seen.withLock { $0 }
        #expect(requests.map { String(decoding: $0.body, as: UTF8.self) } == [body, body])
      }
    }
  }
}
