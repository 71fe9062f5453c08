import HTTPCaching
import HTTPMessage
import Testing

@Suite("Whether a stored response is sent: RFC 9111, sections 4 and 5.2.1")
struct ReuseTests {
  private let policy = CachePolicy()

  /// What is decided about a response with this Cache-Control some seconds later.
  private func reuse(
    _ value: String,
    _ asked: String = "A: b",
    after seconds: Double,
    hasTag: Bool = true,
    by policy: CachePolicy = CachePolicy()
  ) -> Reuse? {
    let fields = ["Cache-Control: \(value)"] + (hasTag ? ["ETag: \"a\""] : [])
    let request = Asked(asked)
    return Answered(200, fields: fields).terms(for: request, by: policy)?
      .reuse(for: request.cached(by: policy), at: later(seconds))
  }

  @Test(
    "a fresh response is sent, and a stale one validated: 4",
    arguments: [
      ("max-age=60", 10, .fresh), ("max-age=60", 60, .validate(.stale)),
      ("max-age=60, immutable", 10, .fresh), ("max-age=60, immutable", 61, .validate(.stale)),
      ("max-age=60, must-revalidate", 10, .fresh), ("no-cache, max-age=60", 10, .validate(.stale)),
      ("max-age=60, must-revalidate", 61, .validate(.stale)), ("no-cache", 0, .validate(.stale)),
      ("max-age=0", 0, .validate(.stale)), ("no-cache=\"a\", max-age=60", 10, .fresh),
      ("max-age=60, stale-while-revalidate=30", 89, .staleWhileRevalidating),
      ("max-age=60, stale-while-revalidate=30", 90, .validate(.stale)),
      ("max-age=60, stale-while-revalidate=30, must-revalidate", 61, .validate(.stale)),
      ("max-age=60, stale-while-revalidate=30, proxy-revalidate", 61, .validate(.stale)),
      ("s-maxage=60, stale-while-revalidate=30", 61, .staleWhileRevalidating),
      ("max-age=60, stale-if-error=30", 61, .validate(.stale)),
    ] as [(String, Double, Reuse)]
  )
  func plain(value: String, seconds: Double, expected: Reuse) {
    #expect(reuse(value, after: seconds) == expected)
  }

  @Test(
    "what a client asks for counts: 5.2.1",
    arguments: [
      ("max-age=60", "no-cache", 10, .validate(.request)),
      ("max-age=60", "max-age=0", 0, .validate(.request)),
      ("max-age=60", "max-age=9", 10, .validate(.request)),
      ("max-age=60", "max-age=10", 10, .fresh),
      ("max-age=60", "max-age=x", 10, .validate(.request)),
      ("max-age=60", "min-fresh=50", 10, .fresh),
      ("max-age=60", "min-fresh=51", 10, .validate(.request)),
      ("max-age=60", "max-stale=10", 70, .stale),
      ("max-age=60", "max-stale=10", 71, .validate(.stale)),
      ("max-age=60", "max-stale", 86_400, .stale),
      ("max-age=60, must-revalidate", "max-stale", 61, .validate(.stale)),
      ("max-age=60, proxy-revalidate", "max-stale", 61, .validate(.stale)),
      ("s-maxage=60", "max-stale", 61, .validate(.stale)),
      ("no-cache, max-age=60", "max-stale", 10, .validate(.stale)),
      ("max-age=60", "max-stale, max-age=30", 61, .validate(.stale)),
      ("max-age=60", "only-if-cached", 10, .fresh), ("max-age=60", "only-if-cached", 61, .timeout),
      ("max-age=60", "only-if-cached, max-stale", 61, .stale),
      ("max-age=60", "only-if-cached, no-cache", 10, .timeout),
      ("max-age=60, stale-while-revalidate=30", "max-age=30", 61, .validate(.stale)),
      ("max-age=60, stale-while-revalidate=30", "min-fresh=1", 61, .validate(.stale)),
    ] as [(String, String, Double, Reuse)]
  )
  func asked(value: String, directives: String, seconds: Double, expected: Reuse) {
    #expect(reuse(value, "Cache-Control: \(directives)", after: seconds) == expected)
  }

