import Configuration
import Routing
import Testing

extension PathTable {
  func matches(_ path: String) -> [Int] {
    var matches: [Int] = []
    let found = firstMatch(Array(path.utf8).span) { index in
      matches.append(index)
      return false
    }
    return found == nil ? matches : []
  }
}

/// Whether a pattern takes a path, by trying everything.
func takes(_ pattern: PathPattern, _ path: String) -> Bool {
  func rest(_ segments: ArraySlice<PathPattern.Segment>, _ parts: ArraySlice<String>) -> Bool {
    guard let segment = segments.first else {
      guard case .segments(_, let prefix?) = pattern.form else { return parts.isEmpty }
      return !parts.isEmpty && parts.joined(separator: "/").hasPrefix(prefix)
    }
    switch segment {
    case .literal(let text):
      return parts.first == text && rest(segments.dropFirst(), parts.dropFirst())
    case .one:
      return parts.first?.isEmpty == false && rest(segments.dropFirst(), parts.dropFirst())
    case .many:
      return rest(segments.dropFirst(), parts)
        || (!parts.isEmpty && rest(segments, parts.dropFirst()))
    }
  }
  switch pattern.form {
  case .exact(let text): return path == text
  case .prefix(let text): return path.hasPrefix(text)
  case .segments(let segments, _):
    let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    return rest(segments[...], parts.map(String.init)[...])
  }
}

extension Numbers {
  /// A pattern over few different segments, so that patterns meet.
  mutating func pattern() -> PathPattern {
    while true {
      let segments = (0..<Int.random(in: 0...4, using: &self)).map { _ in
        pick(["a", "b", "ab", "aa", "*", "**", ""])
      }
      let end = pick(["", "*", "a", "b", "ab", "a*", "ab*"])
      let text = "/" + (segments + [end]).joined(separator: "/")
      // A few of these are no patterns, as `/a*/`: then the next one.
      if let pattern = try? once(in: 8) ? PathPattern(exactly: text) : PathPattern(text) {
        return pattern
      }
    }
  }

  mutating func path() -> String {
    "/" + text(of: ["a", "b", "ab", "/", "/", "/a"], count: 0...8)
  }
}

@Suite("Path table")
struct PathTableTests {
  private let table = PathTable([
    .exact("/cart"), .prefix("/static/"), .prefix("/car"), .exact("/cart"), .prefix("/"),
    .prefix("/static/img/"), .exact("/static/"),
  ])

  @Test(
    "offers what takes a path, in the order written",
    arguments: [
      ("/cart", [0, 2, 3, 4]), ("/carts", [2, 4]), ("/static/a", [1, 4]), ("/static", [4]),
      ("/static/", [1, 4, 6]), ("/static/img/x", [1, 4, 5]), ("", []), ("*", []), ("/CART", [4]),
    ]
  )
  func order(path: String, expected: [Int]) {
    #expect(table.matches(path) == expected)
  }

  @Test("asks no further once a condition is met")
  func stops() {
    var asked: [Int] = []
    let found = table.firstMatch(Array("/cart".utf8).span) { index in
      asked.append(index)
      return index == 2
    }
    #expect(found == 2)
    #expect(asked == [0, 2])
  }

  @Test("has no match when it has no patterns")
  func empty() {
    #expect(PathTable([]).matches("/") == [])
    #expect(PathTable([]).matches("") == [])
  }

  @Test(
    "takes patterns of segments",
    arguments: [
      ("/users/7/posts", [0, 3]), ("/users/7", [3]), ("/users//posts", [3]),
      ("/users/7/posts/", [3]), ("/a/b/c.css", [1, 3]), ("/users/c.css", [1, 3, 4]),
      ("/c.css", [1, 3]),
      ("/x/y/z", [2, 3]), ("/x/yy/z", [2, 3]), ("/x/", [3]), ("/x/y", [3]),
    ]
  )
  func segments(path: String, expected: [Int]) throws {
    let table = PathTable(
      try ["/users/*/posts", "/**/c.css", "/x/*/", "/", "/*/c*"].map { try PathPattern($0) }
    )
    #expect(table.matches(path) == expected)
  }

  @Test("answers as trying every pattern does", arguments: 0..<200)
  func oracle(seed: Int) {
    var numbers = Numbers(seed)
    let patterns = (0..<Int.random(in: 0...(seed % 2 == 0 ? 8 : 60), using: &numbers)).map { _ in
      numbers.pattern()
    }
    let table = PathTable(patterns)
    for _ in 0..<60 {
      let path = numbers.path()
      let expected = patterns.indices.filter { takes(patterns[$0], path) }
      #expect(table.matches(path) == expected, "\(path) in \(patterns.map(\.text))")
      let wanted = Int.random(in: 0...60, using: &numbers)
      let first = table.firstMatch(Array(path.utf8).span) { $0 >= wanted }
      #expect(first == expected.first { $0 >= wanted })
    }
  }

  @Test("finds any route of many", arguments: [1, 100, 5000])
  func many(count: Int) throws {
    let table = PathTable(
      try (0..<count).flatMap {
        [.exact("/exact/\($0)"), .prefix("/prefix/\($0)/"), try PathPattern("/*/\($0)/**/end")]
      }
    )
    for index in 0..<count {
      #expect(table.matches("/exact/\(index)") == [index * 3])
      #expect(table.matches("/prefix/\(index)/a") == [index * 3 + 1])
      #expect(table.matches("/any/\(index)/a/b/end") == [index * 3 + 2])
    }
    #expect(table.matches("/exact/\(count)") == [])
  }

  @Test("takes more lists and states than it has room for without allocation")
  func spills() throws {
    let depth = 40
    let nested = (0..<depth).map { PathPattern.prefix("/" + String(repeating: "a", count: $0)) }
    #expect(PathTable(nested).matches("/" + String(repeating: "a", count: 60)) == Array(0..<depth))

    // A pattern with stars has at most 32 segments.
    let lasting = try (0..<30).map {
      try PathPattern("/" + String(repeating: "*/", count: $0) + "**/a")
    }
    let path = "/" + String(repeating: "x/", count: depth) + "a"
    #expect(PathTable(lasting).matches(path) == Array(0..<30))
  }

  @Test("offers a pattern once, however often it takes the path")
  func once() throws {
    let table = PathTable(try ["/**/a*", "/**/**/a", "/**/a/**/a"].map { try PathPattern($0) })
    #expect(table.matches("/" + String(repeating: "a/", count: 500) + "a") == [0, 1, 2])
  }
}
