/// Begins a TLS handshake and waits for the ServerHello.
///
/// The server's certificate is not looked at, and the handshake is not finished.
///
/// - Source: RFC 8446, sections 4.1 and 5.1; RFC 6066, section 3, for the server's name.
public struct TLSProbe: Sendable {
  /// How many random bytes a ClientHello holds.
  public static let randomBytes = 96

  private var held: [UInt8] = []

  /// Creates a probe that stands before the first byte of the answer.
  public init() {}

  /// The record of a ClientHello that offers TLS 1.3 and 1.2.
  ///
  /// A `serverName` of nil asks for no name. `random` are ``randomBytes`` bytes, which need not be
  /// secret: the handshake ends before a key is made of them.
  public static func opening(serverName: String?, random: [UInt8]) -> [UInt8] {
    precondition(random.count == randomBytes, "a ClientHello needs \(randomBytes) random bytes")
    var extensions: [UInt8] = []
    if let serverName {
      extensions += part(0x0000, counted16([0] + counted16(Array(serverName.utf8))))
    }
    extensions += part(0x000B, [1, 0])
    // x25519, P-256, P-384.
    extensions += part(0x000A, counted16([0x00, 0x1D, 0x00, 0x17, 0x00, 0x18]))
    // ECDSA, RSA-PSS and RSA with SHA-256, -384 and -512; Ed25519.
    let signatures: [UInt16] = [
      0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0807,
    ]
    extensions += part(0x000D, counted16(signatures.flatMap { big($0) }))
    extensions += part(0x002B, [4, 0x03, 0x04, 0x03, 0x03])
    // Any 32 bytes are a public key of x25519.
    extensions += part(0x0033, counted16(big(0x001D) + counted16(Array(random[64..<96]))))
    let suites: [UInt16] = [
      0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014,
      0x009C, 0x009D, 0x002F, 0x0035,
    ]
    let hello =
      [0x03, 0x03] + random[0..<32] + [32] + random[32..<64]
      + counted16(suites.flatMap { big($0) }) + [1, 0] + counted16(extensions)
    let handshake = [1, 0] + counted16(hello)
    return [22, 0x03, 0x01] + counted16(handshake)
  }

  private static func big(_ number: UInt16) -> [UInt8] {
    [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)]
  }

  private static func counted16(_ bytes: [UInt8]) -> [UInt8] {
    big(UInt16(truncatingIfNeeded: bytes.count)) + bytes
  }

  private static func part(_ kind: UInt16, _ body: [UInt8]) -> [UInt8] {
    big(kind) + counted16(body)
  }

  /// Takes bytes that came.
  ///
  /// - Returns: The verdict, or nil when more bytes are needed.
  public mutating func receive(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    for index in bytes.indices {
      held.append(bytes[index])
      if let verdict { return verdict }
    }
    return nil
  }

  /// The verdict on what is held, which is at most eleven bytes: a record's head, and the beginning of
  /// the message in it.
  private var verdict: ProbeVerdict? {
    let malformed = ProbeVerdict.failed(.malformed, "not an answer of TLS")
    guard held[0] == 21 || held[0] == 22 else { return malformed }
    guard held.count >= 5 else { return nil }
    let length = Int(held[3]) << 8 | Int(held[4])
    // RFC 8446, section 5.1: at most 2^14 bytes.
    guard held[1] == 3, (2...(1 << 14)).contains(length) else { return malformed }
    if held[0] == 21 {
      guard held.count >= 7 else { return nil }
      return .failed(.refused, "alert \(Self.alertNames[held[6]] ?? "\(held[6])")")
    }
    guard held.count >= 11 else { return held.count > 5 && held[5] != 2 ? malformed : nil }
    let isServerHello = held[5] == 2 && held[6] == 0 && held[9] == 3 && length >= 42
    return isServerHello ? .passed("answered with a ServerHello") : malformed
  }

  // RFC 8446, section 6: those that may answer a ClientHello.
  private static let alertNames: [UInt8: String] = [
    0: "close_notify", 10: "unexpected_message", 40: "handshake_failure",
    47: "illegal_parameter", 49: "access_denied", 50: "decode_error", 70: "protocol_version",
    71: "insufficient_security", 80: "internal_error", 90: "user_canceled",
    112: "unrecognized_name", 120: "no_application_protocol",
  ]

  /// What it means that the server closes now.
  public func end() -> ProbeVerdict { .failed(.closed, "closed within the handshake") }
}
