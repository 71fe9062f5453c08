import Directives

/// What the words behind the name of a cookie say of it, wherever Martlet gives one.
///
/// RFC 6265, section 4.1.2.
let cookieAttributes: [WordOption<StickyCookie>] = [
  .value("path", \.path, .cookieText("PATH")),
  .value("domain", \.domain, .optional(.cookieText("HOST"), none: "none")),
  .value(
    "same_site",
    \.sameSite,
    .choice(StickyCookie.SameSite.allCases.map { ($0.rawValue, $0) })
  ),
  .mark("secure", \.isSecure),
]

extension StickyCookie {
  /// What these words have said.
  var shownAttributes: [JSONValue.Member] {
    [
      JSONValue.Member("path", .text(path)),
      JSONValue.Member("domain", domain.map { .text($0) } ?? .null),
      JSONValue.Member("same_site", .text(sameSite.rawValue)),
      JSONValue.Member("secure", .flag(isSecure)),
    ]
  }
}

extension Reading {
  /// Notes what browsers would not take of a cookie.
  mutating func check(_ cookie: StickyCookie, of statement: Statement) {
    if cookie.sameSite == .none, !cookie.isSecure {
      warning(
        "browsers refuse a cookie with `same_site none` that is not `secure`",
        mend: "add `secure`",
        at: statement.range
      )
    }
    checkPrefix(of: cookie, statement)
  }

  /// Notes a name that promises what the cookie does not keep (RFC 6265bis, section 4.1.3).
  private mutating func checkPrefix(of cookie: StickyCookie, _ statement: Statement) {
    let name = cookie.name.lowercased()
    let isHost = name.hasPrefix("__host-")
    guard isHost || name.hasPrefix("__secure-") else { return }
    if !cookie.isSecure {
      error(
        "browsers take a cookie of this name with `secure` alone",
        mend: "write `secure` behind it",
        at: statement.range
      )
    }
    if isHost, cookie.domain != nil || cookie.path != "/" {
      error(
        "browsers take a cookie of this name for one host and all of its paths alone",
        mend: "remove `domain` and `path`, or write `__Secure-` in front of its name",
        at: statement.range
      )
    }
  }
}

extension ValueKind where Value == String {
  /// The name of a cookie, which is a token.
  ///
  /// RFC 6265, section 4.1.1.
  static var cookieName: ValueKind {
    ValueKind(
      "NAME",
      read: { text throws(ValueError) in
        guard isToken(text) else { throw ValueError("`\(text)` is not the name of a cookie") }
        return text
      },
      write: { $0 }
    )
  }

  /// The value of an attribute of a cookie.
  ///
  /// RFC 6265, section 4.1.1.
  fileprivate static func cookieText(_ form: String) -> ValueKind {
    ValueKind(
      form,
      read: { text throws(ValueError) in
        let isValue = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3B }
        guard isValue, (1...255).contains(text.utf8.count) else {
          throw ValueError("`\(text)` cannot stand in a cookie")
        }
        return text
      },
      write: { $0 }
    )
  }
}
