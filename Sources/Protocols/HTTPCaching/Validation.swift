public import HTTPMessage
import MartletBytes

/// Asking an origin whether a stored response still holds.
///
/// - Source: RFC 9111, sections 4.3.1, 4.3.3 and 4.3.4.
public enum Validation {
  /// What a 304 says about a stored response.
  public enum Outcome: Hashable, Sendable {
    /// It holds, and its head is updated.
    case holds
    /// The 304 is about another response: this one is asked for again, whole.
    case isOther
  }

  /// Whether a field of a client's request is left out of what asks the origin for a response to store:
  /// its conditions and parts are answered from what comes.
  public static func leavesOut(_ name: FieldName) -> Bool {
    switch name {
    case .ifMatch, .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince, .ifRange, .range: true
    default: false
    }
  }

  /// Appends the conditions that ask whether a stored response still holds, each with its CRLF.
  ///
  /// - Parameters:
  ///   - tag: The value of its ETag; empty: it has none.
  ///   - lastModified: The value of its Last-Modified; empty: it has none.
  ///   - lines: What the lines are put behind.
  public static func append(
    tag: Span<UInt8>,
    lastModified: Span<UInt8>,
    to lines: inout [UInt8]
  ) {
    if StoredTag(tag) != .missing {
      lines.append(contentsOf: "If-None-Match: ".utf8)
      lines.append(copying: tag)
      lines.append(contentsOf: "\r\n".utf8)
    }
    if !lastModified.isEmpty {
      lines.append(contentsOf: "If-Modified-Since: ".utf8)
      lines.append(copying: lastModified)
      lines.append(contentsOf: "\r\n".utf8)
    }
  }

  /// Appends the tags of several stored responses of one resource as one condition, so that a 304 says
  /// which of them answers a request that none was stored for.
  ///
  /// - Source: RFC 9111, section 4.1.
  public static func append(tags: some Sequence<[UInt8]>, to lines: inout [UInt8]) {
    var isFirst = true
    for tag in tags where StoredTag(tag.span) != .missing {
      lines.append(contentsOf: isFirst ? "If-None-Match: ".utf8 : ", ".utf8)
      lines.append(contentsOf: tag)
      isFirst = false
    }
    if !isFirst { lines.append(contentsOf: "\r\n".utf8) }
  }

  /// Decides whether a 304 is about a stored response.
  ///
  /// A strong tag names responses with the very same one, a weak tag those that can stand for it, a
  /// date those that were changed then. A 304 that names nothing is about what was asked with.
  ///
  /// - Parameters:
  ///   - tag: The value of ETag of the stored response; empty: it has none.
  ///   - lastModified: The date of its Last-Modified.
  ///   - response: The 304.
  ///   - bytes: The bytes that it was read from.
  ///   - now: The time of day.
  /// - Returns: Whether the stored response holds.
  /// - Source: RFC 9111, section 4.3.4.
  public static func outcome(
    tag: Span<UInt8>,
    lastModified: HTTPDate?,
    by response: ResponseHead,
    in bytes: Span<UInt8>,
    now: HTTPDate
  ) -> Outcome {
    if let line = response.first(.eTag) {
      let value = line.valueRange.range
      var tags = EntityTags(value)
      if StoredTag(bytes.extracting(value)) != .missing, let new = tags.next(in: bytes) {
        let isSame =
          new.isWeak
          ? new.isWeaklyEqual(to: tag, in: bytes) : new.isStronglyEqual(to: tag, in: bytes)
        return isSame ? .holds : .isOther
      }
    }
    guard let line = response.first(.lastModified),
      let new = HTTPDate(bytes.extracting(line.valueRange.range), now: now)
    else { return .holds }
    return lastModified == nil || lastModified == new ? .holds : .isOther
  }

  /// Whether a response to HEAD is about the same content as a stored response to GET, whose head it
  /// then updates; else the stored one is stale.
  ///
  /// - Source: RFC 9111, section 4.3.5.
  public static func isUpdate(
    of stored: FieldLines,
    in storedBytes: Span<UInt8>,
    by head: ResponseHead,
    in bytes: Span<UInt8>
  ) -> Bool {
    for name in [FieldName.eTag, .lastModified, .contentLength] {
      guard let new = head.first(name) else { continue }
      guard let old = stored.first(name) else { return false }
      let left = bytes.extracting(new.valueRange.range)
      let right = storedBytes.extracting(old.valueRange.range)
      guard left.count == right.count else { return false }
      for index in left.indices where left[index] != right[index] { return false }
    }
    return true
  }
}
