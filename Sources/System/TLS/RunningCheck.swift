import COpenSSL

// Invariant of this file: a code of OpenSSL belongs to one `RunningCheck`, which frees it once; bytes that it reads and
// writes are those of a call, passed with their counts.

/// A code of 16 bytes over bytes that come one after the other: GMAC with AES-128.
///
/// Whatever changes them by chance changes it. It tells nothing about who made them to anybody who does not keep the
/// key to himself. It costs much less than SHA-256. It belongs to one thread at a time.
///
/// - Source: NIST SP 800-38D.
@safe
public final class RunningCheck {
  /// How many bytes it has.
  public static let byteCount = 16
  /// How many bytes a key has.
  public static let keyCount = 16
  /// How many bytes a nonce has, of which no two may be the same with one key.
  public static let nonceCount = 12

  private let code: OpaquePointer

  /// Creates the code of nothing.
  ///
  /// - Throws: ``TLSError`` without memory.
  public init(key: [UInt8], nonce: [UInt8]) throws(TLSError) {
    precondition(key.count == Self.keyCount && nonce.count == Self.nonceCount, "as GMAC has them")
    // Safe: OpenSSL reads as many bytes as were counted just now, and keeps copies.
    guard let code = unsafe martlet_check_new(key, nonce) else { throw .noted("no code") }
    unsafe self.code = code
  }

  deinit { unsafe martlet_check_free(code) }

  /// Takes further bytes.
  public func add(_ bytes: Span<UInt8>) {
    // Safe: the span lives as long as the call, and goes with its count.
    unsafe bytes.withUnsafeBufferPointer {
      unsafe martlet_check_add(code, $0.baseAddress, $0.count)
    }
  }

  /// The code of all that was taken; nothing may be taken behind it.
  public func finish() -> [UInt8] {
    var out = [UInt8](repeating: 0, count: Self.byteCount)
    // Safe: the array is as long as a code.
    guard unsafe martlet_check_end(code, &out) != 0 else { return [] }
    return out
  }
}
