public import HTTPMessage
import MartletBytes

/// What becomes of the body of an answer.
public enum CodingVerdict: Hashable, Sendable {
  /// It stays as it is, and so it would for any client.
  case leave
  /// It stays as it is, and would not for other clients: caches are to know.
  case vary
  /// It is unchanged, as the client knows it: in a coding, by a tag that says so.
  case confirm
  /// It is sent in this coding.
  case encode(ContentCoding)
  /// It is sent without this coding, which the client does not take.
  case decode(ContentCoding)
}

/// Why an answer that might have been coded is not.
public enum CodingRefusal: Int, CaseIterable, Sendable {
  /// A page of another site has asked for it in the name of its user.
  case foreign
  /// As much memory as may be is taken.
  case memory

  /// What figures call it.
  public var word: String {
    switch self {
    case .foreign: "cross_site"
    case .memory: "memory"
    }
  }
}

/// Which answers are coded, for whom, and how.
///
/// - Source: RFC 9110, sections 8.4, 12.5.3, 12.5.5 and 15.4.5; RFC 9111, sections 5.2.1.6 and 5.2.2.6.
public struct CompressionRules: Sendable {
  /// The codings, the one first that is taken where a client likes several as much; none: nothing is coded.
  public var codings: [ContentCoding] = [.zstandard, .brotli, .gzip]
  /// The types that are worth it.
  public var types = MediaPattern.usual
  /// A shorter body is not worth it.
  public var leastByteCount = 1024
  /// Whether what a page of another site asks for with the user's cookies stays as it is: see
  /// ``isForeign(_:in:)``.
  public var sparesForeign = true
  /// Whether what the client does not take is decoded.
  public var decodes = false

  /// Creates the usual rules.
  public init() {}

  /// What becomes of an answer.
  ///
  /// `response` was read as the answer to GET, though it may be one to HEAD: both have the same fields.
  /// `refusal` is set where it would have been coded but for that. With `isPublic` it has nothing in it that is
  /// not for everybody. `dictionaryCodings` are those for which there is the dictionary that the client has.
  public func verdict(
    on response: ResponseHead,
    in bytes: Span<UInt8>,
    to request: RequestHead,
    in requestBytes: Span<UInt8>,
    isPublic: Bool,
    dictionaryCodings: [ContentCoding] = [],
    refusal: inout CodingRefusal?
  ) -> CodingVerdict {
    switch response.status {
    case 100...199, 204, 205: return .leave
    case 304: return verdict(onUnchanged: response, in: bytes, to: request, in: requestBytes)
    default: break
    }
    if let line = response.first(.contentEncoding), line.valueRange.count > 0 {
      guard decodes else { return .leave }
      return verdict(onCoded: response, in: bytes, line, to: request, in: requestBytes)
    }
    guard !codings.isEmpty, hasType(response, in: bytes), isLong(response),
      !Self.hasDirective(Self.noTransform, .cacheControl, response.fields, in: bytes)
    else { return .leave }
    // A part is one of the content without a coding.
    guard response.status != 206, request.version == .http11,
      !Self.hasDirective(Self.noTransform, .cacheControl, request.fields, in: requestBytes),
      let coding = choice(AcceptedCodings(of: request, in: requestBytes), dictionaryCodings)
    else { return .vary }
    if sparesForeign, !isPublic, Self.isForeign(request, in: requestBytes) {
      refusal = .foreign
      return .vary
    }
    return .encode(coding)
  }

  /// The coding that a client likes most; nil: none, or no coding at all more than any.
  ///
  /// Those with a dictionary come first where it likes several as much.
  public func choice(
    _ accepted: AcceptedCodings,
    _ dictionaryCodings: [ContentCoding] = []
  ) -> ContentCoding? {
    var best: ContentCoding?
    var most = max(1, accepted.weight(of: .identity))
    for coding in dictionaryCodings + codings {
      let weight = accepted.weight(of: coding)
      if weight > most || weight == most && best == nil { (best, most) = (coding, weight) }
    }
    return best
  }

