/// The head of a response: what was answered, as ranges of bytes that the caller keeps.
///
/// It is made to be used again: ``reset()`` keeps the room for the fields. Every range counts from
/// the first byte that was given to the parser.
public struct ResponseHead: Hashable, Sendable {
  /// The version that the response is read as.
  public var version = HTTPVersion.http11

  /// The status code, 100 to 599.
  public var status: UInt16 = 0

  /// The reason phrase, which may be empty.
  public var reason = ByteRange()

  /// The field lines, in the order received.
  public var fields = FieldLines()

  /// Where the body ends.
  public var bodyLength = BodyLength.none

  /// What Connection asks for.
  public var options: ConnectionOptions = []

  /// The status line without its CRLF.
  public var startLine = ByteRange()

  /// The length of the head with its last empty line.
  public var byteCount = 0

  /// Creates an empty head.
  public init() {}

  /// Whether a final response follows this one, on the same connection: 1xx, but not 101.
  @inlinable
  public var isInformational: Bool { status < 200 && status != 101 }

  /// Whether the connection can carry a further exchange after the body.
  ///
  /// RFC 9112, section 9.3.
  public var keepsAlive = false

  /// Makes the head empty and keeps the room for fields.
  public mutating func reset() {
    fields.removeAll()
    version = .http11
    status = 0
    reason = ByteRange()
    bodyLength = .none
    options = []
    keepsAlive = false
    startLine = ByteRange()
    byteCount = 0
  }

  /// The first line with a known name.
  ///
  /// - Complexity: O(*n*) in the lines.
  @inlinable @inline(__always)
  public func first(_ name: FieldName) -> FieldLine? {
    fields.first(name)
  }

  /// The first line whose name is `name` in any case; `bytes` are those that were parsed.
  ///
  /// - Complexity: O(*n*) in the lines.
  public func field(named name: Span<UInt8>, in bytes: Span<UInt8>) -> FieldLine? {
    fields.first(named: name, in: bytes)
  }
}
