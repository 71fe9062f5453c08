import COpenSSL
public import MartletSystem

// Invariant of this file: a context owns what it points to; it is changed by its initialiser alone, and
// OpenSSL lets any thread make sessions of it. What a callback is given lives as long as the context, which
// each session holds.

/// The versions of TLS.
public enum TLSVersion: String, Hashable, Sendable, CaseIterable, Comparable {
  /// RFC 5246.
  case v12 = "1.2"
  /// RFC 8446.
  case v13 = "1.3"

  var number: Int32 {
    Int32(self == .v12 ? martlet_tls_v12 : martlet_tls_v13)
  }

  /// Whether `left` is the older one.
  public static func < (left: TLSVersion, right: TLSVersion) -> Bool { left.number < right.number }
}

/// What two sides may agree on: versions, ciphers and groups.
public struct TLSPolicy: Hashable, Sendable {
  /// The oldest version.
  public var least: TLSVersion
  /// The newest version.
  public var most: TLSVersion
  /// The ciphers of TLS 1.2, by OpenSSL's names; empty: those that OpenSSL likes.
  public var ciphers: [String]
  /// The ciphers of TLS 1.3; empty: those that OpenSSL likes.
  public var suites: [String]
  /// The groups for the key exchange, by OpenSSL's names; empty: those that OpenSSL likes.
  public var groups: [String]
  /// Whether the order of the ciphers counts, or that of the client.
  public var isOrdered: Bool

  /// Creates a policy.
  public init(
    least: TLSVersion = .v12,
    most: TLSVersion = .v13,
    ciphers: [String] = [],
    suites: [String] = [],
    groups: [String] = ["X25519", "prime256v1", "secp384r1"],
    isOrdered: Bool = false
  ) {
    self.least = least
    self.most = most
    self.ciphers = ciphers
    self.suites = suites
    self.groups = groups
    self.isOrdered = isOrdered
  }

  /// TLS 1.3 alone.
  public static let modern = TLSPolicy(least: .v13)

  /// TLS 1.2 with forward secrecy and authenticated encryption, and TLS 1.3.
  public static let intermediate = TLSPolicy(ciphers: forwardSecret)

  /// Besides that, TLS 1.2 with block ciphers and with keys that RSA encrypts, for clients that have
  /// nothing else.
  public static let old = TLSPolicy(
    ciphers: forwardSecret + [
      "ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA",
      "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384",
      "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384",
      "AES128-SHA256", "AES256-SHA256", "AES128-SHA", "AES256-SHA",
    ],
    isOrdered: true
  )

  private static let forwardSecret = [
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
  ]
}

/// How sessions are continued without another key exchange.
public struct TLSResumption: Sendable {
  /// What seals tickets; nil: none are given.
  public var tickets: TicketKeys?
  /// For how many seconds a session may be continued.
  public var seconds: Int64
  /// How many sessions of clients that take no ticket are remembered.
  public var cacheCount: Int

  /// Creates settings.
  public init(tickets: TicketKeys?, seconds: Int64 = 3600, cacheCount: Int = 4096) {
    self.tickets = tickets
    self.seconds = seconds
    self.cacheCount = cacheCount
  }
}

/// Whose certificate is asked for, and who must have vouched for it.
public struct TLSVerification: Sendable {
  /// Who is believed.
  public var authorities: TLSAuthorities
  /// Whether the other side may do without a certificate.
  public var isRequired: Bool

  /// Creates a demand.
  public init(_ authorities: TLSAuthorities, isRequired: Bool) {
    self.authorities = authorities
    self.isRequired = isRequired
  }
}

/// A file in which the secrets of sessions are written, a line each, in the form of `SSLKEYLOGFILE`.
public final class TLSKeyLog: Sendable {
  let file: OpenFile

  /// Takes over a file that is open to be appended to.
  public init(_ file: consuming Descriptor) { self.file = OpenFile(file) }
}

// @unchecked: see the invariant above.
/// What sessions have in common: certificates, policy, and how they are continued.
@safe
public final class TLSContext: @unchecked Sendable {
  let pointer: OpaquePointer
  private let chooser: Chooser?
  private let keyLog: TLSKeyLog?

  /// Chooses the context to go on with.
  ///
  /// The name is that of the host that a client asks for, in lower case; empty: it asks for none. A
  /// client that `asksProof` wants nothing but to see that the name is ours: RFC 8737. With nil the
  /// present context is gone on with.
  public typealias Choice = @Sendable (_ name: String, _ asksProof: Bool) -> TLSContext?

  /// The protocol that a proof is asked for by.
  public static let proofProtocol = "acme-tls/1"

  private final class Chooser: Sendable {
    let choose: Choice
    init(_ choose: @escaping Choice) { self.choose = choose }
  }

