import HTTPMessage
import Testing

@Suite("Set-Cookie, RFC 6265bis")
struct SetCookieTests {
  @Test("a cookie is written with its attributes in the order given")
  func writes() throws {
    let cookie = try SetCookie(
      "__Host-session",
      "abc",
      [.path("/"), .maxAge(3600), .secure, .httpOnly, .sameSite(.strict)]
    )
    #expect(
      cookie.text
        == "__Host-session=abc; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Strict"
    )
    #expect(try SetCookie("a", "").text == "a=")
    #expect(try SetCookie("a", "b", [.domain("example.org")]).text == "a=b; Domain=example.org")
  }

  @Test("no cookie is kept for more than 400 days, nor for less than none")
  func ages() throws {
    #expect(try SetCookie("a", "b", [.maxAge(1 << 40)]).text == "a=b; Max-Age=34560000")
    #expect(try SetCookie("a", "b", [.maxAge(-1)]).text == "a=b; Max-Age=0")
  }

  @Test(
    "what browsers would not take as it is meant is refused",
    arguments: [
      ("", "b", [], SetCookie.Problem.name), ("a=", "b", [], .name), ("a b", "b", [], .name),
      ("a", "b c", [], .value), ("a", "b;c", [], .value), ("a", "b\"", [], .value),
      ("a", "ü", [], .value), ("a", "b\\", [], .value), ("a", "b,", [], .value),
      ("a", "b", [.path("x")], .attribute), ("a", "b", [.path("/;x")], .attribute),
      ("a", "b", [.domain("a\r\nb")], .attribute), ("a", "b", [.sameSite(.none)], .sameSiteNone),
      ("__Secure-a", "b", [.path("/")], .prefix), ("__Host-a", "b", [.secure], .prefix),
      ("__HOST-a", "b", [.secure, .path("/x")], .prefix),
      ("__Host-a", "b", [.secure, .path("/"), .domain("x.org")], .prefix),
    ] as [(String, String, [SetCookie.Attribute], SetCookie.Problem)]
  )
  func refuses(
    name: String,
    value: String,
    attributes: [SetCookie.Attribute],
    problem: SetCookie.Problem
  ) {
    #expect(throws: problem) { try SetCookie(name, value, attributes) }
  }

  @Test("name and value have 4096 bytes together, and an attribute 1024")
  func limits() throws {
    _ = try SetCookie("abc", String(repeating: "x", count: 4093))
    #expect(throws: SetCookie.Problem.tooLong) {
      try SetCookie("abc", String(repeating: "x", count: 4094))
    }
    let path = "/" + String(repeating: "x", count: 1018)
    _ = try SetCookie("a", "b", [.path(path)])
    #expect(throws: SetCookie.Problem.tooLong) { try SetCookie("a", "b", [.path(path + "x")]) }
  }
}
