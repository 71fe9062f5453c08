import CLinux
import COpenSSL

// Invariant of this file: a cipher is made with a key of 32 bytes and lives as long as its `Key`; what
// is sealed or opened is written to an array of as many bytes as the call writes.

/// Seals values for a purpose, and opens what was sealed with one of its secrets for the same purpose.
///
/// It belongs to one loop. A sealed value is the epoch (2 bytes), the nonce (12), the bytes, as many as
/// there were, and the tag (16). AES-256-GCM, keys by HKDF (RFC 5869) with SHA-256.
public final class Sealer {
  /// How much longer a sealed value is.
  public static let overhead = 2 + nonceBytes + tagBytes
  /// The most bytes of a value.
  public static let valueLimit = 4096
  /// The seconds of one epoch as a power of two: 18 hours.
  private static let epochShift: Int64 = 16
  private static let nonceBytes = 12
  private static let tagBytes = 16
  /// How many keys are kept; beyond them all but the current ones are derived anew.
  private static let keyLimit = 128

  /// The ciphers of one secret in one epoch.
  @safe
  private final class Key {
    let sealing: OpaquePointer
    let opening: OpaquePointer

    init?(_ bytes: [UInt8]) {
      // Safe: `bytes` has the 32 bytes of a key.
      guard bytes.count == Int(martlet_aead_key_bytes),
        let first = unsafe martlet_cipher_new(bytes, 1)
      else { return nil }
      guard let second = unsafe martlet_cipher_new(bytes, 0) else {
        unsafe martlet_cipher_free(first)
        return nil
      }
      unsafe sealing = first
      unsafe opening = second
    }

    deinit {
      unsafe martlet_cipher_free(sealing)
      unsafe martlet_cipher_free(opening)
    }
  }

  private let secrets: [[UInt8]]
  private let purpose: [UInt8]
  private var keys: [UInt32: Key] = [:]

  /// Seals with the first of the secrets, and opens with all of them.
  ///
  /// nil when there is none, or there are more than eight.
  public init?(secrets: [[UInt8]], purpose: String) {
    guard !secrets.isEmpty, secrets.count <= 8 else { return nil }
    self.secrets = secrets
    self.purpose = Array(purpose.utf8)
  }

  /// The epoch of a time in seconds since 1970.
  public static func epoch(of seconds: Int64) -> UInt16 {
    UInt16(truncatingIfNeeded: seconds >> epochShift)
  }

  /// Seals `value`, at most ``valueLimit`` bytes, at a time in seconds since 1970.
  ///
  /// nil when the value is too long, or the system gives no random bytes.
  public func seal(_ value: Span<UInt8>, at seconds: Int64) -> [UInt8]? {
    let epoch = Self.epoch(of: seconds)
    guard value.count <= Self.valueLimit, let key = key(0, epoch) else { return nil }
    var sealed = [UInt8](repeating: 0, count: value.count + Self.overhead)
    sealed[0] = UInt8(truncatingIfNeeded: epoch >> 8)
    sealed[1] = UInt8(truncatingIfNeeded: epoch)
    let purpose = purpose
    // Safe: the array has room for the epoch, the nonce, the value and the tag, in this order.
    let isSealed = unsafe sealed.withUnsafeMutableBufferPointer { out in
      guard let start = out.baseAddress else { return false }
      let nonce = unsafe start + 2
      guard unsafe martlet_random(nonce, Self.nonceBytes) == Int64(Self.nonceBytes) else {
        return false
      }
      return unsafe value.withUnsafeBufferPointer { bytes in
        unsafe martlet_cipher_seal(
          key.sealing,
          nonce,
          purpose,
          purpose.count,
          bytes.baseAddress,
          bytes.count,
          nonce + Self.nonceBytes
        ) == 1
      }
    }
    return isSealed ? sealed : nil
  }

  /// The value that was sealed, or nil: it was made by somebody else, for something else, or longer ago
  /// than `lifetime`, up to one epoch.
  ///
  /// Both times in seconds; `seconds` since 1970.
  public func open(_ sealed: Span<UInt8>, at seconds: Int64, lifetime: Int64) -> [UInt8]? {
    let count = sealed.count - Self.overhead
    guard count >= 0, count <= Self.valueLimit else { return nil }
    let epoch = UInt16(sealed[0]) << 8 | UInt16(sealed[1])
    // Another machine's clock may be ahead: by one epoch.
    let age = Int(Int16(truncatingIfNeeded: Int(Self.epoch(of: seconds)) - Int(epoch)))
    guard age >= -1, Int64(age) <= (lifetime >> Self.epochShift) + 1 else { return nil }
    for index in secrets.indices {
      guard let key = key(index, epoch) else { continue }
      var value = [UInt8](repeating: 0, count: count)
      let purpose = purpose
      // Safe: `sealed` has the nonce, `count` bytes and the tag behind the epoch; `value` has room.
      let isOpen = unsafe sealed.withUnsafeBufferPointer { bytes in
        guard let start = bytes.baseAddress else { return false }
        return unsafe value.withUnsafeMutableBufferPointer { out in
          unsafe martlet_cipher_open(
            key.opening,
            start + 2,
            purpose,
            purpose.count,
            start + 2 + Self.nonceBytes,
            count,
            out.baseAddress
          ) == 1
        }
      }
      if isOpen { return value }
    }
    return nil
  }

  private func key(_ secret: Int, _ epoch: UInt16) -> Key? {
    let name = UInt32(secret) << 16 | UInt32(epoch)
    if let key = keys[name] { return key }
    var bytes = [UInt8](repeating: 0, count: Int(martlet_aead_key_bytes))
    var info = Array("martlet seal ".utf8)
    info.append(UInt8(truncatingIfNeeded: epoch >> 8))
    info.append(UInt8(truncatingIfNeeded: epoch))
    info += purpose
    let secret = secrets[secret]
    // Safe: each array is passed with its count.
    let isDerived = unsafe martlet_derive(
      secret,
      secret.count,
      info,
      info.count,
      &bytes,
      bytes.count
    )
    guard isDerived == 1, let key = Key(bytes) else { return nil }
    if keys.count >= Self.keyLimit { keys.removeAll() }
    keys[name] = key
    return key
  }
}
