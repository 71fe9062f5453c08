import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Answers in a content coding.
  @Suite("Compression", .timeLimit(.minutes(3 * slowness))) struct CompressionTests {
    static func start(
      _ rig: Rig,
      _ route: String,
      compress: String = "compress",
      outside: String = "",
      server: String = ""
    ) throws -> Peer {
      try rig.martlet(outside: outside, server: "\(compress)\n\(server)", route: route)
    }

    @Test(
      "a body arrives whole in the coding that the client likes, whatever frames it",
      arguments: ["zstd", "br", "gzip"],
      [2000, 20_000, 1_000_000]
    )
    func proxied(coding: String, count: Int) async throws {
      try await Rig.run { rig in
        let body = Coding.page(count)
        let member = try Coding.origin(rig) { request in
          let fields = "Content-Type: text/html\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\n"
          guard request.target == "/chunks" else { return Coding.ok(fields, body) }
          let half = body.utf8.count / 2
          let (first, second) = (body.prefix(half), body.dropFirst(half))
          return "HTTP/1.1 200 OK\r\n\(fields)Transfer-Encoding: chunked\r\n\r\n"
            + "\(String(half, radix: 16))\r\n\(first)\r\n"
            + "\(String(second.utf8.count, radix: 16))\r\n\(second)\r\n0\r\n\r\n"
        }
        let martlet = try Self.start(rig, "proxy \(member.endpoint)")
        let wire = try Wire(to: martlet.endpoint)
        for target in ["/", "/chunks", "/"] {
          let answer = try wire.ask(target, "GET", "Accept-Encoding: \(coding)")
          #expect(answer.status == 200 && answer.ending == .complete)
          #expect(answer.fields["content-encoding"] == coding)
          #expect(answer.fields["etag"] == "W/\"a\"" && answer.fields["accept-ranges"] == nil)
          #expect(answer.fields["vary"] == "Accept-Encoding")
          #expect(
            answer.fields.count(of: "content-length") + answer.fields.count(of: "transfer-encoding")
              == 1
          )
          #expect(answer.body.count < count / 2)
          #expect(try Coding.plain(answer.body, coding) == Array(body.utf8))
        }
        let other = try wire.ask()
        #expect(other.fields["content-encoding"] == nil && other.text == body)
        #expect(other.fields["etag"] == "\"a\"" && other.fields["vary"] == "Accept-Encoding")
        let line = try martlet.line(with: "\"coding\":\"\(coding)\"")
        #expect(line.contains("\"plain\":\(count)"))
      }
    }

    @Test(
      "curl reads it over HTTP/1.1 and HTTP/2, and so does zstd(1)",
      arguments: ["--http1.1", "--http2-prior-knowledge"]
    )
    func curl(version: String) async throws {
      try await Rig.run { rig in
        let body = Coding.page(300_000)
        try rig.write(body, to: "files/page.html")
        let nginx = try rig.nginx("root \(rig.path("files"));")
        let martlet = try Self.start(rig, "proxy \(nginx.endpoint)")
        for coding in ["gzip", "br", "zstd"] {
          let got = try rig.curl(
            version,
            "--compressed",
            "-H",
            "Accept-Encoding: \(coding)",
            "-o",
            rig.path("got"),
            "-w",
            "%{http_code} %header{content-encoding} %{size_download}",
            martlet.endpoint.url("/page.html")
          )
          let words = got.text.split(separator: " ")
          #expect(words.first == "200" && words.count == 3 && words[1] == coding)
          #expect(words.last.flatMap { Int($0) } ?? .max < 150_000)
          #expect(try rig.read("got") == Array(body.utf8))
        }
        try rig.curl(
          version,
          "-H",
          "Accept-Encoding: zstd",
          "-o",
          rig.path("got.zst"),
          martlet.endpoint.url("/page.html")
        )
        let outcome = try rig.outcome(of: [
          "zstd", "-d", "-q", rig.path("got.zst"), "-o", rig.path("plain"),
        ])
        #expect(outcome.status == 0)
        #expect(try rig.read("plain") == Array(body.utf8))
      }
    }

    @Test("HEAD has the fields of GET, and a 304 the tag that the client knows")
    func heads() async throws {
      try await Rig.run { rig in
        let body = Coding.page(5000)
        let member = try Coding.origin(rig) { request in
          let fields = "Content-Type: text/css\r\nETag: \"a\"\r\n"
          if request.fields["if-none-match"]?.contains("\"a\"") == true {
            return "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"
          }
          let answer = Coding.ok(fields, body)
          return request.method == "HEAD" ? String(answer.dropLast(body.count)) : answer
        }
        let martlet = try Self.start(rig, "proxy \(member.endpoint)")
        let wire = try Wire(to: martlet.endpoint)
        let accepts = "Accept-Encoding: gzip"
        let get = try wire.ask("/", "GET", accepts)
        let head = try wire.ask("/", "HEAD", accepts)
        for name in ["content-encoding", "etag", "vary", "content-type"] {
          #expect(head.fields[name] == get.fields[name], "\(name)")
        }
        #expect(head.fields["content-length"] == nil)
        #expect(try wire.ask("/", "HEAD").fields["content-length"] == "5000")
        let tag = try #require(get.fields["etag"])
        let same = try wire.ask("/", "GET", accepts, "If-None-Match: \(tag)")
        #expect(same.status == 304 && same.fields["etag"] == tag)
        #expect(same.fields["vary"] == "Accept-Encoding")
        let plainSame = try wire.ask("/", "GET", "If-None-Match: \"a\"")
        #expect(plainSame.status == 304 && plainSame.fields["etag"] == "\"a\"")
      }
    }

    @Test("what is coded already, small, or not to be changed stays as it is")
    func untouched() async throws {
      try await Rig.run { rig in
        let body = Coding.page(4000)
        let member = try Coding.origin(rig) { request in
          switch request.target {
          case "/coded": Coding.ok("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", body)
          case "/small": Coding.ok("Content-Type: text/html\r\n", "small")
          case "/kept":
            Coding.ok("Content-Type: text/html\r\nCache-Control: no-transform\r\n", body)
          case "/image": Coding.ok("Content-Type: image/png\r\n", body)
          default:
            "HTTP/1.1 206 Partial Content\r\nContent-Type: text/html\r\n"
              + "Content-Range: bytes 0-3999/9000\r\nContent-Length: 4000\r\n\r\n\(body)"
          }
        }
        let martlet = try Self.start(rig, "proxy \(member.endpoint)")
        let wire = try Wire(to: martlet.endpoint)
        for target in ["/coded", "/small", "/kept", "/image", "/part"] {
          let answer = try wire.ask(target, "GET", "Accept-Encoding: gzip, br, zstd")
          #expect(answer.text == (target == "/small" ? "small" : body), "\(target)")
          #expect(answer.fields["content-encoding"] == (target == "/coded" ? "gzip" : nil))
          #expect(answer.fields["content-length"] == "\(answer.body.count)")
          #expect((answer.fields["vary"] != nil) == (target == "/part"))
        }
        // Whoever speaks HTTP/1.0 gets bodies as they are.
        try wire.send(text: "GET /x HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        #expect(try wire.receiveAnswer().text == body)
      }
    }

    @Test("events are sent as they come", arguments: ["zstd", "br", "gzip"])
    func events(coding: String) async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(
            text:
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
          )
          for number in 0..<5 {
            try gate.pass()
            try wire.send(text: "10\r\ndata: number \(number)\n\n\r\n")
          }
          try gate.pass()
          try wire.send(text: "0\r\n\r\n")
        }
        let martlet = try Self.start(rig, "proxy \(member.endpoint)")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: \(coding)\r\n\r\n")
        // The head comes before the first event.
        let head = String(decoding: try wire.receive(through: "\r\n\r\n"), as: UTF8.self)
        #expect(head.contains("Content-Encoding: \(coding)\r\n"))
        var coded: [UInt8] = []
        var text = ""
        for number in 0..<5 {
          gate.open()
          text += "data: number \(number)\n\n"
          let size = try wire.receive(through: "\r\n").dropLast(2)
          let count = try #require(Int(String(decoding: size, as: UTF8.self), radix: 16))
          coded += try wire.receive(exactly: count)
          #expect(try wire.receive(exactly: 2) == [13, 10])
          #expect(
            try String(decoding: Coding.plain(coded, coding, isComplete: false), as: UTF8.self)
              == text
          )
        }
        gate.open()
        let rest = try wire.receive(through: "0\r\n\r\n")
        #expect(!rest.isEmpty)
      }
    }

    @Test("trailers are kept, without the digest of other bytes")
    func trailers() async throws {
      try await Rig.run { rig in
        let body = Coding.page(3000)
        let member = try Coding.origin(rig) { _ in
          "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n"
            + "Trailer: X-Sum, Content-Digest\r\n\r\n"
            + "\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\n"
            + "X-Sum: 3\r\nContent-Digest: sha-256=:YQ==:\r\n\r\n"
        }
        let martlet = try Self.start(rig, "proxy \(member.endpoint)")
        let wire = try Wire(to: martlet.endpoint)
        let answer = try wire.ask("/", "GET", "Accept-Encoding: br")
        #expect(try Coding.plain(answer.body, "br") == Array(body.utf8))
        #expect(answer.trailers["x-sum"] == "3" && answer.trailers["content-digest"] == nil)
      }
    }

    @Test("an answer that breaks off is not made to look whole")
    func broken() async throws {
      try await Rig.run { rig in
        let body = Coding.page(2_000_000)
        let member = try rig.member { wire in
          guard let request = try wire.receiveRequest() else { return }
          let part = request.target == "/early" ? String(body.prefix(3000)) : body
          try wire.send(
            text: "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
              + "Content-Length: \(2 * body.utf8.count)\r\n\r\n\(part)"
          )
        }
        let martlet = try Self.start(rig, "proxy \(member.endpoint)")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/", "GET", "Accept-Encoding: gzip").ending == .truncated)
        // As long as nothing was sent, the failure can be told.
        let other = try Wire(to: martlet.endpoint)
        #expect(try other.ask("/early", "GET", "Accept-Encoding: gzip").status == 502)
        try martlet.lines(with: "\"end\":\"upstream_cut\"", count: 2)
      }
    }

    @Test("a client that reads slowly gets all of a long body, and holds little of it in memory")
    func slowClient() async throws {
      try await Rig.run { rig in
        let piece = Coding.page(100_000)
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
          for _ in 0..<200 { try wire.send(text: piece) }
        }
        let martlet = try Self.start(
          rig,
          "proxy \(member.endpoint)",
          compress: "compress gzip { level gzip 1 }"
        )
        let wire = try Wire(to: martlet.endpoint, receiveBuffer: 4096)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        _ = poll(nil, 0, 50)
        let answer = try wire.receiveAnswer()
        let text = try Coding.plain(answer.body, "gzip")
        #expect(text.count == 20_000_000)
        #expect(text.prefix(100_000).elementsEqual(piece.utf8))
        #expect(text.suffix(100_000).elementsEqual(piece.utf8))
      }
    }

    @Test("answers made here are compressed, and a route may say otherwise")
    func answers() async throws {
      try await Rig.run { rig in
        let text = Coding.page(3000).replacingOccurrences(of: "\"", with: "'").replacingOccurrences(
          of: "\n",
          with: " "
        )
        let martlet = try Self.start(
          rig,
          "respond 200 \"\(text)\" type text/html",
          server:
            "error_page 404 \"\(text)\"\nroute /none { respond 404 \"\" }\nroute /off {\nrespond 200 \"\(text)\" type text/html\ncompress off\n}"
        )
        let wire = try Wire(to: martlet.endpoint)
        let answer = try wire.ask("/", "GET", "Accept-Encoding: gzip")
        #expect(answer.fields["content-encoding"] == "gzip")
        #expect(answer.fields["content-length"] == "\(answer.body.count)")
        #expect(String(decoding: try Coding.plain(answer.body, "gzip"), as: UTF8.self) == text)
        let off = try wire.ask("/off", "GET", "Accept-Encoding: gzip")
        #expect(off.fields["content-encoding"] == nil && off.text == text)
        #expect(off.fields["vary"] == nil)
      }
    }

    @Test(
      "what another site's page asks for in its user's name stays as it is, unless that is allowed"
    )
    func foreign() async throws {
      try await Rig.run { rig in
        let body = Coding.page(4000)
        let member = try Coding.origin(rig) { _ in Coding.ok("Content-Type: text/html\r\n", body) }
        let martlet = try Self.start(
          rig,
          "proxy \(member.endpoint)",
          server: "route /open {\nproxy \(member.endpoint)\ncompress {\ncross_site allow\n}\n}"
        )
        let wire = try Wire(to: martlet.endpoint)
        let fields = "Accept-Encoding: br\r\nCookie: session=1\r\nSec-Fetch-Site: cross-site"
        let spared = try wire.ask("/", "GET", fields)
        #expect(spared.text == body && spared.fields["vary"] == "Accept-Encoding")
        #expect(try wire.ask("/open", "GET", fields).fields["content-encoding"] == "br")
        #expect(try wire.ask("/", "GET", "Accept-Encoding: br").fields["content-encoding"] == "br")
        let metrics = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://a/metrics"
        ).text
        #expect(metrics.contains("martlet_compression_refused_total{reason=\"cross_site\"} 1"))
        #expect(metrics.contains("martlet_compression_taken_bytes_total{coding=\"br\"} 8000"))
        #expect(metrics.contains("martlet_compression_coders 0"))
        let status = try rig.curl("--unix-socket", rig.path("state/admin.sock"), "http://a/status")
          .text
        #expect(status.contains("\"compression\":{\"coders\":0"))
      }
    }

    @Test("without memory for it answers are sent as they are")
    func shortage() async throws {
      try await Rig.run { rig in
        let body = Coding.page(100_000)
        let member = try Coding.origin(rig) { _ in Coding.ok("Content-Type: text/html\r\n", body) }
        let martlet = try Self.start(
          rig,
          "proxy \(member.endpoint)",
          outside: "loops 1\ncompress_memory 1MB"
        )
        let wire = try Wire(to: martlet.endpoint)
        let answer = try wire.ask("/", "GET", "Accept-Encoding: zstd")
        #expect(answer.text == body && answer.fields["content-encoding"] == nil)
        #expect(answer.fields["vary"] == "Accept-Encoding")
        let other = try wire.ask("/", "GET", "Accept-Encoding: gzip")
        #expect(try Coding.plain(other.body, other.fields["content-encoding"]) == Array(body.utf8))
        #expect(other.fields["content-encoding"] == "gzip")
      }
    }

    @Test("files are compressed, those that lie there compressed come first")
    func files() async throws {
      try await Rig.run { rig in
        let body = Coding.page(30_000)
        let long = Coding.page(700_000)
        try rig.write(body, to: "www/a.html")
        try rig.write(long, to: "www/b.html")
        try rig.write("ready", to: "www/a.html.gz")
        try rig.write(body, to: "www/c.png")
        let martlet = try Self.start(rig, "files \(rig.path("www")) {\nprecompressed gzip\n}")
        let wire = try Wire(to: martlet.endpoint)
        let ready = try wire.ask("/a.html", "GET", "Accept-Encoding: gzip")
        #expect(ready.text == "ready" && ready.fields["content-encoding"] == "gzip")
        let coded = try wire.ask("/a.html", "GET", "Accept-Encoding: br")
        #expect(try Coding.plain(coded.body, "br") == Array(body.utf8))
        #expect(coded.fields["vary"] == "Accept-Encoding" && coded.fields["accept-ranges"] == nil)
        let tag = try #require(coded.fields["etag"])
        #expect(tag.hasPrefix("W/"))
        let same = try wire.ask("/a.html", "GET", "Accept-Encoding: br", "If-None-Match: \(tag)")
        #expect(same.status == 304 && same.fields["etag"] == tag)
        let large = try wire.ask("/b.html", "GET", "Accept-Encoding: zstd")
        #expect(try Coding.plain(large.body, "zstd") == Array(long.utf8))
        let part = try wire.ask("/b.html", "GET", "Accept-Encoding: zstd", "Range: bytes=0-9")
        #expect(part.status == 206 && part.body.elementsEqual(long.utf8.prefix(10)))
        #expect(part.fields["content-encoding"] == nil)
        let image = try wire.ask("/c.png", "GET", "Accept-Encoding: zstd")
        #expect(image.text == body && image.fields["vary"] == nil)
      }
    }

    @Test("what a cache keeps goes to each client in its coding, and the member is asked once")
    func cached() async throws {
      try await Rig.run { rig in
        let (short, long) = (Coding.page(3000), Coding.page(300_000))
        let seen = Guarded(0)
        let member = try Coding.origin(rig) { request in
          seen.withLock { $0 += 1 }
          return Coding.ok(
            "Content-Type: text/html\r\nCache-Control: max-age=60\r\nETag: \"v\"\r\n",
            request.target == "/long" ? long : short
          )
        }
        let martlet = try Self.start(
          rig,
          "proxy \(member.endpoint)\ncache main",
          outside: "cache main { memory 32MB }"
        )
        let wire = try Wire(to: martlet.endpoint)
        for (target, body) in [("/", short), ("/long", long)] {
          for coding in ["gzip", "br", "zstd", nil, "gzip"] {
            let answer = try wire.ask(target, "GET", "Accept-Encoding: \(coding ?? "identity")")
            #expect(answer.fields["content-encoding"] == coding)
            #expect(try Coding.plain(answer.body, coding) == Array(body.utf8))
            #expect(answer.fields["vary"] == "Accept-Encoding")
            #expect(answer.fields["etag"] == (coding == nil ? "\"v\"" : "W/\"v\""))
          }
        }
        let same = try wire.ask("/", "GET", "Accept-Encoding: br", "If-None-Match: W/\"v\"")
        #expect(same.status == 304 && same.fields["etag"] == "W/\"v\"")
        // From a cache nothing can be learnt about a user.
        let foreign = "Accept-Encoding: br\r\nCookie: a=b\r\nSec-Fetch-Site: cross-site"
        #expect(try wire.ask("/", "GET", foreign).fields["content-encoding"] == "br")
        #expect(seen.withLock { $0 } == 2)
      }
    }

    @Test(
      "a file, or a kept answer, is coded once, and then sent as it was coded",
      arguments: ["gzip", "br", "zstd"]
    )
    func once(coding: String) async throws {
      for source in ["file", "cache"] {
        try await Rig.run { rig in
          let body = Coding.page(50_000)
          try rig.write(body, to: "www/a.html")
          let origin = try Origin(rig) { _, _ in
            Coding.ok("Content-Type: text/html\r\nCache-Control: max-age=60\r\n", body)
          }
          let martlet = try Self.start(
            rig,
            source == "file"
              ? "files \(rig.path("www"))" : "proxy \(origin.endpoint)\ncache main",
            outside: "loops 1\ncache main"
          )
          let wire = try Wire(to: martlet.endpoint)
          // What comes is coded on its way; what is kept then is coded when it is first asked for.
          let codedCount: Double = source == "file" ? 1 : 2
          for count in 1...5 {
            let answer = try wire.ask("/a.html", "GET", "Accept-Encoding: \(coding)")
            #expect(answer.fields["content-encoding"] == coding)
            #expect(try Coding.plain(answer.body, coding) == Array(body.utf8))
            let labels = "{coding=\"\(coding)\"}"
            #expect(
              try rig.metric("martlet_compression_seconds_count" + labels)
                == min(Double(count), codedCount)
            )
            #expect(
              try rig.metric("martlet_compression_reused_total" + labels)
                == max(0, Double(count) - codedCount)
            )
          }
          #expect(origin.count == (source == "file" ? 0 : 1))
        }
      }
    }

    @Test("what a member has coded is kept so, and never coded again")
    func codedAndKept() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, _ in
          let isCoded = request.fields["accept-encoding"]?.contains("gzip") == true
          let coding = isCoded ? "Content-Encoding: gzip\r\n" : ""
          return Coding.ok(
            "Content-Type: text/html\r\nCache-Control: max-age=60\r\nVary: Accept-Encoding\r\n"
              + coding,
            isCoded ? "coded by the member" : Coding.page(5000)
          )
        }
        let martlet = try Self.start(
          rig,
          "proxy \(origin.endpoint)\ncache main",
          outside: "loops 1\ncache main"
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<3 {
          let answer = try wire.ask("/", "GET", "Accept-Encoding: gzip, br")
          #expect(answer.text == "coded by the member")
          #expect(answer.fields["content-encoding"] == "gzip")
          #expect(answer.fields.count(of: "vary") == 1)
        }
        #expect(origin.count == 1)
        for name in ["gzip", "br", "zstd"] {
          let made = try rig.metric("martlet_compression_made_bytes_total{coding=\"\(name)\"}")
          #expect(made ?? 0 == 0)
        }
      }
    }

    @Test("a member that compresses by itself is passed on, and never coded twice")
    func compressingMember() async throws {
      try await Rig.run { rig in
        let body = Coding.page(50_000)
        try rig.write(body, to: "files/page.html")
        let nginx = try rig.nginx(
          "root \(rig.path("files")); gzip on; gzip_proxied any; gzip_http_version 1.0; gzip_vary on;"
        )
        let martlet = try Self.start(rig, "proxy \(nginx.endpoint)")
        let wire = try Wire(to: martlet.endpoint)
        let answer = try wire.ask("/page.html", "GET", "Accept-Encoding: gzip, br, zstd")
        #expect(answer.fields["content-encoding"] == "gzip")
        #expect(try Coding.plain(answer.body, "gzip") == Array(body.utf8))
        // What nginx cannot do, we can.
        let other = try wire.ask("/page.html", "GET", "Accept-Encoding: br")
        #expect(try Coding.plain(other.body, "br") == Array(body.utf8))
        #expect(other.fields.count(of: "vary") == 1)
      }
    }

    @Test("many bodies at once on one loop, some cut off, leave no coder behind")
    func many() async throws {
      try await Rig.run { rig in
        let body = Coding.page(200_000)
        let member = try Coding.origin(rig) { _ in Coding.ok("Content-Type: text/html\r\n", body) }
        let martlet = try Self.start(rig, "proxy \(member.endpoint)", outside: "loops 1")
        let wires = try (0..<40).map { _ in try Wire(to: martlet.endpoint) }
        for (index, wire) in wires.enumerated() {
          let coding = ["gzip", "br", "zstd"][index % 3]
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: \(coding)\r\n\r\n")
          if index % 4 == 3 { wire.end() }
        }
        for (index, wire) in wires.enumerated() where index % 4 != 3 {
          let answer = try wire.receiveAnswer()
          #expect(
            try Coding.plain(answer.body, answer.fields["content-encoding"]) == Array(body.utf8)
          )
        }
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/", "GET", "Accept-Encoding: br").status == 200)
        // A line is written when everything of its request was given back.
        try martlet.lines(with: "\"end\":", count: 41)
        let metrics = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://a/metrics"
        ).text
        #expect(metrics.contains("martlet_compression_coders 0"))
      }
    }
  }
}
