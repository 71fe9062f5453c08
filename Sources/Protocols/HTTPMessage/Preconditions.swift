import MartletBytes

/// What a request asks to be true before it is done: the `If-` fields, and which parts it wants.
///
/// One walk over the fields finds all of them, so a request without any costs that walk alone. The
/// order in which they count is that of RFC 9110, section 13.2.2, whoever evaluates them: files, and
/// what is kept of the answers of others.
///
/// ```swift
/// let conditions = Preconditions(of: exchange.request, in: bytes)
/// switch conditions.outcome(for: current, now: date, in: bytes) { … }
/// ```
///
/// - Source: RFC 9110, sections 13 and 14.2.
public struct Preconditions: Sendable {
  /// What the selected representation is known by.
  public struct Validators: ~Escapable {
    /// The text of its tag, with `W/` if it is weak; empty: it has none.
    public let tag: Span<UInt8>
    /// When it was changed; nil: not known.
    public let modified: HTTPDate?
    /// Whether there is one at all.
    public let exists: Bool

    /// The validators of a representation.
    @_lifetime(copy tag)
    public init(tag: Span<UInt8>, modified: HTTPDate?) {
      self.tag = tag
      self.modified = modified
      exists = true
    }

    @_lifetime(immortal)
    private init(exists: Bool) {
      tag = Span()
      modified = nil
      self.exists = exists
    }

    /// Those of a resource that has no representation now.
    public static var missing: Validators {
      @_lifetime(immortal)
      get { Validators(exists: false) }
    }
  }

  /// What the conditions come to.
  public enum Outcome: Hashable, Sendable {
    /// They are met: the method is carried out.
    case proceed
    /// The client has it already: 304.
    case notModified
    /// They are not met: 412.
    case failed
  }

  private let method: Method
  private let fields: FieldLines
  /// Which of the fields are there.
  private var found: Found = []
  private var rangeLine = 0

  private struct Found: OptionSet {
    let rawValue: UInt8
    static let ifMatch = Found(rawValue: 1)
    static let ifNoneMatch = Found(rawValue: 2)
    static let ifModifiedSince = Found(rawValue: 4)
    static let ifUnmodifiedSince = Found(rawValue: 8)
    static let range = Found(rawValue: 16)
    static let ifRange = Found(rawValue: 32)
    static let severalRanges = Found(rawValue: 64)
  }

  /// Finds what a request asks for.
  ///
  /// - Complexity: O(*n*) in its field lines, with no allocation.
  public init(of request: RequestHead) {
    method = request.method
    fields = request.fields
    let lines = request.fields.span
    for index in lines.indices {
      switch lines[index].name {
      case .ifMatch: found.insert(.ifMatch)
      case .ifNoneMatch: found.insert(.ifNoneMatch)
      case .ifModifiedSince: found.insert(.ifModifiedSince)
      case .ifUnmodifiedSince: found.insert(.ifUnmodifiedSince)
      case .ifRange: found.insert(.ifRange)
      case .range:
        found.insert(found.contains(.range) ? .severalRanges : .range)
        rangeLine = index
      default: break
      }
    }
  }

  /// Whether nothing is asked.
  public var isEmpty: Bool { found.isEmpty }

  /// Whether something depends on the current representation, besides which part is wanted.
  public var isConditional: Bool {
    !found.isDisjoint(with: [.ifMatch, .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince])
  }

  /// Decides for the selected representation.
  ///
  /// `bytes` are those that the head was read from.
  ///
  /// - Source: RFC 9110, section 13.2.2, steps 1 to 4.
  /// - Complexity: O(*n*) in the values, with no allocation.
  public func outcome(
    for current: Validators,
    now: HTTPDate,
    in bytes: Span<UInt8>
  ) -> Outcome {
    guard isConditional else { return .proceed }
    if found.contains(.ifMatch) {
      guard matchesTag(of: .ifMatch, current, in: bytes) else { return .failed }
    } else if found.contains(.ifUnmodifiedSince),
      let date = date(of: .ifUnmodifiedSince, now: now, in: bytes), let modified = current.modified
    {
      guard modified <= date else { return .failed }
    }
    let isReading = method == .get || method == .head
    if found.contains(.ifNoneMatch) {
      guard !matchesTag(of: .ifNoneMatch, current, in: bytes) else {
        return isReading ? .notModified : .failed
      }
    } else if isReading, found.contains(.ifModifiedSince),
      let date = date(of: .ifModifiedSince, now: now, in: bytes), let modified = current.modified
    {
      guard modified > date else { return .notModified }
    }
    return .proceed
  }

  /// The value of `Range`, where it counts: for GET alone, written once, and with an `If-Range` that
  /// names the selected representation, if there is one.
  ///
  /// - Source: RFC 9110, section 13.2.2, step 5, and section 14.2.
  public func range(
    of current: Validators,
    now: HTTPDate,
    in bytes: Span<UInt8>
  ) -> Range<Int>? {
    guard method == .get, found.contains(.range), !found.contains(.severalRanges) else {
      return nil
    }
    if found.contains(.ifRange), !holdsIfRange(current, now: now, in: bytes) { return nil }
    return fields[rangeLine].valueRange.range
  }

  /// Whether one of the tags of all fields of a name is the current one.
  ///
  /// RFC 9110, sections 13.1.1 and 13.1.2: `If-Match` compares strongly, `If-None-Match` weakly, and
  /// `*` is any representation.
  private func matchesTag(
    of name: FieldName,
    _ current: borrowing Validators,
    in bytes: Span<UInt8>
  ) -> Bool {
    guard current.exists else { return false }
    for line in fields where line.name == name {
      let value = line.valueRange.range
      if value.count == 1, bytes[value.lowerBound] == 0x2A { return true }
      var tags = EntityTags(value)
      while let tag = tags.next(in: bytes) {
        let isSame =
          name == .ifMatch
          ? tag.isStronglyEqual(to: current.tag, in: bytes)
          : tag.isWeaklyEqual(to: current.tag, in: bytes)
        if isSame { return true }
      }
    }
    return false
  }

  /// The date of a field; nil where there is none, several, or something else.
  ///
  /// RFC 9110, sections 13.1.3 and 13.1.4: such a field is ignored.
  private func date(of name: FieldName, now: HTTPDate, in bytes: Span<UInt8>) -> HTTPDate? {
    var value: Range<Int>?
    for line in fields where line.name == name {
      guard value == nil else { return nil }
      value = line.valueRange.range
    }
    return value.flatMap { HTTPDate(bytes.extracting($0), now: now) }
  }

  /// RFC 9110, section 13.1.5: a strong tag, or a date that is exactly the one of the last change and
  /// was over when the answer was made.
  private func holdsIfRange(
    _ current: borrowing Validators,
    now: HTTPDate,
    in bytes: Span<UInt8>
  ) -> Bool {
    var value: Range<Int>?
    for line in fields where line.name == .ifRange {
      guard value == nil else { return false }
      value = line.valueRange.range
    }
    guard let value, !value.isEmpty, current.exists else { return false }
    if let read = EntityTag.read(bytes, at: value.lowerBound, to: value.upperBound) {
      return read.end == value.upperBound
        && read.tag.isStronglyEqual(to: current.tag, in: bytes)
    }
    guard let date = HTTPDate(bytes.extracting(value), now: now), let modified = current.modified
    else { return false }
    return date == modified && modified.secondsSince1970 < now.secondsSince1970
  }
}
