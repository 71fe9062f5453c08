import HTTPCaching
import HTTPMessage
import Testing

@Suite("Which bytes are asked for: RFC 9110, section 14.1.2")
struct PartScopeTests {
  private func scope(_ fields: String...) -> PartScope? {
    let asked = Asked(fields: fields)
    return PartScope(of: asked.head, in: asked.bytes.span)
  }

  @Test(
    "is read of a single range",
    arguments: [
      ("bytes=0-0", .bytes(first: 0, last: 0)), ("BYTES=5-", .bytes(first: 5, last: nil)),
      ("bytes=-7", .suffix(7)),
      ("bytes=1-999999999999999999", .bytes(first: 1, last: 999_999_999_999_999_999)),
      ("bytes=2-1", nil), ("bytes=", nil), ("bytes=-", nil), ("bytes=-0", nil), ("bytes=a-b", nil),
      ("bytes=1-2,3-4", nil), ("bytes=1 -2", nil), ("lines=1-2", nil),
      ("bytes=1-1000000000000000000", nil), ("bytes=--1", nil),
    ] as [(String, PartScope?)]
  )
  func reads(value: String, expected: PartScope?) {
    #expect(scope("Range: \(value)") == expected)
  }

  @Test("is none where there are several lines, or none")
  func lines() {
    #expect(scope("Range: bytes=0-1", "Range: bytes=0-1") == nil)
    #expect(scope("A: b") == nil)
  }

  @Test("grows to slices")
  func grows() {
    let scope = PartScope.bytes(first: 70, last: 130)
    #expect(scope.grown(to: 64) == .bytes(first: 64, last: 191))
    #expect(PartScope.bytes(first: 63, last: nil).grown(to: 64) == .bytes(first: 0, last: nil))
    #expect(PartScope.bytes(first: 64, last: 127).grown(to: 64) == .bytes(first: 64, last: 127))
    #expect(PartScope.suffix(3).grown(to: 64) == .suffix(3))
    #expect(PartScope.whole.grown(to: 64) == .whole)
  }

  @Test("has another in it only if that is so for every length")
  func contains() {
    let some = PartScope.bytes(first: 5, last: 9)
    #expect(some.contains(.bytes(first: 6, last: 9)) && some.contains(some))
    #expect(!some.contains(.bytes(first: 4, last: 9)) && !some.contains(.bytes(first: 5, last: 10)))
    #expect(!some.contains(.bytes(first: 5, last: nil)) && !some.contains(.suffix(1)))
    #expect(!some.contains(.whole))
    #expect(PartScope.bytes(first: 0, last: nil).contains(.suffix(9)))
    #expect(PartScope.bytes(first: 0, last: nil).contains(.whole))
    #expect(!PartScope.bytes(first: 1, last: nil).contains(.suffix(9)))
    #expect(PartScope.suffix(9).contains(.suffix(9)) && !PartScope.suffix(9).contains(.suffix(10)))
    #expect(PartScope.whole.contains(.suffix(1)) && PartScope.whole.contains(some))
  }

  @Test("is written as a request has it", arguments: ["bytes=0-9", "bytes=7-", "bytes=-3"])
  func writes(value: String) {
    #expect(scope("Range: \(value)")?.value == value)
    #expect(PartScope.whole.value == nil)
    #expect(PartScope(3..<7).value == "bytes=3-6")
  }
}
