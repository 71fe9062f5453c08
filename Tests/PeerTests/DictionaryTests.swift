import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Answers that are compressed against what the client has already.
  @Suite("Dictionaries", .timeLimit(.minutes(3 * slowness))) struct DictionaryTests {
    private func ask(
      _ wire: Wire,
      _ target: String,
      host: String = "127.0.0.1",
      _ fields: String...
    ) throws -> Answer {
      let lines = (["GET \(target) HTTP/1.1", "Host: \(host)"] + fields).joined(separator: "\r\n")
      try wire.send(text: lines + "\r\n\r\n")
      return try wire.receiveAnswer()
    }

    /// The field that names a dictionary.
    private func naming(_ dictionary: [UInt8], _ rig: Rig) throws -> String {
      let outcome = try rig.outcome(of: ["sha256sum", try rig.write(dictionary, to: "named.dict")])
      let digits = try #require(outcome.lines.first?.split(separator: " ").first)
      let bytes = stride(from: 0, to: 64, by: 2).map { place in
        UInt8(digits.dropFirst(place).prefix(2), radix: 16) ?? 0
      }
      return "Available-Dictionary: :\(Data(bytes).base64EncodedString()):"
    }

    /// What zstd(1) makes of a body and a dictionary.
    private func plain(_ body: [UInt8], _ dictionary: [UInt8], _ rig: Rig) throws -> [UInt8] {
      try rig.write(body, to: "coded.zst")
      try rig.write(dictionary, to: "coded.dict")
      let outcome = try rig.outcome(of: [
        "zstd", "-d", "-q", "-f", "-D", rig.path("coded.dict"), rig.path("coded.zst"), "-o",
        rig.path("plain"),
      ])
      try #require(outcome.status == 0, "\(outcome.lines)")
      return try rig.read("plain")
    }

    private func metrics(_ rig: Rig) throws -> String {
      try rig.curl("--unix-socket", rig.path("state/admin.sock"), "http://a/metrics").text
    }

    private let codings = "Accept-Encoding: gzip, br, zstd, dcb, dcz"

    @Test("a file is offered as one, and what browsers then ask for is compressed against it")
    func file() async throws {
      try await Rig.run { rig in
        let dictionary = Array(Coding.page(20_000).utf8)
        try rig.write(dictionary, to: "www/dict/pages.dict")
        let page = Coding.page(15_000) + "<p>new</p>"
        let member = try Coding.origin(rig) { _ in
          Coding.ok("Content-Type: text/html\r\nETag: \"a\"\r\n", page)
        }
        let martlet = try rig.martlet(
          configuration: """
            admin unix:admin.sock
            server {
                listen LISTEN
                compress {
                    dictionary \(rig.path("www/dict/pages.dict")) {
                        match /products/*
                        destinations document
                        id pages-1
                    }
                }
                route /dict/ { files \(rig.path("www")) }
                route / { proxy \(member.endpoint) }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        let offer = try ask(wire, "/dict/pages.dict")
        #expect(offer.body == dictionary)
        #expect(
          offer.fields["use-as-dictionary"]
            == "match=\"/products/*\", match-dest=(\"document\"), id=\"pages-1\""
        )
        let name = try naming(dictionary, rig)
        let answer = try ask(wire, "/products/1", codings, name, "Dictionary-ID: \"pages-1\"")
        #expect(answer.fields["content-encoding"] == "dcz")
        #expect(answer.fields["vary"] == "Accept-Encoding, Available-Dictionary")
        #expect(answer.fields["etag"] == "W/\"a\"" && answer.body.count < 300)
        #expect(try plain(answer.body, dictionary, rig) == Array(page.utf8))
        // Whoever has none, another one, or says nothing of codings gets what others do.
        let other = try ask(wire, "/products/1", codings)
        #expect(other.fields["content-encoding"] == "zstd")
        #expect(other.fields["vary"] == "Accept-Encoding, Available-Dictionary")
        let unknown = try ask(wire, "/products/1", codings, try naming([1, 2, 3], rig))
        #expect(unknown.fields["content-encoding"] == "zstd")
        let silent = try ask(wire, "/products/1", name)
        #expect(silent.fields["content-encoding"] == nil && silent.text == page)
        #expect(silent.fields["vary"] == "Accept-Encoding, Available-Dictionary")
        // Browsers have dictionaries where nobody reads along.
        let open = try ask(wire, "/products/1", host: "shop.example", codings, name)
        #expect(open.fields["content-encoding"] == "zstd")
        let foreign = try ask(
          wire,
          "/products/1",
          codings,
          name,
          "Sec-Fetch-Site: cross-site",
          "Sec-Fetch-Mode: no-cors"
        )
        #expect(foreign.fields["content-encoding"] == "zstd")
        let text = try metrics(rig)
        for (outcome, count) in [("used", 1), ("unknown", 1), ("insecure", 1), ("cross_site", 1)] {
          let line = "martlet_compression_dictionaries_total{outcome=\"\(outcome)\"} \(count)\n"
          #expect(text.contains(line), "\(outcome)")
        }
        #expect(text.contains("martlet_compression_taken_bytes_total{coding=\"dcz\"} 15010\n"))
      }
    }

    @Test("files and cached answers are compressed against one once")
    func kept() async throws {
      try await Rig.run { rig in
        let dictionary = Array(Coding.page(9000).utf8)
        let page = Coding.page(8000)
        try rig.write(dictionary, to: "site.dict")
        try rig.write(page, to: "www/a.html")
        let member = try Coding.origin(rig) { _ in
          Coding.ok("Content-Type: text/html\r\nCache-Control: max-age=60\r\n", page)
        }
        let martlet = try rig.martlet(
          configuration: """
            admin unix:admin.sock
            loops 1
            cache main { memory 32MB }
            server {
                listen LISTEN
                compress zstd gzip { dictionary \(rig.path("site.dict")) }
                route /kept {
                    proxy \(member.endpoint)
                    cache main
                }
                route / { files \(rig.path("www")) }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        let name = try naming(dictionary, rig)
        for target in ["/a.html", "/kept"] {
          for _ in 0..<3 {
            let answer = try ask(wire, target, codings, name)
            #expect(answer.fields["content-encoding"] == "dcz")
            #expect(try plain(answer.body, dictionary, rig) == Array(page.utf8))
          }
          let other = try ask(wire, target, codings)
          #expect(
            try Coding.plain(other.body, other.fields["content-encoding"]) == Array(page.utf8)
          )
        }
        let line = try #require(
          try metrics(rig).split(separator: "\n").first {
            $0.hasPrefix("martlet_compression_reused_total{coding=\"dcz\"}")
          }
        )
        // What comes into the cache is coded on its way, and is kept from the next answer on.
        #expect(line.split(separator: " ").last.flatMap { Int($0) } ?? 0 >= 2)
      }
    }

    private func versions(_ rig: Rig, _ remember: String) throws -> Peer {
      let old = Coding.page(300_000)
      let member = try Coding.origin(rig) { request in
        let isNew = request.target.hasSuffix("v2.js")
        let fields =
          switch request.target {
          case "/own.v1.js": "Cache-Control: private\r\n"
          case "/user.v1.js": "Set-Cookie: a=b\r\n"
          default: "ETag: \"\(request.target)\"\r\nCache-Control: max-age=9999\r\n"
          }
        return Coding.ok(
          "Content-Type: text/javascript\r\n\(fields)Use-As-Dictionary: match=\"/*js\"\r\n",
          isNew ? old.replacingOccurrences(of: "Number 17", with: "Count 18") : request.target + old
        )
      }
      return try rig.martlet(
        configuration: """
          admin unix:admin.sock
          server {
              listen LISTEN
              compress { \(remember) }
              route / { proxy \(member.endpoint) }
          }
          """
      )
    }

    /// Asks until an answer comes in a coding: what is learned of one is there a moment later.
    private func answer(
      _ wire: Wire,
      _ target: String,
      _ name: String,
      in coding: String
    ) throws -> Answer {
      let end = ContinuousClock.now + patience
      while true {
        let answer = try ask(wire, target, codings, name)
        if answer.fields["content-encoding"] == coding { return answer }
        try #require(ContinuousClock.now < end, "no answer in \(coding)")
      }
    }

    @Test("the next version of an answer is compressed against the one that the client has")
    func version() async throws {
      try await Rig.run { rig in
        let martlet = try versions(rig, "remember 2 memory 16MB")
        let wire = try Wire(to: martlet.endpoint)
        let first = try ask(wire, "/app.v1.js", codings)
        let old = try Coding.plain(first.body, first.fields["content-encoding"])
        let second = try ask(wire, "/app.v2.js", codings)
        let new = try Coding.plain(second.body, second.fields["content-encoding"])
        let name = try naming(old, rig)
        let answer = try answer(wire, "/app.v2.js", name, in: "dcz")
        #expect(
          try plain(answer.body, old, rig) == new && answer.body.count < second.body.count / 4
        )
        // Only for the origin that it is of.
        let other = try ask(wire, "/app.v2.js", host: "localhost", codings, name)
        #expect(other.fields["content-encoding"] == "zstd")
        // Two are kept: a third one takes the place of the one that was not used lately.
        for target in ["/b.v1.js", "/c.v1.js"] {
          let answer = try ask(wire, target, codings)
          let plain = try Coding.plain(answer.body, answer.fields["content-encoding"])
          _ = try self.answer(wire, "/app.v2.js", try naming(plain, rig), in: "dcz")
        }
        #expect(
          try ask(wire, "/app.v2.js", codings, name).fields["content-encoding"] == "zstd"
        )
      }
    }

    @Test("what is for one user alone, or too large, is not kept")
    func forgotten() async throws {
      try await Rig.run { rig in
        let martlet = try versions(rig, "remember 8 up_to 320KB")
        let wire = try Wire(to: martlet.endpoint)
        var names: [String] = []
        for target in ["/own.v1.js", "/user.v1.js"] {
          let answer = try ask(wire, target, codings)
          names.append(
            try naming(Coding.plain(answer.body, answer.fields["content-encoding"]), rig)
          )
        }
        let third = try ask(wire, "/d.v1.js", codings, "Cookie: a=b")
        names.append(
          try naming(Coding.plain(third.body, third.fields["content-encoding"]), rig)
        )
        // What comes behind them is known: so they would be too.
        let last = try ask(wire, "/e.v1.js", codings)
        let plain = try Coding.plain(last.body, last.fields["content-encoding"])
        _ = try answer(wire, "/app.v2.js", try naming(plain, rig), in: "dcz")
        for name in names {
          let answer = try ask(wire, "/app.v2.js", codings, name)
          #expect(answer.fields["content-encoding"] == "zstd")
        }
        #expect(
          try metrics(rig).contains(
            "martlet_compression_dictionaries_total{outcome=\"remembered\"} 2\n"
          )
        )
      }
    }

    @Test(
      "over TLS and HTTP/2 too, whatever the host is called",
      arguments: ["--http1.1", "--http2"]
    )
    func encrypted(version: String) async throws {
      try await Rig.run { rig in
        let files = try rig.certificate("shop", for: ["shop.example"])
        let dictionary = Array(Coding.page(20_000).utf8)
        try rig.write(dictionary, to: "site.dict")
        try rig.write(Coding.page(200_000), to: "www/a.html")
        let martlet = try rig.martlet(
          configuration: """
            server shop.example {
                listen LISTEN tls
                certificate \(files.certificate) \(files.key)
                compress { dictionary \(rig.path("site.dict")) }
                route / { files \(rig.path("www")) }
            }
            """
        )
        guard case .port(let port) = martlet.endpoint else { return }
        let got = try rig.curl(
          version,
          "--cacert",
          files.certificate,
          "--connect-to",
          "shop.example:443:127.0.0.1:\(port)",
          "-H",
          "Accept-Encoding: dcz",
          "-H",
          try naming(dictionary, rig),
          "-o",
          rig.path("got"),
          "-w",
          "%header{content-encoding} %header{vary}",
          "https://shop.example/a.html"
        )
        #expect(got.text == "dcz Accept-Encoding, Available-Dictionary")
        let body = try plain(try rig.read("got"), dictionary, rig)
        #expect(body == Array(Coding.page(200_000).utf8))
      }
    }
  }
}
