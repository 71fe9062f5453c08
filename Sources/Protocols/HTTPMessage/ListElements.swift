/// A walk over the elements of a field's value that is a list: `a, b, "c,d"`.
///
/// Elements are trimmed, empty ones skipped, and a comma within a quoted string does not end one.
/// What an element means is the caller's to check.
///
/// ```swift
/// var elements = ListElements(line.valueRange.range)
/// while let element = elements.next(in: bytes) { … }
/// ```
///
/// - Source: RFC 9110, section 5.6.1.
public struct ListElements: Sendable {
  private var offset: Int
  private let end: Int

  /// Starts before the first element of the value that lies in `range`.
  public init(_ range: Range<Int>) {
    offset = range.lowerBound
    end = range.upperBound
  }

  /// The next element's range in `bytes`, or nil behind the last.
  ///
  /// - Complexity: O(*n*) in the element's bytes, with no allocation.
  public mutating func next(in bytes: Span<UInt8>) -> Range<Int>? {
    while offset < end {
      let start = offset
      var isQuoted = false
      var index = start
      while index < end {
        let byte = bytes[index]
        if byte == 0x2C, !isQuoted { break }
        if byte == 0x22 { isQuoted.toggle() }
        // A backslash within quotes takes the next byte as it is.
        if byte == 0x5C, isQuoted { index += 1 }
        index += 1
      }
      index = min(index, end)
      offset = index + 1
      let element = HTTPGrammar.trimmed(start..<index, in: bytes)
      if !element.isEmpty { return element }
    }
    return nil
  }
}
