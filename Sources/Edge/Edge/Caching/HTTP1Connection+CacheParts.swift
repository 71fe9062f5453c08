import Cache
import Configuration
import HTTPCaching
import HTTPMessage
import MartletBytes
import MartletLoop

/// Why an answer is asked for, and what is there of it.
struct FillCause {
  /// Why what is there does not do.
  var reason: CacheStatus.Forward
  /// What the upstream is asked about.
  var validating: CachedAnswer?
  /// The parts that are there of what is asked for.
  var completing: CachedAnswer?
  /// The bytes that are missing of that.
  var missing: Range<Int64>?
  /// Which bytes are asked for; nil: those that the fill was begun for.
  var scope: PartScope?

  init(
    _ reason: CacheStatus.Forward,
    validating: CachedAnswer? = nil,
    completing: CachedAnswer? = nil,
    missing: Range<Int64>? = nil
  ) {
    self.reason = reason
    self.validating = validating
    self.completing = completing
    self.missing = missing
  }
}

/// Parts of answers: which are wanted, which are there, and which are asked for.
///
/// - Source: RFC 9111, sections 3.3 and 3.4.
extension HTTP1Connection {
  /// What is not there of what a request wants.
  enum Lack: Equatable {
    /// These bytes, and perhaps others between them.
    case bytes(Range<Int64>)
    /// The request is none that parts may answer.
    case other
  }

  /// What of an answer is missing for a request; nil: nothing is.
  func lacks(
    _ answer: CachedAnswer,
    _ exchange: Exchange,
    _ request: CacheRequest,
    _ head: Span<UInt8>
  ) -> Lack? {
    guard let parts = answer.parts, !parts.isComplete else { return nil }
    guard exchange.request.method == .get else { return .other }
    var form = StoredAnswer.whole
    if request.isConditional {
      let own = answer.head.bytes
      form = StoredAnswer(
        to: exchange.request,
        in: head,
        from: answer.terms,
        tag: own.span.extracting(answer.head.tag),
        length: Int64(parts.length),
        now: moment
      )
    }
    switch form {
    case .part(let range):
      return parts.span(missingOf: Int(range.lowerBound)..<Int(range.upperBound)).map { .bytes($0) }
    case .parts(let ranges):
      let missing = ranges.compactMap {
        parts.span(missingOf: Int($0.lowerBound)..<Int($0.upperBound))
      }
      guard let first = missing.map(\.lowerBound).min(), let last = missing.map(\.upperBound).max()
      else { return nil }
      return .bytes(first..<last)
    case .whole: return parts.span(missingOf: 0..<parts.length).map { .bytes($0) }
    case .unsatisfiable, .askOrigin: return nil
    case .notModified: return .other
    }
  }

  /// Which bytes are asked for.
  func scope(
    of exchange: Exchange,
    _ cache: RouteCache,
    _ head: Span<UInt8>,
    _ cause: FillCause = FillCause(.uriMiss)
  ) -> PartScope {
    var scope = PartScope.whole
    if let missing = cause.missing {
      scope = PartScope(missing)
    } else if cache.ranges != .whole, exchange.request.method == .get {
      scope = PartScope(of: exchange.request, in: head) ?? .whole
    }
    if case .slices(let count) = cache.ranges { return scope.grown(to: Int64(count)) }
    return scope
  }

  /// Writes which bytes are asked for, and of what.
  func putRange(
    _ cause: FillCause,
    _ scope: PartScope,
    _ exchange: Exchange,
    _ head: Span<UInt8>,
    _ out: inout Lent
  ) throws(ExchangeError) {
    guard let value = scope.value else { return }
    try out.put("Range: ")
    try out.put(Array(value.utf8))
    try out.put("\r\n")
    if let completing = cause.completing {
      try out.put("If-Range: ")
      let own = completing.head.bytes
      try out.put(own.span.extracting(completing.head.tag))
      try out.put("\r\n")
    } else if cause.validating == nil, let line = exchange.request.first(.ifRange) {
      try out.put(head.extracting(line.lineRange.range))
    }
  }

  /// Whether what is being received has what a request wants, and has it soon.
  func reaches(_ fill: Fill.Glimpse, _ exchange: Exchange, _ head: Span<UInt8>) -> Bool {
    guard let stored = fill.head else { return true }
    let form = form(of: fill, stored, exchange, head)
    var wanted = 0..<(stored.length ?? .max)
    if case .part(let part) = form { wanted = Int(part.lowerBound)..<Int(part.upperBound) }
    if case .notModified = form { return true }
    if let part = fill.part {
      guard part.covers(wanted) else { return false }
      wanted = max(0, wanted.lowerBound - part.range.lowerBound)..<wanted.upperBound
    }
    return wanted.lowerBound <= fill.count + Self.soonBytes
  }

  /// For how many bytes that come before those that are wanted a request waits.
  private static let soonBytes = 1 << 20

  /// What of an answer that is being received a request is sent.
  func form(
    of fill: Fill.Glimpse,
    _ stored: AnswerHead,
    _ exchange: Exchange,
    _ head: Span<UInt8>
  ) -> StoredAnswer {
    if let terms = fill.terms {
      return StoredAnswer(
        to: exchange.request,
        in: head,
        from: terms,
        tag: stored.bytes.span.extracting(stored.tag),
        length: stored.length.map { Int64($0) },
        now: moment
      )
    }
    // A part that is not kept, of which who asked for it has what it wants.
    guard fill.part != nil, let length = stored.length, let line = exchange.request.first(.range)
    else { return .whole }
    switch RangeSelection(head.extracting(line.valueRange.range), length: Int64(length)) {
    case .whole: return .whole
    case .single(let range): return .part(range)
    case .several(let ranges): return .parts(ranges)
    case .unsatisfiable: return .unsatisfiable
    }
  }

  /// Whether an answer that is not kept is what the request that led to it wants: the upstream has judged its range
  /// then, and it has no other conditions.
  func mayPassOn(
    _ first: Fill.Glimpse,
    of fill: Fill,
    _ exchange: Exchange,
    _ request: CacheRequest,
    _ head: Span<UInt8>
  ) -> Bool {
    guard request.hasRange, !request.hasPrecondition else { return false }
    return first.part != nil || fill.scope == PartScope(of: exchange.request, in: head)
  }
}
