/// How long the parts of a message may be; what is longer is refused with a reason of its own.
public struct HeadLimits: Hashable, Sendable {
  /// Bytes of a head with its last empty line; more than 65,535 count as 65,535.
  public var headBytes = 16_384

  /// Field lines of a head.
  public var fieldCount = 100

  /// Bytes of one field line without its CRLF.
  public var lineBytes = 8192

  /// Bytes of a request target.
  public var targetBytes = 8192

  /// Bytes of a method's name.
  public var methodBytes = 32

  /// Bytes of a field's name.
  public var fieldNameBytes = 256

  /// Names in all Connection fields together.
  public var connectionOptionCount = 32

  /// Bytes of the extensions of one chunk.
  public var chunkExtensionBytes = 256

  /// Bytes of the extensions of all chunks of a body.
  public var chunkExtensionTotalBytes = 16_384

  /// Bytes of all trailers with their CRLFs.
  public var trailerBytes = 8192

  /// Trailer lines of a body.
  public var trailerCount = 32

  /// Creates the limits that suit browsers and servers of today.
  public init() {}
}
