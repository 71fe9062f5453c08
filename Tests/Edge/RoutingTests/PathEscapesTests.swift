import Configuration
import Routing
import Testing

@Suite("Path escapes, RFC 3986 section 6.2.2")
struct PathEscapesTests {
  private func normalized(_ path: String) -> String {
    String(decoding: PathEscapes.normalized(Array(path.utf8)), as: UTF8.self)
  }

  private func count(_ prefix: String, _ path: String) -> Int? {
    PathEscapes.count(of: Array(prefix.utf8).span, in: Array(path.utf8).span)
  }

  /// Some of the ways to write each character of a path.
  private func disguised(_ path: String, _ numbers: inout Numbers) -> String {
    path.utf8.map { byte in
      let plain = String(decoding: [byte], as: UTF8.self)
      guard plain != "/", plain != "%", numbers.once(in: 2) else { return plain }
      let digits = String(byte, radix: 16)
      return numbers.once(in: 2) ? "%\(digits)" : "%\(digits.uppercased())"
    }
    .joined()
  }

  @Test(
    "take an escaped unreserved character for that character, and nothing else for another",
    arguments: [
      ("/", "/"), ("", ""), ("/%61dmin", "/admin"), ("/%41", "/A"), ("/%7e%7E%2d%2E%5f", "/~~-._"),
      ("/%30%39", "/09"), ("/a%2fb", "/a%2Fb"), ("/a%2Fb", "/a%2Fb"), ("/%c3%A4", "/%C3%A4"),
      ("/%2561", "/%2561"), ("/%25%36%31", "/%2561"), ("/%%61", "/%a"), ("/%6", "/%6"),
      ("/%", "/%"), ("/%zz%61", "/%zza"), ("/a%40b", "/a%40b"),
      ("/%5b%60%7b%2f%3a", "/%5B%60%7B%2F%3A"),
    ]
  )
  func forms(path: String, expected: String) {
    #expect(normalized(path) == expected)
    #expect(normalized(expected) == expected)
  }

  @Test(
    "do not lead around a route",
    arguments: [
      ("/%61dmin", [0, 3]), ("/a%64%6din", [0, 3]), ("/%41dmin", [3]), ("/%61dmin%2f", [3]),
      ("/%75sers/7/%70osts", [1, 3]), ("/users/%37/posts", [1, 3]), ("/s%74atic/x", [2, 3]),
      ("/st%61tic%2Fx", [3]), ("/x%2fy", [3, 4]), ("/x%2Fy", [3, 4]), ("/%2561dmin", [3]),
    ]
  )
  func routes(path: String, expected: [Int]) throws {
    let patterns = ["/admin", "/users/*/posts", "/static/", "/", "/x%2fy"]
    let table = PathTable(try patterns.map { try PathPattern($0) })
    #expect(table.matches(path) == expected)
  }

  @Test("do not change what takes a path, however it is written", arguments: 0..<60)
  func oracle(seed: Int) {
    var numbers = Numbers(seed)
    let patterns = (0..<20).map { _ in numbers.pattern() }
    let table = PathTable(patterns)
    for _ in 0..<60 {
      let path = numbers.path()
      #expect(table.matches(disguised(path, &numbers)) == table.matches(path), "\(path)")
    }
  }

  @Test("are read in paths of any length", arguments: [1, 84, 85, 86, 254, 255, 256, 257, 3000])
  func lengths(count: Int) {
    let table = PathTable([.exact("/" + String(repeating: "a", count: count)), .prefix("/a")])
    let path = "/" + String(repeating: "%61", count: count)
    #expect(table.matches(path) == [0, 1])
    #expect(table.matches(path + "%62") == [1])
    #expect(normalized(path).utf8.count == count + 1)
  }

  @Test(
    "are counted with the prefix they belong to",
    arguments: [
      ("/api", "/api/x", 4), ("/api", "/%61pi/x", 6), ("/api", "/ap%69", 6), ("/api", "/ap", nil),
      ("/api", "/ap%", nil), ("/api", "/ap%4", nil), ("/api", "/ap%49", nil), ("", "/x", 0),
      ("/a%2Fb", "/a%2fb/c", 6), ("/a%2Fb", "/%61%2F%62c", 10), ("/a%2Fb", "/a/b", nil),
      ("/a/b", "/a%2Fb", nil), ("/a%2", "/a%2F", nil), ("/a%20", "/a%2", nil),
    ] as [(String, String, Int?)]
  )
  func prefixes(prefix: String, path: String, expected: Int?) {
    #expect(count(prefix, path) == expected)
  }

  @Test("count a prefix as the normalized path has it", arguments: 0..<40)
  func prefixOracle(seed: Int) {
    var numbers = Numbers(seed)
    for _ in 0..<100 {
      let path = disguised(
        "/" + numbers.text(of: ["a", "b", "/", "|", "%2F"], count: 0...8),
        &numbers
      )
      let prefix = "/" + numbers.text(of: ["a", "b", "/", "%7C", "%2F"], count: 0...4)
      let found = count(prefix, path)
      #expect(
        (found != nil) == normalized(path).utf8.starts(with: prefix.utf8),
        "\(prefix) in \(path)"
      )
      if let found {
        #expect(normalized(String(path.utf8.prefix(found)) ?? "") == prefix)
      }
    }
  }
}
