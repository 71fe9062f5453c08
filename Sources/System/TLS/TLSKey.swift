import COpenSSL
import MartletSystem

// Invariant of this file: a key owns what it points to and frees it once; arrays are passed with their
// counts, and what OpenSSL writes is copied before the call returns.

// @unchecked: nothing changes after the initialiser, and OpenSSL lets any thread sign with a key.
/// A private key on the curve P-256: for certificates, and to sign with by itself.
@safe
public final class TLSKey: @unchecked Sendable {
  let pointer: OpaquePointer

  /// Makes a new key.
  ///
  /// - Throws: ``TLSError``.
  public init() throws(TLSError) {
    guard let made = unsafe martlet_key_new() else { throw .noted("no key can be made") }
    unsafe pointer = made
  }

  /// Reads a key in PEM form.
  ///
  /// - Throws: ``TLSError``: there is none, it has a pass phrase, or it is of another kind.
  public init(pem: [UInt8]) throws(TLSError) {
    guard let read = unsafe martlet_key_read(pem, pem.count) else {
      throw TLSError("there is no private key in PEM form without a pass phrase")
    }
    unsafe pointer = read
    guard point != nil else { throw TLSError("the key is not one on the curve P-256") }
  }

  /// Takes over a key, which may be the part that everybody may know.
  init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe martlet_key_free(pointer) }

  /// The key in PEM form: a secret.
  ///
  /// - Throws: ``TLSError`` without memory.
  public func pem() throws(TLSError) -> [UInt8] {
    let pointer = unsafe pointer
    guard
      let bytes = unsafe written(
        atMost: 4096,
        { out, count in unsafe martlet_key_pem(pointer, out, count) }
      )
    else { throw .noted("the key cannot be written") }
    return bytes
  }

  /// The point that everybody may know, as two numbers of 32 bytes; nil for a key of another kind.
  public var point: (x: [UInt8], y: [UInt8])? {
    var x = [UInt8](repeating: 0, count: 32)
    var y = x
    return unsafe martlet_key_point(pointer, &x, &y) == 1 ? (x, y) : nil
  }

  /// Signs with ECDSA and SHA-256: two numbers of 32 bytes, as RFC 7518 writes them, section 3.4.
  ///
  /// - Throws: ``TLSError``.
  public func signature(of bytes: [UInt8]) throws(TLSError) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 64)
    guard unsafe martlet_key_sign(pointer, bytes, bytes.count, &out) == 1 else {
      throw .noted("nothing can be signed")
    }
    return out
  }

  /// A request for a certificate for `names`, hosts and addresses, in DER form.
  ///
  /// - Throws: ``TLSError``: there is no name, or one is none.
  /// - Source: RFC 2986.
  public func request(for names: [String]) throws(TLSError) -> [UInt8] {
    let pointer = unsafe pointer
    let list = names.joined(separator: "\n")
    guard
      let bytes = unsafe written(
        atMost: 64 << 10,
        { out, count in unsafe martlet_request(pointer, list, out, count) }
      )
    else { throw .noted("no certificate can be asked for") }
    return bytes
  }
}

/// What a function writes to at most so many bytes; nil when it gives −1.
func written(
  atMost limit: Int,
  _ write: (UnsafeMutablePointer<UInt8>, Int) -> Int64
) -> [UInt8]? {
  var bytes = [UInt8](repeating: 0, count: limit)
  let count = unsafe bytes.withUnsafeMutableBufferPointer { out -> Int64 in
    guard let start = out.baseAddress else { return -1 }
    return unsafe write(start, out.count)
  }
  // It may be a key.
  defer { Secret.forget(bytes) }
  return count < 0 ? nil : Array(bytes.prefix(Int(count)))
}

/// Digests of OpenSSL.
public enum TLSDigest {
  /// SHA-256.
  ///
  /// - Throws: ``TLSError``.
  public static func sha256(_ bytes: [UInt8]) throws(TLSError) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 32)
    guard unsafe martlet_digest(bytes, bytes.count, &out) == 1 else { throw .noted("no digest") }
    return out
  }

  /// HMAC with SHA-256.
  ///
  /// - Throws: ``TLSError``.
  /// - Source: RFC 2104.
  public static func code(of bytes: [UInt8], key: [UInt8]) throws(TLSError) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 32)
    guard unsafe martlet_authenticate(key, key.count, bytes, bytes.count, &out) == 1 else {
      throw .noted("no code")
    }
    return out
  }
}
