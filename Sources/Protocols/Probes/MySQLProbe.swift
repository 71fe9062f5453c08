/// Reads the greeting with which a MySQL or MariaDB server begins; nothing is sent.
///
/// ```
///   length (3, little-endian) | sequence (1) | 10 | version … 0 | …       serves
///                                            | 255 | code (2) | text …    refuses
/// ```
///
/// - Source: the MySQL client/server protocol, Protocol::HandshakeV10 and ERR_Packet.
public struct MySQLProbe: Sendable {
  /// The longest greeting that is read.
  public static let packetBytes = 4096
  /// The longest version that is read.
  public static let versionBytes = 64

  private var held: [UInt8] = []

  /// Creates a probe that stands before the first byte of the greeting.
  public init() {}

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

  /// The verdict on what is held, as soon as it can be known.
  private var verdict: ProbeVerdict? {
    guard held.count >= 4 else { return nil }
    let length = Int(held[0]) | Int(held[1]) << 8 | Int(held[2]) << 16
    guard held[3] == 0, (4...Self.packetBytes).contains(length) else {
      return .failed(.malformed, "not the greeting of MySQL")
    }
    guard held.count > 4 else { return nil }
    let body = held[4...]
    switch held[4] {
    case 10:
      guard let end = body.dropFirst().firstIndex(of: 0) else {
        let isTooLong = body.count > min(Self.versionBytes, length - 1)
        return isTooLong ? .failed(.malformed, "a version without an end") : nil
      }
      return .passed("version \(printable(body[5..<end]))")
    case 255:
      guard body.count >= length else { return nil }
      let code = Int(held[5]) | Int(held[6]) << 8
      return .failed(.refused, printable("\(code) ".utf8 + Array(body.dropFirst(3))))
    default: return .failed(.malformed, "a greeting of version \(held[4])")
    }
  }

  /// What it means that the server closes now.
  public func end() -> ProbeVerdict { .failed(.closed, "closed within its greeting") }
}
