import Foundation
import TestPeers
import Testing

private func ok(_ fields: String, _ body: String) -> String { Origin.ok(fields, body) }

extension PeerTests {
  /// Answers that are kept, and sent again.
  @Suite("The cache", .timeLimit(.minutes(2 * slowness))) struct CacheTests {
    static func start(
      _ rig: Rig,
      _ member: Endpoint,
      _ rules: String = "",
      store: String = "",
      route: String = ""
    ) throws -> Peer {
      try rig.martlet(
        outside: "cache main {\nmemory 32MB\n\(store)\n}",
        route: "proxy \(member)\ncache main {\n\(rules)\n}\n\(route)"
      )
    }

    @Test("answers from what it has: one request reaches the member, and age and status are told")
    func hits() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, count in
          ok("Cache-Control: max-age=60\r\nETag: \"v\"\r\nX-Count: \(count)\r\n", request.target)
        }
        let martlet = try Self.start(rig, origin.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        let first = try wire.ask("/a")
        #expect(first.status == 200 && first.text == "/a")
        #expect(first.fields["cache-status"]?.hasPrefix("martlet; fwd=uri-miss") == true)
        for _ in 0..<3 {
          let again = try wire.ask("/a")
          #expect(again.status == 200 && again.text == "/a")
          #expect(again.fields["x-count"] == "0" && again.fields["age"] != nil)
          #expect(again.fields["content-length"] == "2")
          #expect(again.fields["cache-status"]?.hasPrefix("martlet; hit; ttl=") == true)
        }
        // The query belongs to the key, and so does the host.
        #expect(try wire.ask("/a?b").text == "/a?b")
        #expect(origin.count == 2)
        try wire.send(text: "GET /a HTTP/1.1\r\nHost: b\r\n\r\n")
        #expect(try wire.receiveAnswer().fields["x-count"] == "2")
        try martlet.line(with: "\"cache\":\"miss\"")
        try martlet.line(with: "\"cache\":\"hit\"")
      }
    }

    @Test("tells answers apart by what the route says, and asks for them without the rest")
    func keys() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, _ in
          ok("Cache-Control: max-age=60\r\n", request.target)
        }
        let martlet = try Self.start(
          rig,
          origin.endpoint,
          "key query except utm_*\nkey header X-Tenant\nkey cookie lang"
        )
        let wire = try Wire(to: martlet.endpoint)
        for target in ["/a?utm_source=x&b=1", "/a?b=1&utm_medium=y", "/a?b=1"] {
          #expect(try wire.ask(target).text == "/a?b=1")
        }
        #expect(origin.count == 1)
        #expect(try wire.ask("/a?utm_source=x").text == "/a")
        #expect(try wire.ask("/a").text == "/a")
        #expect(origin.count == 2)
        for _ in 0..<2 {
          _ = try wire.ask("/a", "GET", "X-Tenant: one")
          _ = try wire.ask("/a", "GET", "X-Tenant: two", "Cookie: a=b; lang=de")
          _ = try wire.ask("/a", "GET", "Cookie: lang=de; a=c", "X-Tenant: two")
        }
        #expect(origin.count == 4)
        // A purge is about the URL.
        #expect(try rig.martlet(command: "cache", "purge", "http://a/a").status == 0)
        _ = try wire.ask("/a", "GET", "X-Tenant: one")
        #expect(try wire.ask("/a?b=1").text == "/a?b=1")
        #expect(origin.count == 5)
      }
    }

    @Test("sends HEAD, parts and 304 of what it has")
    func parts() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { _, _ in
          ok("Cache-Control: max-age=60\r\nETag: \"v\"\r\nContent-Type: a/b\r\n", "0123456789")
        }
        let martlet = try Self.start(rig, origin.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        // What fills may be any of them.
        let head = try wire.ask("/a", "HEAD")
        #expect(head.status == 200 && head.fields["content-length"] == "10")
        let part = try wire.ask("/a", "GET", "Range: bytes=2-4")
        #expect(part.status == 206 && part.text == "234")
        #expect(part.fields["content-range"] == "bytes 2-4/10")
        #expect(part.fields["content-length"] == "3" && part.fields["content-type"] == "a/b")
        #expect(try wire.ask("/a", "GET", "Range: bytes=-3").text == "789")
        let beyond = try wire.ask("/a", "GET", "Range: bytes=10-")
        #expect(beyond.status == 416 && beyond.fields["content-range"] == "bytes */10")
        let same = try wire.ask("/a", "GET", "If-None-Match: \"v\"")
        #expect(same.status == 304 && same.fields["etag"] == "\"v\"")
        #expect(same.fields["content-type"] == nil && same.body.isEmpty)
        #expect(try wire.ask("/a", "GET", "If-None-Match: \"w\"").text == "0123456789")
        #expect(origin.count == 1)
        #expect(origin.seen.allSatisfy { $0.method == "GET" && $0.fields["range"] == nil })
      }
    }

    @Test("keeps one answer for each kind of requests that Vary tells apart")
    func varies() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, _ in
          ok(
            "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n",
            request.fields["accept-language"] ?? "none"
          )
        }
        let martlet = try Self.start(rig, origin.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<2 {
          for language in ["de", "en", "fr"] {
            #expect(try wire.ask("/a", "GET", "Accept-Language: \(language)").text == language)
          }
          #expect(try wire.ask("/a").text == "none")
        }
        #expect(origin.count == 4)
      }
    }

    @Test("asks whether what is stale still holds, and takes over what a 304 says")
    func validates() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, count in
          if request.fields["if-none-match"] == "\"v\"" {
            return "HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\nX-Count: \(count)\r\n"
              + "Cache-Control: max-age=\(count > 1 ? 60 : 0)\r\n\r\n"
          }
          return ok("Cache-Control: max-age=0\r\nETag: \"v\"\r\nX-Count: \(count)\r\n", "kept")
        }
        let martlet = try Self.start(rig, origin.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        for count in 0..<3 {
          let answer = try wire.ask("/a")
          #expect(answer.status == 200 && answer.text == "kept")
          #expect(answer.fields["x-count"] == "\(count)")
          if count > 0 {
            #expect(answer.fields["cache-status"]?.contains("fwd=stale; fwd-status=304") == true)
          }
        }
        #expect(try wire.ask("/a").fields["x-count"] == "2")
        #expect(origin.count == 3)
        // A client that has it is told that it still does.
        #expect(try wire.ask("/a", "GET", "If-None-Match: \"v\"").status == 304)
        // One that wants to know asks the member, too.
        let asked = try wire.ask("/a", "GET", "Cache-Control: no-cache")
        #expect(asked.text == "kept" && origin.count == 4)
      }
    }

    @Test("sends what is stale at once while it asks for it, once, where that is allowed")
    func staleWhileRevalidate() async throws {
      try await Rig.run { rig in
        let (asked, gate) = (Gate(), Gate())
        let origin = try Origin(rig) { _, count in
          if count > 0 {
            asked.open()
            try gate.pass()
          }
          return ok(
            "Cache-Control: max-age=\(count > 0 ? 60 : 0), stale-while-revalidate=60\r\n",
            "\(count)"
          )
        }
        let martlet = try Self.start(rig, origin.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/a").text == "0")
        for _ in 0..<5 { #expect(try wire.ask("/a").text == "0") }
        try asked.pass()
        gate.open()
        #expect(origin.count == 2)
        while try wire.ask("/a").text == "0" {}
        #expect(try wire.ask("/a").text == "1" && origin.count == 2)
        try martlet.line(with: "\"cache\":\"stale\"")
      }
    }

    @Test(
      "sends what is stale where the member fails and that is allowed",
      arguments: ["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", ""],
      ["ETag: \"v\"\r\n", ""]
    )
    func staleIfError(failure: String, validator: String) async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { _, count in
          if count > 0, failure.isEmpty { throw Wire.Failure.ended }
          return count > 0 ? failure : ok("Cache-Control: max-age=0\r\n\(validator)", "old")
        }
        let martlet = try Self.start(rig, origin.endpoint, "stale_if_error 60s")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/a").text == "old")
        let covered = try wire.ask("/a")
        #expect(covered.status == 200 && covered.text == "old")
        #expect(origin.count > 1)
        // Not where the client does not want it.
        #expect(try wire.ask("/a", "GET", "Cache-Control: no-cache").status >= 500)
      }
    }

    @Test("hands on what may not be kept, each request by itself")
    func passes() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, count in
          let cookie = request.target == "/cookie" ? "Set-Cookie: a=\(count)\r\n" : ""
          let control = request.target == "/cookie" ? "max-age=60" : "no-store"
          return ok("Cache-Control: \(control)\r\n\(cookie)", "\(count)")
        }
        let martlet = try Self.start(rig, origin.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        for count in 0..<3 { #expect(try wire.ask("/a").text == "\(count)") }
        for count in 3..<6 {
          let answer = try wire.ask("/cookie")
          #expect(answer.text == "\(count)" && answer.fields["set-cookie"] == "a=\(count)")
        }
        // A part is the member's to send.
        #expect(try wire.ask("/a", "GET", "Range: bytes=0-0").text == "6")
        #expect(origin.seen.last?.fields["range"] == "bytes=0-0")
        let post = try wire.ask("/b", "POST", "Content-Length: 0")
        #expect(post.fields["cache-status"] == "martlet; fwd=method")
        try martlet.line(with: "\"cache\":\"pass\"")
        try martlet.line(with: "\"cache\":\"bypass\"")
      }
    }

    @Test("makes one request of many that come together, and all get its answer as it comes")
    func collapses() async throws {
      try await Rig.run { rig in
        let (begun, middle) = (Gate(), Gate())
        let count = Guarded(0)
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            count.withLock { $0 += 1 }
            try begun.pass()
            try wire.send(
              text:
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n01234"
            )
            try middle.pass()
            try wire.send(text: "56789")
          }
        }
        let martlet = try Self.start(rig, member.endpoint)
        let wires = try (0..<100).map { _ in try Wire(to: martlet.endpoint) }
        for wire in wires { try wire.send(text: "GET /a HTTP/1.1\r\nHost: a\r\n\r\n") }
        begun.open()
        // The first half reaches everyone before the second has left the member.
        for wire in wires {
          let head = String(decoding: try wire.receive(through: "\r\n\r\n"), as: UTF8.self)
          #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
          #expect(try wire.receive(exactly: 5) == Array("01234".utf8))
        }
        middle.open()
        for wire in wires { #expect(try wire.receive(exactly: 5) == Array("56789".utf8)) }
        #expect(count.withLock { $0 } == 1)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/a").text == "0123456789")
        #expect(count.withLock { $0 } == 1)
        try martlet.line(with: "\"cache\":\"collapsed\"")
      }
    }

    @Test(
      "receives at the speed of the member, however slow who asked first reads, and if it leaves"
    )
    func slowLeader() async throws {
      try await Rig.run { rig in
        let body = String(repeating: "0123456789abcdef", count: 100_000)
        let origin = try Origin(rig) { _, _ in ok("Cache-Control: max-age=60\r\n", body) }
        let martlet = try Self.start(rig, origin.endpoint)
        var slow: Wire? = try Wire(to: martlet.endpoint, receiveBuffer: 4096)
        try slow?.send(text: "GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try slow?.receive(exactly: 100)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/a").text == body)
        slow = nil
        #expect(try wire.ask("/a").text == body)
        #expect(origin.count == 1)
      }
    }

    @Test("keeps answers again as soon as one could be kept, whatever came before")
    func keepsAgain() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { _, count in
          ok("Cache-Control: \(count < 2 ? "no-store" : "max-age=60")\r\n", "\(count)")
        }
        let martlet = try Self.start(rig, origin.endpoint, "pass_time 1h")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try (0..<6).map { _ in try wire.ask("/a").text } == ["0", "1", "2", "3", "3", "3"])
        try martlet.line(with: "\"cache\":\"pass\"")
      }
    }

    @Test("passes the lead on when the answer fails that all wait for")
    func leadIsPassedOn() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let count = Guarded(0)
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            let number = count.withLock { number in
              number += 1
              return number
            }
            if number == 1 {
              try gate.pass()
              return
            }
            try wire.send(text: ok("Cache-Control: max-age=60\r\n", "good"))
          }
        }
        let martlet = try Self.start(rig, member.endpoint, route: "tries 1")
        let wires = try (0..<10).map { _ in try Wire(to: martlet.endpoint) }
        for wire in wires { try wire.send(text: "GET /a HTTP/1.1\r\nHost: a\r\n\r\n") }
        gate.open()
        let answers = try wires.map { try $0.receiveAnswer() }
        #expect(answers.count { $0.status == 200 && $0.text == "good" } >= 9)
        #expect(count.withLock { $0 } == 2)
      }
    }

    @Test("does not take a part for the whole: what breaks off breaks off for all, and is not kept")
    func breaksOff() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          let number = count.withLock { number in
            number += 1
            return number
          }
          let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n"
          try wire.send(text: head + (number == 1 ? "01234" : "0123456789"))
        }
        let martlet = try Self.start(rig, member.endpoint)
        #expect(try Wire(to: martlet.endpoint).ask("/a").ending != .complete)
        let whole = try Wire(to: martlet.endpoint).ask("/a")
        #expect(whole.text == "0123456789" && whole.ending == .complete)
        #expect(count.withLock { $0 } == 2)
      }
    }

    @Test("sends whole what is too large to be kept, whether that is known before or not")
    func tooLarge() async throws {
      try await Rig.run { rig in
        let body = String(repeating: "x", count: 700_000)
        let origin = try Origin(rig) { request, _ in
          guard request.target == "/chunks" else {
            return ok("Cache-Control: max-age=60\r\n", body)
          }
          let chunk = String(body.utf8.count, radix: 16) + "\r\n" + body + "\r\n"
          return
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk + chunk + "0\r\n\r\n"
        }
        let martlet = try Self.start(rig, origin.endpoint, store: "object_limit 600KB")
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<2 {
          #expect(try wire.ask("/length").body.count == 700_000)
          #expect(try wire.ask("/chunks").body.count == 1_400_000)
        }
        #expect(origin.count == 4)
      }
    }

    @Test("keeps answers in chunks as a whole, whatever the version of the client")
    func chunks() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { _, _ in
          "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"
        }
        let martlet = try Self.start(rig, origin.endpoint)
        let old = try Wire(to: martlet.endpoint)
        try old.send(text: "GET /b HTTP/1.0\r\nHost: a\r\n\r\n")
        #expect(try old.receiveAnswer().text == "0123456789")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/a").text == "0123456789")
        let kept = try wire.ask("/a")
        #expect(kept.text == "0123456789" && kept.fields["content-length"] == "10")
        #expect(kept.fields["transfer-encoding"] == nil)
        #expect(origin.count == 2)
      }
    }

    @Test("forgets what a request has changed, and what its answer names besides")
    func invalidates() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, count in
          if request.method == "POST" {
            return "HTTP/1.1 201 Created\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n"
          }
          return ok("Cache-Control: max-age=60\r\n", "\(count)")
        }
        let martlet = try Self.start(rig, origin.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.ask("/a").text == "0")
        #expect(try wire.ask("/new").text == "1")
        #expect(try wire.ask("/other").text == "2")
        #expect(try wire.ask("/a", "POST", "Content-Length: 0").status == 201)
        #expect(try wire.ask("/a").text == "4")
        #expect(try wire.ask("/new").text == "5")
        #expect(try wire.ask("/other").text == "2")
      }
    }

    @Test("keeps for a time what says nothing, where the configuration says so")
    func keeps() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { request, count in
          let status = request.target == "/none" ? "404 Not Found" : "200 OK"
          return "HTTP/1.1 \(status)\r\nContent-Length: 1\r\n\r\n\(count)"
        }
        let martlet = try Self.start(rig, origin.endpoint, "keep 404 60s")
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<3 {
          let answer = try wire.ask("/none")
          #expect(answer.status == 404 && answer.text == "0")
        }
        #expect(try wire.ask("/a").text == "1")
        #expect(try wire.ask("/a").text == "2")
        let only = try wire.ask("/b", "GET", "Cache-Control: only-if-cached")
        #expect(only.status == 504 && origin.count == 3)
      }
    }

    @Test("adds the fields of its route to each answer, and keeps none of them")
    func rules() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { _, _ in ok("Cache-Control: max-age=60\r\nX-In: 1\r\n", "a") }
        let martlet = try Self.start(
          rig,
          origin.endpoint,
          "cache_status off",
          route: """
            response header set X-Path {request.path}{request.query.n}
            response header remove X-In
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<3 {
          let answer = try wire.ask("/a", "GET", "X: 1")
          #expect(answer.fields["x-path"] == "/a" && answer.fields.count(of: "x-path") == 1)
          #expect(answer.fields["x-in"] == nil && answer.fields["cache-status"] == nil)
        }
        #expect(origin.count == 1)
      }
    }

    @Test("is told of by metrics and status, and goes on over a reload")
    func seeing() async throws {
      try await Rig.run { rig in
        let origin = try Origin(rig) { _, _ in ok("Cache-Control: max-age=60\r\n", "0123456789") }
        let martlet = try Self.start(rig, origin.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<3 { _ = try wire.ask("/a") }
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(try wire.ask("/a").text == "0123456789" && origin.count == 1)
        let figures = try rig.told("/metrics")
        #expect(figures.contains("martlet_cache_requests_total{cache=\"main\",outcome=\"hit\"} 3"))
        #expect(figures.contains("martlet_cache_requests_total{cache=\"main\",outcome=\"miss\"} 1"))
        #expect(figures.contains("martlet_cache_objects{cache=\"main\"} 1"))
        let status = try rig.told("/status")
        #expect(status.contains("\"caches\":[{\"name\":\"main\",\"objects\":1"))
      }
    }

    @Test("sends streams of HTTP/2 what it has")
    func http2() async throws {
      try await Rig.run { rig in
        let body = String(repeating: "0123456789", count: 30_000)
        let origin = try Origin(rig) { _, _ in ok("Cache-Control: max-age=60\r\n", body) }
        let martlet = try Self.start(rig, origin.endpoint)
        let client = try HTTP2Client(to: martlet.endpoint)
        for _ in 0..<3 {
          let stream = try client.open("GET /a HTTP/1.1\nHost: a")
          try client.finish(stream)
          #expect(client.bodies[stream] == Array(body.utf8))
        }
        #expect(origin.count == 1)
      }
    }
  }
}
