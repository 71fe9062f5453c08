import Configuration
import Directives
import MartletBytes
struct HostTable: Sendable {
  var names: [String: Int] = [:]
  init(_ entries: [(pattern: HostPattern, value: Int)]) {
    for e in entries { if case .exact(let n) = e.pattern, names[n] == nil { names[n] = e.value } }
  }
  func value(for host: Span<UInt8>) -> Int? { names[String(decoding: host).lowercased()] }
}
struct PathTable: Sendable {
  var patterns: [PathPattern]
  init(_ p: [PathPattern]) { patterns = p }
  func firstMatch(_ path: Span<UInt8>, where isMet: (Int) -> Bool) -> Int? {
    let text = String(decoding: path)
    return patterns.indices.first { patterns[$0].matches(text) && isMet($0) }
  }
}
struct NetworkSet: Sendable {
  let n: [Network]; init(_ n: [Network]) { self.n = n };
  func contains(_ w: (UInt64, UInt64)) -> Bool { n.contains { $0.contains(words: w) } }
}
struct TextMatcher: Sendable {
  let p: TextPattern; init(_ p: TextPattern) { self.p = p };
  func matches(_ v: Span<UInt8>) -> Bool { p.matches(String(decoding: v)) }
}
struct QueryParameters {
  var rest: Range<Int>
  init(_ r: Range<Int>) { rest = r }
  mutating func next(in bytes: Span<UInt8>) -> (name: Range<Int>, value: Range<Int>)? {
    guard !rest.isEmpty else { return nil }
    var end = rest.lowerBound; var eq: Int?
    while end < rest.upperBound, bytes[end] != 0x26 {
      if bytes[end] == 0x3D, eq == nil { eq = end }; end += 1
    }
    let start = rest.lowerBound
    rest = min(end + 1, rest.upperBound)..<rest.upperBound
    return (start..<(eq ?? end), min((eq ?? end) + 1, end)..<end)
  }
}
