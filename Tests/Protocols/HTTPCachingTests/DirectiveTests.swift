import HTTPCaching
import HTTPMessage
import Testing

@Suite("Cache-Control: RFC 9111, section 5.2")
struct DirectiveTests {
  private func response(_ value: String) -> ResponseDirectives {
    let bytes = Array(value.utf8)
    return ResponseDirectives(bytes.span)
  }

  private func request(_ value: String) -> RequestDirectives {
    let bytes = Array(value.utf8)
    return RequestDirectives(bytes.span)
  }

  @Test(
    "a lifetime is digits, and what is none is over: 1.2.2, 4.2.1, 5.2.2.1",
    arguments: [
      ("max-age=60", 60), ("MaX-aGe=60", 60), ("max-age=\"60\"", 60), ("max-age=0060", 60),
      ("max-age=2147483647", 2_147_483_647), ("max-age=2147483648", 2_147_483_648),
      ("max-age=99999999999999999999999", 2_147_483_648), ("max-age=0", 0),
      ("max-age=60, max-age=60", 60), ("max-age=60, max-age=1", 0), ("max-age=1, max-age=60", 0),
      ("max-age=-1", 0), ("max-age=1.5", 0), ("max-age=a60", 0), ("max-age=60a", 0),
      ("max-age='60'", 0), ("max-age =60", 0), ("max-age= 60", 0), ("max-age=", 0),
      ("max-age", 0), ("max-age=\"\"", 0), ("max-age=60 s", 0), ("max-age=+60", 0),
      ("a=\"max-age=9\", max-age=60", 60), ("max-age=60, a=\"max-age=9\"", 60),
      ("a=\"\\\", max-age=9\", max-age=60", 60), ("a=b c, max-age=60", 60),
      (" ,, max-age=60 ,", 60), ("max-age=60,public", 60), ("x-max-age=9, max-age=60", 60),
      ("max-age;a=1", 0), ("max-age=60;a=1", 0), ("@, max-age=60", 60),
    ] as [(String, Int64)]
  )
  func lifetime(value: String, seconds: Int64) {
    #expect(response(value).maxAge == seconds)
    let shared = value.replacing("max-age", with: "s-maxage").replacing("MaX-aGe", with: "S-MaxAge")
    #expect(response(shared).sharedMaxAge == seconds)
  }

  @Test(
    "what is not said is not there",
    arguments: ["", "public", "x-max-age=9", "a=\"max-age=9\"", "max-ages=9", "max_age=9", "axe"]
  )
  func nothing(value: String) {
    #expect(response(value).maxAge == nil)
    #expect(response(value).sharedMaxAge == nil)
  }

  @Test(
    "a restriction holds however it is written: 4.2.1",
    arguments: [
      "no-store", "NO-STORE", "no-store=1", "no-store=\"a\"", "no-store x", "public, no-store",
      "no-store=", "a=\", no-store", "max-age=60, a=\"b",
    ]
  )
  func restriction(value: String) {
    #expect(response(value).isNoStore)
  }

  @Test(
    "a permission with an argument permits nothing",
    arguments: ["public=1", "must-understand=\"a\"", "immutable=x", "public x"]
  )
  func permission(value: String) {
    let said = response(value)
    #expect(!said.isPublic && !said.isMustUnderstand && !said.isImmutable)
  }

  @Test(
    "lists name the fields that are withheld, and nothing else is: 5.2.2.4, 5.2.2.7",
    arguments: [
      ("no-cache=\"Set-Cookie\"", "set-cookie", true), ("no-cache=\"a, b\"", "B", true),
      ("private=\"a\", no-cache=\"b\"", "a", true), ("private=a", "a", true),
      ("no-cache=\"a, b\"", "c", false), ("no-cache=\"ab\"", "a", false),
    ]
  )
  func lists(value: String, name: String, isWithheld: Bool) {
    let bytes = Array(value.utf8)
    let said = ResponseDirectives(bytes.span)
    let name = Array(name.utf8)
    #expect(!said.isNoCache && !said.isPrivate)
    #expect(said.withholds(name.span, in: bytes.span) == isWithheld)
  }

