public import Directives

/// Whether the connections of a listener begin with a PROXY header, and who may send one.
public struct ProxyReception: Hashable, Sendable {
  /// Whether a header is asked for.
  public enum Demand: String, Hashable, Sendable, CaseIterable {
    /// No header is read.
    case off
    /// A sender may begin with a header; everybody else connects for himself.
    case optional
    /// Each connection begins with a header; who may not send one may not connect.
    case required
  }

  /// Whether a header is asked for.
  public var demand: Demand
  /// Who may send one; on a Unix socket, whose rights decide that, none means everybody.
  public var senders: [Network]
  /// How long a header may take to come.
  public var timeout: Duration

  /// Creates the settings of a listener that reads no header.
  public init(
    demand: Demand = .off,
    senders: [Network] = [],
    timeout: Duration = .seconds(5)
  ) {
    self.demand = demand
    self.senders = senders
    self.timeout = timeout
  }
}

/// Which PROXY header a member is sent at the beginning of each connection.
public struct ProxySending: Hashable, Sendable {
  /// The two forms of a header.
  public enum Version: String, Hashable, Sendable, CaseIterable {
    /// A line of text, with addresses alone.
    case v1
    /// A block of bytes, with addresses and further values.
    case v2
  }

  /// What a header of version 2 says besides addresses.
  public enum Value: String, Hashable, Sendable, CaseIterable {
    /// The host that the client has asked for by TLS, or that the proxy in front has named.
    case authority
    /// The protocol that was agreed on by ALPN.
    case alpn
    /// A name for the connection: that which the proxy in front gave it, or a new one.
    case uniqueID = "unique_id"
    /// What the proxy in front has said about the client's TLS.
    case tls
    /// A checksum.
    case checksum = "crc32c"
  }

  /// The form.
  public var version: Version
  /// What else is said; version 1 has no place for it.
  public var values: [Value]

  /// Creates the settings of an upstream that sends a header.
  public init(version: Version, values: [Value] = []) {
    self.version = version
    self.values = values
  }
}

/// What a template can show of a PROXY header; nothing for a connection without one.
public enum ProxyVariable: String, Hashable, Sendable, CaseIterable {
  /// The address of the proxy that sent the header.
  case address
  /// The address that the client has connected to.
  case destination
  /// The host that the client has asked for by TLS.
  case authority
  /// The protocol that client and proxy have agreed on by ALPN.
  case alpn
  /// The proxy's name for the connection.
  case uniqueID = "unique_id"
  /// The version of TLS between client and proxy.
  case tlsVersion = "tls_version"
  /// The cipher between client and proxy.
  case tlsCipher = "tls_cipher"
  /// The common name of the client's certificate, if the proxy has found that certificate good.
  case tlsCommonName = "tls_common_name"
  /// The network namespace in which the proxy has accepted the connection.
  case networkNamespace = "network_namespace"

  var sentence: String {
    switch self {
    case .address: "The address of the proxy that sent a PROXY header."
    case .destination: "The address that the client has connected to, says the PROXY header."
    case .authority: "The host that the client has asked for by TLS, says the PROXY header."
    case .alpn: "The protocol that client and proxy have agreed on, says the PROXY header."
    case .uniqueID: "The proxy's name for the connection, in hexadecimal where it is no text."
    case .tlsVersion: "The version of TLS between client and proxy."
    case .tlsCipher: "The cipher between client and proxy."
    case .tlsCommonName:
      "The common name of the client's certificate, if the proxy has found it good."
    case .networkNamespace: "The network namespace in which the proxy has accepted the client."
    }
  }
}
