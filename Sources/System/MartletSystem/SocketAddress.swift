public import CLinux

/// Where a socket is bound or connected: an IPv4 or IPv6 address with a port, or a Unix path.
public enum SocketAddress: Hashable, Sendable {
  /// A host as a 32-bit number in host order, and a port.
  case ipv4(UInt32, port: UInt16)
  /// A host as two 64-bit numbers in host order, a port and an interface's index (0: none).
  case ipv6(UInt64, UInt64, port: UInt16, scope: UInt32)
  /// A path in the file system; one that begins with `@` is a name in the abstract namespace.
  case unix(String)

  /// The longest path of a Unix socket in bytes, see `unix(7)`.
  public static let pathBytes = 107

  /// The port, or nil for a Unix socket.
  public var port: UInt16? {
    switch self {
    case .ipv4(_, let port), .ipv6(_, _, let port, _): port
    case .unix: nil
    }
  }

  /// The address without its port as text: `192.0.2.1`, `2001:db8::1`, or `unix:` and the path.
  public var hostText: String {
    switch self {
    case .ipv4(let host, _):
      "\(host >> 24).\(host >> 16 & 255).\(host >> 8 & 255).\(host & 255)"
    case .ipv6(let high, let low, _, _): Self.text(high, low)
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Whether it is one that no packet leaves this machine for: of the loopback, or a Unix socket.
  public var isOfThisMachine: Bool {
    switch self {
    case .ipv4(let host, _): host >> 24 == 127
    case .ipv6(let high, let low, _, _): high == 0 && low == 1
    case .unix: true
    }
  }

  /// The sixteen bytes of the host; an IPv4 host as `::ffff:a.b.c.d`; nil for a Unix socket.
  public var hostWords: (UInt64, UInt64)? {
    switch self {
    case .ipv4(let host, _): (0, 0xFFFF_0000_0000 | UInt64(host))
    case .ipv6(let high, let low, _, _): (high, low)
    case .unix: nil
    }
  }

  /// Reads `192.0.2.1` or `2001:db8::1`, without brackets or port.
  ///
  /// - Returns: The address with `port`, or nil if `host` is a name.
  public init?(host: String, port: UInt16) {
    var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
    // Safe: inet_pton writes 4 or 16 bytes into 16.
    let family = unsafe withUnsafeMutableBytes(of: &words) { storage -> Int32 in
      if unsafe inet_pton(martlet_family_ipv4, host, storage.baseAddress) == 1 {
        return martlet_family_ipv4
      }
      return unsafe inet_pton(martlet_family_ipv6, host, storage.baseAddress) == 1
        ? martlet_family_ipv6 : 0
    }
    switch family {
    case martlet_family_ipv4: self = .ipv4(UInt32(bigEndian: words.0), port: port)
    case martlet_family_ipv6:
      let high = UInt64(UInt32(bigEndian: words.0)) << 32 | UInt64(UInt32(bigEndian: words.1))
      let low = UInt64(UInt32(bigEndian: words.2)) << 32 | UInt64(UInt32(bigEndian: words.3))
      self = .ipv6(high, low, port: port, scope: 0)
    default: return nil
    }
  }

  /// The form of RFC 5952: lower case, the longest run of zero groups as `::`.
  private static func text(_ high: UInt64, _ low: UInt64) -> String {
    if high == 0, low >> 32 == 0xFFFF {
      return "::ffff:" + Self.ipv4(UInt32(truncatingIfNeeded: low), port: 0).hostText
    }
    let shifts: [UInt64] = [48, 32, 16, 0]
    let groups = shifts.map { high >> $0 & 0xFFFF } + shifts.map { low >> $0 & 0xFFFF }
    var best = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, groups[end] == 0 { end += 1 }
      if end - start > max(best.count, 1) { best = start..<end }
      start = max(end, start + 1)
    }
    func joined(_ groups: ArraySlice<UInt64>) -> String {
      groups.map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard !best.isEmpty else { return joined(groups[...]) }
    return joined(groups[..<best.lowerBound]) + "::" + joined(groups[best.upperBound...])
  }
}

extension SocketAddress: CustomStringConvertible {
  /// The address with its port, as it is written in a configuration.
  public var description: String {
    switch self {
    case .ipv4(_, let port): "\(hostText):\(port)"
    case .ipv6(_, _, let port, _): "[\(hostText)]:\(port)"
    case .unix: hostText
    }
  }
}

extension SocketAddress {
  /// The socket family of the address.
  @usableFromInline var family: Int32 {
    switch self {
    case .ipv4: martlet_family_ipv4
    case .ipv6: martlet_family_ipv6
    case .unix: martlet_family_unix
    }
  }

  /// The kernel's form.
  ///
  /// - Throws: ``SystemError`` when a path is longer than ``pathBytes``.
  func kernelForm() throws(SystemError) -> martlet_address {
    var address = martlet_address()
    switch self {
    case .ipv4(let host, let port):
      // Safe: the shim writes only into `address`.
      unsafe martlet_address_ipv4(&address, host, port)
    case .ipv6(let high, let low, let port, let scope):
      var bytes = (high.bigEndian, low.bigEndian)
      // Safe: two words are sixteen bytes; the shim reads exactly those.
      unsafe withUnsafeBytes(of: &bytes) { storage in
        unsafe martlet_address_ipv6(
          &address,
          storage.baseAddress?.assumingMemoryBound(to: UInt8.self),
          port,
          scope
        )
      }
    case .unix(let path):
      var bytes = Array(path.utf8)
      if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
      // Safe: the shim copies `count` bytes or refuses.
      let result = unsafe bytes.withUnsafeBytes { storage in
        unsafe martlet_address_unix(&address, storage.baseAddress, storage.count)
      }
      try check(result, .bind)
    }
    return address
  }

  /// Sends one datagram from the socket `descriptor` to this address.
  ///
  /// - Returns: The bytes sent, or −1 when the socket is full for now.
  /// - Throws: ``SystemError`` when the call fails otherwise. System call: `sendto(2)`.
  public func send(_ bytes: Span<UInt8>, from descriptor: Int32) throws(SystemError) -> Int {
    var form = try kernelForm()
    // Safe: span and address outlive the call, which only reads them.
    let result = unsafe bytes.withUnsafeBytes { storage in
      unsafe martlet_send_to(descriptor, storage.baseAddress, storage.count, &form)
    }
    return result == -Int64(EAGAIN) ? -1 : try check(result, .send)
  }

  /// Reads the kernel's form; an unknown family reads as an unnamed Unix socket.
  public init(_ address: inout martlet_address) {
    // Safe: the shims read only `address`, which the kernel has filled.
    switch unsafe martlet_address_family(&address) {
    case martlet_family_ipv4:
      self = unsafe .ipv4(
        martlet_address_ipv4_host(&address),
        port: martlet_address_port(&address)
      )
    case martlet_family_ipv6:
      var words: (UInt64, UInt64) = (0, 0)
      unsafe withUnsafeMutableBytes(of: &words) { storage in
        unsafe martlet_address_ipv6_host(
          &address,
          storage.baseAddress?.assumingMemoryBound(to: UInt8.self)
        )
      }
      self = unsafe .ipv6(
        UInt64(bigEndian: words.0),
        UInt64(bigEndian: words.1),
        port: martlet_address_port(&address),
        scope: martlet_address_ipv6_scope(&address)
      )
    default:
      var path = [UInt8](repeating: 0, count: SocketAddress.pathBytes + 1)
      // Safe: the shim writes at most 108 bytes.
      let count = unsafe path.withUnsafeMutableBytes { storage in
        unsafe martlet_address_unix_path(&address, storage.baseAddress)
      }
      if count > 0, path[0] == 0 { path[0] = UInt8(ascii: "@") }
      self = .unix(String(decoding: path.prefix(Int(count)), as: UTF8.self))
    }
  }
}

/// Why a name could not be resolved.
public struct ResolutionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name that was asked for.
  public var name: String
  /// The resolver's words.
  public var description: String
}

extension SocketAddress {
  /// The most addresses of one name that are used.
  public static let resolvedCount = 64

  /// Asks the system's resolver for the addresses of `name`.
  ///
  /// Blocks: never on a loop.
  ///
  /// - Throws: ``ResolutionError`` with the resolver's words. Library call: `getaddrinfo(3)`.
  public static func resolve(
    _ name: String,
    port: UInt16
  ) throws(ResolutionError) -> [SocketAddress] {
    var found = [martlet_address](repeating: martlet_address(), count: resolvedCount)
    // Safe: the shim writes at most as many addresses as it is told.
    let result = unsafe found.withUnsafeMutableBufferPointer { storage in
      unsafe martlet_resolve(name, port, storage.baseAddress, storage.count)
    }
    guard result >= 0 else {
      // Safe: gai_strerror returns a constant text.
      let message = unsafe martlet_resolve_message(result).map { unsafe String(cString: $0) }
      throw ResolutionError(name: name, description: "\(name): \(message ?? "not resolved")")
    }
    return found.prefix(Int(result)).map { address in
      var address = address
      return SocketAddress(&address)
    }
  }
}
