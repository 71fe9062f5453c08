import MartletBytes

/// A cookie that is given to a client: the value of a `Set-Cookie` field.
///
/// ```swift
/// let cookie = try SetCookie("__Host-session", value, [.secure, .httpOnly, .sameSite(.lax)])
/// head += cookie.text.utf8
/// ```
///
/// - Source: RFC 6265bis (draft-ietf-httpbis-rfc6265bis), sections 4.1 and 5.
public struct SetCookie: Hashable, Sendable {
  /// Which requests from other sites carry a cookie (section 5.6.7).
  public enum SameSite: String, Hashable, Sendable, CaseIterable {
    /// None of them.
    case strict = "Strict"
    /// Those that lead to a page.
    case lax = "Lax"
    /// All; browsers want ``SetCookie/Attribute/secure`` too.
    case none = "None"
  }

  /// What is said of a cookie besides its value (section 4.1.2).
  public enum Attribute: Hashable, Sendable {
    /// The paths that it is sent for.
    case path(String)
    /// The host that it is sent to, with those below it; without: the one that gave it alone.
    case domain(String)
    /// How many seconds it is kept, at most 400 days; 0 removes it.
    case maxAge(Int)
    /// It is sent over TLS alone.
    case secure
    /// Scripts of the page do not see it.
    case httpOnly
    /// Which requests from other sites carry it.
    case sameSite(SameSite)
  }

  /// Why browsers would not take a cookie, or take another one.
  public enum Problem: Error, Hashable, Sendable {
    /// The name is not a token.
    case name
    /// The value has whitespace, quotes, commas, semicolons, backslashes or what is not ASCII.
    case value
    /// Name and value have more than 4096 bytes, or an attribute more than 1024.
    case tooLong
    /// A path that does not begin with `/`, or an attribute with a control character or `;`.
    case attribute
    /// `SameSite=None` without `Secure`.
    case sameSiteNone
    /// A name with `__Secure-` or `__Host-` in front, without what that promises (section 4.1.3).
    case prefix
  }

  /// The most bytes of a name and its value (section 5.5).
  public static let byteLimit = 4096
  /// The most bytes of an attribute's value (section 5.5).
  public static let attributeByteLimit = 1024
  /// The longest time that browsers keep a cookie: 400 days (section 5.5).
  public static let longestAge = 400 * 86_400

  /// `NAME=VALUE; ATTRIBUTES`.
  public let text: String

  /// Creates the field's value.
  ///
  /// - Throws: ``Problem`` when a browser would not take the cookie as it is meant.
  public init(_ name: String, _ value: String, _ attributes: [Attribute] = []) throws(Problem) {
    guard Self.isToken(name) else { throw .name }
    guard value.utf8.allSatisfy(Self.isValueByte) else { throw .value }
    guard name.utf8.count + value.utf8.count <= Self.byteLimit else { throw .tooLong }
    self.init(name, value, checked: try Self.text(of: attributes, for: name))
  }

  private init(_ name: String, _ value: String, checked attributes: String) {
    text = "\(name)=\(value)\(attributes)"
  }

  /// What stands behind the value of a cookie of this name: each attribute with `; ` in front.
  ///
  /// - Throws: ``Problem`` when a browser would not take the cookie.
  public static func text(
    of attributes: [Attribute],
    for name: String
  ) throws(Problem) -> String {
    if attributes.contains(.sameSite(.none)), !attributes.contains(.secure) { throw .sameSiteNone }
    try checkPrefix(of: name, attributes)
    var text = ""
    for attribute in attributes {
      switch attribute {
      case .path(let path):
        guard path.hasPrefix("/") else { throw .attribute }
        try append("Path=\(path)", to: &text)
      case .domain(let host): try append("Domain=\(host)", to: &text)
      case .maxAge(let seconds):
        text += "; Max-Age=\(min(max(0, seconds), longestAge))"
      case .secure: text += "; Secure"
      case .httpOnly: text += "; HttpOnly"
      case .sameSite(let requests): text += "; SameSite=\(requests.rawValue)"
      }
    }
    return text
  }

  private static func append(_ attribute: String, to text: inout String) throws(Problem) {
    guard attribute.utf8.count <= attributeByteLimit else { throw .tooLong }
    guard attribute.utf8.allSatisfy({ $0 > 0x1F && $0 < 0x7F && $0 != 0x3B }) else {
      throw .attribute
    }
    text += "; " + attribute
  }

  /// Browsers compare the prefixes without regard to case (section 5.4).
  private static func checkPrefix(
    of name: String,
    _ attributes: [Attribute]
  ) throws(Problem) {
    let lower = name.lowercased()
    let isHost = lower.hasPrefix("__host-")
    guard isHost || lower.hasPrefix("__secure-") else { return }
    guard attributes.contains(.secure) else { throw .prefix }
    guard isHost else { return }
    var hasRoot = false
    for attribute in attributes {
      if case .domain = attribute { throw .prefix }
      if case .path(let path) = attribute { hasRoot = path == "/" }
    }
    guard hasRoot else { throw .prefix }
  }

  /// Whether a text is a token (RFC 9110, section 5.6.2).
  public static func isToken(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { HTTPGrammar.token.contains($0) }
  }

  /// cookie-octet (section 4.1.1).
  private static func isValueByte(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x2C && byte != 0x3B && byte != 0x5C
  }
}
