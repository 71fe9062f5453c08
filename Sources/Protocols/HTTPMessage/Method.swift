/// What a request asks to be done.
///
/// - Source: RFC 9110, section 9.3; RFC 5789 for PATCH; QUERY is safe and carries content.
public enum Method: UInt8, Sendable, CaseIterable {
  /// GET.
  case get
  /// HEAD: GET without the content.
  case head
  /// POST.
  case post
  /// PUT.
  case put
  /// DELETE.
  case delete
  /// PATCH.
  case patch
  /// OPTIONS.
  case options
  /// TRACE.
  case trace
  /// CONNECT: a tunnel to an authority.
  case connect
  /// QUERY.
  case query
  /// A token that is none of the above.
  case other

  /// The method with this name, which is compared as it is: `get` is not GET.
  public init(_ bytes: Span<UInt8>) {
    guard bytes.count <= 8 else {
      self = .other
      return
    }
    var word: UInt64 = 0
    for index in bytes.indices { word = word &<< 8 | UInt64(bytes[index]) }
    self =
      switch word {
      case 0x47_4554: .get
      case 0x4845_4144: .head
      case 0x504F_5354: .post
      case 0x50_5554: .put
      case 0x4445_4C45_5445: .delete
      case 0x50_4154_4348: .patch
      case 0x4F_5054_494F_4E53: .options
      case 0x54_5241_4345: .trace
      case 0x43_4F4E_4E45_4354: .connect
      case 0x51_5545_5259: .query
      default: .other
      }
  }

  /// The method's name; empty for ``other``.
  public var text: StaticString {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .patch: "PATCH"
    case .options: "OPTIONS"
    case .trace: "TRACE"
    case .connect: "CONNECT"
    case .query: "QUERY"
    case .other: ""
    }
  }

  /// Whether a request with it asks for nothing to be changed (RFC 9110, section 9.2.1).
  @inlinable
  public var isSafe: Bool {
    switch self {
    case .get, .head, .options, .trace, .query: true
    case .post, .put, .delete, .patch, .connect, .other: false
    }
  }

  /// Whether a request with it may be sent twice with the effect of once.
  ///
  /// RFC 9110, section 9.2.2.
  @inlinable
  public var isIdempotent: Bool {
    switch self {
    case .get, .head, .options, .trace, .query, .put, .delete: true
    case .post, .patch, .connect, .other: false
    }
  }
}

/// The version of HTTP/1 that a message is read as.
public enum HTTPVersion: UInt8, Comparable, Sendable {
  /// HTTP/1.0: no chunks, no reuse of the connection unless both ask for it.
  case http10
  /// HTTP/1.1, and every higher minor version. RFC 9110, section 2.5.
  case http11

  /// Whether the left version is the older one.
  @inlinable
  public static func < (left: HTTPVersion, right: HTTPVersion) -> Bool {
    left.rawValue < right.rawValue
  }
}
