import HTTPMessage

/// What is done with a request for which there is a stored response.
public enum Reuse: Hashable, Sendable {
  /// The stored response is sent.
  case fresh
  /// It is stale, and sent because the client allows it: `max-stale`.
  case stale
  /// It is stale, and sent while the origin is asked whether it still holds; one request at a time asks.
  case staleWhileRevalidating
  /// The origin is asked whether it still holds, and then it is sent.
  case validate(CacheStatus.Forward)
  /// The origin is asked for a new one.
  case fetch(CacheStatus.Forward)
  /// The client wants nothing of the origin: 504.
  case timeout
}

/// How an origin fails.
public enum OriginFailure: Hashable, Sendable {
  /// No answer came.
  case unreachable
  /// An answer with this status came.
  case status(UInt16)

  /// Whether a stale response may cover it; RFC 5861, section 4.
  public var isCoverable: Bool {
    switch self {
    case .unreachable: true
    case .status(let status): status == 500 || 502...504 ~= status
    }
  }
}

extension StoredTerms {
  /// Decides whether the stored response answers a request, whose selecting fields fit already.
  ///
  /// - Source: RFC 9111, sections 4, 4.2.4 and 5.2.1; RFC 5861, section 3.
  /// - Complexity: O(1).
  public func reuse(for request: CacheRequest, at now: Moment) -> Reuse {
    let decided = decide(request.directives, at: now)
    // What is of HEAD has no content for others, and what is not there is not asked for.
    if rules.contains(.isOfHead), request.method != .head {
      return request.directives.isOnlyIfCached ? .timeout : .fetch(.miss)
    }
    switch decided {
    case .validate, .fetch:
      if request.directives.isOnlyIfCached { return .timeout }
      // To POST there is no 304: RFC 9110, section 13.1.2.
      if case .validate(let reason) = decided, request.method == .post { return .fetch(reason) }
      return decided
    default: return decided
    }
  }

  private func decide(_ asked: RequestDirectives, at now: Moment) -> Reuse {
    if rules.contains(.noCache) { return asking(.stale) }
    if asked.isNoCache { return asking(.request) }
    let age = ageInMilliseconds(at: now)
    let isYoungEnough = asked.maxAge.map { $0 > 0 && age <= $0 * 1000 } ?? true
    let left = lifetime - age
    if left > 0 {
      let isFreshEnough = asked.minFresh.map { left >= $0 * 1000 } ?? true
      return isYoungEnough && isFreshEnough ? .fresh : asking(.request)
    }
    guard !rules.contains(.mustRevalidate), isYoungEnough, asked.minFresh == nil else {
      return asking(.stale)
    }
    if !rules.contains(.sharedLifetime), let maxStale = asked.maxStale, -left <= maxStale * 1000 {
      return .stale
    }
    return -left < Int64(staleWhileRevalidate) * 1000 ? .staleWhileRevalidating : asking(.stale)
  }

  private func asking(_ reason: CacheStatus.Forward) -> Reuse {
    hasValidator ? .validate(reason) : .fetch(reason)
  }

  /// Whether the stored response may be sent instead of an origin's failure.
  ///
  /// - Source: RFC 9111, sections 4.2.4 and 4.3.3; RFC 5861, section 4.
  /// - Complexity: O(1).
  public func mayCover(
    _ failure: OriginFailure,
    for request: CacheRequest,
    at now: Moment
  ) -> Bool {
    guard failure.isCoverable, !request.directives.isNoCache,
      rules.isDisjoint(with: [.noCache, .mustRevalidate])
    else { return false }
    if rules.contains(.isOfHead), request.method != .head { return false }
    let left = lifetime - ageInMilliseconds(at: now)
    // The client may allow what the response does not forbid.
    let byClient =
      rules.contains(.sharedLifetime) ? 0 : request.directives.staleIfError ?? 0
    return -left < max(Int64(staleIfError), byClient) * 1000 || left > 0
  }
}
