import COpenSSL

// Invariant of this file: a hash of OpenSSL belongs to one `RunningDigest`, which frees it once; bytes that it reads and
// writes are those of a call, passed with their counts.

/// A digest of bytes that come one after the other.
///
/// It belongs to one thread at a time.
@safe
public final class RunningDigest {
  /// How it is made.
  public enum Algorithm: String, Sendable, CaseIterable {
    /// SHA-256.
    case sha256 = "sha-256"
    /// SHA-512.
    case sha512 = "sha-512"

    /// How many bytes it has.
    public var byteCount: Int { self == .sha256 ? 32 : 64 }
  }

  /// How it is made.
  public let algorithm: Algorithm
  private let hash: OpaquePointer

  /// Creates the digest of nothing.
  ///
  /// - Throws: ``TLSError`` without memory.
  public init(_ algorithm: Algorithm) throws(TLSError) {
    guard let hash = unsafe martlet_hash_new(algorithm == .sha512 ? 1 : 0) else {
      throw .noted("no digest")
    }
    self.algorithm = algorithm
    unsafe self.hash = hash
  }

  deinit { unsafe martlet_hash_free(hash) }

  /// Takes further bytes.
  public func add(_ bytes: Span<UInt8>) {
    // Safe: the span lives as long as the call, and goes with its count.
    unsafe bytes.withUnsafeBufferPointer { unsafe martlet_hash_add(hash, $0.baseAddress, $0.count) }
  }

  /// The digest of all that was taken; nothing may be taken behind it.
  public func finish() -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 64)
    // Safe: no digest is longer than the array.
    let count = unsafe martlet_hash_end(hash, &out)
    return Array(out.prefix(Int(count)))
  }
}
