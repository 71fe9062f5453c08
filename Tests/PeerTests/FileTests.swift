import Foundation
import TestCorpora
import TestPeers
import Testing

extension PeerTests {
  /// Files that Martlet serves itself.
  @Suite("Files", .timeLimit(.minutes(5 * slowness))) struct FileTests {
    static let page = "<!doctype html><title>A page</title>\n"
    static let large: [UInt8] = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 3) }

    /// Writes the files of the tests, all of them an hour old.
    static func write(_ rig: Rig) throws {
      try rig.write(page, to: "www/index.html")
      try rig.write("body {}\n", to: "www/css/a.css")
      try rig.write("0123456789", to: "www/ten.txt")
      try rig.write([], to: "www/empty.txt")
      try rig.write(large, to: "www/large.bin")
      try rig.write(Array(large.prefix(100_000)), to: "www/middle.bin")
      try rig.write("secret", to: "outside.txt")
      try rig.write("secret", to: "www/.hidden")
      try rig.write("token", to: "www/.well-known/acme")
      try FileManager.default.createSymbolicLink(
        atPath: rig.path("www/out.txt"),
        withDestinationPath: "../outside.txt"
      )
      let names = FileManager.default.enumerator(atPath: rig.path("www"))
      while let name = names?.nextObject() as? String {
        guard name != "out.txt" else { continue }
        try FileManager.default.setAttributes(
          [.modificationDate: Date(timeIntervalSinceNow: -3600)],
          ofItemAtPath: rig.path("www/\(name)")
        )
      }
    }

    static func start(
      _ rig: Rig,
      _ files: String = "",
      route: String = "",
      listen: String = ""
    ) throws -> Peer {
      try write(rig)
      return try rig.martlet(
        configuration: """
          server {
              listen LISTEN \(listen)
              access_log stdout json
              error_page 404 "nothing here"
              route / {
                  files \(rig.path("www")) {
                      \(files)
                  }
                  \(route)
              }
          }
          """
      )
    }

    private func ask(
      _ wire: Wire,
      _ target: String,
      _ method: String = "GET",
      _ fields: String...
    ) throws -> Answer {
      let lines = (["\(method) \(target) HTTP/1.1", "Host: a"] + fields).joined(separator: "\r\n")
      try wire.send(text: lines + "\r\n\r\n")
      return try wire.receiveAnswer(isToHead: method == "HEAD")
    }

    @Test("are what they are, on one connection")
    func serves() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let page = try ask(wire, "/")
        #expect(page.status == 200 && page.text == Self.page)
        #expect(page.fields["content-type"] == "text/html; charset=utf-8")
        #expect(page.fields["accept-ranges"] == "bytes")
        #expect(page.fields["etag"]?.hasPrefix("\"") == true)
        #expect(page.fields["last-modified"]?.hasSuffix("GMT") == true)
        #expect(page.fields["date"]?.hasSuffix("GMT") == true)
        #expect(try ask(wire, "/css/a.css").fields["content-type"] == "text/css; charset=utf-8")
        #expect(try ask(wire, "/ten.txt").text == "0123456789")
        let empty = try ask(wire, "/empty.txt")
        #expect(empty.status == 200 && empty.body.isEmpty && empty.fields["content-length"] == "0")
        #expect(try ask(wire, "/large.bin").body == Self.large)
        #expect(try ask(wire, "/middle.bin").body == Array(Self.large.prefix(100_000)))
        let head = try ask(wire, "/large.bin", "HEAD")
        #expect(head.fields["content-length"] == "3000000" && head.body.isEmpty)
        #expect(try ask(wire, "/ten.txt?a=b").text == "0123456789")
        try martlet.line(with: "\"status\":200")
      }
    }

    @Test("that are asked for together are answered in order")
    func pipelined() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let targets = ["/ten.txt", "/large.bin", "/", "/none", "/middle.bin", "/ten.txt"]
        try wire.send(
          text: targets.map { "GET \($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
        )
        let answers = try targets.map { _ in try wire.receiveAnswer() }
        #expect(answers.map(\.status) == [200, 200, 200, 404, 200, 200])
        #expect(answers[1].body == Self.large && answers[5].text == "0123456789")
      }
    }

    @Test("are sent whole to clients that read slowly", arguments: ["/large.bin", "/middle.bin"])
    func slowClient(target: String) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint, receiveBuffer: 4096)
        try wire.send(text: "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = poll(nil, 0, 50)
        let answer = try wire.receiveAnswer()
        #expect(Self.large.starts(with: answer.body) && answer.ending == .complete)
        #expect(String(answer.body.count) == answer.fields["content-length"])
      }
    }

    @Test("are found at folders, and folders at their slash")
    func folders() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let moved = try ask(wire, "/css?x=1")
        #expect(moved.status == 301 && moved.fields["location"] == "/css/?x=1")
        #expect(try ask(wire, "//css").fields["location"] == "/css/")
        #expect(try ask(wire, "/css/").status == 404)
        #expect(try ask(wire, "/ten.txt/").status == 404)
      }
    }

    @Test(
      "that must not be had are not",
      arguments: [
        ("/.hidden", 404), ("/out.txt", 403), ("/none", 404), ("/none/none", 404),
        ("/.well-known/acme", 200), ("/css/%2e%2e%2foutside.txt", 400), ("/..%2foutside.txt", 400),
        ("/%252e%252e/outside.txt", 404), ("/%c0%ae%c0%ae/outside.txt", 404), ("/a%00", 400),
        ("/css%2fa.css", 404), ("/css/a.css%20", 404),
      ]
    )
    func refused(target: String, status: Int) async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let answer = try ask(try Wire(to: martlet.endpoint), target)
        #expect(answer.status == status)
        #expect(!answer.text.contains("secret"))
        if status == 404 { #expect(answer.text == "nothing here") }
      }
    }

    @Test("outside of the root no path of the corpus leads to")
    func traversal() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        for path in try Preface.all(in: .paths) where path.bytes.first == 0x2F {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(
            Array("GET ".utf8) + path.bytes
              + Array(" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".utf8)
          )
          let answer = try wire.receiveAnswer()
          #expect(answer.status >= 300 || path.outcome == "accepted", "\(path.name)")
          #expect(!answer.text.contains("root:") && !answer.text.contains("secret"), "\(path.name)")
        }
      }
    }

    @Test("depend on conditions as RFC 9110, section 13.2.2, says")
    func conditions() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let first = try ask(wire, "/ten.txt")
        let tag = try #require(first.fields["etag"])
        let date = try #require(first.fields["last-modified"])
        let same = try ask(wire, "/ten.txt", "GET", "If-None-Match: \(tag)")
        #expect(same.status == 304 && same.body.isEmpty)
        #expect(same.fields["etag"] == tag && same.fields["content-length"] == nil)
        #expect(try ask(wire, "/ten.txt", "HEAD", "If-None-Match: W/\(tag)").status == 304)
        #expect(try ask(wire, "/ten.txt", "GET", "If-Modified-Since: \(date)").status == 304)
        #expect(try ask(wire, "/ten.txt", "GET", "If-Match: \"x\"").status == 412)
        #expect(try ask(wire, "/ten.txt", "GET", "If-Match: \(tag)").status == 200)
        let old = "Sun, 06 Nov 1994 08:49:37 GMT"
        #expect(try ask(wire, "/ten.txt", "GET", "If-Unmodified-Since: \(old)").status == 412)
        #expect(try ask(wire, "/ten.txt", "GET", "If-Modified-Since: \(old)").status == 200)
        let both = try ask(
          wire,
          "/ten.txt",
          "GET",
          "If-None-Match: \"x\"",
          "If-Modified-Since: \(date)"
        )
        #expect(both.status == 200)
      }
    }

    @Test("come in parts, one or several")
    func ranges() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let part = try ask(wire, "/ten.txt", "GET", "Range: bytes=2-4")
        #expect(part.status == 206 && part.text == "234")
        #expect(part.fields["content-range"] == "bytes 2-4/10")
        let end = try ask(wire, "/large.bin", "GET", "Range: bytes=-1000000")
        #expect(end.body == Array(Self.large.suffix(1_000_000)))
        #expect(end.fields["content-range"] == "bytes 2000000-2999999/3000000")
        let none = try ask(wire, "/ten.txt", "GET", "Range: bytes=10-")
        #expect(none.status == 416 && none.fields["content-range"] == "bytes */10")
        #expect(try ask(wire, "/ten.txt", "GET", "Range: bytes=x").text == "0123456789")
        for target in ["/ten.txt", "/middle.bin"] {
          let several = try ask(wire, target, "GET", "Range: bytes=0-1,-2,5-5")
          #expect(several.status == 206)
          let type = try #require(several.fields["content-type"])
          let boundary = try #require(type.components(separatedBy: "boundary=").last)
          #expect(type.hasPrefix("multipart/byteranges; boundary="))
          let whole =
            target == "/ten.txt" ? Array("0123456789".utf8) : Array(Self.large.prefix(100_000))
          let body = text(several.body)
          let parts = body.components(separatedBy: "\r\n--\(boundary)")
          #expect(parts.count == 5 && parts[0].isEmpty && parts[4] == "--\r\n")
          let ranges = [0..<2, whole.count - 2..<whole.count, 5..<6]
          for (part, range) in zip(parts[1...], ranges) {
            let last = range.upperBound - 1
            #expect(
              part.contains("Content-Range: bytes \(range.lowerBound)-\(last)/\(whole.count)\r\n")
            )
            #expect(part.components(separatedBy: "\r\n\r\n").last == text(whole[range]))
          }
        }
        let tag = try #require(part.fields["etag"])
        let fresh = try ask(wire, "/ten.txt", "GET", "Range: bytes=2-4", "If-Range: \(tag)")
        #expect(fresh.status == 206)
        let stale = try ask(wire, "/ten.txt", "GET", "Range: bytes=2-4", "If-Range: \"x\"")
        #expect(stale.status == 200 && stale.text == "0123456789")
      }
    }

    @Test("come with the digest of all of it that a client wants most")
    func digests() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint)
        func sum(_ bits: Int, _ name: String) throws -> String {
          let outcome = try rig.outcome(of: ["sha\(bits)sum", rig.path("www/\(name)")])
          let digits = Array(outcome.lines.joined().prefix(bits / 4))
          let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0...$0 + 1]), radix: 16)
          }
          return "sha-\(bits)=:\(Data(bytes).base64EncodedString()):"
        }
        func digest(_ name: String, _ want: String, _ fields: String = "A: b") throws -> Answer {
          try ask(wire, "/\(name)", "GET", "Want-Repr-Digest: \(want)", fields)
        }
        for name in ["ten.txt", "empty.txt", "large.bin", "middle.bin"] {
          for _ in 0..<2 {
            let answer = try digest(name, "sha-256=3, sha-512=9, md5=10")
            #expect(answer.status == 200)
            #expect(try answer.fields["repr-digest"] == sum(512, name))
          }
          #expect(try digest(name, "sha-256=1").fields["repr-digest"] == sum(256, name))
        }
        let part = try digest("large.bin", "sha-256=1", "Range: bytes=0-9")
        #expect(part.status == 206 && part.body.count == 10)
        #expect(try part.fields["repr-digest"] == sum(256, "large.bin"))
        let head = try ask(wire, "/ten.txt", "HEAD", "Want-Repr-Digest: sha-512=1")
        #expect(try head.fields["repr-digest"] == sum(512, "ten.txt"))
        for want in ["sha-256=0", "md5=1", "sha-256=11", "sha-256", "sha-256=1,,", "sha-256=a"] {
          #expect(try digest("ten.txt", want).fields["repr-digest"] == nil, "\(want)")
        }
        #expect(try ask(wire, "/ten.txt").fields["repr-digest"] == nil)
      }
    }

    @Test("have methods, and say which")
    func methods() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let options = try ask(wire, "/ten.txt", "OPTIONS")
        #expect(options.status == 204 && options.fields["allow"] == "GET, HEAD, OPTIONS")
        for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
          let answer = try ask(wire, "/ten.txt", method, "Content-Length: 0")
          #expect(answer.status == 405 && answer.fields["allow"] == "GET, HEAD, OPTIONS")
        }
        try wire.send(text: "GET /ten.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        #expect(try wire.receiveAnswer().text == "0123456789")
        #expect(try ask(wire, "/ten.txt").text == "0123456789")
      }
    }

    @Test("are sent with the route's own fields, and to HTTP/1.0")
    func fields() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(
          rig,
          "cache_control *.txt max-age=60",
          route: """
            response header set X-Method {request.method}
            response header set ETag "\\"own\\""
            response header remove Last-Modified
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        let answer = try ask(wire, "/ten.txt")
        #expect(answer.fields["x-method"] == "GET")
        #expect(answer.fields["etag"] == "\"own\"" && answer.fields.count(of: "etag") == 1)
        #expect(answer.fields["last-modified"] == nil)
        #expect(answer.fields["cache-control"] == "max-age=60")
        let old = try Wire(to: martlet.endpoint)
        try old.send(text: "GET /ten.txt HTTP/1.0\r\n\r\n")
        let last = try old.receiveAnswer()
        #expect(last.text == "0123456789" && last.fields["connection"] == "close")
        #expect(try old.receiveRest().isEmpty)
      }
    }

    @Test("pass TLS and HTTP/2", arguments: ["--http1.1", "--http2"])
    func encrypted(version: String) async throws {
      try await Rig.run { rig in
        let files = try rig.certificate("shop", for: ["shop.example"])
        try Self.write(rig)
        let martlet = try rig.martlet(
          configuration: """
            server shop.example {
                listen LISTEN tls
                certificate \(files.certificate) \(files.key)
                route / { files \(rig.path("www")) }
            }
            """
        )
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        for (target, expected) in [
          ("ten.txt", Array("0123456789".utf8)), ("large.bin", Self.large),
          ("middle.bin", Array(Self.large.prefix(100_000))), ("empty.txt", []),
        ] {
          let outcome = try rig.outcome(
            of: [
              "curl", "--silent", "--show-error", version, "--cacert", files.certificate,
              "--resolve",
              "shop.example:\(port):127.0.0.1", "-o", rig.path("got"), "-w", "%{http_code}",
              "https://shop.example:\(port)/\(target)",
            ]
          )
          #expect(outcome.lines == ["200"])
          #expect(try rig.read("got") == expected, "\(target)")
        }
        let part = try rig.outcome(
          of: [
            "curl", "--silent", version, "--cacert", files.certificate, "--resolve",
            "shop.example:\(port):127.0.0.1", "-r", "1000000-1999999", "-o", rig.path("got"),
            "https://shop.example:\(port)/large.bin",
          ]
        )
        #expect(part.status == 0)
        #expect(try rig.read("got") == Array(Self.large[1_000_000..<2_000_000]))
      }
    }

    @Test("can be had as curl resumes them")
    func resumed() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        try rig.write(Array(Self.large.prefix(1_234_567)), to: "got")
        let result = try rig.curl(
          "-C",
          "-",
          "-o",
          rig.path("got"),
          martlet.endpoint.url("/large.bin")
        )
        #expect(result.status == 0)
        #expect(try rig.read("got") == Self.large)
      }
    }

    @Test("are seen anew within the time for which they are believed, and counted")
    func changes() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, "open_files 10 valid 50ms")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "/ten.txt").text == "0123456789")
        try rig.write("another", to: "www/ten.txt.new")
        let isExchanged = unsafe rename(rig.path("www/ten.txt.new"), rig.path("www/ten.txt")) == 0
        #expect(isExchanged)
        let deadline = ContinuousClock.now + patience
        while try ask(wire, "/ten.txt").text != "another" {
          guard ContinuousClock.now < deadline else { throw PeerError("the old file is served") }
        }
        #expect(try ask(wire, "/ten.txt").fields["etag"]?.hasPrefix("W/") == true)
      }
    }

    @Test("that become shorter while they are sent break off")
    func shortened() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig)
        let wire = try Wire(to: martlet.endpoint, receiveBuffer: 4096)
        try rig.write([UInt8](repeating: 1, count: 50_000_000), to: "www/huge.bin")
        try wire.send(text: "GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try wire.receive(through: "\r\n\r\n")
        let isCut = unsafe truncate(rig.path("www/huge.bin"), 10) == 0
        #expect(isCut)
        let rest = try wire.receiveRest()
        #expect(rest.count < 50_000_000)
        try martlet.line(with: "\"end\":\"file_failed\"")
      }
    }

    @Test("of folders are shown as pages and as JSON")
    func listings() async throws {
      try await Rig.run { rig in
        let martlet = try Self.start(rig, "listing on\nindex off")
        let wire = try Wire(to: martlet.endpoint)
        let page = try ask(wire, "/")
        #expect(page.status == 200)
        #expect(page.fields["content-type"] == "text/html; charset=utf-8")
        #expect(page.fields["content-security-policy"]?.contains("default-src 'none'") == true)
        #expect(page.text.contains("href=\"./css/\""))
        #expect(!page.text.contains(".hidden") && !page.text.contains("out.txt"))
        let json = try ask(wire, "/", "GET", "Accept: application/json")
        #expect(json.fields["content-type"] == "application/json")
        #expect(json.text.contains("\"name\": \"ten.txt\""))
        let sorted = try ask(wire, "/?sort=size&order=desc&format=json")
        #expect(sorted.text.contains("ten.txt"))
        let head = try ask(wire, "/", "HEAD")
        #expect(head.status == 200 && head.body.isEmpty)
      }
    }

    @Test("may be compressed beforehand")
    func precompressed() async throws {
      try await Rig.run { rig in
        try rig.write("not really brotli", to: "www/index.html.br")
        let martlet = try Self.start(rig, "precompressed br gzip")
        let wire = try Wire(to: martlet.endpoint)
        let coded = try ask(wire, "/", "GET", "Accept-Encoding: gzip, br")
        #expect(coded.text == "not really brotli" && coded.fields["content-encoding"] == "br")
        #expect(coded.fields["vary"] == "Accept-Encoding")
        #expect(coded.fields["content-type"] == "text/html; charset=utf-8")
        let plain = try ask(wire, "/")
        #expect(plain.text == Self.page && plain.fields["content-encoding"] == nil)
        #expect(plain.fields["vary"] == "Accept-Encoding")
        #expect(plain.fields["etag"] != coded.fields["etag"])
        let part = try ask(wire, "/", "GET", "Accept-Encoding: br", "Range: bytes=0-2")
        #expect(part.text == "not" && part.fields["content-encoding"] == "br")
      }
    }

    @Test("are tried in turn, and stripped of a prefix")
    func candidates() async throws {
      try await Rig.run { rig in
        try Self.write(rig)
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN
                route /app/ {
                    strip_prefix /app
                    files \(rig.path("www")) { try {path} {path}.txt /index.html }
                }
                route / { files \(rig.path("www")) { try {path} =410 } }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "/app/ten.txt").text == "0123456789")
        #expect(try ask(wire, "/app/ten").text == "0123456789")
        #expect(try ask(wire, "/app/anything").text == Self.page)
        #expect(try ask(wire, "/app/").text == Self.page)
        #expect(try ask(wire, "/none").status == 410)
      }
    }

    @Test("are served without a configuration")
    func serve() async throws {
      try await Rig.run { rig in
        try Self.write(rig)
        let endpoint = try rig.freePort()
        let martlet = try rig.start(
          [
            Rig.martletPath, "serve", rig.path("www"), "--listen", endpoint.description,
            "--state-directory", rig.path("state"),
          ],
          at: endpoint
        )
        try martlet.line(with: "listens on")
        let wire = try Wire(to: endpoint)
        #expect(try ask(wire, "/ten.txt").text == "0123456789")
        #expect(try ask(wire, "/css/").text.contains("a.css"))
        try rig.write("changed", to: "www/ten.txt")
        #expect(try ask(wire, "/ten.txt").text == "changed")
      }
    }

    @Test("leave nothing behind that was served without a configuration")
    func leavesNothing() async throws {
      try await Rig.run { rig in
        try Self.write(rig)
        let endpoint = try rig.freePort()
        let command = [
          Rig.martletPath, "serve", rig.path("www"), "--listen", endpoint.description,
        ]
        let martlet = try rig.start(command, at: endpoint)
        try martlet.line(with: "listens on")
        let suffix = endpoint.description.map { $0.isLetter || $0.isNumber ? $0 : "-" }
        let places = ["/run", "/tmp", ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"]]
        func left() throws -> [String] {
          try places.compactMap(\.self).flatMap {
            try FileManager.default.contentsOfDirectory(atPath: $0)
          }.filter { $0.hasSuffix("-serve-\(String(suffix))") }
        }
        #expect(try left().count == 1)
        // A second one is refused, and takes nothing from the first.
        #expect(try rig.outcome(of: command).status != 0)
        #expect(try left().count == 1)
        martlet.signal(SIGTERM)
        #expect(try martlet.status() == 0)
        #expect(try left() == [])
      }
    }
  }
}

/// One character for each byte.
private func text(_ bytes: some Sequence<UInt8>) -> String {
  var text = ""
  for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
  return text
}
