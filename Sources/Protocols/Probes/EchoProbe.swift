/// An echo request of ICMP, and the answers to it.
///
/// ```
///   type | code | checksum (2) | identifier (2) | sequence (2) | token …
/// ```
///
/// A socket for echoes has its own identifier, so an answer is known by the token alone.
///
/// - Source: RFC 792 for IPv4, RFC 4443 for IPv6.
public struct EchoProbe: Sendable {
  /// The versions of ICMP.
  public enum Version: Sendable {
    /// With IPv4.
    case ipv4
    /// With IPv6.
    case ipv6
  }

  /// The fewest bytes of a token.
  public static let tokenBytes = 16

  private let version: Version
  private let identifier: UInt16
  private let token: [UInt8]

  /// Creates a probe with a token that no other has.
  public init(_ version: Version, identifier: UInt16, token: [UInt8]) {
    precondition(token.count >= Self.tokenBytes, "a token has at least \(Self.tokenBytes) bytes")
    self.version = version
    self.identifier = identifier
    self.token = token
  }

  /// The datagram to be sent; of IPv6 the kernel fills the checksum in.
  public var request: [UInt8] {
    var bytes: [UInt8] = [version == .ipv4 ? 8 : 128, 0, 0, 0]
    bytes += [UInt8(identifier >> 8), UInt8(truncatingIfNeeded: identifier), 0, 1]
    bytes += token
    if version == .ipv4 {
      let sum = Self.checksum(bytes)
      bytes[2] = UInt8(sum >> 8)
      bytes[3] = UInt8(truncatingIfNeeded: sum)
    }
    return bytes
  }

  /// RFC 1071.
  static func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for (index, byte) in bytes.enumerated() {
      sum &+= index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte)
    }
    while sum >> 16 != 0 { sum = sum & 0xFFFF &+ sum >> 16 }
    return ~UInt16(truncatingIfNeeded: sum)
  }

  /// Takes a datagram that came, in front of which a raw socket of IPv4 puts the header of IP.
  ///
  /// - Returns: The verdict, or nil when the datagram belongs to somebody else.
  public func receive(_ datagram: Span<UInt8>, hasHeader: Bool) -> ProbeVerdict? {
    var start = 0
    if hasHeader {
      guard let end = Self.headerEnd(in: datagram, from: 0) else { return nil }
      start = end
    }
    guard datagram.count >= start + 8 else { return nil }
    let (isReply, isUnreachable) =
      switch version {
      case .ipv4: (datagram[start] == 0, datagram[start] == 3 || datagram[start] == 11)
      case .ipv6: (datagram[start] == 129, datagram[start] == 1 || datagram[start] == 3)
      }
    if isReply {
      guard datagram[start + 1] == 0, has(token, datagram, at: start + 8) else { return nil }
      return .passed("echo")
    }
    guard isUnreachable else { return nil }
    // What could not be delivered follows, with its own header of IP, and at least eight bytes of it.
    let code = datagram[start + 1]
    let inner =
      switch version {
      case .ipv4: Self.headerEnd(in: datagram, from: start + 8)
      case .ipv6: datagram.count >= start + 48 ? start + 48 : nil
      }
    guard let inner, has(Array(request[4..<8]), datagram, at: inner + 4) else { return nil }
    return .failed(.unreachable, "ICMP type \(datagram[start]) code \(code)")
  }

  /// Where the header of IPv4 that begins at `start` ends.
  private static func headerEnd(in datagram: Span<UInt8>, from start: Int) -> Int? {
    guard datagram.count > start, datagram[start] >> 4 == 4 else { return nil }
    let count = Int(datagram[start] & 15) * 4
    guard count >= 20, datagram.count >= start + count else { return nil }
    return start + count
  }

  private func has(_ bytes: [UInt8], _ datagram: Span<UInt8>, at start: Int) -> Bool {
    guard datagram.count >= start + bytes.count else { return false }
    return bytes.indices.allSatisfy { datagram[start + $0] == bytes[$0] }
  }
}
