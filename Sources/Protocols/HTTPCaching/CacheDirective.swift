import HTTPMessage
import MartletBytes

/// The directives of Cache-Control that are understood; all others are passed over.
///
/// RFC 9111, section 5.2; RFC 5861; RFC 8246.
enum CacheDirective: UInt8, CaseIterable {
  case immutable
  case maxAge
  case maxStale
  case minFresh
  case mustRevalidate
  case mustUnderstand
  case noCache
  case noStore
  case noTransform
  case onlyIfCached
  case isPrivate
  case proxyRevalidate
  case isPublic
  case sMaxAge
  case staleIfError
  case staleWhileRevalidate

  private var text: StaticString {
    switch self {
    case .immutable: "immutable"
    case .maxAge: "max-age"
    case .maxStale: "max-stale"
    case .minFresh: "min-fresh"
    case .mustRevalidate: "must-revalidate"
    case .mustUnderstand: "must-understand"
    case .noCache: "no-cache"
    case .noStore: "no-store"
    case .noTransform: "no-transform"
    case .onlyIfCached: "only-if-cached"
    case .isPrivate: "private"
    case .proxyRevalidate: "proxy-revalidate"
    case .isPublic: "public"
    case .sMaxAge: "s-maxage"
    case .staleIfError: "stale-if-error"
    case .staleWhileRevalidate: "stale-while-revalidate"
    }
  }

  private static let texts = allCases.map { ($0, Array($0.text.description.utf8)) }

  /// The directive whose name lies in `range`, in any case.
  init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    guard 6...22 ~= range.count else { return nil }
    let name = bytes.extracting(range)
    for (directive, text) in Self.texts where equalIgnoringCase(text.span, name) {
      self = directive
      return
    }
    return nil
  }
}

/// A walk over the directives of one field line: `max-age=60, no-cache="set-cookie"`.
///
/// What breaks the grammar keeps its name and has a malformed argument, so that a restriction that is
/// written badly restricts all the same, and a permission that is written badly permits nothing.
///
/// - Source: RFC 9111, section 5.2.
struct DirectiveWalk {
  /// What stands behind a directive's name.
  enum Argument: Hashable {
    case none
    case token(Range<Int>)
    /// What stands between the quotes.
    case quoted(Range<Int>)
    case malformed

    /// The bytes, however they are written.
    var range: Range<Int>? {
      switch self {
      case .token(let range), .quoted(let range): range
      case .none, .malformed: nil
      }
    }
  }

  private var offset: Int
  private let end: Int
  /// Whether a quoted string did not end: what stands behind its quote may be anything.
  private(set) var isBroken = false

  init(_ range: Range<Int>) {
    offset = range.lowerBound
    end = range.upperBound
  }

  /// The next directive that is understood.
  mutating func next(in bytes: Span<UInt8>) -> (name: CacheDirective, argument: Argument)? {
    while offset < end {
      while offset < end, bytes[offset] == 0x2C || HTTPGrammar.isWhitespace(bytes[offset]) {
        offset += 1
      }
      let start = offset
      let token = HTTPGrammar.token
      while offset < end, token.contains(bytes[offset]) { offset += 1 }
      let name = start..<offset
      let argument = argument(in: bytes)
      if let directive = CacheDirective(bytes, name) { return (directive, argument) }
    }
    return nil
  }

  /// Reads on behind a name, to behind the comma that ends the directive.
  private mutating func argument(in bytes: Span<UInt8>) -> Argument {
    var argument = Argument.none
    if offset < end, bytes[offset] == 0x3D {
      offset += 1
      argument = value(in: bytes)
    }
    while offset < end, HTTPGrammar.isWhitespace(bytes[offset]) { offset += 1 }
    guard offset < end, bytes[offset] != 0x2C else {
      offset = min(offset + 1, end)
      return argument
    }
    // Something else stands here: it is passed over, with the commas in its quoted strings.
    while offset < end, bytes[offset] != 0x2C {
      if bytes[offset] == 0x22 { _ = quoted(in: bytes) } else { offset += 1 }
    }
    offset = min(offset + 1, end)
    return .malformed
  }

  private mutating func value(in bytes: Span<UInt8>) -> Argument {
    guard offset < end else { return .malformed }
    if bytes[offset] == 0x22 {
      return quoted(in: bytes).map(Argument.quoted) ?? .malformed
    }
    let start = offset
    let token = HTTPGrammar.token
    while offset < end, token.contains(bytes[offset]) { offset += 1 }
    return start == offset ? .malformed : .token(start..<offset)
  }

  /// Reads on behind a quoted string whose quote stands here.
  private mutating func quoted(in bytes: Span<UInt8>) -> Range<Int>? {
    let start = offset + 1
    offset = start
    while offset < end, bytes[offset] != 0x22 {
      offset += bytes[offset] == 0x5C ? 2 : 1
    }
    guard offset < end else {
      offset = end
      isBroken = true
      return nil
    }
    offset += 1
    return start..<offset - 1
  }
}
