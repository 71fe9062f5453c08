import Configuration
import Routing
import Testing

extension HostTable {
  fileprivate func value(for host: String) -> Int? {
    value(for: Array(host.utf8).span)
  }
}

@Suite("Host table")
struct HostTableTests {
  private let table = HostTable([
    (.exact("shop.example"), 0), (.wildcard(suffix: ".example"), 1),
    (.wildcard(suffix: ".b.example"), 2), (.exact("a.b.example"), 3), (.exact("shop.example"), 4),
    (.wildcard(suffix: ".example"), 5), (.exact("[2001:db8::1]"), 6),
  ])

  @Test(
    "prefers the exact name, then the longest wildcard, then the first entry",
    arguments: [
      ("shop.example", 0), ("other.example", 1), ("x.b.example", 2), ("x.y.b.example", 2),
      ("a.b.example", 3), ("b.example", 1), ("[2001:db8::1]", 6), ("a.shop.example", 1),
    ]
  )
  func precedence(host: String, value: Int) {
    #expect(table.value(for: host) == value)
  }

  @Test(
    "does not know other names",
    arguments: [
      "", ".", "example", ".example", "example.", "shop.example..", "shop.exampl", "shop.examplee",
      "xexample",
    ]
  )
  func unknown(host: String) {
    #expect(table.value(for: host) == nil)
  }

  @Test(
    "ignores the dot of the root behind a name",
    arguments: [("shop.example.", 0), ("other.example.", 1), ("x.b.example.", 2)]
  )
  func rootDot(host: String, value: Int) {
    #expect(table.value(for: host) == value)
  }

  @Test("ignores the case of ASCII letters alone")
  func letterCase() {
    let table = HostTable([(.exact("shop-[1].example"), 0), (.wildcard(suffix: ".Example.ORG"), 1)])
    #expect(table.value(for: "SHOP-[1].eXaMpLe") == 0)
    #expect(table.value(for: "shop-{1}.example") == nil)
    #expect(table.value(for: "A.eXAMPLE.org") == 1)
  }

  @Test("has no value when it has no names")
  func empty() {
    #expect(HostTable([]).value(for: "a") == nil)
  }

  @Test("finds any name of many", arguments: [1, 2, 3, 100, 5000])
  func many(count: Int) {
    let table = HostTable(
      (0..<count).map { (.exact("host-\($0).example"), $0) }
        + (0..<count).map { (.wildcard(suffix: ".zone-\($0).example"), count + $0) }
    )
    for index in 0..<count {
      #expect(table.value(for: "host-\(index).example") == index)
      #expect(table.value(for: "a.zone-\(index).example") == count + index)
    }
    #expect(table.value(for: "host-\(count).example") == nil)
    #expect(table.value(for: "a.zone-\(count).example") == nil)
  }

  @Test("answers as trying every pattern does", arguments: 0..<60)
  func oracle(seed: Int) {
    var numbers = Numbers(seed)
    let labels = ["a", "b", "ab", ".", ".", ".", "a."]
    let entries = (0..<Int.random(in: 0...40, using: &numbers)).map { index in
      // No pattern ends with the dot of the root.
      let text = numbers.text(of: labels, count: 0...5) + (numbers.once(in: 2) ? "a" : "b")
      return (
        pattern: numbers.once(in: 2) ? HostPattern.exact(text) : .wildcard(suffix: text),
        value: index
      )
    }
    let table = HostTable(entries)
    for _ in 0..<300 {
      let host = numbers.text(of: labels, count: 0...6)
      let takers = entries.filter { $0.pattern.matches(host) }
      let exact = takers.first { if case .exact = $0.pattern { true } else { false } }
      let longest = takers.map(\.pattern.description.count).max()
      let expected = exact ?? takers.first { $0.pattern.description.count == longest }
      #expect(table.value(for: host) == expected?.value, "\(host) in \(entries)")
    }
  }
}
