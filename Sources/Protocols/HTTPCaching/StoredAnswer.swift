public import HTTPMessage

/// What of a stored response is sent, when it may be sent at all.
///
/// - Source: RFC 9111, section 4.3.2; RFC 9110, sections 13.2 and 14.2.
public enum StoredAnswer: Hashable, Sendable {
  /// All of it, with its own status; without content for HEAD.
  case whole
  /// The client has it already: 304.
  case notModified
  /// One part: 206 with Content-Range.
  case part(Range<Int64>)
  /// Several parts: 206 in `multipart/byteranges`.
  case parts([Range<Int64>])
  /// None of the parts asked for exists: 416 with `Content-Range: bytes */length`.
  case unsatisfiable
  /// A condition is not met that is the origin's to judge: the request goes there as it is.
  ///
  /// RFC 9110, sections 13.1.1 and 13.1.4: what a cache has may be older than what the origin has.
  case askOrigin

  /// Decides for a request, whose bytes are `bytes`, and a stored response.
  ///
  /// - Parameters:
  ///   - request: The request.
  ///   - bytes: The bytes that it was read from.
  ///   - terms: Those of the stored response.
  ///   - tag: The value of its ETag; empty: it has none.
  ///   - length: How many bytes its content has; nil: that is not known yet.
  ///   - now: The time of day.
  /// - Complexity: O(*n*) in the lines and conditions; one allocation for several parts.
  public init(
    to request: RequestHead,
    in bytes: Span<UInt8>,
    from terms: StoredTerms,
    tag: Span<UInt8>,
    length: Int64?,
    now: Moment
  ) {
    // What is no success has no conditions and no parts: RFC 9110, sections 13.2.1 and 14.2.
    guard 200..<300 ~= terms.status else {
      self = .whole
      return
    }
    let conditions = Preconditions(of: request)
    guard !conditions.isEmpty else {
      self = .whole
      return
    }
    // Without Last-Modified, the response is as old as its Date: RFC 9111, section 4.3.2.
    let current = Preconditions.Validators(tag: tag, modified: terms.lastModified ?? terms.date)
    switch conditions.outcome(for: current, now: now.date, in: bytes) {
    case .failed: self = .askOrigin
    case .notModified: self = .notModified
    case .proceed:
      let strict = Preconditions.Validators(tag: tag, modified: terms.lastModified)
      guard let length, terms.status == 200,
        let range = conditions.range(of: strict, now: now.date, in: bytes)
      else {
        self = .whole
        return
      }
      switch RangeSelection(bytes.extracting(range), length: length) {
      case .whole: self = .whole
      case .single(let range): self = .part(range)
      case .several(let ranges): self = .parts(ranges)
      case .unsatisfiable: self = .unsatisfiable
      }
    }
  }

  /// Whether a stored field is sent with a 304: not what describes content that is not sent.
  ///
  /// - Source: RFC 9110, section 15.4.5.
  public static func isSentWith304(_ name: FieldName) -> Bool {
    switch name {
    case .contentLength, .contentEncoding, .contentLanguage, .contentType, .contentRange,
      .acceptRanges, .transferEncoding, .trailer:
      false
    default: true
    }
  }
}
