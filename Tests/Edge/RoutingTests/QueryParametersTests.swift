import Routing
import Testing

@Suite("Query parameters")
struct QueryParametersTests {
  private func parameters(_ text: String, _ range: Range<Int>? = nil) -> [String] {
    let bytes = Array(text.utf8)
    var parameters = QueryParameters(range ?? bytes.indices)
    var found: [String] = []
    while let (name, value) = parameters.next(in: bytes.span) {
      let texts = [name, value].map { String(decoding: bytes[$0], as: UTF8.self) }
      found.append(texts.joined(separator: ":"))
    }
    return found
  }

  @Test(
    "are names and values as they came",
    arguments: [
      ("", []), ("a=1", ["a:1"]), ("a=1&b=2", ["a:1", "b:2"]), ("a", ["a:"]), ("a=", ["a:"]),
      ("=1", [":1"]), ("=", [":"]), ("a=b=c", ["a:b=c"]), ("&&a=1&&b&", ["a:1", "b:"]),
      ("&", []), ("a=%26+x", ["a:%26+x"]), ("a=1;b=2", ["a:1;b=2"]), ("a=1&a=2", ["a:1", "a:2"]),
    ] as [(String, [String])]
  )
  func forms(query: String, expected: [String]) {
    #expect(parameters(query) == expected)
  }

  @Test("stay within the range of the query")
  func range() {
    #expect(parameters("/p?a=1&b=2#&c", 3..<10) == ["a:1", "b:2"])
    #expect(parameters("a=1", 1..<1) == [])
  }
}