  /// Creates the context of servers.
  ///
  /// `identities` have one certificate for each kind of key. `protocols` are offered to ALPN in this
  /// order. Sessions are continued in contexts of the same `name` only.
  ///
  /// - Throws: ``TLSError``.
  public init(
    server name: String,
    _ identities: [TLSIdentity],
    policy: TLSPolicy,
    protocols: [String],
    resumption: TLSResumption,
    verification: TLSVerification? = nil,
    keyLog: TLSKeyLog? = nil,
    choosing choice: Choice? = nil
  ) throws(TLSError) {
    guard let made = unsafe martlet_tls_context_new(1) else { throw .noted("no context") }
    unsafe pointer = made
    self.keyLog = keyLog
    chooser = choice.map { Chooser($0) }
    for identity in identities {
      guard
        unsafe martlet_tls_context_add(pointer, identity.certificates.pointer, identity.key) == 1
      else { throw .noted("the certificate cannot be used") }
    }
    try set(policy)
    try offer(protocols, asServer: true)
    let label = Array(name.utf8)
    guard
      unsafe martlet_tls_context_sessions(
        pointer,
        resumption.tickets?.pointer,
        resumption.seconds,
        Int32(clamping: resumption.cacheCount),
        label,
        label.count
      ) == 1
    else { throw .noted("sessions cannot be continued") }
    if let verification { verify(verification) }
    if let keyLog {
      guard unsafe martlet_tls_context_key_log(pointer, keyLog.file.number) == 1 else {
        throw .noted("the key log cannot be used")
      }
    }
    if let chooser {
      unsafe martlet_tls_context_choose(
        pointer,
        Self.visit,
        Unmanaged.passUnretained(chooser).toOpaque()
      )
    }
  }

  /// Creates the context of clients.
  ///
  /// Servers must have a certificate that one of `authorities` vouches for; nil: any will do. `identity`
  /// is what is shown to those that ask for one.
  ///
  /// - Throws: ``TLSError``.
  public init(
    clientBelieving authorities: TLSAuthorities?,
    policy: TLSPolicy,
    identity: TLSIdentity? = nil,
    protocols: [String] = []
  ) throws(TLSError) {
    guard let made = unsafe martlet_tls_context_new(0) else { throw .noted("no context") }
    unsafe pointer = made
    keyLog = nil
    chooser = nil
    if let identity {
      guard
        unsafe martlet_tls_context_add(pointer, identity.certificates.pointer, identity.key) == 1
      else { throw .noted("the certificate cannot be used") }
    }
    try set(policy)
    try offer(protocols, asServer: false)
    if let authorities {
      _ = unsafe martlet_tls_context_verify(pointer, authorities.pointer, nil, 0, 1, 1)
    }
  }

  deinit { unsafe martlet_tls_context_free(pointer) }

  private func set(_ policy: TLSPolicy) throws(TLSError) {
    guard
      unsafe martlet_tls_context_versions(pointer, policy.least.number, policy.most.number) == 1
    else { throw .noted("the versions of TLS do not go together") }
    func set(_ names: [String], _ what: String, _ place: Int) throws(TLSError) {
      guard !names.isEmpty else { return }
      let list = names.joined(separator: ":")
      let result = unsafe martlet_tls_context_ciphers(
        pointer,
        place == 0 ? list : nil,
        place == 1 ? list : nil,
        place == 2 ? list : nil,
        policy.isOrdered ? 1 : 0
      )
      guard result == 1 else { throw .noted("\(what) are not known: \(list)") }
    }
    try set(policy.ciphers, "the ciphers of TLS 1.2", 0)
    try set(policy.suites, "the ciphers of TLS 1.3", 1)
    try set(policy.groups, "the groups", 2)
  }

  private func offer(_ protocols: [String], asServer: Bool) throws(TLSError) {
    // RFC 7301, section 3.1: each with its length in front.
    let list = protocols.flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8) }
    let result = unsafe martlet_tls_context_protocols(pointer, list, list.count, asServer ? 1 : 0)
    guard result == 1 else { throw TLSError("the protocols for ALPN are too long") }
  }

  private func verify(_ verification: TLSVerification) {
    let authorities = verification.authorities
    _ = unsafe martlet_tls_context_verify(
      pointer,
      authorities.pointer,
      authorities.pem,
      authorities.pem.count,
      1,
      verification.isRequired ? 1 : 0
    )
  }

  /// Called by OpenSSL in the middle of a handshake, on the thread of its loop.
  private static let visit: martlet_hello_visitor = { tls, alert, argument in
    guard let tls = unsafe tls, let argument = unsafe argument else { return 1 }
    let chooser = unsafe Unmanaged<Chooser>.fromOpaque(argument).takeUnretainedValue()
    var bytes: UnsafePointer<UInt8>?
    let count = unsafe martlet_tls_hello_name(tls, &bytes)
    guard count >= 0 else { return 0 }
    let name = unsafe String(
      decoding: UnsafeBufferPointer(start: bytes, count: Int(count)),
      as: UTF8.self
    )
    let asksProof = unsafe martlet_tls_hello_asks_proof(tls) == 1
    guard let context = chooser.choose(name.lowercased(), asksProof) else { return 1 }
    return unsafe martlet_tls_switch(tls, context.pointer) == 1 ? 1 : 0
  }
}
