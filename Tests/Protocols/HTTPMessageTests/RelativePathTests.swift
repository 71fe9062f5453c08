import HTTPMessage
import TestCorpora
import Testing

@Suite("Paths below a root") struct RelativePathTests {
  private func read(_ text: String) throws(RelativePath.Refusal) -> String {
    let bytes = Array(text.utf8)
    let path = try RelativePath(bytes.span)
    return String(decoding: path.bytes, as: UTF8.self) + (path.isFolder ? "/" : "")
  }

  @Test(
    "a path is its names",
    arguments: [
      ("/", "/"), ("", "/"), ("/a", "a"), ("/a/", "a/"), ("/a/b.txt", "a/b.txt"), ("a", "a"),
      ("//a///b//", "a/b/"), ("/%61%2Etxt", "a.txt"), ("/a%20b", "a b"), ("/%C3%A4", "ä"),
      ("/ä", "ä"), ("/...", "..."), ("/a..b", "a..b"), ("/..a", "..a"), ("/a.", "a."),
      ("/a%3Fb", "a?b"), ("/a%25b", "a%b"), ("/%252e%252e", "%2e%2e"), ("/a:b", "a:b"),
      ("/~a", "~a"), ("/a;b", "a;b"), ("/CON", "CON"),
    ]
  )
  func names(text: String, expected: String) throws {
    #expect(try read(text) == expected)
  }

  @Test("paths are read as the corpus says", arguments: try Preface.all(in: .paths))
  func corpus(path: Preface) {
    do {
      _ = try RelativePath(path.bytes.span)
      #expect(path.outcome == "accepted")
    } catch {
      #expect(path.outcome == error.rawValue)
    }
  }

  @Test(
    "names with a dot in front are hidden, but for /.well-known",
    arguments: [
      ("/.git/config", true), ("/a/.b", true), ("/.well-known/acme", false),
      ("/.well-known", false),
      ("/a/.well-known/b", true), ("/.well-known/.git", true), ("/.well-knowns", true),
      ("/%2Egit", true), ("/a", false), ("/a/b.c", false), ("/...", true),
    ]
  )
  func hidden(text: String, isHidden: Bool) throws {
    let bytes = Array(text.utf8)
    #expect(try RelativePath(bytes.span).isHidden == isHidden)
  }

  @Test("names and paths have limits")
  func limits() throws {
    let name = String(repeating: "a", count: 255)
    #expect(try read("/\(name)") == name)
    #expect(throws: RelativePath.Refusal.length) { try read("/\(name)a") }
    let long = String(repeating: "/" + String(repeating: "b", count: 99), count: 40)
    #expect(try read(long).utf8.count == 3999)
    #expect(throws: RelativePath.Refusal.length) { try read(long + "/cc") }
    #expect(throws: RelativePath.Refusal.length) {
      try read(String(repeating: "/", count: 12_001))
    }
  }

  @Test("whatever is asked for, no name of a path leads anywhere else")
  func random() {
    var random = SystemRandomNumberGenerator()
    let pieces = [
      "/", "..", ".", "%2e", "%2E", "%2f", "%5c", "\\", "%00", "%", "a", "%c0%ae", "%e0%80%ae",
      "//",
      "%252e", "\u{2025}", "%ff", ";", "%0a", "b.txt", "~",
    ]
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...8, using: &random)
      let text = (0..<count).map { _ in pieces[Int.random(in: 0..<pieces.count, using: &random)] }
        .joined()
      let bytes = Array(text.utf8)
      guard let path = try? RelativePath(bytes.span) else { continue }
      let names = path.bytes.split(separator: 0x2F, omittingEmptySubsequences: false)
      #expect(path.bytes.first != 0x2F && path.bytes.last != 0x2F, "\(text)")
      #expect(!path.bytes.contains(0) && !path.bytes.contains(0x5C), "\(text)")
      for name in names where !path.bytes.isEmpty {
        #expect(!name.isEmpty && name != [0x2E] && name != [0x2E, 0x2E], "\(text)")
      }
      #expect(String(validating: path.bytes, as: UTF8.self) != nil, "\(text)")
    }
  }

  @Test("a name or an ending behind a path makes another one")
  func appending() throws {
    let folder = try RelativePath(Array("/a/".utf8).span)
    let file = folder.appending(Array("b".utf8))
    #expect(String(decoding: file.bytes, as: UTF8.self) == "a/b" && !file.isFolder)
    #expect(String(decoding: file.extended(by: Array(".gz".utf8)).bytes, as: UTF8.self) == "a/b.gz")
    #expect(String(decoding: RelativePath().appending(Array("b".utf8)).bytes, as: UTF8.self) == "b")
    #expect(String(decoding: file.name, as: UTF8.self) == "b")
  }
}
