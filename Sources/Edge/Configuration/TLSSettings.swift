public import TLS

/// A certificate and its key, by the files that they stand in.
public struct CertificateSettings: Hashable, Sendable {
  /// The path of the certificate, with those that vouch for it behind it.
  public var certificates: String
  /// The path of its key, which may be the same file.
  public var key: String

  /// Creates settings.
  public init(certificates: String, key: String) {
    self.certificates = certificates
    self.key = key
  }
}

/// What a server and its clients agree on by TLS.
public struct TLSSettings: Hashable, Sendable {
  /// Which versions and ciphers are spoken.
  public enum Preset: String, Hashable, Sendable, CaseIterable {
    /// TLS 1.3 alone.
    case modern
    /// TLS 1.2 with forward secrecy and authenticated encryption, and TLS 1.3.
    case intermediate
    /// Besides that, the older ciphers of TLS 1.2.
    case old
  }

  /// Whether clients show certificates.
  public enum ClientDemand: String, Hashable, Sendable, CaseIterable {
    /// They are not asked for one.
    case off
    /// They may show one, which then has to be good.
    case optional
    /// They must show one.
    case required
  }

  /// Which versions and ciphers are spoken, as far as nothing else is said.
  public var preset: Preset
  /// The versions; none: those of the preset.
  public var versions: [TLSVersion]
  /// The ciphers of TLS 1.2 in order of preference; none: those of the preset.
  public var ciphers: [String]
  /// The ciphers of TLS 1.3; none: all.
  public var suites: [String]
  /// The groups for the key exchange; none: the usual ones.
  public var groups: [String]
  /// Whether clients show certificates.
  public var clientDemand: ClientDemand
  /// The path of the authorities that vouch for clients.
  public var clientAuthorities: String?
  /// The path of the lists of certificates that these have revoked.
  public var clientRevocations: String?
  /// Whether clients keep their sessions as tickets.
  public var givesTickets: Bool
  /// The path of the secret that tickets are sealed with; nil: one of this instance.
  public var ticketSecret: String?
  /// How long one key seals tickets.
  public var ticketRotation: Duration
  /// How long a session may be continued.
  public var sessionTime: Duration
  /// How long a handshake may take.
  public var handshakeTimeout: Duration
  /// Where the secrets of sessions are written; nil: nowhere.
  public var keyLog: String?
  /// Whether clients are shown what responders say of the certificates.
  public var staples: Bool
  /// The path of what a responder has said; nil: it is asked.
  public var stapledResponse: String?
  /// The URL of the responder that is asked; nil: that which a certificate names.
  public var responder: String?

  /// Creates the settings of a server that is told nothing.
  public init(
    preset: Preset = .intermediate,
    versions: [TLSVersion] = [],
    ciphers: [String] = [],
    suites: [String] = [],
    groups: [String] = [],
    clientDemand: ClientDemand = .off,
    clientAuthorities: String? = nil,
    clientRevocations: String? = nil,
    givesTickets: Bool = true,
    ticketSecret: String? = nil,
    ticketRotation: Duration = .seconds(TicketKeys.usualSpan),
    sessionTime: Duration = .seconds(3600),
    handshakeTimeout: Duration = .seconds(10),
    keyLog: String? = nil,
    staples: Bool = true,
    stapledResponse: String? = nil,
    responder: String? = nil
  ) {
    self.preset = preset
    self.versions = versions
    self.ciphers = ciphers
    self.suites = suites
    self.groups = groups
    self.clientDemand = clientDemand
    self.clientAuthorities = clientAuthorities
    self.clientRevocations = clientRevocations
    self.givesTickets = givesTickets
    self.ticketSecret = ticketSecret
    self.ticketRotation = ticketRotation
    self.sessionTime = sessionTime
    self.handshakeTimeout = handshakeTimeout
    self.keyLog = keyLog
    self.staples = staples
    self.stapledResponse = stapledResponse
    self.responder = responder
  }

  /// The preset with what else is said.
  public var policy: TLSPolicy {
    var policy: TLSPolicy =
      switch preset {
      case .modern: .modern
      case .intermediate: .intermediate
      case .old: .old
      }
    if let least = versions.min(), let most = versions.max() {
      policy.least = least
      policy.most = most
    }
    if !ciphers.isEmpty {
      policy.ciphers = ciphers
      policy.isOrdered = true
    }
    if !suites.isEmpty { policy.suites = suites }
    if !groups.isEmpty { policy.groups = groups }
    return policy
  }
}

/// How TLS is spoken with the members of an upstream.
public struct MemberTLSSettings: Hashable, Sendable {
  /// Whether a member must have a certificate for its name that an authority vouches for.
  public var verifies = true
  /// The name that is asked for and that the certificate must have; nil: the member's own.
  public var serverName: String?
  /// The path of the authorities that vouch for members; nil: those of the system.
  public var authorities: String?
  /// The path of the lists of certificates that these have revoked.
  public var revocations: String?
  /// What members are shown that ask for a certificate.
  public var certificate: CertificateSettings?
  /// Which versions and ciphers are spoken.
  public var preset = TLSSettings.Preset.intermediate

  /// Creates the settings of an upstream that is told nothing else.
  public init() {}

  /// The versions and ciphers of the preset.
  public var policy: TLSPolicy { TLSSettings(preset: preset).policy }
}

/// What a template can show of a client's TLS; nothing for a connection without it.
public enum TLSVariable: String, Hashable, Sendable, CaseIterable {
  /// The version, as `TLSv1.3`.
  case version
  /// The cipher, by OpenSSL's name.
  case cipher
  /// The host that the client has asked for.
  case serverName = "server_name"
  /// The protocol that was agreed on by ALPN.
  case alpn
  /// Whether an earlier session was continued.
  case resumed
  /// Whom the client's certificate names.
  case clientSubject = "client_subject"
  /// Who has signed it.
  case clientIssuer = "client_issuer"
  /// The common name in it.
  case clientCommonName = "client_common_name"
  /// Its number.
  case clientSerial = "client_serial"
  /// Its SHA-256.
  case clientFingerprint = "client_fingerprint"

  var sentence: String {
    switch self {
    case .version: "The version of TLS, as `TLSv1.3`."
    case .cipher: "The cipher of TLS, by OpenSSL's name."
    case .serverName: "The host that the client has asked for by TLS."
    case .alpn: "The protocol that was agreed on by ALPN."
    case .resumed: "`yes` where an earlier session was continued, else `no`."
    case .clientSubject: "Whom the client's certificate names, as RFC 2253 writes it."
    case .clientIssuer: "Who has signed the client's certificate, as RFC 2253 writes it."
    case .clientCommonName: "The common name in the client's certificate."
    case .clientSerial: "The number of the client's certificate, in hexadecimal digits."
    case .clientFingerprint: "The SHA-256 of the client's certificate, in hexadecimal digits."
    }
  }
}
