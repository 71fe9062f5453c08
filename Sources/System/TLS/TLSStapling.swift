import COpenSSL

// Invariant of this file: arrays are passed with their counts, and OpenSSL copies what it keeps; the place of
// a response is made in the initialiser of an identity, and has a lock of its own.

/// What a responder says of a certificate.
///
/// - Source: RFC 6960, section 2.2.
public struct TLSCertificateStatus: Hashable, Sendable {
  /// What became of the certificate.
  public enum Verdict: String, Hashable, Sendable, CaseIterable {
    /// It was not revoked.
    case good
    /// It was.
    case revoked
    /// The responder does not know it.
    case unknown
  }

  /// What became of the certificate.
  public var verdict: Verdict
  /// From when on and until when that can be relied on, in seconds since 1970.
  public var validity: ClosedRange<Int64>

  /// For how long a response can be relied on that does not say it.
  private static let usualSeconds: Int64 = 86_400

  /// The longest response that is taken.
  public static let responseBytes = 64 << 10

  init?(_ status: martlet_staple_status) {
    switch Int(status.verdict) {
    case martlet_staple_good: verdict = .good
    case martlet_staple_revoked: verdict = .revoked
    default: verdict = .unknown
    }
    let until = status.until == 0 ? status.from + Self.usualSeconds : status.until
    guard until > status.from else { return nil }
    validity = status.from...until
  }

  /// Whether bytes are a response of a responder, about whichever certificate.
  public static func isResponse(_ bytes: [UInt8]) -> Bool {
    bytes.count <= responseBytes
      && (unsafe martlet_staple_is_response(bytes, bytes.count)) == 1
  }
}

extension TLSCertificates {
  /// The URL of the responder that the first one names; nil: it names none.
  public var responder: String? {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { out in
      let count = unsafe martlet_certificates_responder(pointer, out.baseAddress, out.count)
      guard count > 0 else { return nil }
      return unsafe String(decoding: UnsafeRawBufferPointer(out)[..<Int(count)], as: UTF8.self)
    }
  }

  /// Whether the first one tells clients to insist on the response of a responder.
  ///
  /// - Source: RFC 7633.
  public var mustStaple: Bool { (unsafe martlet_certificates_must_staple(pointer)) == 1 }

  /// What a responder is asked about the first one, in DER form; nil: the certificate of who has signed it
  /// is not among them.
  ///
  /// - Source: RFC 6960, section 4.1.
  public var statusRequest: [UInt8]? {
    let pointer = unsafe pointer
    return unsafe written(
      atMost: 4096,
      { out, count in unsafe martlet_staple_request(pointer, out, count) }
    )
  }

  /// What a response says of the first one.
  ///
  /// - Throws: ``TLSError``: it is not in form, about another certificate, or not signed by who may.
  /// - Source: RFC 6960, section 3.2.
  public func status(in response: [UInt8]) throws(TLSError) -> TLSCertificateStatus {
    guard response.count <= TLSCertificateStatus.responseBytes else {
      throw TLSError("the response is longer than \(TLSCertificateStatus.responseBytes) bytes")
    }
    var status = martlet_staple_status()
    let result = unsafe martlet_staple_check(pointer, response, response.count, &status)
    switch Int(result) {
    case martlet_staple_read: break
    case martlet_staple_refused: throw TLSError("the responder gives no answer")
    case martlet_staple_unsigned:
      throw TLSError("the response is not signed by who has signed the certificate")
    case martlet_staple_other: throw TLSError("the response is about another certificate")
    case martlet_staple_no_issuer:
      throw TLSError("the certificate of who has signed it does not stand behind it")
    default: throw TLSError("the response is not in form")
    }
    guard let read = TLSCertificateStatus(status) else {
      throw TLSError("the response ends before it begins")
    }
    return read
  }
}

extension TLSIdentity {
  /// Shows clients that ask for it a response about the certificate, until a moment in seconds since 1970;
  /// nil: none.
  ///
  /// It counts in the next handshake, in all contexts that have this identity. May be called from any
  /// thread.
  public func staple(_ response: [UInt8]?, until: Int64 = 0) {
    let bytes = response ?? []
    _ = unsafe martlet_staple_put(certificates.pointer, bytes, bytes.count, until)
  }
}
