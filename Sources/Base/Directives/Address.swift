/// Where something listens or is reached, as a configuration says it.
public enum Address: Hashable, Sendable {
  /// A port on every address of the machine: `:8080`.
  case any(port: UInt16)
  /// An address with a port: `127.0.0.1:80`, `[::1]:80`.
  case ip(IPAddress, port: UInt16)
  /// A name with a port, in lower case: `app.internal:8080`.
  case name(String, port: UInt16)
  /// A Unix socket: `unix:/run/app.sock`, or `unix:app.sock` in the state directory.
  case unix(String)

  /// The longest path of a Unix socket in bytes, see `unix(7)`.
  public static let unixPathBytes = 107
  /// The longest name in bytes, see RFC 1035, section 2.3.4.
  public static let nameBytes = 253

  /// The port, or nil for a Unix socket.
  public var port: UInt16? {
    switch self {
    case .any(let port), .ip(_, let port), .name(_, let port): port
    case .unix: nil
    }
  }

  /// The path of a Unix socket, a relative one in `stateDirectory`; nil for other addresses.
  public func unixPath(in stateDirectory: String) -> String? {
    guard case .unix(let path) = self else { return nil }
    if path.hasPrefix("/") || path.hasPrefix("@") { return path }
    return stateDirectory.hasSuffix("/") ? stateDirectory + path : "\(stateDirectory)/\(path)"
  }

  /// Reads an address.
  ///
  /// - Throws: ``ValueError`` with what is wrong and how to write it.
  public init(_ text: String) throws(ValueError) {
    if text.hasPrefix("unix:") {
      self = .unix(try Self.unixPath(String(text.dropFirst(5))))
      return
    }
    for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
      let host = text.dropFirst(scheme.count).prefix { $0 != "/" }
      let port = host.contains(":") ? "" : scheme == "http://" ? ":80" : ":443"
      throw ValueError("an address has no scheme and no path", mend: "\(host)\(port)")
    }
    if text.contains("/") {
      throw ValueError("`\(text)` is not an address", mend: "unix:\(text)")
    }
    guard let colon = text.lastIndex(of: ":") else {
      let isNumber = !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
      throw ValueError(
        "`\(text)` has no port",
        mend: isNumber ? ":\(text)" : "\(text.isEmpty ? "127.0.0.1" : text):80"
      )
    }
    let host = text[..<colon]
    if IPAddress(text) != nil, !host.hasPrefix("[") {
      throw ValueError("an IPv6 address stands in brackets", mend: "[\(text)]:80")
    }
    let port = try Self.port(text[text.index(after: colon)...], of: text)
    if host.isEmpty || host == "*" {
      self = .any(port: port)
    } else if host.hasPrefix("["), host.hasSuffix("]") {
      guard let address = IPAddress(host.dropFirst().dropLast()), case .ipv6 = address else {
        throw ValueError("`\(host)` is not an IPv6 address", mend: "[::1]:\(port)")
      }
      self = .ip(address, port: port)
    } else if let address = IPAddress(host), case .ipv4 = address {
      self = .ip(address, port: port)
    } else {
      self = .name(try Self.name(host), port: port)
    }
  }

  private static func unixPath(_ path: String) throws(ValueError) -> String {
    guard !path.isEmpty, path != "@" else {
      throw ValueError("`unix:` needs a path", mend: "unix:/run/app.sock")
    }
    guard path.utf8.count <= unixPathBytes else {
      throw ValueError(
        "the path of a Unix socket has at most \(unixPathBytes) bytes, this one has "
          + "\(path.utf8.count)",
        mend: "unix:app.sock"
      )
    }
    guard path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
      throw ValueError("the path has a control character", mend: "unix:/run/app.sock")
    }
    return path
  }

  private static func port(
    _ digits: Substring,
    of text: String
  ) throws(ValueError) -> UInt16 {
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = UInt16(digits), port > 0
    else {
      throw ValueError("a port is a number from 1 to 65535, not `\(digits)`", mend: ":8080")
    }
    return port
  }

  private static func name(_ host: Substring) throws(ValueError) -> String {
    let isName = host.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
      default: false
      }
    }
    let labels = host.split(separator: ".", omittingEmptySubsequences: false)
    let labelsFit = labels.allSatisfy { (1...63).contains($0.utf8.count) }
    guard isName, labelsFit, host.utf8.count <= nameBytes else {
      throw ValueError("`\(host)` is neither a name nor an address", mend: "127.0.0.1:8080")
    }
    // A mistyped address (256.0.0.1) must not become a question to a name server.
    guard let last = labels.last, !last.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      throw ValueError("`\(host)` is not an IPv4 address", mend: "127.0.0.1:8080")
    }
    return host.lowercased()
  }
}

extension Address: CustomStringConvertible {
  /// The address as it is written in a configuration.
  public var description: String {
    switch self {
    case .any(let port): ":\(port)"
    case .ip(.ipv4(let host), let port): "\(IPAddress.ipv4(host)):\(port)"
    case .ip(let address, let port): "[\(address)]:\(port)"
    case .name(let name, let port): "\(name):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// What is wrong with one value, and how to write it.
public struct ValueError: Error, Hashable, Sendable {
  /// What is wrong, as a clause without a full stop.
  public var problem: String
  /// The value as it should be written, or nil where no example would help.
  public var mend: String?

  /// Creates an error.
  public init(_ problem: String, mend: String? = nil) {
    self.problem = problem
    self.mend = mend
  }
}
