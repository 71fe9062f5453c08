/// Begins a session with a PostgreSQL server and reads the first message of its answer.
///
/// A server serves if it asks who this is, or refuses this user; it does not while it starts up, shuts
/// down or recovers, or has no room for another session.
///
/// - Source: the PostgreSQL frontend/backend protocol, version 3, message flow and formats.
public struct PostgreSQLProbe: Sendable {
  /// The longest message that is read.
  public static let messageBytes = 8192

  private var held: [UInt8] = []

  /// Creates a probe that stands before the first byte of the answer.
  public init() {}

  /// The StartupMessage of a user, for the database of the same name.
  public static func opening(user: String) -> [UInt8] {
    var body: [UInt8] = [0, 3, 0, 0]
    for text in ["user", user, "application_name", "martlet"] { body += Array(text.utf8) + [0] }
    body.append(0)
    let length = UInt32(body.count + 4)
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + body
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

  /// The verdict on what is held, as soon as it can be known.
  private var verdict: ProbeVerdict? {
    let kind = held[0]
    // R: an authentication request; v: the server knows an older minor version; E: an error.
    guard [UInt8(ascii: "R"), UInt8(ascii: "v"), UInt8(ascii: "E")].contains(kind) else {
      return .failed(.malformed, "not an answer of PostgreSQL")
    }
    guard held.count >= 5 else { return nil }
    let length = held[1..<5].reduce(0) { $0 << 8 | Int($1) }
    guard (8...Self.messageBytes).contains(length) else {
      return .failed(.malformed, "a message of \(length) bytes")
    }
    guard kind == UInt8(ascii: "E") else { return .passed("asks for authentication") }
    guard held.count >= 1 + length else { return nil }
    let fields = Self.fields(of: held[5..<1 + length])
    guard let code = fields[UInt8(ascii: "C")] else {
      return .failed(.malformed, "an error without a code")
    }
    let text = "\(code) \(fields[UInt8(ascii: "M")] ?? "")"
    // Class 57 is an intervention of the operator: starting, stopping, recovering. Class 53 is a want
    // of resources. Whoever is refused otherwise was refused by a server that serves.
    return code.hasPrefix("57") || code.hasPrefix("53") ? .failed(.refused, text) : .passed(code)
  }

  /// The fields of an ErrorResponse by their kind.
  private static func fields(of bytes: ArraySlice<UInt8>) -> [UInt8: String] {
    var fields: [UInt8: String] = [:]
    for part in bytes.split(separator: 0) {
      if let kind = part.first { fields[kind] = printable(part.dropFirst()) }
    }
    return fields
  }

  /// What it means that the server closes now.
  public func end() -> ProbeVerdict { .failed(.closed, "closed within its answer") }
}
