import HTTPCaching
import HTTPMessage
import Testing

@Suite("Freshness: RFC 9111, section 4.2")
struct FreshnessTests {
  @Test(
    "the first that says it counts: 4.2.1",
    arguments: [
      (["Cache-Control: s-maxage=1, max-age=2", "Expires: \(date(3))"], 1, .sharedMaxAge),
      (["Cache-Control: max-age=2, s-maxage=1"], 1, .sharedMaxAge),
      (["Cache-Control: max-age=2", "Cache-Control: s-maxage=90"], 90, .sharedMaxAge),
      (["Cache-Control: max-age=2", "Expires: \(date(30))"], 2, .maxAge),
      (["Cache-Control: max-age=20", "Expires: \(date(-30))"], 20, .maxAge),
      (["Cache-Control: max-age=20", "Expires: 0"], 20, .maxAge),
      (["Cache-Control: max-age=0", "Expires: \(date(30))", "ETag: \"a\""], 0, .maxAge),
      (["Cache-Control: public", "Expires: \(date(30))"], 30, .expires),
      (["Expires: \(date(30))"], 30, .expires),
      (["Cache-Control: public", "Last-Modified: \(date(-1000))"], 100, .heuristic),
      (["Last-Modified: \(date(-1000))"], 100, .heuristic),
      (["Last-Modified: \(date(-86_400_000))"], 86_400, .heuristic),
      (["Last-Modified: \(date(-9))"], 0, .heuristic),
      (["Last-Modified: \(date(1000))"], 0, .heuristic),
      (["ETag: \"a\""], 0, .none),
      (["CDN-Cache-Control: max-age=5", "Cache-Control: max-age=9, no-store"], 5, .maxAge),
      (["CDN-Cache-Control: public", "Expires: \(date(30))", "ETag: \"a\""], 0, .heuristic),
      (["CDN-Cache-Control: ?", "Expires: \(date(30))"], 30, .expires),
    ] as [([String], Int64, StoredTerms.LifetimeSource)]
  )
  func order(fields: [String], seconds: Int64, source: StoredTerms.LifetimeSource) {
    let terms = Answered(200, fields: fields + ["Date: \(date())"]).terms()
    #expect(terms?.lifetime == seconds * 1000)
    #expect(terms?.lifetimeSource == source)
  }

  @Test(
    "an Expires that is no date is over: 5.3",
    arguments: [
      ["0"], ["-1"], [""], ["Thu, 18 Aug 2050 02:01:18 UTC"], ["Thu, 18 Aug 2050 02:01:18 AEST"],
      ["Thu, 18 Aug 50 02:01:18 GMT"], ["Thu 18 Aug 2050 02:01:18 GMT"],
      ["Thu, 18  Aug  2050 02:01:18 GMT"], ["Thu, 18-Aug-2050 02:01:18 GMT"],
      ["Thu, 18 Aug 2050 02.01.18 GMT"], ["Thu, 18 Aug 2050 2:01:18 GMT"],
      ["Thu", "18 Aug 2050 02:01:18 GMT"], [date(60), date(61)], [date(60), "0"],
    ]
  )
  func unreadable(values: [String]) {
    let fields = values.map { "Expires: \($0)" } + ["ETag: \"a\"", "Date: \(date())"]
    let terms = Answered(200, fields: fields).terms()
    #expect(terms?.isFresh(at: now) == false)
    #expect(terms?.lifetimeSource == .expires)
  }

  @Test(
    "an Expires in any form of a date counts, in any case: 4.2",
    arguments: [
      "Thu, 18 Aug 2050 02:01:18 GMT", "Thursday, 18-Aug-50 02:01:18 GMT",
      "Thu Aug 18 02:01:18 2050", "THU, 18 aug 2050 02:01:18 gmt", "Fri, 01 Jan 9999 00:00:00 GMT",
    ]
  )
  func readable(value: String) {
    #expect(Answered(200, "Expires: \(value)").terms()?.isFresh(at: later(3600)) == true)
    let twice = Answered(200, "Expires: \(value)", "Expires: \(value)")
    #expect(twice.terms()?.isFresh(at: later(3600)) == true)
  }

