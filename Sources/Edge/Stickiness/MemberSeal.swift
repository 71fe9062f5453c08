import MartletBytes
import Sealing

/// The value of the cookie that keeps a client with its member.
///
/// It belongs to one loop. The value is base64url of the sealed identity (8 bytes) and the time of the
/// sealing in seconds since 1970 (8 bytes); it is good for one upstream and one name of a cookie.
public final class MemberSeal {
  /// What a value said.
  public struct Content: Hashable, Sendable {
    /// The member.
    public let member: MemberIdentity
    /// Whether half of the lifetime is over, so that it is time for a new value.
    public let isOld: Bool
  }

  /// How many characters a value has.
  public static let valueCount = Base64URL.encodedCount(plainCount + Sealer.overhead)
  private static let plainCount = 16

  private let sealer: Sealer
  private let lifetime: Int64

  /// Seals with the first of the keys, and opens with each; `lifetime` in seconds.
  ///
  /// nil when there is no key, or there are too many.
  public init?(keys: [String], upstream: String, cookie: String, lifetime: Int64) {
    guard
      let sealer = Sealer(
        secrets: keys.map { Array($0.utf8) },
        purpose: "sticky\u{0}\(upstream)\u{0}\(cookie)"
      )
    else { return nil }
    self.sealer = sealer
    self.lifetime = lifetime
  }

  /// A value for a member, at a time in seconds since 1970.
  ///
  /// nil when the system gives no random bytes.
  public func value(for member: MemberIdentity, at seconds: Int64) -> [UInt8]? {
    var plain: [UInt8] = []
    for word in [member.number, UInt64(bitPattern: seconds)] {
      for shift in (0..<8).reversed() {
        plain.append(UInt8(truncatingIfNeeded: word >> UInt64(shift * 8)))
      }
    }
    return sealer.seal(plain.span, at: seconds).map { Base64URL.encoded($0.span) }
  }

  /// What the value of a client's cookie says, or nil: it was not made by us, or its time is over.
  public func content(of value: Span<UInt8>, at seconds: Int64) -> Content? {
    guard value.count == Self.valueCount, let sealed = Base64URL.decoded(value),
      let plain = sealer.open(sealed.span, at: seconds, lifetime: lifetime),
      plain.count == Self.plainCount
    else { return nil }
    var words: [UInt64] = [0, 0]
    for index in plain.indices { words[index / 8] = words[index / 8] << 8 | UInt64(plain[index]) }
    let age = seconds &- Int64(bitPattern: words[1])
    guard age <= lifetime else { return nil }
    return Content(member: MemberIdentity(number: words[0]), isOld: age > lifetime / 2)
  }
}
