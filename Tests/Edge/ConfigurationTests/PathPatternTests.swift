import Configuration
import Directives
import Testing

@Suite("Path patterns")
struct PathPatternTests {
  @Test(
    "mean what their text says",
    arguments: [
      ("/", PathPattern.Form.prefix("/")), ("/*", .prefix("/")), ("/a", .exact("/a")),
      ("/a/", .prefix("/a/")), ("/a*", .prefix("/a")), ("/a/**", .prefix("/a/")),
      ("/a/*/b", .segments([.literal("a"), .one, .literal("b")], prefix: nil)),
      ("/**/b", .segments([.many, .literal("b")], prefix: nil)),
      ("/*/b/", .segments([.one, .literal("b")], prefix: "")),
      ("/*/b*", .segments([.one], prefix: "b")),
    ]
  )
  func forms(text: String, form: PathPattern.Form) throws {
    #expect(try PathPattern(text).form == form)
    #expect(try PathPattern(text).text == text)
  }

  @Test(
    "take paths by segments",
    arguments: [
      ("/a/*/b", "/a/x/b", true), ("/a/*/b", "/a//b", false), ("/a/*/b", "/a/x/y/b", false),
      ("/**/b", "/b", true), ("/**/b", "/x/y/b", true), ("/**/b", "/x/c", false),
      ("/*/b/", "/x/b/", true), ("/*/b/", "/x/b", false), ("/*/b*", "/x/bcd/e", true),
    ]
  )
  func segments(text: String, path: String, isTaken: Bool) throws {
    #expect(try PathPattern(text).matches(path) == isTaken)
  }

  @Test(
    "that no request can have are refused",
    arguments: [
      "a", "", "/a?b", "/a b", "/a/../b", "/%41", "/%4", "/a*b", "/x/a*/b", "/a***", "/ä",
    ]
  )
  func refusals(text: String) {
    #expect(throws: ValueError.self) { try PathPattern(text) }
  }

  @Test("have at most 1,024 bytes")
  func limit() throws {
    let path = "/" + String(repeating: "a", count: PathPattern.maxBytes - 1)
    #expect(try PathPattern(path).form == .exact(path))
    #expect(throws: ValueError.self) { try PathPattern("\(path)a") }
  }

  @Test("written exactly have no stars")
  func exactly() throws {
    #expect(try PathPattern(exactly: "/a*").form == .exact("/a*"))
  }
}
