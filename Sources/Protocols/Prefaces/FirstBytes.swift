/// A protocol that can be told by the first bytes that its client sends.
public enum ClientProtocol: String, Hashable, Sendable, CaseIterable {
  /// A record of TLS with a handshake in it.
  case tls
  /// A request of HTTP/1.
  case http1
  /// The preface of HTTP/2 without TLS.
  case http2
  /// The line with which both sides of SSH begin.
  case ssh
  /// A start of PostgreSQL, or its question for TLS or GSSAPI, or for a cancellation.
  case postgresql
  /// A command of Redis.
  case redis
  /// A PROXY header of either version.
  case proxy
}

/// What the first bytes of a connection tell.
public enum FirstBytes: Hashable, Sendable {
  /// Nothing yet: more bytes could make one of the protocols of them.
  case undecided
  /// They are the beginning of this protocol.
  case known(ClientProtocol)
  /// None of the protocols begins so.
  case unknown

  /// How many bytes are looked at: with so many there is a verdict.
  public static let byteCount = 24

  /// Judges the first bytes of a connection.
  ///
  /// The verdict on some bytes is never taken back when more follow.
  public init(of bytes: Span<UInt8>) {
    guard !bytes.isEmpty else {
      self = .undecided
      return
    }
    switch bytes[0] {
    case 0x16: self = Self.tls(bytes)
    case 0x00: self = Self.postgresql(bytes)
    case 0x0D: self = Self.text(bytes, ProxyHeaderParser.signature, .proxy)
    case 0x2A: self = Self.redisArray(bytes)
    default: self = Self.word(bytes)
    }
  }

  private static func tls(_ bytes: Span<UInt8>) -> FirstBytes {
    if bytes.count > 1, bytes[1] != 3 { return .unknown }
    if bytes.count > 2, bytes[2] > 4 { return .unknown }
    guard bytes.count > 5 else { return .undecided }
    let length = Int(bytes.number16(at: 3))
    guard (1...ClientHelloReader.recordBytes).contains(length) else { return .unknown }
    return bytes[5] == 1 ? .known(.tls) : .unknown
  }

  // The codes that stand where later messages have their version: 1234 in the upper half.
  private static let cancelRequest: UInt32 = 80_877_102
  private static let tlsRequest: UInt32 = 80_877_103
  private static let gssRequest: UInt32 = 80_877_104

  private static func postgresql(_ bytes: Span<UInt8>) -> FirstBytes {
    // The first message is never longer than 10,000 bytes.
    if bytes.count > 1, bytes[1] != 0 { return .unknown }
    guard bytes.count >= 8 else { return .undecided }
    let length = bytes.number32(at: 0)
    switch bytes.number32(at: 4) {
    case tlsRequest, gssRequest: return length == 8 ? .known(.postgresql) : .unknown
    // A key is at most 256 bytes long.
    case cancelRequest: return (12...268).contains(length) ? .known(.postgresql) : .unknown
    case let version:
      let isStart = version >> 16 == 3 && version & 0xFFFF < 1000 && (9...10_000).contains(length)
      return isStart ? .known(.postgresql) : .unknown
    }
  }

  private static func redisArray(_ bytes: Span<UInt8>) -> FirstBytes {
    guard bytes.count > 1 else { return .undecided }
    guard case 0x31...0x39 = bytes[1] else { return .unknown }
    for index in 2..<bytes.count {
      if bytes[index] == 0x0D { return .known(.redis) }
      guard case 0x30...0x39 = bytes[index], index < 8 else { return .unknown }
    }
    return .undecided
  }

  /// Compares with a fixed beginning.
  private static func text(
    _ bytes: Span<UInt8>,
    _ expected: [UInt8],
    _ found: ClientProtocol
  ) -> FirstBytes {
    let count = min(bytes.count, expected.count)
    for index in 0..<count where bytes[index] != expected[index] { return .unknown }
    return count == expected.count ? .known(found) : .undecided
  }

  private static let prefaces: [(bytes: [UInt8], found: ClientProtocol)] = [
    (Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8), .http2),
    (Array("SSH-".utf8), .ssh),
    (ProxyHeaderParser.lineStart, .proxy),
    (Array("PING\r\n".utf8), .redis),
  ]
  private static let methodBytes = 16

  /// A protocol that begins with a word of capital letters.
  private static func word(_ bytes: Span<UInt8>) -> FirstBytes {
    for preface in prefaces {
      let verdict = text(bytes, preface.bytes, preface.found)
      if verdict != .unknown { return verdict }
    }
    var end = 0
    while end < bytes.count, bytes[end] != 0x20 {
      let isLetter = bytes[end] &- 0x41 < 26 || bytes[end] == 0x2D || bytes[end] == 0x5F
      guard isLetter, end < methodBytes else { return .unknown }
      end += 1
    }
    guard end > 0 else { return .unknown }
    guard end + 1 < bytes.count else { return .undecided }
    // The target: a path, `*`, or the name of a host or a scheme.
    switch bytes[end + 1] {
    case 0x2F, 0x2A, 0x5B, 0x30...0x39, 0x41...0x5A, 0x61...0x7A: return .known(.http1)
    default: return .unknown
    }
  }
}
