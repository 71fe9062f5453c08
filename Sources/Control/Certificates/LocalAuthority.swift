import Configuration
import MartletSystem
public import TLS

/// The authority of this machine: it vouches for names that no other one can, to those who trust it.
///
/// Its certificate says for which names it is good, so that whoever gets hold of its key cannot pretend to
/// be somebody else on the net: those below `localhost`, `local`, `internal`, `test` and `home.arpa`,
/// private addresses, and the names without a dot that were known when it was made. For another one of
/// these it is made anew, and has to be trusted anew.
public struct LocalAuthority: Sendable {
  /// Its certificate.
  public let certificates: TLSCertificates
  /// The names without a dot that it is good for.
  let permitted: Set<String>
  /// Where it tells what it has revoked, as its certificates say; nil: they do not.
  var revocations: String?
  /// Who is asked what became of its certificates, as they say; nil: they do not.
  var responder: String?
  private let pem: [UInt8]
  private let key: TLSKey
  /// By which it knows the numbers that it has given.
  private let numbers: [UInt8]

  /// How long it is good: ten years.
  private static let lifeSeconds: Int64 = 3653 * 86_400
  /// How long before its end it is made anew: a year, of which nothing that it signs has the end.
  private static let restSeconds: Int64 = 365 * 86_400
  private init(
    _ pem: [UInt8],
    _ key: TLSKey,
    permitted: Set<String>
  ) throws(TLSError) {
    certificates = try TLSCertificates(pem: pem)
    self.permitted = permitted
    self.pem = pem
    self.key = key
    let keyPEM = try key.pem()
    let secret = Array("numbers of certificates".utf8) + keyPEM
    defer {
      Secret.forget(keyPEM)
      Secret.forget(secret)
    }
    numbers = try TLSDigest.sha256(secret)
  }

  /// How long a certificate is good that it signs: ninety days.
  static let leafSeconds: Int64 = 90 * 86_400
  /// Another machine's clock may be behind.
  static let earlySeconds: Int64 = 3600

  /// What became of an authority when it was looked for.
  enum Origin: Hashable, Sendable {
    /// It was there.
    case kept
    /// There was none.
    case made
    /// The one that was there is not good for a name, or not for long.
    case replaced
  }

  /// Finds the authority of a storage that is good for these names, and makes it if there is none.
  static func found(
    in storage: CertificateStorage,
    for names: [String],
    machine: String,
    now: Int64
  ) throws(CertificateFault) -> (authority: LocalAuthority, origin: Origin) {
    try storage.alone { () throws(CertificateFault) in
      let known = try read(storage)
      let permitted = known.map(\.permitted) ?? []
      let wanted = labels(of: names)
      if let known, Set(wanted).isSubset(of: permitted),
        known.authority.certificates.validity.upperBound > now + restSeconds
      {
        return (known.authority, .kept)
      }
      let labels = permitted + wanted.filter { !permitted.contains($0) }
      if let known {
        // Whoever still has something that it has signed can look it up.
        let mark = known.authority.certificates.fingerprint.prefix(16)
        try storage.write(known.authority.pem, to: "local/root-\(mark).pem")
      }
      let made = try make(labels, machine: machine, now: now)
      defer { Secret.forget(made.keyPEM) }
      try storage.write(made.keyPEM, to: "local/root.key")
      try storage.write(made.authority.pem, to: "local/root.pem")
      try storage.write(Array(labels.map { "\($0)\n" }.joined().utf8), to: "local/names")
      return (made.authority, known == nil ? .made : .replaced)
    }
  }

  /// The names without a dot, which have no place below another one.
  private static func labels(of names: [String]) -> [String] {
    let plain = names.map { $0.hasPrefix("*.") ? String($0.dropFirst(2)) : $0 }
    return Set(plain.filter { !$0.contains(".") && !$0.contains(":") })
      .subtracting(CertificateNeed.localSuffixes).sorted()
  }

  private static func read(
    _ storage: CertificateStorage
  ) throws(CertificateFault) -> (authority: LocalAuthority, permitted: [String])? {
    guard let pem = try storage.read("local/root.pem"),
      let keyPEM = try storage.read("local/root.key")
    else { return nil }
    defer { Secret.forget(keyPEM) }
    let names = try storage.read("local/names") ?? []
    let permitted = String(decoding: names, as: UTF8.self).split(separator: "\n").map(String.init)
    do throws(TLSError) {
      _ = try TLSIdentity(certificates: pem, key: keyPEM)
      let key = try TLSKey(pem: keyPEM)
      return (try LocalAuthority(pem, key, permitted: Set(permitted)), permitted)
    } catch {
      throw CertificateFault(
        "\(storage.path)/local: \(error); remove root.pem and root.key, and a new authority is made"
      )
    }
  }

