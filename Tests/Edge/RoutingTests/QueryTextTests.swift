import Configuration
import Routing
import Testing

@Suite("Query text")
struct QueryTextTests {
  private func decoded(_ text: String) -> [UInt8] {
    QueryText.withDecoded(Array(text.utf8).span) { bytes in bytes.indices.map { bytes[$0] } }
  }

  private func isEqual(_ text: String, _ plain: [UInt8]) -> Bool {
    QueryText.isEqual(Array(text.utf8).span, to: plain.span)
  }

  @Test(
    "is what its escapes stand for",
    arguments: [
      ("", ""), ("a", "a"), ("a+b", "a b"), ("a%20b", "a b"), ("a%2Bb", "a+b"), ("%2b", "+"),
      ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%%41", "%A"), ("%2541", "%41"), ("%26%3d", "&="),
      ("%41%42%43", "ABC"), ("%c3%A4", "ä"),
    ]
  )
  func forms(text: String, plain: String) {
    #expect(decoded(text) == Array(plain.utf8))
    #expect(isEqual(text, Array(plain.utf8)))
  }

  @Test(
    "is not what it only begins or ends like",
    arguments: [
      ("a", ""), ("", "a"), ("ab", "a"), ("%61b", "a"), ("a", "ab"), ("A", "a"), ("%41", "a"),
      ("%41", "%41"), ("%6", "a"), ("aaaa", "a"),
    ]
  )
  func differences(text: String, plain: String) {
    #expect(!isEqual(text, Array(plain.utf8)))
  }

  @Test("is compared as it is decoded", arguments: 0..<40)
  func oracle(seed: Int) {
    var numbers = Numbers(seed)
    let pieces = ["a", "b", "+", "%61", "%62", "%20", "%", "%2", " ", "%2B"]
    for _ in 0..<100 {
      let left = numbers.text(of: pieces, count: 0...6)
      let right = numbers.text(of: pieces, count: 0...6)
      #expect(isEqual(left, decoded(left)))
      #expect(isEqual(left, decoded(right)) == (decoded(left) == decoded(right)))
    }
  }

  @Test("is read at any length", arguments: [84, 85, 86, 255, 256, 257, 5000])
  func lengths(count: Int) {
    #expect(decoded(String(repeating: "%61", count: count)).count == count)
    #expect(decoded(String(repeating: "+", count: count)).count == count)
  }

  @Test("is what patterns are asked with")
  func patterns() {
    let matcher = TextMatcher(TextPattern("a*c d"))
    #expect(QueryText.withDecoded(Array("%61b%63+d".utf8).span) { matcher.matches($0) })
    #expect(!QueryText.withDecoded(Array("%61b%63d".utf8).span) { matcher.matches($0) })
  }
}
