/// What a proxy says of the connection that it passes on.
///
/// - Source: The PROXY protocol, versions 1 and 2.
public struct ProxyHeader: Hashable, Sendable {
  /// The two forms on the wire.
  public enum Version: String, Hashable, Sendable, CaseIterable {
    /// A line of text, with addresses alone.
    case v1
    /// A block of bytes, with addresses and further values.
    case v2
  }

  /// For whom the proxy has connected.
  public enum Command: Hashable, Sendable {
    /// For itself, as for a check of health: the connection's own addresses count.
    case local
    /// For its client.
    case proxy
  }

  /// What the client speaks with the proxy.
  public enum Transport: Hashable, Sendable {
    /// TCP, or a stream over a Unix socket.
    case stream
    /// UDP, or datagrams over a Unix socket.
    case datagram
  }

  /// For whom the proxy has connected.
  public var command: Command
  /// What the client speaks with the proxy.
  public var transport: Transport
  /// The client's address; nil when the proxy does not say it.
  public var source: ProxyAddress?
  /// The address that the client has connected to; nil when the proxy does not say it.
  public var destination: ProxyAddress?
  /// What else the proxy says; version 1 has no place for it.
  public var values: ProxyValues

  /// Creates a header.
  public init(
    command: Command = .proxy,
    transport: Transport = .stream,
    source: ProxyAddress? = nil,
    destination: ProxyAddress? = nil,
    values: ProxyValues = ProxyValues()
  ) {
    self.command = command
    self.transport = transport
    self.source = source
    self.destination = destination
    self.values = values
  }

  /// What a proxy says that has connected for itself.
  public static let local = ProxyHeader(command: .local)
}

/// One end of a connection, as a PROXY header writes it.
public enum ProxyAddress: Hashable, Sendable {
  /// A host as a 32-bit number in host order, and a port.
  case ipv4(UInt32, port: UInt16)
  /// A host as two 64-bit numbers in host order, and a port.
  case ipv6(UInt64, UInt64, port: UInt16)
  /// The path of a Unix socket, at most 108 bytes; empty for one without a name. A name of the abstract
  /// namespace begins with a zero, as a path cannot.
  case unix([UInt8])

  /// The longest path of a Unix socket, in bytes.
  public static let pathBytes = 108

  /// The host as two words, an IPv4 host as `::ffff:a.b.c.d`, and the port; nil for a Unix socket.
  var words: (high: UInt64, low: UInt64, port: UInt16)? {
    switch self {
    case .ipv4(let host, let port): (0, 0xFFFF_0000_0000 | UInt64(host), port)
    case .ipv6(let high, let low, let port): (high, low, port)
    case .unix: nil
    }
  }
}

/// What a header of version 2 says besides addresses.
public struct ProxyValues: Hashable, Sendable {
  /// The protocol above the transport, as ALPN names it.
  public var alpn: [UInt8]?
  /// The host that the client asked for, most often the server name of its TLS.
  public var authority: [UInt8]?
  /// The proxy's own name for the connection, opaque.
  public var uniqueID: [UInt8]?
  /// What the client and the proxy have agreed on in TLS.
  public var tls: ProxyTLS?
  /// The name of the network namespace in which the proxy has accepted the connection.
  public var networkNamespace: [UInt8]?
  /// Values of types that are not named here, in their order.
  public var others: [ProxyValue]

  /// Creates values.
  public init(
    alpn: [UInt8]? = nil,
    authority: [UInt8]? = nil,
    uniqueID: [UInt8]? = nil,
    tls: ProxyTLS? = nil,
    networkNamespace: [UInt8]? = nil,
    others: [ProxyValue] = []
  ) {
    self.alpn = alpn
    self.authority = authority
    self.uniqueID = uniqueID
    self.tls = tls
    self.networkNamespace = networkNamespace
    self.others = others
  }

  /// Whether nothing is said.
  public var isEmpty: Bool { self == ProxyValues() }
}

