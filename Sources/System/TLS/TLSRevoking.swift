import COpenSSL

// Invariant of this file: arrays are passed with their counts, and nobody keeps them.

extension TLSCertificates {
  /// Reads one certificate in DER form.
  ///
  /// - Throws: ``TLSError``.
  public convenience init(der: [UInt8]) throws(TLSError) {
    guard let read = unsafe martlet_certificates_read_der(der, der.count) else {
      throw TLSError("there is no certificate in DER form")
    }
    unsafe self.init(adopting: read)
  }

  /// Whether the first one was signed by an authority.
  public func isSigned(by authority: TLSCertificates) -> Bool {
    unsafe martlet_certificates_signed_by(pointer, authority.pointer) == 1
  }

  /// The first one in DER form; nil: it is longer than any that is taken.
  public var der: [UInt8]? {
    let pointer = unsafe pointer
    return unsafe written(
      atMost: 64 << 10,
      { out, count in unsafe martlet_certificates_der(pointer, out, count) }
    )
  }

  /// Whether the key of the first one is that with this point: on P-256 with numbers of 32 bytes, on P-384 with 48.
  public func hasKey(x: [UInt8], y: [UInt8]) -> Bool {
    guard x.count == 32 || x.count == 48, y.count == x.count else { return false }
    return unsafe martlet_certificates_has_point(pointer, x, y, x.count) == 1
  }

  /// Whether the key of the first one is the RSA key with this modulus and exponent.
  public func hasKey(modulus: [UInt8], exponent: [UInt8]) -> Bool {
    let result = unsafe martlet_certificates_has_modulus(
      pointer,
      modulus,
      modulus.count,
      exponent,
      exponent.count
    )
    return result == 1
  }
}

/// What an authority tells of the certificates that are good no longer before their time is over.
///
/// - Source: RFC 5280, section 5.
public struct RevocationPlan: Hashable, Sendable {
  /// One certificate.
  public struct Entry: Hashable, Sendable {
    /// Its number, without zeros in front.
    public var serial: [UInt8]
    /// When it was revoked, in seconds since 1970.
    public var time: Int64
    /// Why, as RFC 5280 numbers the reasons; 0: nobody says.
    public var reason: Int

    /// Creates an entry.
    public init(serial: [UInt8], time: Int64, reason: Int) {
      self.serial = serial
      self.time = time
      self.reason = reason
    }
  }

  /// The certificates.
  public var entries: [Entry]
  /// When the list was made, and until when there is a next one.
  public var validity: ClosedRange<Int64>
  /// Higher than that of any list before.
  public var number: UInt64

  /// Creates a plan.
  public init(_ entries: [Entry], validity: ClosedRange<Int64>, number: UInt64) {
    self.entries = entries
    self.validity = validity
    self.number = number
  }

  /// The list in DER form, signed by an authority.
  ///
  /// - Throws: ``TLSError``: a number is too long, or it cannot be signed.
  /// - Complexity: O(n log n).
  public func issued(
    by authority: TLSCertificates,
    _ key: TLSKey
  ) throws(TLSError) -> [UInt8] {
    let width = CertificatePlan.serialBytes
    guard entries.allSatisfy({ (1...width).contains($0.serial.count) }) else {
      throw TLSError("a number has 1 to \(width) bytes")
    }
    let serials = entries.flatMap { entry in
      [UInt8](repeating: 0, count: width - entry.serial.count) + entry.serial
    }
    let times = entries.map(\.time)
    let reasons = entries.map { Int32(clamping: $0.reason) }
    // An entry is 60 bytes at most, everything else a few hundred.
    let bytes = unsafe written(atMost: 4096 + 80 * entries.count) { out, count in
      unsafe serials.withUnsafeBufferPointer { serials in
        unsafe times.withUnsafeBufferPointer { times in
          unsafe reasons.withUnsafeBufferPointer { reasons in
            var plan = unsafe martlet_revocations(
              from: validity.lowerBound,
              until: validity.upperBound,
              number: number,
              serials: serials.baseAddress,
              times: times.baseAddress,
              reasons: reasons.baseAddress,
              count: times.count
            )
            return unsafe martlet_list_issue(
              &plan,
              authority.pointer,
              key.pointer,
              out,
              count
            )
          }
        }
      }
    }
    guard let bytes else { throw .noted("no list can be signed") }
    return bytes
  }
}