  @Test("Expires counts from Date, and from when the response came without one: 4.2.1, 5.3")
  func expiresByDate() {
    let slow = Answered(200, "Expires: \(date(60))", "Date: \(date(-30))")
    #expect(slow.terms()?.lifetime == 90_000)
    #expect(slow.terms()?.timeToLive(at: now) == 60)
    let fast = Answered(200, "Expires: \(date(60))", "Date: \(date(100))", "ETag: \"a\"")
    #expect(fast.terms()?.isFresh(at: now) == false)
    for field in ["Date: x", "Other: x"] {
      #expect(Answered(200, "Expires: \(date(60))", field).terms()?.lifetime == 60_000)
    }
  }

  @Test(
    "dates are compared with the time of day, and ages counted by another clock, whichever is ahead",
    arguments: [-7200, 0, 7200] as [Int64]
  )
  func clocks(ahead: Int64) throws {
    let answer = Answered(
      200,
      "Cache-Control: max-age=60",
      "Date: \(date(ahead - 20))",
      "ETag: \"a\""
    )
    let storing = CachePolicy().storing(
      answer.head,
      in: answer.bytes.span,
      for: Asked().cached(),
      requestTime: now,
      responseTime: now,
      timeOfDay: later(Double(ahead))
    )
    guard case .store(let terms) = storing else { throw RefusedError() }
    #expect(terms.age(at: now) == 20 && terms.timeToLive(at: later(10)) == 30)
    #expect(!terms.isFresh(at: later(40)))
  }

  private struct RefusedError: Error {}

  @Test(
    "the age is what the greater of two reckonings says: 4.2.3",
    arguments: [
      (["Age: 30"], 30), (["Age: 0"], 0), ([], 0), (["Date: \(date(-20))"], 20),
      (["Date: \(date(-20))", "Age: 30"], 30), (["Date: \(date(-40))", "Age: 30"], 40),
      (["Date: \(date(40))"], 0), (["Age: abc"], 0), (["Age: -7200"], 0), (["Age: 7200.0"], 0),
      (["Age: 7, 0"], 7), (["Age: 0, 7"], 0), (["Age: 7", "Age: 0"], 7), (["Age: 0", "Age: 7"], 0),
      (["Age: 7;a=b"], 0), (["Age: 2147483647"], 2_147_483_647),
      (["Age: 99999999999999999999"], 2_147_483_648), (["Age: "], 0),
    ] as [([String], Int64)]
  )
  func age(fields: [String], seconds: Int64) {
    let terms = Answered(200, fields: fields + ["Cache-Control: max-age=60", "ETag: \"a\""]).terms()
    #expect(terms?.age(at: now) == seconds)
    #expect(terms?.age(at: later(5)) == min(seconds + 5, 2_147_483_648))
    #expect(terms?.isFresh(at: now) == (seconds < 60))
  }

  @Test("the time that the answer took counts with Age: 4.2.3")
  func delay() {
    let answer = Answered(200, "Age: 2", "Cache-Control: max-age=60")
    guard case .store(let terms) = answer.storing(delay: 3000) else {
      Issue.record("not stored")
      return
    }
    #expect(terms.age(at: now) == 5)
    #expect(terms.timeToLive(at: now) == 55)
    // A clock that went back during the request makes nothing younger.
    guard case .store(let back) = answer.storing(delay: -3000) else { return }
    #expect(back.age(at: now) == 2)
  }

  @Test("a response is fresh until its age reaches its lifetime, and not then: 4.2")
  func border() throws {
    let terms = try #require(Answered(200, "Cache-Control: max-age=2").terms())
    #expect(terms.isFresh(at: later(1.999)))
    #expect(!terms.isFresh(at: later(2)))
    #expect(terms.timeToLive(at: later(1.001)) == 0)
    #expect(terms.timeToLive(at: later(2)) == 0)
    #expect(terms.timeToLive(at: later(2.001)) == -1)
    #expect(terms.timeToLive(at: later(4)) == -2)
  }

