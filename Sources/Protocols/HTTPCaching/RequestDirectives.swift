public import HTTPMessage
import MartletBytes

/// What a request says about stored responses: Cache-Control, or Pragma where that is missing.
///
/// A restriction that cannot be read counts as the strictest one, a permission as none.
///
/// - Source: RFC 9111, sections 5.2.1 and 5.4; RFC 5861, section 4.
public struct RequestDirectives: Hashable, Sendable {
  /// `no-store`: nothing of the exchange is stored.
  public private(set) var isNoStore = false
  /// `no-cache`: a stored response is sent only once it is validated.
  public private(set) var isNoCache = false
  /// `only-if-cached`: the origin is not asked.
  public private(set) var isOnlyIfCached = false
  /// `no-transform`: the content is sent as it is.
  public private(set) var isNoTransform = false
  /// `max-age`: the greatest age in seconds.
  public private(set) var maxAge: Int64?
  /// `min-fresh`: for how many seconds the response has to stay fresh.
  public private(set) var minFresh: Int64?
  /// `max-stale`: for how many seconds the response may have been stale; the largest value without one.
  public private(set) var maxStale: Int64?
  /// `stale-if-error`: for how many seconds the response may have been stale when the origin fails.
  public private(set) var staleIfError: Int64?

  /// The directives of a request that has none.
  public init() {}

  /// Reads the fields of a request; `bytes` are those that it was read from.
  ///
  /// - Complexity: O(*n*) in its lines and the values that count, with no allocation.
  public init(of request: RequestHead, in bytes: Span<UInt8>) {
    var hasCacheControl = false
    var hasPragma = false
    for line in request.fields {
      switch line.name {
      case .cacheControl:
        hasCacheControl = true
        read(bytes, line.valueRange.range)
      case .pragma: hasPragma = true
      default: break
      }
    }
    if hasPragma, !hasCacheControl { readPragma(of: request, in: bytes) }
  }

  /// Reads `Pragma: no-cache` of a request without Cache-Control.
  mutating func readPragma(of request: RequestHead, in bytes: Span<UInt8>) {
    for line in request.fields where line.name == .pragma {
      var walk = DirectiveWalk(line.valueRange.range)
      while let directive = walk.next(in: bytes) {
        if directive.name == .noCache { isNoCache = true }
      }
    }
  }

  /// Reads one value of Cache-Control.
  public init(_ value: Span<UInt8>) { read(value, 0..<value.count) }

  /// Adds what one line says.
  mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    var walk = DirectiveWalk(range)
    while let (name, argument) = walk.next(in: bytes) {
      let seconds = argument.range.flatMap { DeltaSeconds.read(bytes, $0) }
      switch name {
      case .noStore: isNoStore = true
      case .noCache: isNoCache = true
      case .noTransform: isNoTransform = true
      case .onlyIfCached: isOnlyIfCached = true
      case .maxAge: maxAge = min(maxAge ?? .max, seconds ?? 0)
      case .minFresh: minFresh = max(minFresh ?? 0, seconds ?? DeltaSeconds.longest)
      case .maxStale:
        let allowed = argument == .none ? DeltaSeconds.longest : seconds ?? 0
        maxStale = min(maxStale ?? .max, allowed)
      case .staleIfError: staleIfError = min(staleIfError ?? .max, seconds ?? 0)
      default: break
      }
    }
    // What an open quote hides may be a restriction.
    if walk.isBroken { isNoCache = true }
  }
}
