import HTTPMessage
import MartletBytes

/// The fields that are meant for caches like this one, which count instead of Cache-Control and
/// Expires.
///
/// - Source: RFC 9213.
public struct TargetedFields: OptionSet, Hashable, Sendable {
  /// One bit for each field.
  public let rawValue: UInt8

  /// Creates a set from its bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Martlet-Cache-Control, which counts before the others.
  public static let martlet = TargetedFields(rawValue: 1)
  /// CDN-Cache-Control.
  public static let cdn = TargetedFields(rawValue: 2)

  private static let names: [(TargetedFields, ResponseDirectives.Source, [UInt8])] = [
    (.martlet, .martlet, Array("martlet-cache-control".utf8)),
    (.cdn, .cdn, Array("cdn-cache-control".utf8)),
  ]

  /// The directives of the first of these fields that is there, can be read and is not empty.
  func directives(of response: ResponseHead, in bytes: Span<UInt8>) -> ResponseDirectives? {
    for (target, source, name) in Self.names where contains(target) {
      var directives: ResponseDirectives?
      for line in response.fields where line.name == .other {
        guard equalIgnoringCase(bytes.extracting(line.nameRange.range), name.span) else { continue }
        directives = directives ?? ResponseDirectives()
        var walk = DictionaryWalk(line.valueRange.range)
        guard directives?.read(&walk, in: bytes) == true else {
          directives = nil
          break
        }
      }
      if var directives {
        directives.source = source
        return directives
      }
    }
    return nil
  }
}

extension ResponseDirectives {
  /// Reads one line of a targeted field.
  ///
  /// - Returns: Whether it has directives, and nothing that breaks the grammar or a type.
  fileprivate mutating func read(_ walk: inout DictionaryWalk, in bytes: Span<UInt8>) -> Bool {
    var count = 0
    while let (name, value) = walk.next(in: bytes) {
      count += 1
      guard let directive = CacheDirective(bytes, name) else { continue }
      guard take(directive, value, in: bytes) else { return false }
    }
    return count > 0 && !walk.isBroken
  }

  /// Takes one directive, where the last one of a name counts.
  ///
  /// - Returns: False where its value is not of the directive's type.
  private mutating func take(
    _ directive: CacheDirective,
    _ value: StructuredValue,
    in bytes: Span<UInt8>
  ) -> Bool {
    switch directive {
    case .maxAge, .sMaxAge, .staleWhileRevalidate, .staleIfError:
      guard case .integer(let number) = value, number >= 0 else { return false }
      let seconds = DeltaSeconds.bounded(number)
      switch directive {
      case .maxAge: maxAge = seconds
      case .sMaxAge: sharedMaxAge = seconds
      case .staleIfError: staleIfError = seconds
      default: staleWhileRevalidate = seconds
      }
      return true
    case .noCache, .isPrivate:
      var isWhole = true
      switch value {
      case .truth(let isTrue): isWhole = isTrue
      case .string(let list): isWhole = !addList(list, in: bytes)
      default: return false
      }
      if directive == .noCache { isNoCache = isWhole } else { isPrivate = isWhole }
      return true
    case .maxStale, .minFresh, .onlyIfCached: return true
    default:
      guard case .truth(let isTrue) = value else { return false }
      set(directive, isTrue)
      return true
    }
  }

  private mutating func set(_ directive: CacheDirective, _ isTrue: Bool) {
    switch directive {
    case .noStore: isNoStore = isTrue
    case .isPublic: isPublic = isTrue
    case .mustRevalidate: isMustRevalidate = isTrue
    case .proxyRevalidate: isProxyRevalidate = isTrue
    case .mustUnderstand: isMustUnderstand = isTrue
    case .noTransform: isNoTransform = isTrue
    case .immutable: isImmutable = isTrue
    default: break
    }
  }
}
