public import HTTPMessage

/// What of a request matters to a cache, found in one walk over its fields.
public struct CacheRequest: Hashable, Sendable {
  /// What is done with a request before anything stored is looked at.
  public enum Way: Hashable, Sendable {
    /// A stored response may answer it.
    case lookUp
    /// It goes to the origin as it is, and its response is not stored.
    case pass(CacheStatus.Forward)
  }

  /// The method.
  public let method: Method
  /// What it says about stored responses.
  public let directives: RequestDirectives
  /// Whether it has Authorization.
  public private(set) var isAuthorized = false
  /// Whether it has conditions or asks for parts: ``StoredAnswer`` decides what is sent.
  public private(set) var isConditional = false
  /// Whether it has conditions besides If-Range.
  public private(set) var hasPrecondition = false
  /// Whether it asks for parts.
  public private(set) var hasRange = false
  private let wantsUpgrade: Bool

  /// Reads a request; `bytes` are those that it was read from.
  ///
  /// - Complexity: O(*n*) in its lines, with no allocation.
  public init(_ request: RequestHead, in bytes: Span<UInt8>, by policy: CachePolicy) {
    method = request.method
    wantsUpgrade = request.wantsUpgrade
    var directives = RequestDirectives()
    var hasCacheControl = false
    var hasPragma = false
    let isHonored = policy.client == .honored
    let lines = request.fields.span
    for index in lines.indices {
      switch lines[index].name {
      case .cacheControl where isHonored:
        hasCacheControl = true
        directives.read(bytes, lines[index].valueRange.range)
      case .pragma where isHonored: hasPragma = true
      case .authorization: isAuthorized = true
      case .range:
        isConditional = true
        hasRange = true
      case .ifMatch, .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince:
        isConditional = true
        hasPrecondition = true
      case .ifRange: isConditional = true
      default: break
      }
    }
    if hasPragma, !hasCacheControl { directives.readPragma(of: request, in: bytes) }
    self.directives = directives
  }

  /// Whether its body tells which stored response answers it.
  public var isKeyedByBody: Bool { method == .query || method == .post }

  /// What is done with the request.
  ///
  /// An unsafe one passes, and makes stored responses invalid: ``Invalidation``.
  public func way(by policy: CachePolicy) -> Way {
    switch method {
    case .get, .head: break
    case .query where policy.bodyMethods.contains(.query): break
    case .post where policy.bodyMethods.contains(.post):
      // A condition of such a request is the origin's to judge: RFC 9110, section 13.1.
      if isConditional { return .pass(.method) }
    default: return .pass(.method)
    }
    if wantsUpgrade { return .pass(.bypass) }
    return directives.isNoStore ? .pass(.request) : .lookUp
  }
}