  @Test(
    "a list that cannot be kept is for the whole response",
    arguments: [
      "no-cache", "no-cache=\"\"", "no-cache=", "no-cache=\" , \"", "no-cache=\"a b\"",
      "no-cache=\"Content-Type\"", "no-cache=\"vary\"", "no-cache=\"a", "no-cache, no-cache=\"a\"",
      "no-cache=\"a\", no-cache=\"b\", no-cache=\"c\", no-cache=\"d\", no-cache=\"e\"",
      "no-cache=\"" + Array(repeating: "a", count: 33).joined(separator: ",") + "\"",
    ]
  )
  func wholeLists(value: String) {
    #expect(response(value).isNoCache)
    let other = value.replacing("no-cache", with: "private")
    #expect(response(other).isPrivate)
  }

  @Test("everything that a response can say is read: 5.2.2")
  func all() {
    let said = response(
      "must-revalidate, proxy-revalidate, must-understand, no-transform, public, immutable, "
        + "stale-while-revalidate=5, stale-if-error=6, s-maxage=7, max-age=8"
    )
    #expect(said.isMustRevalidate && said.isProxyRevalidate && said.isMustUnderstand)
    #expect(said.isNoTransform && said.isPublic && said.isImmutable)
    #expect(said.staleWhileRevalidate == 5 && said.staleIfError == 6)
    #expect(said.sharedMaxAge == 7 && said.maxAge == 8)
    #expect(response("stale-while-revalidate=x").staleWhileRevalidate == 0)
    #expect(response("stale-if-error=9, stale-if-error=2").staleIfError == 2)
  }

  @Test("what a client asks for counts at its strictest: 5.2.1")
  func asked() {
    let said = request("no-cache, no-store, no-transform, only-if-cached, max-age=5, min-fresh=6")
    #expect(said.isNoCache && said.isNoStore && said.isNoTransform && said.isOnlyIfCached)
    #expect(said.maxAge == 5 && said.minFresh == 6 && said.maxStale == nil)
    #expect(request("max-age=5, max-age=3").maxAge == 3)
    #expect(request("max-age=x").maxAge == 0)
    #expect(request("min-fresh=5, min-fresh=9").minFresh == 9)
    #expect(request("min-fresh=x").minFresh == 2_147_483_648)
    #expect(request("max-stale").maxStale == 2_147_483_648)
    #expect(request("max-stale=x").maxStale == 0)
    #expect(request("max-stale=5, max-stale").maxStale == 5)
    #expect(request("stale-if-error=5").staleIfError == 5)
    #expect(request("a=\"no-cache").isNoCache)
    #expect(!request("a=\"no-cache\"").isNoCache)
  }

  @Test("Pragma counts where there is no Cache-Control: 5.4")
  func pragma() {
    #expect(Asked("Pragma: no-cache").cached().directives.isNoCache)
    #expect(!Asked("Pragma: no-cache", "Cache-Control: max-age=9").cached().directives.isNoCache)
    #expect(!Asked("Pragma: other").cached().directives.isNoCache)
    let request = Asked("Pragma: no-cache")
    #expect(RequestDirectives(of: request.head, in: request.bytes.span).isNoCache)
    var policy = CachePolicy()
    policy.client = .ignored
    #expect(!Asked("Pragma: no-cache").cached(by: policy).directives.isNoCache)
    #expect(!Asked("Cache-Control: no-cache").cached(by: policy).directives.isNoCache)
  }

