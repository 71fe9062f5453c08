import Configuration
import Routing
import Testing

@Suite("Text matcher")
struct TextMatcherTests {
  private func matches(_ pattern: String, _ value: String) -> Bool {
    TextMatcher(TextPattern(pattern)).matches(Array(value.utf8).span)
  }

  @Test(
    "takes values as their pattern says",
    arguments: [
      ("", "", true), ("", "a", false), ("*", "", true), ("*", "a", true), ("a", "a", true),
      ("a", "A", false), ("a", "ab", false), ("a", "ba", false), ("a*", "abc", true),
      ("*c", "abc", true), ("*b*", "abc", true), ("a*a", "a", false), ("a*a", "aa", true),
      ("a*b*c", "aXbXc", true), ("a*b*c", "ac", false), ("*aab*", "aaab", true),
      ("*abab*b", "ababab", true), ("*ab*ab*", "aba", false), ("**", "x", true),
    ]
  )
  func forms(pattern: String, value: String, isTaken: Bool) {
    #expect(matches(pattern, value) == isTaken)
  }

  @Test("answers as the pattern itself", arguments: 0..<60)
  func oracle(seed: Int) {
    var numbers = Numbers(seed)
    for _ in 0..<100 {
      let pattern = numbers.text(of: ["a", "b", "ab", "aab", "*"], count: 0...7)
      let matcher = TextMatcher(TextPattern(pattern))
      let value = numbers.text(of: ["a", "b", "ab", "aab"], count: 0...14)
      #expect(
        matcher.matches(Array(value.utf8).span) == TextPattern(pattern).matches(value),
        "\(pattern) and \(value)"
      )
    }
  }
}