  @Test("a clock that is set back makes no stored response younger than it came")
  func clockSteps() throws {
    let terms = try #require(Answered(200, "Cache-Control: max-age=60", "Age: 10").terms())
    #expect(terms.age(at: later(-86_400)) == 10)
    #expect(!terms.isFresh(at: later(86_400)))
    #expect(terms.age(at: Moment(milliseconds: .max)) == 2_147_483_648)
    #expect(terms.age(at: Moment(milliseconds: .min)) == 10)
  }

  @Test("a date that is of this second makes nothing old")
  func wholeSeconds() {
    // The response came half a second behind the second that it names.
    let terms = Answered(200, "Cache-Control: max-age=1", "Date: \(date())").terms()
    #expect(terms?.initialAge == 0)
  }

  @Test("the operator's lifetimes: bounds, defaults and his last word")
  func policy() {
    var policy = CachePolicy()
    policy.minimumLifetime = 10
    policy.maximumLifetime = 100
    #expect(Answered(200, "Cache-Control: max-age=1").terms(by: policy)?.lifetime == 10_000)
    #expect(Answered(200, "Cache-Control: max-age=1000").terms(by: policy)?.lifetime == 100_000)
    let over = Answered(200, "Cache-Control: max-age=0", "ETag: \"a\"")
    #expect(over.terms(by: policy)?.lifetime == 0)

    policy = CachePolicy()
    policy.defaults = [
      CachePolicy.StatusLifetime(status: 404, seconds: 5),
      CachePolicy.StatusLifetime(status: nil, seconds: 50),
    ]
    #expect(Answered(404, "A: b").terms(by: policy)?.lifetime == 5000)
    #expect(Answered(403, "A: b").terms(by: policy)?.lifetime == 50_000)
    #expect(Answered(404, "Cache-Control: max-age=7").terms(by: policy)?.lifetime == 7000)
    #expect(Answered(404, "Cache-Control: no-store").terms(by: policy) == nil)

    policy = CachePolicy()
    policy.forcedLifetime = 30
    #expect(Answered(200, "Cache-Control: max-age=0").terms(by: policy)?.lifetime == 30_000)
    #expect(Answered(200, "A: b").terms(by: policy)?.lifetimeSource == .forced)
    #expect(Answered(200, "Cache-Control: private").terms(by: policy) == nil)

    policy = CachePolicy()
    policy.heuristicPercent = 0
    let old = Answered(200, "Last-Modified: \(date(-86_400))")
    #expect(old.terms(by: policy)?.lifetime == 0)
    policy.heuristicPercent = 50
    policy.heuristicLimit = 60
    #expect(old.terms(by: policy)?.lifetime == 60_000)
  }

  @Test("what is kept is kept as long as it can be of use")
  func use() throws {
    let plain = try #require(Answered(200, "Cache-Control: max-age=60", "Age: 10").terms())
    // A client may ask for it by `max-stale`.
    #expect(plain.isOfUse(until: 1000) == later(1050))
    let strict = try #require(
      Answered(200, "Cache-Control: max-age=60, must-revalidate", "Age: 10").terms()
    )
    #expect(strict.isOfUse(until: 1000) == later(50))
    let tagged = try #require(Answered(200, "Cache-Control: max-age=60", "ETag: \"a\"").terms())
    #expect(tagged.isOfUse(until: 1000) == later(1060))
    let stale = try #require(
      Answered(200, "Cache-Control: max-age=60, stale-if-error=500, stale-while-revalidate=9")
        .terms()
    )
    #expect(stale.isOfUse(until: 100) == later(560))
  }

  @Test("terms are as small as a store wants them")
  func size() {
    #expect(MemoryLayout<StoredTerms>.size <= 64)
  }
}
