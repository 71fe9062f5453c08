import MartletBytes

/// An entity tag: what tells one version of a resource from another.
///
/// - Source: RFC 9110, section 8.8.3.
public struct EntityTag: Hashable, Sendable {
  /// Whether two versions with this tag may differ in ways that do not matter: `W/` stands in front.
  public let isWeak: Bool
  /// Where the tag lies, with its quotes and without `W/`.
  public let opaque: Range<Int>

  /// The tag that begins at `offset` of `bytes`, with the offset behind it; nil when there is none.
  ///
  /// - Complexity: O(*n*) in the tag's bytes, with no allocation.
  static func read(
    _ bytes: Span<UInt8>,
    at offset: Int,
    to end: Int
  ) -> (tag: EntityTag, end: Int)? {
    var start = offset
    let isWeak = end - start >= 2 && bytes[start] == 0x57 && bytes[start + 1] == 0x2F
    if isWeak { start += 2 }
    guard start < end, bytes[start] == 0x22 else { return nil }
    var index = start + 1
    while index < end {
      let byte = bytes[index]
      index += 1
      if byte == 0x22 {
        return (EntityTag(isWeak: isWeak, opaque: start..<index), index)
      }
      // Visible characters besides the quote, and bytes beyond ASCII.
      guard byte == 0x21 || byte >= 0x23, byte != 0x7F else { return nil }
    }
    return nil
  }

  /// Whether this tag of `bytes` and the text `other` name one version byte for byte.
  ///
  /// - Source: RFC 9110, section 8.8.3.2: neither is weak, and both are the same.
  public func isStronglyEqual(to other: Span<UInt8>, in bytes: Span<UInt8>) -> Bool {
    !isWeak && Self.isEqual(bytes.extracting(opaque), other)
  }

  /// Whether this tag of `bytes` and the text `other` name versions that can stand for each other.
  ///
  /// - Source: RFC 9110, section 8.8.3.2: both are the same, weak or not.
  public func isWeaklyEqual(to other: Span<UInt8>, in bytes: Span<UInt8>) -> Bool {
    let isWeak = other.count > 2 && other[0] == 0x57 && other[1] == 0x2F
    return Self.isEqual(
      bytes.extracting(opaque),
      isWeak ? other.extracting(2..<other.count) : other
    )
  }

  private static func isEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    for index in left.indices where left[index] != right[index] { return false }
    return true
  }
}

/// A walk over the tags of `If-Match` and `If-None-Match`: `"a", W/"b"`.
///
/// A value that breaks the grammar names no tag from there on: what cannot be read matches nothing.
///
/// - Source: RFC 9110, sections 13.1.1 and 13.1.2.
public struct EntityTags: Sendable {
  private var offset: Int
  private let end: Int

  /// Starts before the first tag of the value that lies in `range`.
  public init(_ range: Range<Int>) {
    offset = range.lowerBound
    end = range.upperBound
  }

  /// The next tag, or nil behind the last.
  ///
  /// - Complexity: O(*n*) in the bytes passed, with no allocation.
  public mutating func next(in bytes: Span<UInt8>) -> EntityTag? {
    while offset < end, bytes[offset] == 0x2C || HTTPGrammar.isWhitespace(bytes[offset]) {
      offset += 1
    }
    guard let read = EntityTag.read(bytes, at: offset, to: end) else {
      offset = end
      return nil
    }
    offset = read.end
    while offset < end, HTTPGrammar.isWhitespace(bytes[offset]) { offset += 1 }
    // Only a comma or the end may stand behind a tag.
    if offset < end, bytes[offset] != 0x2C {
      offset = end
      return nil
    }
    return read.tag
  }
}
