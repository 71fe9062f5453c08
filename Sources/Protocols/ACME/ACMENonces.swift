import MartletBytes

/// The nonces of an authority: each is good once, for an hour.
///
/// A nonce says itself when it was made, and proves by a digest that it was made here; only those that were
/// used are kept, as long as they could be used again.
struct ACMENonces: Sendable {
  private static let life: Int64 = 3600
  private static let usedCount = 10_000

  private let authenticate: @Sendable ([UInt8]) -> [UInt8]?
  private let random: @Sendable (Int) -> [UInt8]
  private var used: [String: Int64] = [:]
  /// Nonces that are older than this are not taken, as it is not known any more which were used.
  private var earliest: Int64 = 0

  init(
    authenticate: @escaping @Sendable ([UInt8]) -> [UInt8]?,
    random: @escaping @Sendable (Int) -> [UInt8]
  ) {
    self.authenticate = authenticate
    self.random = random
  }

  /// A new one.
  func make(at now: Int64) -> String {
    let plain = (0..<8).map { UInt8(truncatingIfNeeded: now >> (56 - $0 * 8)) } + random(8)
    return ACMEKey.text(plain + (authenticate(plain) ?? []).prefix(16))
  }

  /// Takes one; false: it is not one of ours, too old, or was used.
  mutating func take(_ nonce: String, at now: Int64) -> Bool {
    guard nonce.utf8.count <= 64, let bytes = Base64URL.decoded(Array(nonce.utf8).span),
      bytes.count == 32, ACMEKey.text(bytes) == nonce,
      let code = authenticate(Array(bytes.prefix(16))), code.prefix(16).elementsEqual(bytes[16...])
    else { return false }
    let madeAt = bytes.prefix(8).reduce(Int64(0)) { $0 << 8 | Int64($1) }
    guard madeAt <= now, madeAt > now - Self.life, madeAt > earliest, used[nonce] == nil else {
      return false
    }
    if used.count >= Self.usedCount {
      used = used.filter { $0.value > now - Self.life }
      if used.count >= Self.usedCount {
        let times = used.values.sorted()
        earliest = times[times.count / 2]
        used = used.filter { $0.value > earliest }
        guard madeAt > earliest else { return false }
      }
    }
    used[nonce] = madeAt
    return true
  }
}
