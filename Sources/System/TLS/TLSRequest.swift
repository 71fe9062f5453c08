import COpenSSL

// Invariant of this file: arrays are passed with their counts, and what a callback is given is copied
// before it returns.

/// A request for a certificate that somebody else has made: who made it has its key.
///
/// - Source: RFC 2986.
public struct TLSRequest: Sendable {
  /// The key that is to be in the certificate: the part of it that everybody may know.
  public let key: TLSKey
  /// The hosts and addresses that it asks for, in lower case.
  public let names: [String]

  /// Reads a request in DER form.
  ///
  /// - Throws: ``TLSError``: it is not in form, not signed by its key, or that is a weak one.
  public init(der: [UInt8]) throws(TLSError) {
    guard let found = unsafe martlet_request_key(der, der.count) else {
      throw TLSError(
        "the request is not in form, its signature not that of its key, or that is weak"
      )
    }
    unsafe key = TLSKey(adopting: found)
    final class Found { var names: [String] = [] }
    let result = Found()
    let visit: martlet_name_visitor = { context, _, name, count in
      guard let context = unsafe context, let name = unsafe name else { return }
      let bytes = unsafe UnsafeRawBufferPointer(start: name, count: count)
      let text = unsafe String(decoding: bytes, as: UTF8.self).lowercased()
      let found = unsafe Unmanaged<Found>.fromOpaque(context).takeUnretainedValue()
      if !found.names.contains(text) { found.names.append(text) }
    }
    let isRead = unsafe martlet_request_names(
      der,
      der.count,
      visit,
      Unmanaged.passUnretained(result).toOpaque()
    )
    guard isRead == 1 else { throw TLSError("the request asks for what is no host and no address") }
    names = withExtendedLifetime(result) { result.names }
  }
}

/// Signatures of others.
public enum TLSSignature {
  /// Whether the key with this point has signed bytes, as RFC 7518 writes that, section 3.4: on P-256, with numbers
  /// of 32 bytes, with SHA-256, on P-384, with 48 bytes, with SHA-384.
  public static func isGood(
    _ signature: [UInt8],
    of bytes: [UInt8],
    x: [UInt8],
    y: [UInt8]
  ) -> Bool {
    guard x.count == 32 || x.count == 48, y.count == x.count, signature.count == 2 * x.count
    else { return false }
    return (unsafe martlet_verify_point(x, y, x.count, bytes, bytes.count, signature)) == 1
  }

  /// Whether the RSA key with this modulus and exponent has signed bytes with SHA-256 (PKCS #1, 1.5).
  public static func isGood(
    _ signature: [UInt8],
    of bytes: [UInt8],
    modulus: [UInt8],
    exponent: [UInt8]
  ) -> Bool {
    let result = unsafe martlet_verify_modulus(
      modulus,
      modulus.count,
      exponent,
      exponent.count,
      bytes,
      bytes.count,
      signature,
      signature.count
    )
    return result == 1
  }
}