/// A value of a type that has no name here: those from 0xE0 on belong to applications.
public struct ProxyValue: Hashable, Sendable {
  /// Its type on the wire.
  public var type: UInt8
  /// Its bytes.
  public var bytes: [UInt8]

  /// Creates a value.
  public init(type: UInt8, bytes: [UInt8]) {
    self.type = type
    self.bytes = bytes
  }
}

/// What the client and the proxy have agreed on in TLS.
public struct ProxyTLS: Hashable, Sendable {
  /// Whether the client's connection is a TLS one.
  public var isEncrypted: Bool
  /// Whether the client has shown a certificate on this connection.
  public var hasCertificate: Bool
  /// Whether it has shown one in this session, of which the connection may be a later one.
  public var hasSessionCertificate: Bool
  /// What the proxy's check of that certificate gave; 0: it is good.
  public var verification: UInt32
  /// The version as the proxy names it: `TLSv1.3`.
  public var version: [UInt8]?
  /// The common name of the client's certificate.
  public var commonName: [UInt8]?
  /// The cipher's name.
  public var cipher: [UInt8]?
  /// The algorithm that signed the proxy's certificate.
  public var signatureAlgorithm: [UInt8]?
  /// The algorithm of the proxy's key.
  public var keyAlgorithm: [UInt8]?

  /// Creates the values.
  public init(
    isEncrypted: Bool = true,
    hasCertificate: Bool = false,
    hasSessionCertificate: Bool = false,
    verification: UInt32 = 1,
    version: [UInt8]? = nil,
    commonName: [UInt8]? = nil,
    cipher: [UInt8]? = nil,
    signatureAlgorithm: [UInt8]? = nil,
    keyAlgorithm: [UInt8]? = nil
  ) {
    self.isEncrypted = isEncrypted
    self.hasCertificate = hasCertificate
    self.hasSessionCertificate = hasSessionCertificate
    self.verification = verification
    self.version = version
    self.commonName = commonName
    self.cipher = cipher
    self.signatureAlgorithm = signatureAlgorithm
    self.keyAlgorithm = keyAlgorithm
  }
}

/// How much of a header is read.
public struct ProxyHeaderLimits: Hashable, Sendable {
  /// The whole header of version 2; one of version 1 has never more than 107 bytes.
  public var headerBytes = 4096
  /// How many values it has, those inside of another one counted too.
  public var valueCount = 64
  /// How long one named value is.
  public var valueBytes = 255
  /// How long the proxy's name for the connection is.
  public var uniqueIDBytes = 128

  /// Creates the usual limits.
  public init() {}
}

/// What is wrong with the beginning of a connection that was to be a PROXY header.
public enum ProxyHeaderError: String, Error, Hashable, Sendable, CaseIterable {
  /// The first bytes are not those of a header.
  case notAHeader = "not_a_header"
  /// The line of version 1 does not end within 107 bytes.
  case lineTooLong = "line_too_long"
  /// The line of version 1 is not written as it must be.
  case malformedLine = "malformed_line"
  /// A version that is neither 1 nor 2.
  case unknownVersion = "unknown_version"
  /// A command that is not known.
  case unknownCommand = "unknown_command"
  /// A family of addresses, or a transport, that is not known.
  case unknownFamily = "unknown_family"
  /// It is larger than the limit.
  case tooLarge = "too_large"
  /// Its length leaves no room for its addresses.
  case tooShort = "too_short"
  /// A value reaches beyond the header, or beyond the value that holds it.
  case malformedValues = "malformed_values"
  /// There are more values than the limit.
  case tooManyValues = "too_many_values"
  /// A value is longer than it may be, or has bytes that it may not have.
  case refusedValue = "refused_value"
  /// A value that is said once was said twice.
  case repeatedValue = "repeated_value"
  /// The checksum is another one than that of what came.
  case wrongChecksum = "wrong_checksum"
}
