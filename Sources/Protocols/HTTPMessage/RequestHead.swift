import MartletBytes

/// The head of a request: what was asked, as ranges of bytes that the caller keeps.
///
/// It is made to be used again for the next request: ``reset()`` keeps the room for the fields.
/// Every range counts from the first byte that was given to the parser.
public struct RequestHead: Hashable, Sendable {
  /// The method.
  public var method = Method.get

  /// The bytes of the method.
  public var methodRange = ByteRange()

  /// The request target as received.
  public var target = ByteRange()

  /// Which of the four forms the target has.
  public var form = TargetForm.origin

  /// `host[:port]`: of the target where it names one, else of Host; empty only in HTTP/1.0.
  public var authority = ByteRange()

  /// The host alone, without the port; an IPv6 address keeps its brackets.
  public var host = ByteRange()

  /// The path, free of dot segments and malformed escapes; empty in the authority and asterisk
  /// forms, and where an absolute target has none.
  public var path = ByteRange()

  /// The query without its question mark.
  public var query = ByteRange()

  /// Whether the target has a question mark: an empty query is not the same as none.
  public var hasQuery = false

  /// The version that the request is read as.
  public var version = HTTPVersion.http11

  /// The field lines, in the order received.
  public var fields = FieldLines()

  /// Whether the name of a field has an underscore.
  ///
  /// Gateways that name variables after fields know no difference between `_` and `-`: to them
  /// `X_Forwarded_For` is `X-Forwarded-For` (RFC 3875, section 4.1.18).
  public var hasUnderscore = false

  /// Where the body ends; never ``BodyLength/untilClose``.
  public var bodyLength = BodyLength.none

  /// What Connection asks for.
  public var options: ConnectionOptions = []

  /// Whether the client waits for 100 (Continue) before it sends its content.
  ///
  /// False without content and in HTTP/1.0. RFC 9110, section 10.1.1.
  public var expectsContinue = false

  /// Whether the client asks for another protocol: Connection names an Upgrade that is there.
  ///
  /// False in HTTP/1.0, with content, and for protocols that carry HTTP (`h2c`, `HTTP/2.0`, `TLS`):
  /// the request is then one without Upgrade, as RFC 9110, section 7.8, allows.
  public var wantsUpgrade = false

  /// Whether the client takes trailers: `TE: trailers` (RFC 9110, section 10.1.4).
  public var acceptsTrailers = false

  /// The request line without its CRLF.
  public var startLine = ByteRange()

  /// The length of the head with its last empty line and any skipped empty lines before it.
  public var byteCount = 0

  /// Creates an empty head.
  public init() {}

  /// Whether the client can send a further request on this connection.
  ///
  /// RFC 9112, section 9.3.
  public var keepsAlive = false

  /// Makes the head empty and keeps the room for fields.
  public mutating func reset() {
    fields.removeAll()
    method = .get
    methodRange = ByteRange()
    target = ByteRange()
    form = .origin
    authority = ByteRange()
    host = ByteRange()
    path = ByteRange()
    query = ByteRange()
    hasQuery = false
    version = .http11
    hasUnderscore = false
    bodyLength = .none
    options = []
    keepsAlive = false
    expectsContinue = false
    wantsUpgrade = false
    acceptsTrailers = false
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
