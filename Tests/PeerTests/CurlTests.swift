import Foundation
import TestPeers
import Testing

/// All tests with other processes, one after the other: two cores are not many.
@Suite("Peers", .serialized) enum PeerTests {}

extension PeerTests {
  /// curl, Martlet and nginx.
  @Suite("curl to nginx", .timeLimit(.minutes(5 * slowness))) struct NginxTests {
    /// nginx that serves `files` and stores what is put, and Martlet in front of it.
    private func start(_ rig: Rig) throws -> Peer {
      try rig.write(Self.text, to: "files/text.txt")
      try rig.write(Self.large, to: "files/large.bin")
      let nginx = try rig.nginx(
        """
        root \(rig.path("files"));
        location /store/ { dav_methods PUT; create_full_put_path on; }
        location /gzip/ { alias \(rig.path("files"))/; gzip on; gzip_types *; gzip_proxied any; }
        location /empty { return 204; }
        location /moved { return 301 /text.txt; }
        location /head {
          add_header X-Long $arg_long;
          return 200 "$http_x_long|$http_via|$http_x_forwarded_for";
        }
        """,
        outside: "large_client_header_buffers 4 32k;"
      )
      return try rig.martlet(to: [nginx.endpoint])
    }

    private static let text = "All that is text.\n"
    private static let large: [UInt8] = (0..<3_000_000).map {
      UInt8(truncatingIfNeeded: $0 &* 7 >> 3)
    }

    @Test("gets what the member sends, byte for byte", arguments: ["--http1.1", "--http1.0"])
    func downloads(version: String) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let result = try rig.curl(
          version,
          "-o",
          rig.path("got"),
          "-w",
          "%{http_code} %{http_version} %{size_download}",
          martlet.endpoint.url("/large.bin")
        )
        #expect(result.text == "200 1.1 3000000")
        #expect(try rig.read("got") == Self.large)
      }
    }

    @Test(
      "gets a body whose length is not known, byte for byte",
      arguments: ["--http1.1", "--http1.0"]
    )
    func unknownLength(version: String) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let result = try rig.curl(
          version,
          "--compressed",
          "-o",
          rig.path("got"),
          "-D",
          rig.path("head"),
          martlet.endpoint.url("/gzip/large.bin")
        )
        #expect(result.status == 0)
        #expect(try rig.read("got") == Self.large)
        let head = String(decoding: try rig.read("head"), as: UTF8.self).lowercased()
        #expect(!head.contains("content-length"))
        #expect(head.contains("transfer-encoding: chunked") == (version == "--http1.1"))
      }
    }

    @Test("answers HEAD with the fields of GET and no body")
    func head() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let result = try rig.curl("--head", martlet.endpoint.url("/text.txt"))
        #expect(result.status == 0)
        #expect(result.text.contains("HTTP/1.1 200 OK"))
        #expect(result.text.contains("Content-Length: \(Self.text.utf8.count)"))
        #expect(!result.text.contains("All that"))
      }
    }

    @Test("passes a part of a body")
    func range() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let result = try rig.curl(
          "-r",
          "1000000-1999999",
          "-o",
          rig.path("got"),
          "-w",
          "%{http_code}",
          martlet.endpoint.url("/large.bin")
        )
        #expect(result.text == "206")
        #expect(try rig.read("got") == Array(Self.large[1_000_000..<2_000_000]))
      }
    }

    @Test("passes answers without a body, and the connection is used on")
    func withoutBody() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET /text.txt HTTP/1.1\r\nHost: a\r\n\r\n")
        let first = try wire.receiveAnswer()
        let tag = try #require(first.fields["etag"])
        try wire.send(text: "GET /text.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: \(tag)\r\n\r\n")
        let second = try wire.receiveAnswer()
        #expect(second.status == 304)
        #expect(second.fields["etag"] == tag)
        try wire.send(text: "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n")
        let third = try wire.receiveAnswer()
        #expect(third.status == 204)
        #expect(third.fields.count(of: "transfer-encoding") == 0)
        try wire.send(text: "HEAD /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer(isToHead: true).fields["content-length"] == "3000000")
        try wire.send(text: "GET /text.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(try wire.receiveAnswer().text == Self.text)
        #expect(try wire.receiveRest().isEmpty)
      }
    }

    @Test(
      "stores what is put, however its length is told",
      arguments: [
        ["-T", "FILE"], ["-T", "FILE", "-H", "Transfer-Encoding: chunked"],
        ["-T", "FILE", "-H", "Expect: 100-continue"],
        ["-T", "FILE", "-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked"],
        ["-T", "FILE", "-H", "Expect:"],
      ]
    )
    func uploads(options: [String]) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let body = Array(Self.large.prefix(1_000_000))
        let file = try rig.write(body, to: "upload")
        let arguments = options.map { $0 == "FILE" ? file : $0 }
        let outcome = try rig.outcome(
          of: ["curl", "-s", "-w", "%{http_code}"] + arguments
            + [martlet.endpoint.url("/store/a/file")]
        )
        #expect(outcome.lines.last?.hasSuffix("201") == true)
        #expect(try rig.read("files/store/a/file") == body)
      }
    }

    @Test("passes redirects and errors of the member as they are")
    func statuses() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let moved = try rig.curl("-w", "%{http_code}", "-L", martlet.endpoint.url("/moved"))
        #expect(moved.text.hasSuffix(Self.text + "200"))
        let missing = try rig.curl("-w", "%{http_code}", martlet.endpoint.url("/none"))
        #expect(missing.text.contains("nginx") && missing.text.hasSuffix("404"))
      }
    }

    @Test("passes large fields, and says who asked")
    func fields() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let long = String(repeating: "x", count: 7000)
        let result = try rig.curl(
          "-D",
          rig.path("head"),
          "-H",
          "X-Long: \(long)",
          martlet.endpoint.url("/head?long=" + String(repeating: "y", count: 7000))
        )
        #expect(result.text == "\(long)|1.1 martlet|127.0.0.1")
        let head = String(decoding: try rig.read("head"), as: UTF8.self)
        #expect(head.contains("X-Long: " + String(repeating: "y", count: 7000) + "\r\n"))
      }
    }

    @Test("serves many requests on one connection of curl")
    func keepAlive() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let result = try rig.curl(
          "-w",
          "%{num_connects} ",
          martlet.endpoint.url("/text.txt?[1-50]")
        )
        let counts = result.text.split(separator: "\n").map {
          $0.replacingOccurrences(of: "All that is text.", with: "")
        }
        #expect(result.text.components(separatedBy: "All that is text.").count == 51)
        #expect(counts.joined().filter { $0 == "1" }.count == 1)
      }
    }

    @Test("speaks over Unix sockets on both sides")
    func unixSockets() async throws {
      try await Rig.run { rig in
        let nginx = try rig.nginx(
          "listen unix:\(rig.path("nginx.sock")); location / { return 200 $http_host; }"
        )
        #expect(nginx.isRunning)
        let martlet = try rig.martlet(
          to: [rig.socket("nginx.sock")],
          at: rig.socket("martlet.sock")
        )
        let result = try rig.outcome(
          of: ["curl", "-s"] + martlet.endpoint.curl + [martlet.endpoint.url("/")]
        )
        #expect(result.lines == ["localhost"])
      }
    }

    @Test("thousands of servers are there as soon as one is, and each of them answers")
    func manyServers() async throws {
      try await Rig.run { rig in
        let count = 10_000 / slowness
        let servers = (0..<count).map { number in
          "server h\(number).example {\nlisten LISTEN\nroute / { respond 200 \"\(number)\" }\n}"
        }
        let martlet = try rig.martlet(configuration: servers.joined(separator: "\n"))
        for number in [0, count / 2, count - 1] {
          let host = "Host: h\(number).example"
          #expect(try rig.curl("-H", host, martlet.endpoint.url("/")).text == "\(number)")
        }
      }
    }
  }
}