  /// A client that was sent a coded answer knows it by a weak tag (see ``CodedHead``): if that is the one that
  /// a 304 is about, this confirms the coded answer.
  private func verdict(
    onUnchanged response: ResponseHead,
    in bytes: Span<UInt8>,
    to request: RequestHead,
    in requestBytes: Span<UInt8>
  ) -> CodingVerdict {
    guard let tag = response.first(.eTag), !codings.isEmpty || decodes else { return .leave }
    let own = bytes.extracting(tag.valueRange.range)
    guard own.count > 1, own[0] == 0x22 else { return .leave }
    for line in request.fields where line.name == .ifNoneMatch {
      var tags = EntityTags(line.valueRange.range)
      while let known = tags.next(in: requestBytes) {
        if known.isWeak, known.isWeaklyEqual(to: own, in: requestBytes) { return .confirm }
      }
    }
    return .leave
  }

  private func verdict(
    onCoded response: ResponseHead,
    in bytes: Span<UInt8>,
    _ line: FieldLine,
    to request: RequestHead,
    in requestBytes: Span<UInt8>
  ) -> CodingVerdict {
    var elements = ListElements(line.valueRange.range)
    // Several codings one over the other are as rare as they are useless.
    guard response.status != 206, let name = elements.next(in: bytes),
      elements.next(in: bytes) == nil,
      response.fields.filter({ $0.name == .contentEncoding }).count == 1,
      let coding = ContentCoding(bytes.extracting(name)), coding != .identity,
      !coding.needsDictionary,
      !Self.hasDirective(Self.noTransform, .cacheControl, response.fields, in: bytes)
    else { return .leave }
    let accepted = AcceptedCodings(of: request, in: requestBytes)
    guard request.version == .http11, accepted.weight(of: coding) == 0,
      accepted.weight(of: .identity) > 0
    else { return .vary }
    return .decode(coding)
  }

  private func hasType(_ response: ResponseHead, in bytes: Span<UInt8>) -> Bool {
    guard let line = response.first(.contentType) else { return false }
    let type = bytes.extracting(line.valueRange.range)
    // A call's messages have codings of their own, and its reader takes no other.
    if Self.begins(type, Self.callType) { return false }
    for pattern in types where pattern.matches(type) { return true }
    return false
  }

  private func isLong(_ response: ResponseHead) -> Bool {
    switch response.bodyLength {
    case .none: false
    case .fixed(let length): length >= UInt64(leastByteCount)
    case .chunked, .untilClose: true
    }
  }

  // MARK: Pages of other sites

  /// Whether a page of another site has made a browser ask with what it knows its user by.
  ///
  /// Whoever can have chosen words stand in an answer beside a secret, and sees how long it becomes, can guess
  /// the secret letter by letter: the attack that is called BREACH. It takes thousands of requests with the
  /// user's cookies that a page of the attacker makes. Browsers say so (`Sec-Fetch-Site`); of those that do
  /// not, `Origin` and `Referer` tell. A page that a user goes to by a click is not such a request.
  public static func isForeign(_ request: RequestHead, in bytes: Span<UInt8>) -> Bool {
    guard request.first(.cookie) != nil || request.first(.authorization) != nil else {
      return false
    }
    if request.field(named: fetchSite.span, in: bytes) != nil {
      return has(fetchSite, crossSite, request, bytes)
        && !(has(fetchMode, navigate, request, bytes) && has(fetchUser, isUser, request, bytes))
    }
    let host = bytes.extracting(request.authority.range)
    for name in [FieldName.origin, .referer] {
      guard let line = request.first(name) else { continue }
      return !names(bytes.extracting(line.valueRange.range), host)
    }
    return false
  }

