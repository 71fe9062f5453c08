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

  private init() {
    identities = [:]
    authorities = [:]
    secrets = [:]
  }

  /// Reads what `configuration` names from the bundle that it was read from.
  ///
  /// - Throws: ``TLS/TLSError`` with the path of what cannot be used.
  public init(
    of configuration: EdgeConfiguration,
    in bundle: SourceBundle
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
    for server in configuration.servers where server.listeners.contains(where: \.isTLS) {
      for settings in server.certificates where identities[settings] == nil {
        let pem = try bytes(settings.certificates)
        let key = try bytes(settings.key)
        identities[settings] = try naming(settings.certificates) { () throws(TLSError) in
          try TLSIdentity(certificates: pem, key: key)
        }
      }
      if let trust = Self.trust(of: server.tls), authorities[trust] == nil {
        let pem = try bytes(trust.authorities)
        let revoked = try trust.revocations.map(bytes) ?? []
        authorities[trust] = try naming(trust.authorities) { () throws(TLSError) in
          try TLSAuthorities(pem: pem, revoked: revoked)
        }
      }
      if let path = server.tls.ticketSecret, secrets[path] == nil {
        guard let keys = TicketKeys(secret: try bytes(path)) else {
          throw TLSError("`\(path)`: a secret has 32 to 256 bytes")
        }
        secrets[path] = keys
      }
    }
    for tls in configuration.upstreams.compactMap(\.tls) {
      if let settings = tls.certificate, identities[settings] == nil {
        let pem = try bytes(settings.certificates)
        let key = try bytes(settings.key)
        identities[settings] = try naming(settings.certificates) { () throws(TLSError) in
          try TLSIdentity(certificates: pem, key: key)
        }
      }
      guard let path = tls.authorities else { continue }
      let trust = Trust(authorities: path, revocations: tls.revocations)
      guard authorities[trust] == nil else { continue }
      let pem = try bytes(path)
      let revoked = try tls.revocations.map(bytes) ?? []
      authorities[trust] = try naming(path) { () throws(TLSError) in
        try TLSAuthorities(pem: pem, revoked: revoked)
      }
    }
    self.identities = identities
    self.authorities = authorities
    self.secrets = secrets
  }

  private static func trust(of settings: TLSSettings) -> Trust? {
    guard settings.clientDemand != .off, let path = settings.clientAuthorities else { return nil }
    return Trust(authorities: path, revocations: settings.clientRevocations)
  }

  /// The certificate with its key.
  func identity(_ settings: CertificateSettings) -> TLSIdentity? { identities[settings] }

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
    guard let path = settings.authorities else { return try TLSAuthorities(ofSystem: ()) }
    if let known = authorities[Trust(authorities: path, revocations: settings.revocations)] {
      return known
    }
    throw TLSError("`\(path)` was not read: a reload does that")
  }

  /// What seals tickets, where a file says it.
  func ticketKeys(_ settings: TLSSettings) -> TicketKeys? {
    settings.ticketSecret.flatMap { secrets[$0] }
  }
}
