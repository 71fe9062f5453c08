/// What a client of TLS says in clear before anything is encrypted.
///
/// - Source: RFC 8446, section 4.1.2; RFC 6066, section 3; RFC 7301, section 3.1.
public struct ClientHello: Hashable, Sendable {
  /// The host that the client wants, in lower case and without the dot of the root; nil when it does
  /// not say one.
  public var serverName: String?
  /// The protocols that it can speak, as it prefers them.
  public var protocols: [[UInt8]]
  /// The versions of TLS that it can speak, as it prefers them: 0x0304 is TLS 1.3.
  public var versions: [UInt16]
  /// How many bytes of the connection the hello was, with what frames it.
  public var byteCount: Int

  /// Creates a hello.
  public init(
    serverName: String? = nil,
    protocols: [[UInt8]] = [],
    versions: [UInt16] = [],
    byteCount: Int = 0
  ) {
    self.serverName = serverName
    self.protocols = protocols
    self.versions = versions
    self.byteCount = byteCount
  }
}

/// What is wrong with the beginning of a connection that was to be a ClientHello.
public enum ClientHelloError: String, Error, Hashable, Sendable, CaseIterable {
  /// The first byte is not that of a handshake.
  case notAHandshake = "not_a_handshake"
  /// The version of a record is none of TLS.
  case unknownVersion = "unknown_version"
  /// A record is empty, or longer than TLS allows.
  case refusedRecord = "refused_record"
  /// The first message is not a ClientHello.
  case notAHello = "not_a_hello"
  /// It is larger than the limit.
  case tooLarge = "too_large"
  /// It has more parts than the limit.
  case tooManyParts = "too_many_parts"
  /// A length points beyond what holds it, or leaves bytes over.
  case malformed = "malformed"
  /// An extension stands twice.
  case repeatedExtension = "repeated_extension"
  /// The name of the host is not one.
  case refusedName = "refused_name"
}

/// How much of a ClientHello is read.
public struct ClientHelloLimits: Hashable, Sendable {
  /// The message without its records.
  public var messageBytes = 16_384
  /// In how many records it may come.
  public var recordCount = 64
  /// How many extensions it may have.
  public var extensionCount = 64
  /// How many protocols it may offer.
  public var protocolCount = 32
  /// How many versions it may offer.
  public var versionCount = 32

  /// Creates the usual limits.
  public init() {}

  /// With so many bytes of a connection there is a hello or an error.
  public var connectionBytes: Int { messageBytes + 5 * recordCount }
}
