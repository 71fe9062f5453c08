import HTTPMessage
import Testing

private func pairs(_ text: String) -> [[String]] {
  let bytes = Array(text.utf8)
  var walk = CookiePairs(0..<bytes.count)
  var pairs: [[String]] = []
  while let pair = walk.next(in: bytes.span) {
    pairs.append([pair.name, pair.value].map { String(decoding: bytes[$0], as: UTF8.self) })
  }
  return pairs
}

@Suite("Cookies of a field") struct CookiePairsTests {
  @Test(
    "are told in order, whatever stands around them",
    arguments: [
      ("", []), ("a=1", [["a", "1"]]), ("a=1; b=2", [["a", "1"], ["b", "2"]]),
      ("a=1;b=2", [["a", "1"], ["b", "2"]]), (" a = 1 ;\tb=2 ", [["a", "1"], ["b", "2"]]),
      ("a=", [["a", ""]]), ("a=b=c", [["a", "b=c"]]), ("a=\"x y\"", [["a", "\"x y\""]]),
      ("a=1; ; b=2;", [["a", "1"], ["b", "2"]]), ("alone; =nameless; b=2", [["b", "2"]]),
      ("a=1; a=2", [["a", "1"], ["a", "2"]]),
    ] as [(String, [[String]])]
  )
  func walk(text: String, expected: [[String]]) {
    #expect(pairs(text) == expected)
  }

  @Test(
    "are found by their exact name",
    arguments: [
      ("a=1; ab=2", "ab", "2"), ("ab=2", "a", nil), ("A=1", "a", nil), ("a=1; a=2", "a", "1"),
      ("id=7; Path=/; HttpOnly", "id", "7"), ("", "a", nil),
    ] as [(String, String, String?)]
  )
  func find(text: String, name: String, value: String?) {
    let bytes = Array(text.utf8)
    let found = CookiePairs.value(of: Array(name.utf8).span, in: 0..<bytes.count, of: bytes.span)
    #expect(found.map { String(decoding: bytes[$0], as: UTF8.self) } == value)
  }

  @Test("any bytes give ranges within the field", arguments: 0..<50)
  func anyBytes(seed: Int) {
    var random = SystemRandomNumberGenerator()
    let alphabet = Array("a=; \t\"\u{0}é".utf8)
    let bytes = (0..<seed * 3).map { _ in alphabet.randomElement(using: &random) ?? 0 }
    let start = bytes.count / 4
    var walk = CookiePairs(start..<bytes.count)
    var last = start
    while let pair = walk.next(in: bytes.span) {
      #expect(pair.name.lowerBound >= last && !pair.name.isEmpty)
      #expect(pair.value.lowerBound > pair.name.upperBound - 1)
      #expect(pair.value.upperBound <= bytes.count)
      last = pair.value.upperBound
    }
  }
}
