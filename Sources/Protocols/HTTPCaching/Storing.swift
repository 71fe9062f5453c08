public import HTTPMessage

/// Whether a response may be stored.
public enum Storing: Hashable, Sendable {
  /// It may, with these terms.
  case store(StoredTerms)
  /// It may not.
  case refuse(StoringRefusal)
}

/// Why a response is not stored.
public enum StoringRefusal: UInt8, Sendable, CaseIterable {
  /// Responses to this method are not.
  case method
  /// The status is not understood, or belongs to one request alone.
  case status
  /// The request or the response says so.
  case noStore
  /// It is for one user.
  case isPrivate
  /// The request has Authorization, and the response does not say that it is for all.
  case authorization
  /// It depends on more than fields: `Vary: *`.
  case variesOnAll
  /// It depends on more fields than are looked at.
  case variesOnMany
  /// It sets cookies.
  case setCookie
  /// It is a part that cannot be placed.
  case part
  /// It could not be used again: it is stale at once and cannot be validated.
  case uselessness

  /// The reason as a log and Cache-Status have it.
  public var token: StaticString {
    switch self {
    case .method: "method"
    case .status: "status"
    case .noStore: "no-store"
    case .isPrivate: "private"
    case .authorization: "authorization"
    case .variesOnAll: "vary-all"
    case .variesOnMany: "vary-many"
    case .setCookie: "set-cookie"
    case .part: "part"
    case .uselessness: "no-freshness"
    }
  }

  /// Whether the next response for the same key will likely be refused too, so that requests for it
  /// had better not wait for one another.
  public var isLasting: Bool {
    switch self {
    case .noStore, .isPrivate, .variesOnAll, .variesOnMany, .setCookie, .uselessness: true
    case .method, .status, .authorization, .part: false
    }
  }
}

extension CachePolicy {
  /// Decides whether a response may be stored, and how long it may be used.
  ///
  /// Whether the content came whole is the caller's to know.
  ///
  /// - Parameters:
  ///   - response: The head of the final response.
  ///   - bytes: The bytes that it was read from.
  ///   - request: The request that it answers.
  ///   - requestTime: When that was sent.
  ///   - responseTime: When the head came.
  ///   - timeOfDay: What dates of the response are compared with; nil: `responseTime`. Whoever counts ages by a
  ///     clock that nobody sets has another one for what others write.
  /// - Returns: The terms to keep beside it, or why it is not stored.
  /// - Source: RFC 9111, section 3.
  /// - Complexity: O(*n*) in the lines and the values that count.
  public func storing(
    _ response: ResponseHead,
    in bytes: Span<UInt8>,
    for request: CacheRequest,
    requestTime: Moment,
    responseTime: Moment,
    timeOfDay: Moment? = nil
  ) -> Storing {
    let facts = FreshnessFacts(
      of: response,
      in: bytes,
      requestTime: requestTime,
      responseTime: responseTime,
      timeOfDay: timeOfDay
    )
    return storing(response, in: bytes, facts, for: request, at: responseTime)
  }

  /// Decides again on a stored response whose head a 304, or a response to HEAD, has updated.
  ///
  /// - Parameters:
  ///   - merged: The head that ``HeadUpdate`` made, with the status of the stored response.
  ///   - bytes: The bytes that it was read from.
  ///   - update: The newer head.
  ///   - updateBytes: The bytes that it was read from.
  ///   - request: The request that the stored response answers.
  ///   - requestTime: When the newer head was asked for.
  ///   - responseTime: When it came.
  ///   - timeOfDay: What dates are compared with; nil: `responseTime`.
  /// - Returns: The new terms, or why the response may not stay stored.
  /// - Source: RFC 9111, section 4.3.4.
  public func refreshing(
    _ merged: ResponseHead,
    in bytes: Span<UInt8>,
    with update: ResponseHead,
    in updateBytes: Span<UInt8>,
    for request: CacheRequest,
    requestTime: Moment,
    responseTime: Moment,
    timeOfDay: Moment? = nil
  ) -> Storing {
    var facts = FreshnessFacts(
      of: merged,
      in: bytes,
      requestTime: requestTime,
      responseTime: responseTime,
      timeOfDay: timeOfDay
    )
    // How old the newer head is, not what was said of the stored one.
    let newer = FreshnessFacts(
      of: update,
      in: updateBytes,
      requestTime: requestTime,
      responseTime: responseTime,
      timeOfDay: timeOfDay
    )
    facts.takeAge(of: newer)
    return storing(merged, in: bytes, facts, for: request, at: responseTime)
  }

  private func storing(
    _ response: ResponseHead,
    in bytes: Span<UInt8>,
    _ facts: FreshnessFacts,
    for request: CacheRequest,
    at responseTime: Moment
  ) -> Storing {
    guard isStorable(request.method) else { return .refuse(.method) }
    if request.directives.isNoStore { return .refuse(.noStore) }
    let said = ResponseDirectives(of: response, in: bytes, targets: targets)
    if let refusal = refusal(of: response, said, in: bytes, for: request) {
      return .refuse(refusal)
    }
    let lifetime = lifetime(of: response.status, said, facts)
    // RFC 9110, section 9.3.3: what answers POST is of use to others only if it says for how long.
    if request.method == .post, !lifetime.source.isExplicit { return .refuse(.method) }
    var terms = StoredTerms(
      status: response.status,
      responseTime: responseTime,
      initialAge: facts.initialAge,
      lifetime: lifetime,
      date: facts.date,
      lastModified: facts.lastModified,
      rules: rules(of: response, said, facts, request)
    )
    allowStale(&terms, said)
    if lifetime.source == .none, !terms.hasValidator || !StatusCodes.isHeuristic(response.status) {
      return .refuse(.uselessness)
    }
    // What is stale at once is of use only if it can be validated, or sent when the origin fails.
    let isUseful = terms.hasValidator || terms.staleIfError > 0 || terms.staleWhileRevalidate > 0
    let isUsable = lifetime.milliseconds > facts.initialAge && !terms.rules.contains(.noCache)
    return isUsable || isUseful ? .store(terms) : .refuse(.uselessness)
  }

