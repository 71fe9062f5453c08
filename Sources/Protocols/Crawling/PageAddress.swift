/// The address of a page, by HTTP or HTTPS.
///
/// - Source: RFC 3986.
public struct PageAddress: Hashable, Sendable, CustomStringConvertible {
  /// The longest one.
  public static let byteLimit = 4096

  /// Whether it is one of `https`.
  public let isSecure: Bool
  /// The host and the port, in lower case, without the port that is usual.
  public let authority: String
  /// The path and the query; it begins with a slash.
  public let target: String

  /// The whole, as it is asked for.
  public var description: String { "\(isSecure ? "https" : "http")://\(authority)\(target)" }

  /// What is asked for in one place: the same for all pages of a host.
  public var site: String { "\(isSecure ? "https" : "http")://\(authority)" }

  private init?(isSecure: Bool, authority: some StringProtocol, target: some StringProtocol) {
    var authority = authority.lowercased()
    let usual = isSecure ? ":443" : ":80"
    if authority.hasSuffix(usual) { authority.removeLast(usual.utf8.count) }
    guard !authority.isEmpty, !authority.hasPrefix(":"), !authority.contains("@"),
      authority.utf8.allSatisfy({ 0x21...0x7E ~= $0 })
    else { return nil }
    self.isSecure = isSecure
    self.authority = authority
    let (path, query) = Self.cut(target.prefix { $0 != "#" }, at: "?")
    let whole = Self.withoutDots(path.hasPrefix("/") ? String(path) : "/\(path)")
    self.target = Self.encoded(whole + (query.map { "?\($0)" } ?? ""))
    guard description.utf8.count <= Self.byteLimit else { return nil }
  }

  /// Reads a whole address; nil for one that is none of `http` or `https`.
  public init?(_ text: String) {
    let isSecure = text.lowercased().hasPrefix("https://")
    guard isSecure || text.lowercased().hasPrefix("http://") else { return nil }
    let rest = text.dropFirst(isSecure ? 8 : 7)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
    self.init(isSecure: isSecure, authority: rest[..<end], target: rest[end...])
  }

  /// The address that a link on this page leads to; nil where that is none of a page.
  ///
  /// - Source: RFC 3986, section 5.2.
  public func resolving(_ link: String) -> PageAddress? {
    // What people paste has white space around it, and line ends within.
    let link = String(
      String.UnicodeScalarView(
        link.unicodeScalars.filter { $0 != "\n" && $0 != "\r" && $0 != "\t" }
      )
    ).drop { $0 == " " }
    guard link.utf8.count <= Self.byteLimit else { return nil }
    if link.hasPrefix("//") { return PageAddress("\(isSecure ? "https" : "http"):\(link)") }
    let scheme = link.prefix { $0.isLetter || $0.isNumber || "+-.".contains($0) }
    if link.dropFirst(scheme.count).hasPrefix(":"), scheme.first?.isLetter == true {
      return PageAddress(String(link))
    }
    let (path, query) = Self.cut(target[...], at: "?")
    switch link.first {
    case nil, "#": return self
    case "/": return PageAddress(isSecure: isSecure, authority: authority, target: link)
    case "?": return PageAddress(isSecure: isSecure, authority: authority, target: "\(path)\(link)")
    default:
      _ = query
      let folder = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
      return PageAddress(isSecure: isSecure, authority: authority, target: "\(folder)\(link)")
    }
  }

  private static func cut(
    _ text: some StringProtocol,
    at mark: Character
  ) -> (Substring, Substring?) {
    let text = Substring(text)
    guard let place = text.firstIndex(of: mark) else { return (text, nil) }
    return (text[..<place], text[text.index(after: place)...])
  }

  /// A path without `.` and `..`: RFC 3986, section 5.2.4.
  private static func withoutDots(_ path: String) -> String {
    var parts: [Substring] = []
    let all = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    for (place, part) in all.enumerated() {
      let isLast = place == all.count - 1
      switch part {
      case ".": if isLast { parts.append("") }
      case "..":
        _ = parts.popLast()
        if isLast { parts.append("") }
      default: parts.append(part)
      }
    }
    return "/" + parts.joined(separator: "/")
  }

  /// What cannot stand in a request, as `%` triplets.
  private static func encoded(_ text: String) -> String {
    guard text.utf8.contains(where: { !(0x21...0x7E ~= $0) || $0 == 0x22 || $0 == 0x3C }) else {
      return text
    }
    let digits = Array("0123456789ABCDEF".utf8)
    let bytes = text.utf8.flatMap { byte -> [UInt8] in
      0x21...0x7E ~= byte && byte != 0x22 && byte != 0x3C
        ? [byte] : [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
