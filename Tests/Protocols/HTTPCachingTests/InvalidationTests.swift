import HTTPCaching
import HTTPMessage
import Testing

@Suite("Invalidation: RFC 9111, section 4.4")
struct InvalidationTests {
  @Test(
    "what may have changed something makes stored responses invalid",
    arguments: [
      (.post, 200, true), (.put, 201, true), (.delete, 204, true), (.patch, 302, true),
      (.other, 200, true), (.post, 400, false), (.delete, 500, false), (.get, 200, false),
      (.head, 200, false), (.options, 200, false), (.query, 200, false), (.trace, 200, false),
    ] as [(HTTPMessage.Method, UInt16, Bool)]
  )
  func due(method: HTTPMessage.Method, status: UInt16, isDue: Bool) {
    #expect(Invalidation.isDue(method, status: status) == isDue)
  }

  private func target(
    _ reference: String,
    from target: String = "/a/b?q",
    scheme: Invalidation.Scheme = .http
  ) -> String? {
    let request = Asked(method: "POST", target: target)
    let response = Answered(201, "Location: \(reference)")
    let targets = Invalidation.targets(
      of: response.head,
      in: response.bytes.span,
      to: request.head,
      in: request.bytes.span,
      scheme: scheme
    )
    return targets.first.map { text($0) }
  }

  @Test(
    "Location names another resource of the origin, in any form: RFC 3986, section 5.2",
    arguments: [
      ("/x", "/x"), ("/x?y#z", "/x?y"), ("x", "/a/x"), ("?r", "/a/b?r"), ("#f", "/a/b?q"),
      ("../x", "/x"), ("./x", "/a/x"), ("../../../x", "/x"), ("/x/./y/../z", "/x/z"),
      ("/x/..", "/"), ("/x/.", "/x/"), ("..", "/"), ("http://example.com/x", "/x"),
      ("HTTP://EXAMPLE.com:80/x", "/x"), ("//example.com/x", "/x"), ("http://example.com", "/"),
      ("http://example.com?y", "/?y"), ("//example.com:80", "/"), ("/x:y", "/x:y"),
      ("x/y?z=/../w", "/a/x/y?z=/../w"),
    ]
  )
  func sameOrigin(reference: String, expected: String) {
    #expect(target(reference) == expected)
  }

  @Test(
    "another origin's resources are not made invalid",
    arguments: [
      "http://example.org/x", "https://example.com/x", "http://example.com:81/x",
      "//example.org/x", "mailto:a", "http:/x", "http:x", "http://", "http://a@example.com/x",
      "/x y", "/\u{E9}", "//",
    ]
  )
  func otherOrigin(reference: String) {
    #expect(target(reference) == nil)
  }

  @Test("the scheme is that of the request")
  func schemes() {
    #expect(target("https://example.com:443/x", scheme: .https) == "/x")
    #expect(target("http://example.com/x", scheme: .https) == nil)
  }

  @Test("Content-Location counts too, and each once")
  func both() {
    let request = Asked(method: "PUT")
    func targets(_ fields: String...) -> [String] {
      let response = Answered(200, fields: fields)
      return Invalidation.targets(
        of: response.head,
        in: response.bytes.span,
        to: request.head,
        in: request.bytes.span,
        scheme: .http
      ).map { text($0) }
    }
    #expect(targets("Location: /x", "Content-Location: /y") == ["/x", "/y"])
    #expect(targets("Location: /x", "Content-Location: /x") == ["/x"])
    #expect(targets("A: b").isEmpty)
  }
}

@Suite("Cache-Status: RFC 9211")
struct CacheStatusTests {
  private func value(_ status: CacheStatus) -> String {
    let written = status.text(name: "martlet")
    var bytes: [UInt8] = []
    for index in written.bytes.indices { bytes.append(written.bytes[index]) }
    return text(bytes)
  }

  @Test("says what was done and why")
  func values() {
    #expect(value(CacheStatus(hitWithTimeToLive: 60)) == "martlet; hit; ttl=60")
    #expect(value(CacheStatus(hitWithTimeToLive: -412)) == "martlet; hit; ttl=-412")
    #expect(value(CacheStatus(hitWithTimeToLive: nil)) == "martlet; hit")
    #expect(value(CacheStatus(.uriMiss)) == "martlet; fwd=uri-miss")
    var status = CacheStatus(.stale)
    status.forwardStatus = 304
    status.timeToLive = 0
    status.isStored = true
    status.isCollapsed = true
    status.detail = "no-store"
    #expect(
      value(status)
        == "martlet; fwd=stale; fwd-status=304; ttl=0; stored; collapsed; detail=no-store"
    )
    // A hit was not forwarded, whatever is set.
    var hit = status
    hit.forward = nil
    #expect(value(hit) == "martlet; hit; ttl=0; detail=no-store")
  }

  @Test("the longest value has room")
  func longest() {
    for forward in CacheStatus.Forward.allCases {
      var status = CacheStatus(forward)
      status.forwardStatus = .max
      status.timeToLive = .min
      status.isStored = true
      status.isCollapsed = true
      status.detail = "a-word-that-is-longer-than-any-of-ours-is"
      #expect(value(status).hasSuffix("detail=a-word-that-is-longer-than-any-o"))
      #expect(value(status).contains("fwd=\(forward.token)"))
    }
  }
}
