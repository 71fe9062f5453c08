import HTTPCaching
import HTTPMessage
import Invariants

/// The fields of a response by their digits, and of a request by their letters.
private let names: [UInt8: FieldName] = [
  0x30: .cacheControl, 0x31: .other, 0x32: .expires, 0x33: .date, 0x34: .age, 0x35: .lastModified,
  0x36: .eTag, 0x37: .vary, 0x38: .contentRange, 0x39: .location,
  0x61: .cacheControl, 0x62: .pragma, 0x63: .acceptEncoding, 0x64: .acceptLanguage, 0x65: .cookie,
  0x66: .range, 0x67: .ifNoneMatch, 0x68: .ifModifiedSince, 0x69: .authorization,
]
private let target = Array("CDN-Cache-Control".utf8)

/// Called by libFuzzer with each input: lines, each a character that says which field it is, and its
/// value.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCaching(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  // The host, the path and the name of the targeted field stand in front.
  let front = target + Array("/a/b".utf8) + Array("example.com".utf8)
  let given = Array(unsafe input(start, count).prefix(60_000))
  let bytes = front + given
  var request = RequestHead()
  request.path = ByteRange(17..<21)
  request.authority = ByteRange(21..<32)
  var response = ResponseHead()
  var offset = front.count
  for line in given.split(separator: 0x0A, omittingEmptySubsequences: false).prefix(100) {
    let range = offset..<offset + line.count
    offset = range.upperBound + 1
    guard let first = line.first, let name = names[first] else { continue }
    let field = FieldLine(
      name: name,
      nameRange: ByteRange(0..<17),
      valueRange: ByteRange(
        HTTPGrammar.trimmed(range.lowerBound + 1..<range.upperBound, in: bytes.span)
      ),
      lineEnd: 0,
      isHopByHop: false
    )
    if first < 0x61 { response.fields.append(field) } else { request.fields.append(field) }
  }
  for status: UInt16 in [200, 206, 404, 599] {
    response.status = status
    check(request, response, bytes)
  }
  return 0
}

/// What is asked for of a part is what a representation of any length is cut by.
private func checkScope(_ request: RequestHead, _ bytes: [UInt8]) {
  guard let scope = PartScope(of: request, in: bytes.span),
    let line = request.first(.range)
  else { return }
  require(scope.contains(scope) && PartScope.whole.contains(scope), "a part has itself in it")
  require(scope.grown(to: 1 << 16).contains(scope), "what grows has what it was in it")
  let value = bytes.span.extracting(line.valueRange.range)
  for length: Int64 in [1, 2, 1000, 1 << 40] {
    let wanted: RangeSelection =
      switch scope {
      case .whole: .whole
      case .suffix(let count): .single(max(0, length - count)..<length)
      case .bytes(let first, let last):
        first < length ? .single(first..<min(last ?? .max, length - 1) + 1) : .unsatisfiable
      }
    require(RangeSelection(value, length: length) == wanted, "both read a range alike")
  }
}

private func check(_ request: RequestHead, _ response: ResponseHead, _ bytes: [UInt8]) {
  checkScope(request, bytes)
  var policy = CachePolicy()
  policy.partial = .stored
  let now = Moment(milliseconds: 1_790_000_000_500)
  let asked = CacheRequest(request, in: bytes.span, by: policy)
  let reading = VaryRule.read(response, in: bytes.span, by: policy)
  if case .names(let rule) = reading {
    require(VaryRule(encoded: rule.encoded.span) == rule, "a rule is read as it was written")
    var key: [UInt8] = []
    rule.appendKey(of: request, in: bytes.span, to: &key)
    var again: [UInt8] = []
    rule.appendKey(of: request, in: bytes.span, to: &again)
    require(key == again, "a key is the same each time")
  }
  for target in Invalidation.targets(
    of: response,
    in: bytes.span,
    to: request,
    in: bytes.span,
    scheme: .http
  ) {
    require(target.first == 0x2F, "a target is a path")
  }
  let storing = policy.storing(
    response,
    in: bytes.span,
    for: asked,
    requestTime: now,
    responseTime: now
  )
  guard case .store(let terms) = storing else { return }
  let said = ResponseDirectives(of: response, in: bytes.span, targets: policy.targets)
  require(!said.isPrivate, "what is private is not stored")
  require(!said.isNoStore || said.isMustUnderstand, "what is not to be stored is not")
  require(reading != .all && reading != .many, "what varies on too much is not stored")
  require(!asked.directives.isNoStore, "a request can forbid storing")
  var wasFresh = true
  for seconds: Int64 in [0, 1, 60, 3600, 86_400 * 365, 1 << 40] {
    let moment = now.advanced(byMilliseconds: seconds * 1000)
    require(terms.age(at: moment) >= 0, "nothing is younger than it came")
    let reuse = terms.reuse(for: asked, at: moment)
    if reuse == .fresh {
      require(wasFresh, "nothing becomes fresh again")
      require(!said.isNoCache && !asked.directives.isNoCache, "what is to be validated is")
    }
    wasFresh = reuse == .fresh
    if said.isMustRevalidate {
      require(reuse != .stale && reuse != .staleWhileRevalidating, "what is stale is not sent")
    }
  }
  let tag = response.first(.eTag).map { Array(bytes[$0.valueRange.range]) } ?? []
  let answer = StoredAnswer(
    to: request,
    in: bytes.span,
    from: terms,
    tag: tag.span,
    length: 10,
    now: now
  )
  switch answer {
  case .part(let range): require(range.lowerBound >= 0 && range.upperBound <= 10, "a part")
  case .parts(let ranges): require(ranges.allSatisfy { $0.upperBound <= 10 }, "parts")
  case .whole, .notModified, .unsatisfiable, .askOrigin: break
  }
}
