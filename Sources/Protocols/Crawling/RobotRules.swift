/// What a site lets a crawler ask for.
///
/// - Source: RFC 9309.
public struct RobotRules: Hashable, Sendable {
  private struct Rule: Hashable, Sendable {
    var isAllowed: Bool
    /// The pattern, with `%` triplets in one form; `*` stands for anything.
    var pattern: [UInt8]
    var endsThere: Bool
  }

  /// The most bytes that are looked at: section 2.5 asks for 500 KiB at least.
  public static let byteLimit = 512 << 10
  private static let ruleLimit = 10_000
  private static let patternBytes = 2048

  private var rules: [Rule] = []
  /// How many seconds to wait between two requests, as far as the site says so.
  ///
  /// It is no part of the RFC, but is often written.
  public private(set) var delaySeconds: Double?

  /// Rules that allow everything, as those of a site without any: section 2.3.1.3.
  public static let allowingAll = RobotRules()

  /// Rules that allow nothing, as those of a site that cannot be asked for them: section 2.3.1.4.
  public static let allowingNothing = RobotRules([
    Rule(isAllowed: false, pattern: [0x2F], endsThere: false)
  ])

  private init(_ rules: [Rule] = []) { self.rules = rules }

  /// Reads the rules for a crawler of this name: those of all groups that name it, or else of those for `*`.
  ///
  /// - Complexity: O(*n*).
  public init(_ text: some Collection<UInt8>, for product: String) {
    var own: (rules: [Rule], delay: Double?)?
    var others: (rules: [Rule], delay: Double?) = ([], nil)
    var (isOwn, isOther, isNaming) = (false, false, false)
    for line in text.prefix(Self.byteLimit).split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
      guard let (key, value) = Self.pair(line) else { continue }
      if key == "user-agent" {
        if !isNaming { (isOwn, isOther, isNaming) = (false, false, true) }
        let name = value.prefix { $0.isLetter || $0 == "_" || $0 == "-" }.lowercased()
        if value.hasPrefix("*") { isOther = true }
        if name == product.lowercased() {
          isOwn = true
          own = own ?? ([], nil)
        }
        continue
      }
      if key == "crawl-delay", let delay = Double(value), delay >= 0 {
        if isOwn { own?.delay = delay }
        if isOther { others.delay = delay }
      }
      guard key == "allow" || key == "disallow" else { continue }
      isNaming = false
      guard let rule = Self.rule(key == "allow", value) else { continue }
      if isOwn, (own?.rules.count ?? 0) < Self.ruleLimit { own?.rules.append(rule) }
      if isOther, others.rules.count < Self.ruleLimit { others.rules.append(rule) }
    }
    (rules, delaySeconds) = own ?? others
  }

  private static func pair(_ line: some Collection<UInt8>) -> (key: String, value: String)? {
    let line = line.prefix { $0 != 0x23 }
    guard let colon = line.firstIndex(of: 0x3A) else { return nil }
    func trimmed(_ bytes: some Collection<UInt8>) -> String {
      let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
      let text = Array(bytes.drop(while: isSpace))
      let end = text.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? 0
      return String(decoding: text[..<end], as: UTF8.self)
    }
    return (trimmed(line[..<colon]).lowercased(), trimmed(line[line.index(after: colon)...]))
  }

  /// A rule; nil for one that is empty, which says nothing.
  private static func rule(_ isAllowed: Bool, _ value: String) -> Rule? {
    guard value.hasPrefix("/") || value.hasPrefix("*"), value.utf8.count <= patternBytes else {
      return nil
    }
    let endsThere = value.hasSuffix("$")
    let pattern = normal(Array(endsThere ? value.dropLast().utf8 : Substring(value).utf8))
    return Rule(isAllowed: isAllowed, pattern: pattern, endsThere: endsThere)
  }

  /// The same octets in the same form: section 2.2.2.
  private static func normal(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      if byte == 0x25, index + 2 < bytes.count, let high = value(bytes[index + 1]),
        let low = value(bytes[index + 2])
      {
        let octet = high << 4 | low
        if isUnreserved(octet) {
          result.append(octet)
        } else {
          result += [0x25, digits[Int(octet >> 4)], digits[Int(octet & 15)]]
        }
        index += 3
        continue
      }
      if byte > 0x7E || byte <= 0x20 {
        result += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      } else {
        result.append(byte)
      }
      index += 1
    }
    return result
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
  }

  /// RFC 3986, section 2.3.
  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
    default: false
    }
  }

  /// Whether a path with its query may be asked for: the longest rule that matches decides, and of two that are
  /// as long the one that allows.
  ///
  /// - Complexity: O(*n* · *m*) in the rules and in the path.
  public func allow(_ target: String) -> Bool {
    if target == "/robots.txt" { return true }
    let path = Self.normal(Array(target.utf8.prefix(8192)))
    var best: (count: Int, isAllowed: Bool) = (-1, true)
    for rule in rules where Self.matches(rule, path) {
      let count = rule.pattern.count + (rule.endsThere ? 1 : 0)
      if count > best.count || (count == best.count && rule.isAllowed) {
        best = (count, rule.isAllowed)
      }
    }
    return best.isAllowed
  }

  private static func matches(_ rule: Rule, _ path: [UInt8]) -> Bool {
    let pattern = rule.endsThere ? rule.pattern : rule.pattern + [0x2A]
    var (place, index) = (0, 0)
    // Where the last `*` stands, and what it has taken so far: it is all that must be tried again.
    var (star, taken) = (-1, 0)
    while index < path.count {
      if place < pattern.count, pattern[place] == 0x2A {
        (star, taken) = (place, index)
        place += 1
      } else if place < pattern.count, pattern[place] == path[index] {
        place += 1
        index += 1
      } else if star >= 0 {
        taken += 1
        (place, index) = (star + 1, taken)
      } else {
        return false
      }
    }
    return pattern[place...].allSatisfy { $0 == 0x2A }
  }
}
