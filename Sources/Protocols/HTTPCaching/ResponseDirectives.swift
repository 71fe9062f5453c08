public import HTTPMessage
import MartletBytes

/// What a response says about being stored and used again, from the field that counts.
///
/// That is the first targeted field with a valid value, or Cache-Control. Restrictions that cannot be
/// read restrict all the same; a lifetime that cannot be read, or that is said twice and differently,
/// is over already.
///
/// - Source: RFC 9111, sections 4.2.1 and 5.2.2; RFC 5861; RFC 8246; RFC 9213.
public struct ResponseDirectives: Hashable, Sendable {
  /// Which field was read.
  public enum Source: UInt8, Sendable {
    /// There is none.
    case none
    /// Cache-Control.
    case cacheControl
    /// CDN-Cache-Control.
    case cdn
    /// Martlet-Cache-Control.
    case martlet
  }

  /// Where the directives stand.
  public internal(set) var source = Source.none
  /// `no-store`.
  public internal(set) var isNoStore = false
  /// `no-cache` for the whole response.
  public internal(set) var isNoCache = false
  /// `private` for the whole response.
  public internal(set) var isPrivate = false
  /// `public`.
  public internal(set) var isPublic = false
  /// `must-revalidate`.
  public internal(set) var isMustRevalidate = false
  /// `proxy-revalidate`.
  public internal(set) var isProxyRevalidate = false
  /// `must-understand`.
  public internal(set) var isMustUnderstand = false
  /// `no-transform`.
  public internal(set) var isNoTransform = false
  /// `immutable`: while it is fresh, there is no point in validating it.
  public internal(set) var isImmutable = false
  /// `max-age` in seconds; 0 where it cannot be read.
  public internal(set) var maxAge: Int64?
  /// `s-maxage` in seconds; 0 where it cannot be read.
  public internal(set) var sharedMaxAge: Int64?
  /// `stale-while-revalidate` in seconds.
  public internal(set) var staleWhileRevalidate: Int64?
  /// `stale-if-error` in seconds.
  public internal(set) var staleIfError: Int64?
  /// Where the lists of `no-cache="…"` and `private="…"` lie, without their quotes.
  public internal(set) var fieldLists: [Range<Int>] = []

  /// How many lists of fields are kept apart, and how many names each may have; a response with more
  /// counts as if the directive had no list.
  static let listCount = 4
  static let listNameCount = 32

  /// The directives of a response that has none.
  public init() {}

  /// Reads a response; `bytes` are those that it was read from.
  ///
  /// - Complexity: O(*n*) in its lines and the values that count; allocates for lists of fields alone.
  public init(of response: ResponseHead, in bytes: Span<UInt8>, targets: TargetedFields) {
    if !targets.isEmpty, let targeted = targets.directives(of: response, in: bytes) {
      self = targeted
      return
    }
    for line in response.fields where line.name == .cacheControl {
      source = .cacheControl
      read(bytes, line.valueRange.range)
    }
  }

  /// Reads one value of Cache-Control.
  public init(_ value: Span<UInt8>) {
    source = .cacheControl
    read(value, 0..<value.count)
  }

  /// Adds what one line of Cache-Control says.
  private mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    var walk = DirectiveWalk(range)
    while let (name, argument) = walk.next(in: bytes) {
      let seconds = argument.range.flatMap { DeltaSeconds.read(bytes, $0) }
      switch name {
      case .noStore: isNoStore = true
      case .noCache:
        if !addList(argument.range, in: bytes) { isNoCache = true }
      case .isPrivate:
        if !addList(argument.range, in: bytes) { isPrivate = true }
      case .isPublic where argument == .none: isPublic = true
      case .mustRevalidate: isMustRevalidate = true
      case .proxyRevalidate: isProxyRevalidate = true
      case .mustUnderstand where argument == .none: isMustUnderstand = true
      case .noTransform: isNoTransform = true
      case .immutable where argument == .none: isImmutable = true
      case .maxAge: maxAge = Self.joined(maxAge, seconds ?? 0)
      case .sMaxAge: sharedMaxAge = Self.joined(sharedMaxAge, seconds ?? 0)
      case .staleWhileRevalidate:
        staleWhileRevalidate = min(staleWhileRevalidate ?? .max, seconds ?? 0)
      case .staleIfError: staleIfError = min(staleIfError ?? .max, seconds ?? 0)
      default: break
      }
    }
    // What an open quote hides may be a restriction.
    if walk.isBroken { isNoStore = true }
  }

  /// RFC 9111, section 4.2.1: what is said twice and differently is considered stale.
  private static func joined(_ before: Int64?, _ seconds: Int64) -> Int64 {
    guard let before, before != seconds else { return seconds }
    return 0
  }

  /// Takes note of the fields that a directive names.
  ///
  /// - Returns: Whether it names fields alone that a response can do without; else the directive is
  ///   for the whole response.
  mutating func addList(_ list: Range<Int>?, in bytes: Span<UInt8>) -> Bool {
    guard let list, fieldLists.count < Self.listCount else { return false }
    var elements = ListElements(list)
    var count = 0
    while let element = elements.next(in: bytes) {
      count += 1
      let name = bytes.extracting(element)
      guard count <= Self.listNameCount, HTTPGrammar.isToken(name),
        !Self.isNeeded(FieldName(name))
      else { return false }
    }
    guard count > 0 else { return false }
    fieldLists.append(list)
    return true
  }

  /// Whether a response without this field would mean something else.
  private static func isNeeded(_ name: FieldName) -> Bool {
    switch name {
    case .contentLength, .transferEncoding, .contentEncoding, .contentType, .contentRange,
      .contentLocation, .location, .vary, .cacheControl, .expires, .date, .age, .eTag,
      .lastModified:
      true
    default: false
    }
  }

  /// Whether a list of `no-cache` or `private` names this field, which is then not stored.
  ///
  /// - Complexity: O(*n*) in the lists.
  public func withholds(_ name: Span<UInt8>, in bytes: Span<UInt8>) -> Bool {
    for list in fieldLists {
      var elements = ListElements(list)
      while let element = elements.next(in: bytes) {
        if equalIgnoringCase(bytes.extracting(element), name) { return true }
      }
    }
    return false
  }
}
