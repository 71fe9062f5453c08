import HTTPCaching
import HTTPMessage
import Testing

@Suite("What may be stored: RFC 9111, section 3")
struct StoringTests {
  @Test(
    "a response that says how long it is fresh is stored, whatever its final status: 3",
    arguments: [
      200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 599,
    ]
  )
  func statuses(status: Int) {
    #expect(Answered(status, "Cache-Control: max-age=60").terms()?.status == UInt16(status))
  }

  @Test(
    "what conditions, ranges or one connection came to is not stored: 3, 3.3",
    arguments: [206, 304, 407, 412, 416, 421, 425]
  )
  func ofOneRequest(status: Int) {
    guard case .refuse = Answered(status, "Cache-Control: max-age=60").storing() else {
      Issue.record("\(status) is stored")
      return
    }
  }

  @Test(
    "only some statuses are fresh for a time that nobody said: 4.2.2",
    arguments: [
      (200, true), (203, true), (204, true), (300, true), (301, true), (308, true), (404, true),
      (405, true), (410, true), (414, true), (501, true), (201, false), (202, false), (302, false),
      (303, false), (307, false), (400, false), (403, false), (500, false), (502, false),
      (503, false), (504, false), (599, false),
    ]
  )
  func heuristics(status: Int, isStored: Bool) {
    let answer = Answered(status, "Last-Modified: \(date(-86_400))", "Date: \(date())")
    #expect((answer.terms()?.isFresh(at: later(60)) ?? false) == isStored)
    // Section 5.2.2.9: `public` makes any status one of them.
    let open = Answered(
      status,
      "Last-Modified: \(date(-86_400))",
      "Date: \(date())",
      "Cache-Control: public"
    )
    #expect(open.terms()?.isFresh(at: later(60)) == true)
  }