  private static func make(
    _ labels: [String],
    machine: String,
    now: Int64
  ) throws(CertificateFault) -> (authority: LocalAuthority, keyPEM: [UInt8]) {
    let networks = CertificateNeed.localNetworks.map { network, mask in
      "\(network.prefix { $0 != "/" })/\(mask)"
    }
    let plan = CertificatePlan(
      .authority(permitted: CertificateNeed.localSuffixes + labels + networks),
      organization: "Martlet",
      commonName: "Martlet local authority\(machine.isEmpty ? "" : " of \(machine)")",
      validity: now - earlySeconds...now + lifeSeconds
    )
    do throws(TLSError) {
      let key = try TLSKey()
      let pem = try plan.issued(for: key)
      return (try LocalAuthority(pem, key, permitted: Set(labels)), try key.pem())
    } catch {
      throw CertificateFault("no authority can be made: \(error)")
    }
  }

  /// A certificate for these names with the key of somebody else, and its own certificate behind it.
  ///
  /// - Parameters:
  ///   - names: The names.
  ///   - owner: The key.
  ///   - account: Who may have it revoked without that key.
  ///   - now: The seconds since 1970.
  /// - Returns: Both in PEM form.
  /// - Throws: ``TLS/TLSError``.
  public func issue(
    for names: [String],
    to owner: TLSKey,
    account: String,
    now: Int64
  ) throws(TLSError) -> [UInt8] {
    var plan = try plan(names, now)
    plan.serial = try serial(of: account)
    return try plan.issued(for: owner, by: certificates, key) + pem
  }

  private func plan(_ names: [String], _ now: Int64) throws(TLSError) -> CertificatePlan {
    var plan = CertificatePlan(
      .server,
      organization: "Martlet local authority",
      names: names,
      validity: now - Self.earlySeconds...now + Self.leafSeconds
    )
    plan.revocations = revocations
    plan.responder = responder
    plan.serial = try serial(of: "")
    return plan
  }

  /// A certificate for these names with a new key.
  ///
  /// - Throws: ``TLS/TLSError``.
  public func issue(for names: [String], now: Int64) throws(TLSError) -> TLSIdentity {
    let key = try TLSKey()
    let own = try plan(names, now).issued(for: key, by: certificates, self.key)
    // Those who trust the authority have its certificate.
    return try TLSIdentity(certificates: own, of: key, issuer: certificates)
  }
}

// What it says of them.
extension LocalAuthority {
  /// How long somebody may answer for it, in seconds: thirty days, since nobody can take that back.
  static let signerSeconds: Int64 = 30 * 86_400

  /// Who answers those that ask what became of its certificates, with a new key that nobody else has.
  ///
  /// The authority's certificate does not say that its own key may sign anything but certificates and lists.
  ///
  /// - Throws: ``TLS/TLSError``.
  func signer(now: Int64) throws(TLSError) -> TLSResponder {
    let plan = CertificatePlan(
      .responder,
      organization: "Martlet local authority, what became of its certificates",
      validity: now - Self.earlySeconds...now + Self.signerSeconds
    )
    let own = try TLSKey()
    let pem = try plan.issued(for: own, by: certificates, key)
    return TLSResponder(
      of: certificates,
      signer: try TLSIdentity(certificates: pem, of: own)
    )
  }
}

// What it takes back.
extension LocalAuthority {
  /// How much of a number nobody can foresee; behind that stand a code of it and of the account, and one of both,
  /// by which all numbers are known that were given.
  private static let chanceBytes = 8
  private static let codeBytes = 6

  /// A number for a certificate that is given to an account, by which we know it and the account again although
  /// nobody writes them down.
  private func serial(of account: String) throws(TLSError) -> [UInt8] {
    var chance = (0..<Self.chanceBytes).map { _ in UInt8.random(in: 0...255) }
    // RFC 5280, section 4.1.2.2: positive, and as DER writes it of this length.
    chance[0] = chance[0] & 0x3F | 0x40
    let own = chance + (try code(of: chance, "account \(account)"))
    return own + (try code(of: own, "given"))
  }

  private func code(of bytes: [UInt8], _ purpose: String) throws(TLSError) -> [UInt8] {
    let code = try TLSDigest.code(of: bytes + Array(purpose.utf8), key: numbers)
    return Array(code.prefix(Self.codeBytes))
  }

  /// Whether a certificate with a number was given by it.
  func hasGiven(_ serial: [UInt8]) throws(TLSError) -> Bool {
    guard serial.count == CertificatePlan.serialBytes else { return false }
    let own = Array(serial.dropLast(Self.codeBytes))
    return try code(of: own, "given") == Array(serial.suffix(Self.codeBytes))
  }

  /// Whether the certificate with a number was given to an account.
  func wasGiven(_ serial: [UInt8], to account: String) throws(TLSError) -> Bool {
    guard try hasGiven(serial) else { return false }
    let chance = Array(serial.prefix(Self.chanceBytes))
    let code = try code(of: chance, "account \(account)")
    return code == Array(serial.dropFirst(Self.chanceBytes).prefix(Self.codeBytes))
  }

  /// The list of what was revoked, in DER form, good for a week.
  ///
  /// - Throws: ``TLS/TLSError``.
  func list(
    _ entries: [RevocationPlan.Entry],
    now: Int64,
    number: UInt64
  ) throws(TLSError) -> [UInt8] {
    let plan = RevocationPlan(
      entries,
      validity: now - Self.earlySeconds...now + 7 * 86_400,
      number: number
    )
    return try plan.issued(by: certificates, key)
  }
}