  /// Whether an answer may be coded against a dictionary: whoever has asked for it can read it.
  ///
  /// - Source: RFC 9842, section 9.3.3.
  public static func allowsDictionary(
    _ response: ResponseHead,
    in bytes: Span<UInt8>,
    to request: RequestHead,
    in requestBytes: Span<UInt8>
  ) -> Bool {
    if request.field(named: fetchSite.span, in: requestBytes) == nil { return true }
    if has(fetchSite, sameOrigin, request, requestBytes) { return true }
    if request.field(named: fetchMode.span, in: requestBytes) == nil { return true }
    if has(fetchMode, navigate, request, requestBytes)
      || has(fetchMode, sameOrigin, request, requestBytes)
    {
      return true
    }
    guard has(fetchMode, cors, request, requestBytes),
      let origin = request.first(.origin)
    else { return false }
    let asking = requestBytes.extracting(origin.valueRange.range)
    for line in response.fields
    where equalIgnoringCase(bytes.extracting(line.nameRange.range), allowedOrigin.span) {
      let allowed = bytes.extracting(line.valueRange.range)
      return equalIgnoringCase(allowed, asking) || allowed.count == 1 && allowed[0] == 0x2A
    }
    return false
  }

  /// Whether a URL, or an origin, is of this host.
  private static func names(_ url: Span<UInt8>, _ host: Span<UInt8>) -> Bool {
    var start = 0
    while start + 2 < url.count,
      url[start] != 0x3A || url[start + 1] != 0x2F || url[start + 2] != 0x2F
    { start += 1 }
    start += 3
    guard start < url.count else { return false }
    var end = start
    while end < url.count, url[end] != 0x2F, url[end] != 0x3F, url[end] != 0x23 { end += 1 }
    return equalIgnoringCase(url.extracting(start..<end), host)
  }

  /// Whether a field has this value.
  private static func has(
    _ name: [UInt8],
    _ value: [UInt8],
    _ request: RequestHead,
    _ bytes: Span<UInt8>
  ) -> Bool {
    guard let line = request.field(named: name.span, in: bytes) else { return false }
    return equalIgnoringCase(bytes.extracting(line.valueRange.range), value.span)
  }

  private static let fetchSite = Array("sec-fetch-site".utf8)
  private static let fetchMode = Array("sec-fetch-mode".utf8)
  private static let fetchUser = Array("sec-fetch-user".utf8)
  private static let crossSite = Array("cross-site".utf8)
  private static let sameOrigin = Array("same-origin".utf8)
  private static let cors = Array("cors".utf8)
  private static let allowedOrigin = Array("access-control-allow-origin".utf8)
  private static let navigate = Array("navigate".utf8)
  private static let isUser = Array("?1".utf8)
  private static let noTransform = Array("no-transform".utf8)
  private static let privately = Array("private".utf8)
  private static let noStore = Array("no-store".utf8)
  private static let callType = Array("application/grpc".utf8)

  // MARK: Lists

  /// Whether a list field of this name has an element that is this word.
  static func hasDirective(
    _ word: [UInt8],
    _ name: FieldName,
    _ fields: FieldLines,
    in bytes: Span<UInt8>
  ) -> Bool {
    for line in fields where line.name == name {
      var elements = ListElements(line.valueRange.range)
      while let element = elements.next(in: bytes) {
        if equalIgnoringCase(bytes.extracting(element), word.span) { return true }
      }
    }
    return false
  }

  /// Whether an answer says that it is for one user alone, or to be kept by nobody.
  ///
  /// - Source: RFC 9111, sections 5.2.2.5 and 5.2.2.7.
  public static func isPrivate(_ response: ResponseHead, in bytes: Span<UInt8>) -> Bool {
    hasDirective(privately, .cacheControl, response.fields, in: bytes)
      || hasDirective(noStore, .cacheControl, response.fields, in: bytes)
  }

  private static func begins(_ bytes: Span<UInt8>, _ prefix: [UInt8]) -> Bool {
    bytes.count >= prefix.count
      && equalIgnoringCase(bytes.extracting(0..<prefix.count), prefix.span)
  }
}
