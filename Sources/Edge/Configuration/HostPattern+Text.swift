public import Directives

extension HostPattern {
  /// Reads a name as a server writes it: `shop.example`, `*.shop.example`, `192.0.2.1`, `[::1]`.
  ///
  /// A dot at the end, that of the root, says nothing more and is left out.
  ///
  /// - Throws: ``ValueError`` with what is wrong and how to write it.
  public init(_ text: String) throws(ValueError) {
    let name = Self.withoutRootDot(text.lowercased())
    if name == "*" || name == "_" {
      throw ValueError("a server that answers to every name has none", mend: "")
    }
    if name.hasPrefix("["), name.hasSuffix("]"),
      let address = IPAddress(name.dropFirst().dropLast()), case .ipv6 = address
    {
      self = .exact("[\(address)]")
      return
    }
    for scheme in ["http://", "https://"] where name.hasPrefix(scheme) {
      let host = name.dropFirst(scheme.count).prefix { $0 != "/" && $0 != ":" }
      throw ValueError("a server's name has no scheme", mend: String(host))
    }
    if let colon = name.firstIndex(of: ":") {
      throw ValueError(
        "a server's name has no port; `listen` says the port",
        mend: String(name[..<colon])
      )
    }
    let isWildcard = name.hasPrefix("*.")
    let labels = (isWildcard ? name.dropFirst(2) : name[...])
      .split(separator: ".", omittingEmptySubsequences: false)
    let isName = labels.allSatisfy { label in
      (1...63).contains(label.utf8.count)
        && label.utf8.allSatisfy { byte in
          switch byte {
          case 0x30...0x39, 0x61...0x7A, 0x2D, 0x5F: true
          default: false
          }
        }
    }
    guard isName, name.utf8.count <= Address.nameBytes else {
      throw ValueError(
        name.contains("*")
          ? "`*` stands for whole labels in front: `\(text)` is not such a name"
          : "`\(text)` is not a host's name",
        mend: name.contains("*") ? "*.shop.example" : "shop.example"
      )
    }
    self = isWildcard ? .wildcard(suffix: String(name.dropFirst())) : .exact(name)
  }
}