  @Test(
    "responses to methods that change something, or have no content, are not stored: 3",
    arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "QUERY", "PURGE"]
  )
  func methods(method: String) {
    let answer = Answered(200, "Cache-Control: max-age=60")
    #expect(answer.storing(for: Asked(method: method)) == .refuse(.method))
  }

  @Test("QUERY and POST are stored where their bodies are keyed: RFC 9110, section 9.3.3")
  func bodies() {
    let answer = Answered(200, "Cache-Control: max-age=60")
    var policy = CachePolicy()
    policy.bodyMethods = [.query]
    #expect(answer.terms(for: Asked(method: "QUERY"), by: policy) != nil)
    #expect(answer.terms(for: Asked(method: "POST"), by: policy) == nil)
    #expect(Asked(method: "QUERY").cached().way(by: policy) == .lookUp)
    #expect(Asked(method: "POST").cached().way(by: policy) == .pass(.method))
    policy.bodyMethods = [.post]
    #expect(answer.terms(for: Asked(method: "POST"), by: policy) != nil)
    // Only where the response says itself for how long it is fresh.
    policy.defaults = [CachePolicy.StatusLifetime(status: nil, seconds: 60)]
    let modified = ["Last-Modified: \(date(-86_400))", "Date: \(date())"]
    for fields in [modified, ["ETag: \"a\""], ["Cache-Control: public"]] {
      let storing = Answered(200, fields: fields).storing(for: Asked(method: "POST"), by: policy)
      #expect(storing == .refuse(.method))
    }
    let expiring = Answered(200, "Expires: \(date(60))", "Date: \(date())")
    #expect(expiring.terms(for: Asked(method: "POST"), by: policy) != nil)
  }

  @Test("a POST with conditions is the origin's to judge: RFC 9110, section 13.1.2")
  func conditionsOfPOST() {
    var policy = CachePolicy()
    policy.bodyMethods = [.query, .post]
    for method in ["QUERY", "POST"] {
      let asked = Asked("If-None-Match: \"a\"", method: method).cached(by: policy)
      #expect(asked.way(by: policy) == (method == "POST" ? .pass(.method) : .lookUp))
    }
    let answer = Answered(200, "Cache-Control: max-age=60", "ETag: \"a\"")
    for (method, reuse) in [("QUERY", Reuse.validate(.stale)), ("POST", .fetch(.stale))] {
      let asked = Asked(method: method)
      let terms = answer.terms(for: asked, by: policy)
      #expect(terms?.reuse(for: asked.cached(by: policy), at: later(61)) == reuse)
    }
  }

  @Test(
    "what forbids storing, and what allows it",
    arguments: [
      ("max-age=60, no-store", .noStore), ("no-store", .noStore),
      // 5.2.2.3: who understands the status goes by its rules.
      ("max-age=60, no-store, must-understand", nil),
      ("max-age=60, private", .isPrivate), ("max-age=60, private=\"a\"", nil),
      ("no-cache", .uselessness), ("max-age=0", .uselessness), ("", .uselessness),
      ("public", .uselessness), ("max-age=0, stale-if-error=60", nil),
      ("max-age=0, stale-while-revalidate=60", nil), ("no-cache, stale-if-error=60", .uselessness),
      ("s-maxage=0, max-age=60", .uselessness), ("max-age=0, s-maxage=60", nil),
    ] as [(String, StoringRefusal?)]
  )
  func directives(value: String, refusal: StoringRefusal?) {
    let storing = Answered(200, "Cache-Control: \(value)", "Date: \(date())").storing()
    if let refusal {
      #expect(storing == .refuse(refusal))
    } else if case .refuse(let reason) = storing {
      Issue.record("refused: \(reason)")
    }
  }

  @Test("a status that is not understood is not stored where it has to be: 5.2.2.3")
  func mustUnderstand() {
    let value = "Cache-Control: max-age=60, no-store, must-understand"
    #expect(Answered(599, value).storing() == .refuse(.status))
    #expect(Answered(404, value).terms() != nil)
    #expect(
      Answered(599, "Cache-Control: max-age=60, must-understand").storing() == .refuse(.status)
    )
  }

  @Test(
    "with Authorization, only what is meant for all is stored: 3.5",
    arguments: [
      ("max-age=60", false), ("max-age=60, public", true), ("max-age=60, must-revalidate", true),
      ("s-maxage=60", true), ("max-age=60, proxy-revalidate", false), ("no-cache", false),
    ]
  )
  func authorization(value: String, isStored: Bool) {
    let answer = Answered(200, "Cache-Control: \(value)")
    let request = Asked("Authorization: Basic YTpi")
    #expect((answer.terms(for: request) != nil) == isStored)
    guard !isStored else { return }
    #expect(answer.storing(for: request) == .refuse(.authorization))
    var policy = CachePolicy()
    policy.kind = .personal
    #expect(value == "no-cache" || answer.terms(for: request, by: policy) != nil)
  }

  @Test("a browser's cache stores what is private: 5.2.2.7")
  func personal() {
    var policy = CachePolicy()
    policy.kind = .personal
    let answer = Answered(200, "Cache-Control: private, max-age=60, s-maxage=5")
    #expect(answer.terms(by: policy)?.lifetime == 60_000)
  }

  @Test("a request can forbid storing: 5.2.1.5")
  func requestNoStore() {
    let request = Asked("Cache-Control: no-store")
    #expect(request.cached().way(by: CachePolicy()) == .pass(.request))
    #expect(
      Answered(200, "Cache-Control: max-age=60").storing(for: request) == .refuse(.noStore)
    )
  }

  @Test(
    "what varies on everything, or on too much, is not stored: 4.1",
    arguments: [
      ("*", .variesOnAll), ("*, *", .variesOnAll), (", *", .variesOnAll), ("*, Foo", .variesOnAll),
      ("Foo, *", .variesOnAll), ("a b", .variesOnAll), ("\"a\"", .variesOnAll),
      ("a,b,c,d,e,f,g,h,i", .variesOnMany), ("a,b,c,d,e,f,g,h", nil), ("A,a,a,A,a,a,a,a,a,a", nil),
      ("", nil), (",", nil), ("Accept-Encoding", nil),
    ] as [(String, StoringRefusal?)]
  )
  func vary(value: String, refusal: StoringRefusal?) {
    let storing = Answered(200, "Cache-Control: max-age=60", "Vary: \(value)").storing()
    if let refusal { #expect(storing == .refuse(refusal)) }
    if refusal == nil, case .refuse(let reason) = storing { Issue.record("refused: \(reason)") }
    let split = Answered(200, "Cache-Control: max-age=60", "Vary: x", "Vary: \(value)").storing()
    #expect(split == .refuse(.variesOnAll) || refusal != .variesOnAll)
  }

  @Test(
    "cookies are kept where the response says that it is for all, unless the operator says otherwise: 7.3",
    arguments: [
      ("Cache-Control: max-age=60", false), ("Cache-Control: max-age=60, public", true),
      ("Cache-Control: s-maxage=60", true), ("CDN-Cache-Control: max-age=60", true),
      ("Cache-Control: max-age=60, no-cache=\"Set-Cookie\"", true),
    ]
  )
  func cookies(field: String, isStored: Bool) {
    let answer = Answered(200, field, "Set-Cookie: a=b")
    #expect((answer.terms() != nil) == isStored)
    var policy = CachePolicy()
    policy.setCookie = .refused
    #expect(answer.storing(by: policy) == .refuse(.setCookie))
    policy.setCookie = .kept
    #expect(answer.terms(by: policy) != nil)
    policy.setCookie = .removed
    #expect(answer.terms(by: policy) != nil)
    let fields = StoredFields(of: answer.head, in: answer.bytes.span, by: policy)
    let kept = answer.head.fields.filter { fields.keeps($0, in: answer.bytes.span) }
    #expect(!kept.contains { $0.name == .setCookie })
  }

  @Test("a part is stored only if it can be placed: 3.3")
  func parts() {
    var policy = CachePolicy()
    policy.partial = .stored
    let part = ["Cache-Control: max-age=60", "Content-Range: bytes 0-4/10"]
    #expect(Answered(206, fields: part).terms(by: policy)?.rules.contains(.isPart) == true)
    #expect(Answered(206, fields: part).storing() == .refuse(.part))
    #expect(Answered(206, part[0]).storing(by: policy) == .refuse(.part))
    #expect(Answered(206, fields: part + [part[1]]).storing(by: policy) == .refuse(.part))
  }

  @Test(
    "what belongs to a connection, to a proxy or to one user is not stored: 3.1",
    arguments: [
      "Connection: x", "X: 1", "Keep-Alive: a", "Proxy-Authenticate: Basic",
      "Proxy-Authentication-Info: a", "TE: a", "Upgrade: a", "Age: 5", "Secret: 1", "Other: 2",
    ]
  )
  func excluded(field: String) {
    let answer = Answered(
      200,
      fields: [
        "Connection: x", "Cache-Control: max-age=60, private=\"secret\", no-cache=\"other\"",
        "ETag: \"a\"", field,
      ]
    )
    let fields = StoredFields(of: answer.head, in: answer.bytes.span, by: CachePolicy())
    let kept = answer.head.fields.filter { fields.keeps($0, in: answer.bytes.span) }
    #expect(kept.map(\.name) == [.cacheControl, .eTag])
  }

  @Test("every reason has a token, and those of the response are expected again")
  func reasons() {
    let tokens = Set(StoringRefusal.allCases.map { $0.token.description })
    #expect(tokens.count == StoringRefusal.allCases.count)
    #expect(StoringRefusal.isPrivate.isLasting && !StoringRefusal.method.isLasting)
  }
}
