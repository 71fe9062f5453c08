import COpenSSL

// Invariant of this file: what a plan points to lives for the call; OpenSSL copies it.

/// What a certificate is to say.
public struct CertificatePlan: Hashable, Sendable {
  /// What a certificate is for.
  public enum Kind: Hashable, Sendable {
    /// To vouch for others, of these names alone where there are any.
    ///
    /// A name stands for itself and all below it; an address has a mask behind it, as `10.0.0.0/255.0.0.0`.
    case authority(permitted: [String])
    /// To be shown by a server.
    case server
    /// To sign what an authority answers that is asked about its certificates.
    ///
    /// RFC 6960, section 4.2.2.2.
    case responder
    /// To be shown as a proof: the digest of what was asked for.
    ///
    /// RFC 8737.
    case proof(digest: [UInt8])
  }

  /// What it is for.
  public var kind: Kind
  /// Who it is for, as people read it.
  public var organization: String
  /// The common name; empty: none.
  public var commonName: String
  /// The hosts and addresses that it is good for; none of an authority.
  public var names: [String]
  /// When it begins and ends to be good, in seconds since 1970.
  public var validity: ClosedRange<Int64>
  /// Of a server: where its authority tells what it has revoked; nil: nowhere.
  public var revocations: String?
  /// Of a server: who is asked, by OCSP, what became of it; nil: nobody.
  public var responder: String?
  /// The number, positive, at most ``serialBytes``; empty: one that nobody can guess.
  public var serial: [UInt8] = []

  /// The longest number of a certificate.
  ///
  /// - Source: RFC 5280, section 4.1.2.2.
  public static let serialBytes = 20

  /// Creates a plan.
  public init(
    _ kind: Kind,
    organization: String,
    commonName: String = "",
    names: [String] = [],
    validity: ClosedRange<Int64>
  ) {
    self.kind = kind
    self.organization = organization
    self.commonName = commonName
    self.names = names
    self.validity = validity
  }

  /// Makes a certificate for `key` in PEM form; nobody but itself vouches for it.
  ///
  /// - Throws: ``TLSError``.
  public func issued(for key: TLSKey) throws(TLSError) -> [UInt8] {
    try issued(for: key, by: nil)
  }

  /// Makes a certificate for `key` in PEM form that an authority vouches for.
  ///
  /// - Throws: ``TLSError``.
  public func issued(
    for key: TLSKey,
    by authority: TLSCertificates,
    _ authorityKey: TLSKey
  ) throws(TLSError) -> [UInt8] {
    try issued(for: key, by: (authority, authorityKey))
  }

  private func issued(
    for key: TLSKey,
    by issuer: (certificates: TLSCertificates, key: TLSKey)?
  ) throws(TLSError) -> [UInt8] {
    var number = Int32(martlet_plan_server)
    var constraints: String?
    var digest = [UInt8](repeating: 0, count: 32)
    switch kind {
    case .authority(let permitted):
      number = Int32(martlet_plan_authority)
      if !permitted.isEmpty { constraints = Self.constraints(permitted) }
    case .server: break
    case .responder: number = Int32(martlet_plan_responder)
    case .proof(let bytes):
      guard bytes.count == digest.count else { throw TLSError("a digest has 32 bytes") }
      number = Int32(martlet_plan_proof)
      digest = bytes
    }
    guard serial.count <= Self.serialBytes else { throw TLSError("a number is too long") }
    let list = names.joined(separator: "\n")
    // The digest, and the number behind it.
    let numbers = digest + serial
    // Texts behind each other, each with a zero at its end; an empty one is not there.
    let texts = [
      organization, commonName, list, constraints ?? "", revocations ?? "", responder ?? "",
    ]
    let characters = texts.flatMap { Array($0.utf8CString) }
    var starts = [0]
    for text in texts { starts.append(starts[starts.count - 1] + text.utf8.count + 1) }
    let bytes = unsafe written(atMost: 64 << 10) { out, count in
      unsafe characters.withUnsafeBufferPointer { characters in
        unsafe numbers.withUnsafeBufferPointer { numbers in
          func text(_ index: Int) -> UnsafePointer<CChar>? {
            texts[index].isEmpty
              ? nil : unsafe characters.baseAddress.map { unsafe $0 + starts[index] }
          }
          var plan = unsafe martlet_certificate_plan(
            kind: number,
            organization: text(0),
            common_name: text(1),
            names: text(2),
            from: validity.lowerBound,
            until: validity.upperBound,
            constraints: text(3),
            digest: numbers.baseAddress,
            list: text(4),
            responder: text(5),
            serial: numbers.baseAddress.map { unsafe $0 + digest.count },
            serial_count: serial.count
          )
          return unsafe martlet_certificate_issue(
            &plan,
            key.pointer,
            issuer?.certificates.pointer,
            issuer?.key.pointer,
            out,
            count
          )
        }
      }
    }
    guard let bytes else { throw .noted("no certificate can be made") }
    return bytes
  }

  private static func constraints(_ permitted: [String]) -> String {
    // What is no part of a name or an address would be read as something else.
    let plain = permitted.filter { name in
      name.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x61...0x7A: true
        default: "-._:/".utf8.contains(byte)
        }
      }
    }
    return
      (["critical"]
      + plain.map { $0.contains("/") ? "permitted;IP:\($0)" : "permitted;DNS:\($0)" })
      .joined(separator: ",")
  }
}

extension TLSCertificates {
  /// What an authority calls the first one when it is asked when to renew it: the bytes of its key and
  /// of the number; nil: it does not say who has signed it.
  ///
  /// - Source: RFC 9773, section 4.1.
  public var renewalParts: (authority: [UInt8], serial: [UInt8])? {
    var authority = [UInt8](repeating: 0, count: 64)
    var serial = [UInt8](repeating: 0, count: 32)
    var authorityCount = authority.count
    var serialCount = serial.count
    let result = unsafe martlet_certificates_renewal_id(
      pointer,
      &authority,
      &authorityCount,
      &serial,
      &serialCount
    )
    guard result == 1 else { return nil }
    return (Array(authority.prefix(authorityCount)), Array(serial.prefix(serialCount)))
  }
}
