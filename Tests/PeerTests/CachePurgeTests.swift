import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What is kept, looked at and purged by commands.
  @Suite("Purging the cache", .timeLimit(.minutes(1 * slowness))) struct CachePurgeTests {
    private static let host = "Shop.example"

    /// A member that counts, and gives its answers tags.
    private func origin(_ rig: Rig, _ count: Guarded<Int>) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          if request.fields["if-none-match"] != nil {
            try wire.send(
              text: "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\n\r\n"
            )
            continue
          }
          let number = count.withLock { count in
            count += 1
            return count
          }
          try wire.send(
            text: "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"v\"\r\n"
              + "Surrogate-Key: all page-\(request.target.dropFirst())\r\nCache-Tag: one, two\r\n"
              + "Content-Length: \("\(number)".utf8.count)\r\n\r\n\(number)"
          )
        }
      }
    }

    @Test(
      "takes at once what is meant",
      arguments: [
        (["http://shop.example/a"], ["a"]), (["--prefix", "http://shop.example/a"], ["a", "ab"]),
        (["--pattern", "*/?b"], []), (["--pattern", "*b"], ["ab", "b"]),
        (["--tag", "page-b"], ["b"]), (["--tag", "two"], ["a", "ab", "b"]),
        (["--all"], ["a", "ab", "b"]), (["--all", "--cache", "main"], ["a", "ab", "b"]),
      ]
    )
    func purges(words: [String], gone: [String]) async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try origin(rig, count)
        let martlet = try CacheTests.start(rig, member.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        let targets = ["a", "ab", "b"]
        for target in targets { _ = try wire.ask("/\(target)", host: Self.host) }
        let command = [Rig.martletPath, "cache", "purge"] + words
        let outcome = try rig.outcome(of: command + ["--state-directory", rig.path("state")])
        #expect(outcome.status == 0, "\(outcome.lines)")
        let asked = targets.filter { target in
          let before = count.withLock { $0 }
          _ = try? wire.ask("/\(target)", host: Self.host)
          return count.withLock { $0 } > before
        }
        #expect(asked == gone)
      }
    }

    @Test("softly has answers validated, and nothing is asked for anew that still holds")
    func soft() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try origin(rig, count)
        let martlet = try CacheTests.start(rig, member.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/a", host: Self.host).text == "1")
        #expect(try rig.martlet(command: "cache", "purge", "--tag", "all", "--soft").status == 0)
        let validated = try wire.ask("/a", host: Self.host)
        #expect(validated.text == "1")
        #expect(validated.fields["cache-status"]?.contains("fwd-status=304") == true)
        #expect(count.withLock { $0 } == 1)
      }
    }

    @Test("warms what is named, listed, and in sitemaps, and says what has come of it")
    func warms() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            count.withLock { $0 += 1 }
            let body = "<sitemapindex><loc> \(rig.path("b.xml")) </loc></sitemapindex>"
            let answer =
              switch request.target {
              case "/none": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
              case "/map.xml":
                "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n"
                  + "\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\n\r\n"
              default: "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok"
              }
            try wire.send(text: answer)
          }
        }
        let martlet = try CacheTests.start(rig, member.endpoint)
        let list = (0..<50).map { "http://shop.example/\($0)" }.joined(separator: "\n")
        let file = try rig.write("# a comment\n\n\(list)\n", to: "urls.txt")
        try rig.write(
          "<urlset><url><loc>http://shop.example/map?a=1&amp;b</loc></url></urlset>",
          to: "b.xml"
        )
        let connect = ["--connect", martlet.endpoint.description]
        func warm(_ words: String...) throws -> (status: Int32, lines: [String]) {
          try rig.outcome(of: [Rig.martletPath, "cache", "warm"] + words + connect)
        }
        let first = try warm("--from", file, "http://shop.example/50", "--concurrency", "4")
        #expect(first.status == 0, "\(first.lines)")
        #expect(
          first.lines == ["51 URLs: 51 kept now, 0 were there before, 0 failed, 0 are not kept"]
        )
        #expect(count.withLock { $0 } == 51)
        let second = try warm("--from", file, "--json")
        #expect(second.status == 0 && second.lines.joined().contains("\"hits\": 50"))
        let map = try warm("--sitemap", "http://shop.example/map.xml")
        #expect(map.lines == ["1 URLs: 1 kept now, 0 were there before, 0 failed, 0 are not kept"])
        let wire = try Wire(to: martlet.endpoint)
        let answer = try wire.ask("/map?a=1&b", host: Self.host)
        #expect(answer.fields["cache-status"]?.contains("; hit") == true)
        let wrong = try warm("http://shop.example/none", "ftp://shop.example/")
        #expect(wrong.status == 1 && wrong.lines.contains { $0.contains("the answer is 404") })
        #expect(wrong.lines.contains { $0.contains("ftp://shop.example/: this is no URL") })
      }
    }

    @Test("shows what is kept, and says what is wrong with what it was asked")
    func shows() async throws {
      try await Rig.run { rig in
        let member = try origin(rig, Guarded(0))
        let martlet = try CacheTests.start(rig, member.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        for target in ["/a", "/a", "/a", "/b"] { _ = try wire.ask(target, host: Self.host) }
        let list = try rig.martlet(command: "cache", "list").lines
        #expect(list.contains { $0.contains("main") && $0.contains("2") })
        let top = try rig.martlet(command: "cache", "top", "--limit", "1").lines
        #expect(top.contains { $0.contains("http://shop.example/a") })
        #expect(!top.contains { $0.contains("http://shop.example/b") })
        let shown = try rig.martlet(command: "cache", "show", "http://SHOP.example/b").lines
        #expect(shown.contains { $0.contains("http://shop.example/b") && $0.contains("200") })
        let wrong = try rig.martlet(command: "cache", "list", "--json")
        #expect(wrong.status == 0 && wrong.lines.joined().contains("\"objects\": 2"))
        let none = try rig.martlet(command: "cache", "purge", "--all", "--cache", "mian")
        #expect(none.status == 1 && none.lines.joined().contains("did you mean `main`?"))
        #expect(try rig.martlet(command: "cache", "purge").status != 0)
      }
    }
  }
}
