/// One field line of a head: where its name and value lie, and what it is.
public struct FieldLine: Hashable, Sendable {
  /// The name, where it is one of the known ones.
  public var name: FieldName

  /// Whether the line is for this connection alone, by its name or because Connection names it.
  public var isHopByHop: Bool

  /// The bytes of the name.
  public var nameRange: ByteRange

  /// The bytes of the value, without the whitespace around it.
  public var valueRange: ByteRange

  /// The offset behind the line's CRLF.
  public var lineEnd: UInt16

  /// Creates a line from its parts.
  @inlinable
  public init(
    name: FieldName,
    nameRange: ByteRange,
    valueRange: ByteRange,
    lineEnd: UInt16,
    isHopByHop: Bool
  ) {
    self.name = name
    self.isHopByHop = isHopByHop
    self.nameRange = nameRange
    self.valueRange = valueRange
    self.lineEnd = lineEnd
  }

  /// The whole line, from the start of its name to behind its CRLF.
  @inlinable
  public var lineRange: ByteRange { ByteRange(nameRange.lowerBound..<Int(lineEnd)) }
}

/// Where a message's body ends.
///
/// Decided once, from the head alone; a head that allows two readings is refused, never guessed.
///
/// - Source: RFC 9112, section 6.3.
public enum BodyLength: Hashable, Sendable {
  /// There is no body, not even an empty one.
  case none
  /// The body has this many bytes; below 2^63.
  case fixed(UInt64)
  /// The body is a row of chunks.
  case chunked
  /// The body ends with the connection; responses only.
  case untilClose
}

/// What Connection asks for.
///
/// - Source: RFC 9110, section 7.6.1; RFC 9112, section 9.
public struct ConnectionOptions: OptionSet, Hashable, Sendable {
  /// One bit for each option.
  public let rawValue: UInt8

  /// Creates a set from its bits.
  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The connection ends after this message's exchange.
  public static let close = ConnectionOptions(rawValue: 1)
  /// The connection is kept; needed in HTTP/1.0 only.
  public static let keepAlive = ConnectionOptions(rawValue: 2)
  /// The field Upgrade is meant for the next hop.
  public static let upgrade = ConnectionOptions(rawValue: 4)
  /// The field HTTP2-Settings is meant for the next hop.
  public static let http2Settings = ConnectionOptions(rawValue: 8)
  /// Other fields are named, and marked as hop-by-hop.
  public static let nominatesFields = ConnectionOptions(rawValue: 16)
}

/// The four ways to write what a request is for.
///
/// - Source: RFC 9112, section 3.2.
public enum TargetForm: UInt8, Sendable {
  /// `/path?query`, the usual one.
  case origin
  /// `http://host/path?query`, as to a proxy.
  case absolute
  /// `host:port`, with CONNECT only.
  case authority
  /// `*`, with OPTIONS only.
  case asterisk
}