  private func isStorable(_ method: Method) -> Bool {
    switch method {
    case .get: true
    case .query: bodyMethods.contains(.query)
    case .post: bodyMethods.contains(.post)
    default: false
    }
  }

  private func refusal(
    of response: ResponseHead,
    _ said: ResponseDirectives,
    in bytes: Span<UInt8>,
    for request: CacheRequest
  ) -> StoringRefusal? {
    let status = response.status
    if status == 206 {
      guard partial == .stored, ContentRange(of: response, in: bytes)?.range != nil else {
        return .part
      }
    } else if !StatusCodes.isStorable(status) {
      return .status
    }
    let isUnderstood = StatusCodes.isUnderstood(status)
    if said.isMustUnderstand, !isUnderstood { return .status }
    // RFC 9111, section 5.2.2.3: who understands the status goes by its rules.
    if said.isNoStore, !(said.isMustUnderstand && isUnderstood) { return .noStore }
    let isForAll = said.isPublic || said.sharedMaxAge != nil
    if kind == .shared {
      if said.isPrivate { return .isPrivate }
      // Section 3.5.
      if request.isAuthorized, !isForAll, !said.isMustRevalidate { return .authorization }
    }
    switch VaryRule.read(response, in: bytes, by: self) {
    case .none, .names: break
    case .all: return .variesOnAll
    case .many: return .variesOnMany
    }
    guard kind == .shared, response.first(.setCookie) != nil else { return nil }
    switch setCookie {
    case .kept, .removed: return nil
    case .refused: return .setCookie
    case .keptWhenPublic:
      let isTargeted = said.source == .cdn || said.source == .martlet
      let isWithheld = said.withholds(Self.setCookieName.span, in: bytes)
      return isForAll || isTargeted || isWithheld ? nil : .setCookie
    }
  }

  private static let setCookieName = Array("set-cookie".utf8)

  private func rules(
    of response: ResponseHead,
    _ said: ResponseDirectives,
    _ facts: FreshnessFacts,
    _ request: CacheRequest
  ) -> StoredTerms.Rules {
    var rules: StoredTerms.Rules = []
    if said.isNoCache { rules.insert(.noCache) }
    if said.isMustRevalidate { rules.insert(.mustRevalidate) }
    if said.isNoTransform { rules.insert(.noTransform) }
    if said.isImmutable { rules.insert(.immutable) }
    if kind == .shared {
      if said.isProxyRevalidate { rules.insert(.mustRevalidate) }
      if said.sharedMaxAge != nil { rules.insert(.sharedLifetime) }
    }
    if facts.hasTag { rules.insert(.hasTag) }
    if facts.hasStrongTag { rules.insert(.hasStrongTag) }
    if response.status == 206 { rules.insert(.isPart) }
    if request.method == .head { rules.insert(.isOfHead) }
    return rules
  }

  /// For how long a stale response may be sent: RFC 9111, section 4.2.4, and RFC 5861.
  ///
  /// What forbids it counts first. A response with `s-maxage` forbids it too (section 5.2.2.10),
  /// unless it names a time itself: whoever writes both means both.
  private func allowStale(_ terms: inout StoredTerms, _ said: ResponseDirectives) {
    guard terms.rules.isDisjoint(with: [.noCache, .mustRevalidate]) else { return }
    let isByDefault = !terms.rules.contains(.sharedLifetime)
    let revalidating = said.staleWhileRevalidate ?? (isByDefault ? staleWhileRevalidate : 0)
    let failing = said.staleIfError ?? (isByDefault ? staleIfError : 0)
    terms.staleWhileRevalidate = UInt32(DeltaSeconds.bounded(revalidating))
    terms.staleIfError = UInt32(DeltaSeconds.bounded(failing))
  }
}

/// What is known of status codes.
///
/// - Source: RFC 9110, section 15; RFC 9111, sections 3 and 4.2.2.
enum StatusCodes {
  /// Whether a response with this status stands for the resource, and not for one request alone: not
  /// what conditions and ranges came to, nor what is said to one connection.
  static func isStorable(_ status: UInt16) -> Bool {
    switch status {
    case 200...599:
      status != 304 && status != 206 && status != 412 && status != 416
        && status != 407 && status != 421 && status != 425
    default: false
    }
  }

  /// Whether its rules for caches are known.
  static func isUnderstood(_ status: UInt16) -> Bool {
    switch status {
    case 200...206, 300...303, 307, 308, 400...406, 408...411, 413...415, 417, 421, 422, 426, 428,
      429, 431, 451, 500...505, 511:
      true
    default: false
    }
  }

  /// Whether a response may be fresh for some time that does not say it.
  static func isHeuristic(_ status: UInt16) -> Bool {
    switch status {
    case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501: true
    default: false
    }
  }
}
