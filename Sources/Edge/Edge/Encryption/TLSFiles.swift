public import Configuration
public import Directives
public import TLS

/// The certificates, keys and secrets that a configuration names, read by who may read them.
///
/// The configuration has their paths, the bundle that it was read from has their bytes; here they are
/// what OpenSSL works with, and the bytes of keys are kept nowhere else.
public final class TLSFiles: Sendable {
  /// Nothing at all.
  public static let none = TLSFiles()

  private struct Trust: Hashable {
    var authorities: String
    var revocations: String?
  }

  private let identities: [CertificateSettings: TLSIdentity]
  private let authorities: [Trust: TLSAuthorities]
  private let secrets: [String: TicketKeys]
  private let keyLogs: [String: TLSKeyLog]
  private let responses: [String: [UInt8]]

  /// What stands in front of the path in the name of the descriptor of a key log.
  public static let keyLogPrefix = "tls keys "

  private init() {
    identities = [:]
    authorities = [:]
    secrets = [:]
    keyLogs = [:]
    responses = [:]
  }

  /// Reads what `configuration` names from the bundle that it was read from, and takes the key logs out of
  /// the open files.
  ///
  /// - Throws: ``TLS/TLSError`` with the path of what cannot be used.
  public init(
    of configuration: EdgeConfiguration,
    in bundle: SourceBundle,
    logs: NamedDescriptors
  ) throws(TLSError) {
    func bytes(_ path: String) throws(TLSError) -> [UInt8] {
      switch bundle.files[path] {
      case .bytes(let bytes)?: return bytes
      case .missing(let reason)?: throw TLSError("cannot read `\(path)`: \(reason)")
      case nil: throw TLSError("cannot read `\(path)`: it is not at hand")
      }
    }
    func naming<Value>(
      _ path: String,
      _ read: () throws(TLSError) -> Value
    ) throws(TLSError) -> Value {
      do throws(TLSError) { return try read() } catch { throw TLSError("`\(path)`: \(error)") }
    }
    var identities: [CertificateSettings: TLSIdentity] = [:]
    var authorities: [Trust: TLSAuthorities] = [:]
    var secrets: [String: TicketKeys] = [:]
    var keyLogs: [String: TLSKeyLog] = [:]
    var responses: [String: [UInt8]] = [:]
    let servers = configuration.servers.filter { $0.listeners.contains(where: \.isTLS) }
    let members = configuration.upstreams.compactMap(\.tls)
    let certificates = servers.flatMap(\.certificates) + members.compactMap(\.certificate)
    for settings in certificates where identities[settings] == nil {
      let pem = try bytes(settings.certificates)
      let key = try bytes(settings.key)
      identities[settings] = try naming(settings.certificates) { () throws(TLSError) in
        try TLSIdentity(certificates: pem, key: key)
      }
    }
    let trusts = servers.compactMap { Self.trust(of: $0.tls) } + members.compactMap(Self.trust)
    for trust in trusts where authorities[trust] == nil {
      let pem = try bytes(trust.authorities)
      let revoked = try trust.revocations.map(bytes) ?? []
      authorities[trust] = try naming(trust.authorities) { () throws(TLSError) in
        try TLSAuthorities(pem: pem, revoked: revoked)
      }
    }
    for tls in servers.map(\.tls) {
      if let path = tls.ticketSecret, secrets[path] == nil {
        guard let keys = TicketKeys(secret: try bytes(path)) else {
          throw TLSError("`\(path)`: a secret has 32 to 256 bytes")
        }
        secrets[path] = keys
      }
      if let path = tls.keyLog, let file = logs.remove(Self.keyLogPrefix + path) {
        keyLogs[path] = TLSKeyLog(file)
      }
      if let path = tls.stapledResponse { responses[path] = try bytes(path) }
    }
    self.identities = identities
    self.authorities = authorities
    self.secrets = secrets
    self.keyLogs = keyLogs
    self.responses = responses
  }

  private static func trust(of settings: TLSSettings) -> Trust? {
    guard settings.clientDemand != .off, let path = settings.clientAuthorities else { return nil }
    return Trust(authorities: path, revocations: settings.clientRevocations)
  }

  private static func trust(of settings: MemberTLSSettings) -> Trust? {
    settings.authorities.map { Trust(authorities: $0, revocations: settings.revocations) }
  }

  /// The certificate with its key; nil: it was not read.
  public func identity(_ settings: CertificateSettings) -> TLSIdentity? { identities[settings] }

  /// What a responder has said, where a file has it.
  public func stapledResponse(_ settings: TLSSettings) -> [UInt8]? {
    settings.stapledResponse.flatMap { responses[$0] }
  }

  /// What clients are asked for.
  func verification(_ settings: TLSSettings) -> TLSVerification? {
    guard let trust = Self.trust(of: settings), let authorities = authorities[trust] else {
      return nil
    }
    return TLSVerification(authorities, isRequired: settings.clientDemand == .required)
  }

  /// Who vouches for the members of an upstream.
  ///
  /// - Throws: ``TLS/TLSError``: the file was not read, which is done by a reload.
  func authorities(_ settings: MemberTLSSettings) throws(TLSError) -> TLSAuthorities {
    guard let trust = Self.trust(of: settings) else { return try TLSAuthorities(ofSystem: ()) }
    if let known = authorities[trust] { return known }
    throw TLSError("`\(trust.authorities)` was not read: a reload does that")
  }

  /// Where the secrets of sessions are written.
  func keyLog(_ settings: TLSSettings) -> TLSKeyLog? { settings.keyLog.flatMap { keyLogs[$0] } }

  /// What seals tickets, where a file says it.
  func ticketKeys(_ settings: TLSSettings) -> TicketKeys? {
    settings.ticketSecret.flatMap { secrets[$0] }
  }
}
