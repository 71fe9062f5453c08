import Configuration
import Routing
import Testing

@Suite("Shadowed routes")
struct ShadowingTests {
  @Test(
    "are those that an unconditional one above takes all paths of",
    arguments: [
      (["/", "/a"], true), (["/a", "/"], false), (["/a", "/a"], true), (["/a*", "/a/b/"], true),
      (["/a/", "/a*"], false), (["/a/", "/a/*/b"], true), (["/a/b/", "/a/*/b"], false),
      (["/*/b", "/a/b"], true), (["/*/b", "/a/*"], false), (["/**/b", "/a/*/b"], true),
      (["/**/b", "/a/**/b"], true), (["/a/**/b", "/**/b"], false), (["/*/", "/a/"], true),
      (["/*/", "/a*"], false), (["/**/*/**/x*", "/a/x/"], true), (["/*/a*", "/x/ab/*/c"], true),
      (["/*/", "/**/b"], false), (["/**/", "/a/b"], true), (["/*/**/", "/"], false),
    ] as [([String], Bool)]
  )
  func pairs(texts: [String], isShadowed: Bool) throws {
    let routes = try texts.map { (pattern: try PathPattern($0), isUnconditional: true) }
    #expect(shadowed(routes).map(\.index) == (isShadowed ? [1] : []))
  }

  @Test("are not those below a route with conditions")
  func conditions() {
    let found = shadowed([
      (.prefix("/a"), false), (.exact("/a"), false), (.prefix("/"), true), (.exact("/a"), true),
      (.exact("/b"), false), (.prefix("/b"), true),
    ])
    #expect(found.map(\.index) == [3, 4, 5])
    #expect(found.map(\.by) == [2, 2, 2])
  }

  @Test("name the first route that hides them")
  func first() throws {
    let texts = ["/*/b", "/a*", "/a/", "/**/b", "/a/b", "/a/x", "/c/b"]
    let found = shadowed(try texts.map { (pattern: try PathPattern($0), isUnconditional: true) })
    #expect(found.map(\.index) == [2, 4, 5, 6])
    #expect(found.map(\.by) == [1, 0, 1, 0])
  }

  @Test("are none among none")
  func empty() {
    #expect(shadowed([]).isEmpty)
  }

  /// Every path of up to five segments of these; `z` stands for what no pattern names.
  private static let paths: [String] = {
    var paths: [String] = []
    var last = [""]
    for _ in 0..<5 {
      last = last.flatMap { path in ["", "a", "z", "az"].map { "\(path)/\($0)" } }
      paths += last
    }
    return paths
  }()

  private static let patterns: [PathPattern] = {
    var fronts = ["/"]
    for _ in 0..<2 {
      fronts += fronts.flatMap { front in ["a/", "*/", "**/"].map { front + $0 } }
    }
    // Patterns that are not allowed, as none is here, would be left out.
    return Set(fronts).sorted().flatMap { front in
      ["", "a", "a*"].compactMap { try? PathPattern(front + $0) }
    }
  }()

  @Test("are found exactly, for each pair of many patterns")
  func oracle() {
    let taken = Self.patterns.map { pattern in
      Set(Self.paths.indices.filter { takes(pattern, Self.paths[$0]) })
    }
    #expect(Self.patterns.count == 39)
    for (upper, above) in Self.patterns.enumerated() {
      for (lower, below) in Self.patterns.enumerated() {
        let isFound = !shadowed([(above, true), (below, true)]).isEmpty
        #expect(
          isFound == taken[lower].isSubset(of: taken[upper]),
          "\(below.text) below \(above.text)"
        )
      }
    }
  }

  @Test("are found among thousands")
  func many() {
    let patterns = (0..<2000).flatMap { index in
      [PathPattern.exact("/a/\(index)"), .prefix("/b/\(index)/")]
    }
    let found = shadowed((patterns + patterns).map { (pattern: $0, isUnconditional: true) })
    #expect(found.map(\.index) == Array(4000..<8000))
    #expect(found.map(\.by) == Array(0..<4000))
  }

  @Test("are found among many with stars in the same places")
  func manyStars() throws {
    let patterns = try (0..<500).flatMap { index in
      [try PathPattern("/users/*/\(index)"), try PathPattern("/a/**/\(index)/*/")]
    }
    let found = shadowed((patterns + patterns).map { (pattern: $0, isUnconditional: true) })
    #expect(found.map(\.index) == Array(1000..<2000))
    #expect(found.map(\.by) == Array(0..<1000))
  }
}