  @Test("an operator can leave clients without a say")
  func ignored() {
    var policy = CachePolicy()
    policy.client = .ignored
    #expect(reuse("max-age=60", "Cache-Control: no-cache", after: 10, by: policy) == .fresh)
    #expect(
      reuse("max-age=60", "Cache-Control: max-stale", after: 61, by: policy) == .validate(.stale)
    )
  }

  @Test("what has nothing to be validated with is asked for again: 4.3.1")
  func withoutValidator() {
    #expect(reuse("max-age=60", after: 61, hasTag: false) == .fetch(.stale))
    #expect(
      reuse("max-age=60", "Cache-Control: no-cache", after: 1, hasTag: false) == .fetch(.request)
    )
  }

  @Test(
    "a stale response covers the origin's failure where it is allowed to: 4.2.4, RFC 5861",
    arguments: [
      ("max-age=60, stale-if-error=30", "A: b", 89, true),
      ("max-age=60, stale-if-error=30", "A: b", 90, false),
      ("max-age=60", "A: b", 61, false), ("max-age=60", "A: b", 59, true),
      ("max-age=60", "Cache-Control: stale-if-error=9", 61, true),
      ("s-maxage=60", "Cache-Control: stale-if-error=9", 61, false),
      ("s-maxage=60, stale-if-error=9", "A: b", 61, true),
      ("max-age=60, stale-if-error=30, must-revalidate", "A: b", 61, false),
      ("max-age=60, stale-if-error=30, proxy-revalidate", "A: b", 61, false),
      ("no-cache, stale-if-error=30", "A: b", 1, false),
      ("max-age=60, stale-if-error=30", "Cache-Control: no-cache", 61, false),
    ]
  )
  func covers(value: String, asked: String, seconds: Double, expected: Bool) throws {
    let terms = try #require(
      Answered(200, "Cache-Control: \(value)", "ETag: \"a\"").terms()
    )
    let request = Asked(asked).cached()
    for failure in [
      OriginFailure.unreachable, .status(500), .status(502), .status(503), .status(504),
    ] {
      #expect(terms.mayCover(failure, for: request, at: later(seconds)) == expected)
    }
    for status: UInt16 in [404, 403, 501, 505, 200] {
      #expect(!terms.mayCover(.status(status), for: request, at: later(seconds)))
    }
  }

  @Test("the operator's times for stale responses count where the response has none, and allows it")
  func defaults() {
    var policy = CachePolicy()
    policy.staleWhileRevalidate = 30
    #expect(reuse("max-age=60", after: 61, by: policy) == .staleWhileRevalidating)
    #expect(
      reuse("max-age=60, stale-while-revalidate=0", after: 61, by: policy) == .validate(.stale)
    )
    #expect(reuse("s-maxage=60", after: 61, by: policy) == .validate(.stale))
    #expect(reuse("max-age=60, must-revalidate", after: 61, by: policy) == .validate(.stale))
  }

  @Test(
    "a soft purge makes stale at once, and what is allowed for stale responses counts from then"
  )
  func expired() throws {
    let value = "Cache-Control: max-age=60, stale-while-revalidate=30"
    let terms = try #require(Answered(200, value, "ETag: \"a\"").terms())
    let purged = terms.expired(at: later(10))
    let request = Asked().cached()
    #expect(!purged.isFresh(at: later(10)) && purged.rules.contains(.isExpired))
    #expect(purged.reuse(for: request, at: later(39)) == .staleWhileRevalidating)
    #expect(purged.reuse(for: request, at: later(40)) == .validate(.stale))
    // What is stale already does not become younger.
    let old = terms.expired(at: later(200))
    #expect(old.timeToLive(at: later(200)) == -140)
  }

  @Test(
    "what is passed by is known from the request alone: 4, RFC 9211",
    arguments: [
      ("GET", "A: b", .lookUp), ("HEAD", "A: b", .lookUp), ("POST", "A: b", .pass(.method)),
      ("DELETE", "A: b", .pass(.method)), ("OPTIONS", "A: b", .pass(.method)),
      ("GET", "Cache-Control: no-store", .pass(.request)), ("PURGE", "A: b", .pass(.method)),
      ("GET", "Range: bytes=0-1", .lookUp), ("GET", "Authorization: a", .lookUp),
    ] as [(String, String, CacheRequest.Way)]
  )
  func ways(method: String, field: String, way: CacheRequest.Way) {
    #expect(Asked(field, method: method).cached().way(by: policy) == way)
  }

  @Test("a request that asks for another protocol is passed by")
  func upgrade() {
    let request = Asked("Connection: upgrade", "Upgrade: websocket")
    #expect(request.cached().way(by: policy) == .pass(.bypass))
  }

  @Test("a stored GET answers HEAD: RFC 9110, section 9.3.2")
  func head() throws {
    let terms = try #require(Answered(200, "Cache-Control: max-age=60").terms())
    let request = Asked(method: "HEAD").cached()
    #expect(terms.reuse(for: request, at: later(1)) == .fresh)
  }
}
