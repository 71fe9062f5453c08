import Foundation
import JSON
import TestPeers
import Testing

extension PeerTests {
  /// `martlet crawl` against servers that answer as tests want.
  @Suite("Crawling", .timeLimit(.minutes(5 * slowness))) struct CrawlCommandTests {
    /// A site with these pages; what it does not have is not found.
    private func site(_ rig: Rig, _ pages: [String: String]) throws -> Origin {
      try Origin(rig) { request, _ in
        guard let page = pages[request.target] else {
          return "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
        }
        return page.hasPrefix("HTTP/") ? page : Origin.ok("Content-Type: text/html\r\n", page)
      }
    }

    /// The pages that are listed, by their targets, and how it ended.
    private func crawl(
      _ rig: Rig,
      _ origins: [Origin],
      _ more: [String] = []
    ) throws -> (status: Int32, pages: [String: JSONValue], lines: [String]) {
      let urls = origins.map { $0.endpoint.url("/") }
      let command = [Rig.martletPath, "crawl", "--format", "json", "--delay", "0"] + more + urls
      let outcome = try rig.outcome(of: command)
      var pages: [String: JSONValue] = [:]
      for line in outcome.lines where line.hasPrefix("{") {
        let page = try JSONValue(parsing: Array(line.utf8))
        let url = try #require(page["url"]?.text)
        pages[String(url.dropFirst("http://".count).drop { $0 != "/" })] = page
      }
      return (outcome.status, pages, outcome.lines)
    }

    @Test("follows links as deep as it may, each page once, and tells title and status")
    func follows() async throws {
      try await Rig.run { rig in
        let site = try site(
          rig,
          [
            "/":
              "<title>Home &amp; more</title><a href=a>1</a><a href='/a#x'>2</a><a href=moved>3</a>",
            "/a": "<title>A</title><a href='/b?c=1'>b</a><a href=http://other.invalid/>o</a>",
            "/b?c=1": "<title>B</title><a href=/deep>d</a>",
            "/moved": "HTTP/1.1 301 Moved\r\nLocation: new\r\nContent-Length: 0\r\n\r\n",
            "/new":
              "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n<title>N \r\n8\r\n</title>\r\n0\r\n\r\n",
          ]
        )
        let (status, pages, lines) = try crawl(rig, [site])
        #expect(status == 0, "\(lines)")
        #expect(Set(pages.keys) == ["/", "/a", "/b?c=1", "/moved", "/new"])
        #expect(pages["/"]?["title"]?.text == "Home & more" && pages["/new"]?["title"]?.text == "N")
        #expect(pages["/moved"]?["status"]?.number == 301)
        #expect(pages["/b?c=1"]?["depth"]?.number == 2)
        let targets = site.seen.map(\.target)
        #expect(targets.first == "/robots.txt" && Set(targets).count == targets.count)
        let one = try crawl(rig, [site], ["--depth", "0"])
        #expect(Set(one.pages.keys) == ["/"])
        let two = try crawl(rig, [site], ["--limit", "2"])
        #expect(two.pages.count == 2)
      }
    }

    @Test("keeps to what a site forbids, and asks nothing of one whose rules it cannot have")
    func obeys() async throws {
      try await Rig.run { rig in
        let home = "<a href=/open/x>1</a><a href=/closed/x>2</a>"
        let site = try site(
          rig,
          [
            "/robots.txt": "User-agent: *\nDisallow: /\n\nUser-agent: Martlet\nDisallow: /closed\n",
            "/": home, "/open/x": "x", "/closed/x": "x",
          ]
        )
        let first = try crawl(rig, [site])
        #expect(Set(first.pages.keys) == ["/", "/open/x"])
        #expect(first.lines.contains { $0.contains("1 that robots.txt forbids") })
        #expect(!site.seen.contains { $0.target == "/closed/x" })
        let broken = try self.site(
          rig,
          ["/robots.txt": "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "/": home]
        )
        let second = try crawl(rig, [broken])
        #expect(second.status == 1 && second.pages.isEmpty)
        #expect(broken.seen.map(\.target) == ["/robots.txt"])
      }
    }

    @Test("goes on with other hosts when one breaks off, and writes a table")
    func tables() async throws {
      try await Rig.run { rig in
        // It ends each connection behind one answer.
        let bad = try rig.member { wire in
          guard let request = try wire.receiveRequest() else { return }
          try wire.send(
            text: request.target == "/robots.txt"
              ? "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
              : "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
          )
        }
        let good = try site(rig, ["/": "<title>=1+1, \"x\"</title>"])
        let outcome = try rig.outcome(
          of: [Rig.martletPath, "crawl", bad.endpoint.url("/"), good.endpoint.url("/")]
        )
        #expect(outcome.status == 0)
        #expect(outcome.lines.contains { $0.hasSuffix("the answer breaks off") })
        #expect(outcome.lines.first == "url,depth,status,bytes,milliseconds,title,location,problem")
        #expect(outcome.lines.contains { $0.contains("\"'=1+1, \"\"x\"\"\"") }, "\(outcome.lines)")
      }
    }
  }
}