  @Test("several lines are one list: RFC 9110, section 5.3")
  func lines() {
    let answer = Answered(200, "Cache-Control: max-age=60", "A: b", "cache-control: no-store")
    let said = ResponseDirectives(of: answer.head, in: answer.bytes.span, targets: [])
    #expect(said.isNoStore && said.maxAge == 60 && said.source == .cacheControl)
    let request = Asked("Cache-Control: max-age=60", "Cache-Control: no-store")
    #expect(request.cached().directives.isNoStore)
    #expect(
      request.cached().directives == RequestDirectives(of: request.head, in: request.bytes.span)
    )
  }
}

@Suite("Targeted fields: RFC 9213")
struct TargetedFieldTests {
  private func said(_ fields: String...) -> ResponseDirectives {
    let answer = Answered(200, fields: fields)
    return ResponseDirectives(
      of: answer.head,
      in: answer.bytes.span,
      targets: [.martlet, .cdn]
    )
  }

  @Test(
    "a field that can be read counts instead of Cache-Control: 2.2",
    arguments: [
      ("max-age=60", 60), ("max-age=60, foo", 60), ("foo, max-age=60;a=1;b", 60),
      ("max-age=60,a=(1 \"b\" c);d", 60), ("a=:YQ==:, max-age=60", 60), ("max-age=060", 60),
      ("a=?0, b=1.5, c=\"x\\\"y\", d=t/x:y, max-age=60", 60), ("a=@12, max-age=60", 60),
      ("max-age=1, max-age=60", 60), ("max-age=999999999999999", 2_147_483_648),
      ("max-age=60 \t, b", 60), ("a=%\"x\", max-age=60", 60), ("max-age=-0", 0),
    ] as [(String, Int64)]
  )
  func read(value: String, seconds: Int64) {
    let said = said("Cache-Control: no-store", "CDN-Cache-Control: \(value)")
    #expect(said.source == .cdn && said.maxAge == seconds && !said.isNoStore)
  }

  @Test(
    "a field that is empty, breaks the grammar or a type is as if it were not there: 2.1",
    arguments: [
      "", "&&", "max-age=60, &&&&&", "max-age=60,", ",max-age=60", "max-age=\"60\"",
      "max-age=60.0", "max-age=-1", "Max-Age=60", "max-age =60", "max-age= 60", "max-age",
      "max-age=a", "max-age=60 b", "max-age=1234567890123456", "no-store=1", "private=1",
      "a=(1", "a=\"b", "a=:b", "a=1.", "a=1.2345", "a=?2", "a=;b", "a=(1,2)", "a=\"\\x\"", "a=-",
      "no-cache=token",
    ]
  )
  func ignored(value: String) {
    let said = said("Cache-Control: max-age=7", "CDN-Cache-Control: \(value)")
    #expect(said.source == .cacheControl && said.maxAge == 7)
  }

  @Test("the more exact target counts before the other: 2.2")
  func order() {
    #expect(
      said("CDN-Cache-Control: max-age=1", "Martlet-Cache-Control: max-age=2").source == .martlet
    )
    #expect(
      said("CDN-Cache-Control: max-age=1", "Martlet-Cache-Control: ?").source == .cdn
    )
    #expect(said("A: b").source == .none)
  }

  @Test("lines of one field are one dictionary")
  func lines() {
    let said = said("CDN-Cache-Control: max-age=1", "cdn-cache-control: no-store, max-age=2")
    #expect(said.isNoStore && said.maxAge == 2)
    #expect(
      self.said("CDN-Cache-Control: max-age=1", "CDN-Cache-Control: ?").source == .none
    )
  }

  @Test("flags are true or false, and lists are strings")
  func values() {
    let said = said(
      "CDN-Cache-Control: no-store, no-store=?0, must-revalidate=?1, private=\"a, b\", public"
    )
    #expect(!said.isNoStore && said.isMustRevalidate && !said.isPrivate && said.isPublic)
    #expect(said.fieldLists.count == 1)
    #expect(self.said("CDN-Cache-Control: no-cache=\"\"").isNoCache)
    #expect(self.said("CDN-Cache-Control: no-cache").isNoCache)
  }
}
