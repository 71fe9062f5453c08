import HTTPMessage

/// The dates of a response, as ages and lifetimes are computed with.
///
/// - Source: RFC 9111, sections 4.2 and 5.1 to 5.3; RFC 9110, sections 6.6.1 and 8.8.
struct FreshnessFacts {
  /// When it was made: its Date, or when it came.
  private(set) var date: HTTPDate
  /// How old it was when it came, in milliseconds.
  private(set) var initialAge: Int64 = 0
  /// Until when it is fresh.
  private(set) var expires = Expires.missing
  private(set) var lastModified: HTTPDate?
  private(set) var hasTag = false
  private(set) var hasStrongTag = false

  /// What Expires says.
  enum Expires: Hashable {
    case missing
    /// It is no date, or several that differ: the response is stale.
    case unreadable
    case at(HTTPDate)
  }

  init(
    of response: ResponseHead,
    in bytes: Span<UInt8>,
    requestTime: Moment,
    responseTime: Moment,
    timeOfDay: Moment? = nil
  ) {
    let now = (timeOfDay ?? responseTime).date
    var dated: HTTPDate?
    var age: Int64?
    for line in response.fields {
      let value = line.valueRange.range
      switch line.name {
      case .date: dated = dated ?? HTTPDate(bytes.extracting(value), now: now)
      case .age: age = age ?? Self.age(bytes, value)
      case .expires:
        let read = HTTPDate(bytes.extracting(value), now: now).map(Expires.at) ?? .unreadable
        expires = expires == .missing || expires == read ? read : .unreadable
      case .lastModified:
        lastModified = lastModified ?? HTTPDate(bytes.extracting(value), now: now)
      case .eTag where !hasTag:
        let tag = StoredTag(bytes.extracting(value))
        hasTag = tag != .missing
        hasStrongTag = tag == .strong
      default: break
      }
    }
    date = dated ?? now
    // In whole seconds, as the date is: a response made in this second has no age.
    let apparent = max(0, now.secondsSince1970 - date.secondsSince1970) * 1000
    let delay = max(0, responseTime.milliseconds - requestTime.milliseconds)
    initialAge = max(apparent, max(0, age ?? 0) * 1000 + delay)
  }

  /// Counts the age, and the date it is counted from, of another head.
  mutating func takeAge(of other: FreshnessFacts) {
    date = other.date
    initialAge = other.initialAge
  }

  /// The first member of Age, and −1 where it is no number: the first line counts.
  ///
  /// RFC 9111, section 5.1.
  private static func age(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Int64 {
    var elements = ListElements(value)
    guard let first = elements.next(in: bytes) else { return -1 }
    return DeltaSeconds.read(bytes, first) ?? -1
  }
}

/// What kind of tag a response has.
enum StoredTag: Hashable {
  case missing
  case weak
  case strong

  /// Reads a whole value, which is one tag or none.
  init(_ value: Span<UInt8>) {
    var tags = EntityTags(0..<value.count)
    self = .missing
    guard let tag = tags.next(in: value), tag.opaque.upperBound == value.count,
      tag.opaque.lowerBound == (tag.isWeak ? 2 : 0)
    else { return }
    self = tag.isWeak ? .weak : .strong
  }
}

extension CachePolicy {
  /// How long a response is fresh, and what says so.
  ///
  /// The order is that of RFC 9111, section 4.2.1: `s-maxage` in a shared cache, `max-age`, Expires,
  /// which does not count beside a targeted field (RFC 9213, section 2.2), and at last the policy's
  /// default and the heuristic of section 4.2.2.
  func lifetime(
    of status: UInt16,
    _ said: ResponseDirectives,
    _ facts: FreshnessFacts
  ) -> (milliseconds: Int64, source: StoredTerms.LifetimeSource) {
    let unbounded = unboundedLifetime(of: status, said, facts)
    var seconds = unbounded.seconds
    if unbounded.source != .forced {
      // What is stale at once stays so.
      if seconds > 0 { seconds = max(seconds, minimumLifetime) }
      if let maximumLifetime { seconds = min(seconds, maximumLifetime) }
    }
    return (DeltaSeconds.bounded(seconds) * 1000, unbounded.source)
  }

  private func unboundedLifetime(
    of status: UInt16,
    _ said: ResponseDirectives,
    _ facts: FreshnessFacts
  ) -> (seconds: Int64, source: StoredTerms.LifetimeSource) {
    if let forcedLifetime { return (forcedLifetime, .forced) }
    if kind == .shared, let shared = said.sharedMaxAge { return (shared, .sharedMaxAge) }
    if let maxAge = said.maxAge { return (maxAge, .maxAge) }
    if said.source != .cdn, said.source != .martlet {
      switch facts.expires {
      case .missing: break
      case .unreadable: return (0, .expires)
      case .at(let expires):
        return (max(0, expires.secondsSince1970 - facts.date.secondsSince1970), .expires)
      }
    }
    for each in defaults where each.status == nil || each.status == status {
      return (each.seconds, .statusDefault)
    }
    guard StatusCodes.isHeuristic(status) || said.isPublic else { return (0, .none) }
    guard heuristicPercent > 0, let modified = facts.lastModified else {
      return (0, said.isPublic ? .heuristic : .none)
    }
    let unchanged = facts.date.secondsSince1970 - modified.secondsSince1970
    // Dates are less than 2^39 seconds apart, so that nothing overflows.
    let part = max(0, unchanged) * min(heuristicPercent, 1000) / 100
    return (min(part, heuristicLimit), .heuristic)
  }
}
