/// The nine bytes before each frame.
///
/// ```
/// +-----------------------------------------------+
/// |                 Length (24)                   |
/// +---------------+---------------+---------------+
/// |   Type (8)    |   Flags (8)   |
/// +-+-------------+---------------+-------------------------------+
/// |R|                 Stream Identifier (31)                      |
/// +-+-------------------------------------------------------------+
/// ```
///
/// - Source: RFC 9113, section 4.1.
public struct FrameHeader: Hashable, Sendable {
  /// The bytes of a header.
  public static let byteCount = 9
  /// The longest payload that we take, which is also the least that a peer must take.
  public static let payloadBytes = 16_384

  /// The bytes of the payload.
  public var length: Int
  /// What kind of frame it is.
  public var kind: UInt8
  /// Its flags; what they mean depends on the kind.
  public var flags: UInt8
  /// The stream it belongs to; 0: the connection.
  public var stream: UInt32

  /// Creates a header.
  public init(length: Int, kind: UInt8, flags: UInt8 = 0, stream: UInt32) {
    self.length = length
    self.kind = kind
    self.flags = flags
    self.stream = stream
  }

  /// Reads the nine bytes that lie in `bytes` from `offset` on.
  public init(_ bytes: Span<UInt8>, at offset: Int) {
    length =
      Int(bytes[offset]) << 16 | Int(bytes[offset + 1]) << 8 | Int(bytes[offset + 2])
    kind = bytes[offset + 3]
    flags = bytes[offset + 4]
    stream = bytes.number(at: offset + 5) & 0x7FFF_FFFF
  }

  /// Whether it has a flag.
  func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
}

/// The kinds of frames that are known.
public enum FrameKind {
  /// Content.
  ///
  /// RFC 9113, section 6.1.
  public static let data: UInt8 = 0
  /// A head or trailers.
  ///
  /// Section 6.2.
  public static let headers: UInt8 = 1
  /// A priority as of RFC 7540, which nobody follows any more.
  ///
  /// Section 6.3.
  public static let priority: UInt8 = 2
  /// The end of a stream.
  ///
  /// Section 6.4.
  public static let resetStream: UInt8 = 3
  /// Settings, or that they were taken.
  ///
  /// Section 6.5.
  public static let settings: UInt8 = 4
  /// The announcement of an answer that was not asked for.
  ///
  /// Section 6.6.
  public static let pushPromise: UInt8 = 5
  /// A ping, or its answer.
  ///
  /// Section 6.7.
  public static let ping: UInt8 = 6
  /// The end of the connection.
  ///
  /// Section 6.8.
  public static let goAway: UInt8 = 7
  /// More room in a window.
  ///
  /// Section 6.9.
  public static let windowUpdate: UInt8 = 8
  /// What did not fit into HEADERS.
  ///
  /// Section 6.10.
  public static let continuation: UInt8 = 9
  /// A change of priority.
  ///
  /// RFC 9218, section 7.1.
  public static let priorityUpdate: UInt8 = 16
}

/// The flags that are known.
public enum FrameFlag {
  /// DATA and HEADERS: the side sends nothing more on this stream.
  public static let endStream: UInt8 = 1
  /// SETTINGS and PING: an answer.
  public static let acknowledge: UInt8 = 1
  /// HEADERS and CONTINUATION: the fields are complete.
  public static let endHeaders: UInt8 = 4
  /// DATA and HEADERS: the payload is padded.
  public static let padded: UInt8 = 8
  /// HEADERS: a priority stands before the fields.
  public static let priority: UInt8 = 0x20
}

extension Span<UInt8> {
  /// The four bytes from `offset` on as a number.
  func number(at offset: Int) -> UInt32 {
    UInt32(self[offset]) << 24 | UInt32(self[offset + 1]) << 16 | UInt32(self[offset + 2]) << 8
      | UInt32(self[offset + 3])
  }
}

extension [UInt8] {
  /// Appends a number of four bytes.
  mutating func append(number: UInt32) {
    append(UInt8(truncatingIfNeeded: number >> 24))
    append(UInt8(truncatingIfNeeded: number >> 16))
    append(UInt8(truncatingIfNeeded: number >> 8))
    append(UInt8(truncatingIfNeeded: number))
  }

  /// Appends the header of a frame.
  mutating func append(_ header: FrameHeader) {
    append(UInt8(truncatingIfNeeded: header.length >> 16))
    append(UInt8(truncatingIfNeeded: header.length >> 8))
    append(UInt8(truncatingIfNeeded: header.length))
    append(header.kind)
    append(header.flags)
    append(number: header.stream)
  }
}
