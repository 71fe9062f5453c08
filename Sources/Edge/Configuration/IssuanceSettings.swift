import Directives

/// How certificates are obtained for servers with `tls auto`.
public struct IssuanceSettings: Hashable, Sendable {
  /// How it is proven to an authority that a name is ours.
  public enum Proof: String, Hashable, Sendable, CaseIterable {
    /// By an answer to a request on port 80.
    case http
    /// By a certificate on port 443.
    case tls
    /// By a record of the name, which a program makes.
    case dns
  }

  /// Where keys and certificates are kept; nil leaves the place to the program.
  public var storage: String?
  /// Whom an authority may write to.
  public var contacts: [String] = []
  /// The authorities, asked in this order; none: ``AuthoritySettings/usual``.
  public var authorities: [AuthoritySettings] = []
  /// The ways to prove a name, the best one first; none: those that can work.
  public var proofs: [Proof] = []
  /// The program that makes and removes records, with its arguments; none: there is none.
  public var dnsCommand: [String] = []
  /// How long a record takes until everybody sees it.
  public var dnsDelay: Duration = .seconds(30)

  /// Creates the settings of a process that is told nothing.
  public init() {}
}

/// An authority that gives certificates by RFC 8555.
public struct AuthoritySettings: Hashable, Sendable {
  /// Where it tells what it offers.
  public var directory: String
  /// The path of the certificates by which its own server is believed; nil: those of the system.
  public var trust: String?
  /// What it calls an account that was made by other means; nil: none was.
  public var keyID: String?
  /// The key of that account as text: a secret.
  public var key: String?

  /// Creates an authority.
  public init(directory: String, trust: String? = nil, keyID: String? = nil, key: String? = nil) {
    self.directory = directory
    self.trust = trust
    self.keyID = keyID
    self.key = key
  }

  /// Let's Encrypt.
  public static let usual = AuthoritySettings(
    directory: "https://acme-v02.api.letsencrypt.org/directory"
  )
}

/// One certificate that is obtained: the names that it is to have.
public struct CertificateNeed: Hashable, Sendable {
  /// Hosts in lower case, one of them perhaps with `*.` in front, and addresses.
  public var names: [String]
  /// Whether the authority of this machine gives it, because no other one can.
  public var isLocal: Bool

  /// Creates a need.
  public init(names: [String], isLocal: Bool) {
    self.names = names
    self.isLocal = isLocal
  }

  /// Creates the need of one name.
  public init(name: String) {
    self.init(names: [name], isLocal: Self.isLocal(name))
  }

  /// What people call it.
  public var name: String { names.joined(separator: "+") }

  /// Which of the names are addresses.
  public var addresses: Set<String> { Set(names.filter { IPAddress($0) != nil }) }

  /// Whether one of the names stands for many.
  public var hasWildcard: Bool { names.contains { $0.hasPrefix("*.") } }

  /// The names below which nobody but the machine itself can vouch for one.
  ///
  /// RFC 6761, sections 6.2 and 6.3; RFC 6762, section 3; RFC 8375; `internal` is kept free for this.
  public static let localSuffixes = ["localhost", "local", "internal", "test", "home.arpa"]

  /// The networks of which the same is true, each with its mask.
  public static let localNetworks: [(network: String, mask: String)] = [
    ("10.0.0.0/8", "255.0.0.0"), ("172.16.0.0/12", "255.240.0.0"),
    ("192.168.0.0/16", "255.255.0.0"), ("127.0.0.0/8", "255.0.0.0"),
    ("169.254.0.0/16", "255.255.0.0"), ("100.64.0.0/10", "255.192.0.0"),
    ("::1/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ("fc00::/7", "fe00::"),
    ("fe80::/10", "ffc0::"),
  ]

  private static let networks = localNetworks.compactMap { Network($0.network) }

  /// Whether no authority but that of this machine can vouch for a name: it has no dot, ends in one of
  /// ``localSuffixes``, or is an address of ``localNetworks``.
  public static func isLocal(_ name: String) -> Bool {
    if let address = IPAddress(name) { return networks.contains { $0.contains(address) } }
    let plain = name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
    return !plain.contains(".")
      || localSuffixes.contains { plain == $0 || plain.hasSuffix(".\($0)") }
  }
}

extension ServerSettings {
  /// The certificates that are to be obtained for it.
  public var certificateNeeds: [CertificateNeed] {
    guard isAutomatic else { return [] }
    guard names.isEmpty else { return names.map { CertificateNeed(name: $0.certificateName) } }
    // A client that says no name wants to speak to an address.
    var local = ["localhost", "127.0.0.1", "::1"]
    var others: [CertificateNeed] = []
    for case .ip(let address, _) in listeners.filter(\.isTLS).map(\.address) {
      let name = "\(address)"
      if name == "0.0.0.0" || name == "::" || local.contains(name) { continue }
      if CertificateNeed.isLocal(name) {
        local.append(name)
      } else {
        others.append(CertificateNeed(name: name))
      }
    }
    return [CertificateNeed(names: local, isLocal: true)] + others
  }
}

extension HostPattern {
  /// The name as it stands in a certificate.
  public var certificateName: String {
    let text = description
    return text.hasPrefix("[") ? String(text.dropFirst().dropLast()) : text
  }
}

extension EdgeConfiguration {
  /// The certificates that are to be obtained for its servers, each once.
  public var certificateNeeds: [CertificateNeed] {
    var seen: Set<CertificateNeed> = []
    return servers.flatMap(\.certificateNeeds).filter { seen.insert($0).inserted }
  }

  /// Which of the servers answer when an authority asks for a proof over HTTP, in their order: those whose
  /// certificates are obtained from one, and others of the same names, or of none.
  public var answersProofs: [Bool] {
    let wanted = Set(
      servers.flatMap(\.certificateNeeds).filter { !$0.isLocal }.flatMap(\.names)
    )
    return servers.map { server in
      if wanted.isEmpty { return false }
      return server.names.isEmpty || server.names.contains { wanted.contains($0.certificateName) }
    }
  }

  /// The ways to prove the names of a certificate, the best one first.
  public func proofs(of need: CertificateNeed) -> [IssuanceSettings.Proof] {
    // Nothing but a record can stand for many names.
    if need.hasWildcard { return [.dns] }
    if !issuance.proofs.isEmpty { return issuance.proofs }
    let hasPlain = servers.lazy.flatMap(\.listeners).contains { !$0.isTLS }
    return (hasPlain ? [.http, .tls] : [.tls]) + (issuance.dnsCommand.isEmpty ? [] : [.dns])
  }
}
