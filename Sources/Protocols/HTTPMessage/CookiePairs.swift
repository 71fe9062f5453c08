import MartletBytes

/// A walk over the cookies of a `Cookie` field's value: `a=1; b=2`.
///
/// What has no `=` is no cookie and is skipped. Values are taken as they stand, with the quotes that
/// some servers write around them; cookies are the application's, so nothing is refused here.
///
/// ```swift
/// var cookies = CookiePairs(line.valueRange.range)
/// while let cookie = cookies.next(in: bytes) { … }
/// ```
///
/// - Source: RFC 6265, sections 4.2.1 and 5.2.
public struct CookiePairs: Sendable {
  /// One cookie: where its name and its value are.
  public struct Pair: Hashable, Sendable {
    /// Its name, without whitespace around it.
    public let name: Range<Int>
    /// Its value, without whitespace around it; may be empty.
    public let value: Range<Int>
  }

  private var offset: Int
  private let end: Int

  /// Starts before the first cookie of the value that lies in `range`.
  public init(_ range: Range<Int>) {
    offset = range.lowerBound
    end = range.upperBound
  }

  /// The next cookie, or nil behind the last.
  ///
  /// - Complexity: O(*n*) in the cookie's bytes, with no allocation.
  public mutating func next(in bytes: Span<UInt8>) -> Pair? {
    while offset < end {
      var equals: Int?
      var index = offset
      while index < end, bytes[index] != 0x3B {
        if bytes[index] == 0x3D, equals == nil { equals = index }
        index += 1
      }
      let start = offset
      offset = index + 1
      guard let equals else { continue }
      let name = HTTPGrammar.trimmed(start..<equals, in: bytes)
      guard !name.isEmpty else { continue }
      return Pair(name: name, value: HTTPGrammar.trimmed(equals + 1..<index, in: bytes))
    }
    return nil
  }

  /// The value of the first cookie with this name, which is compared byte by byte.
  ///
  /// The first one that a `Set-Cookie` value has is the cookie that it sets.
  public static func value(
    of name: Span<UInt8>,
    in range: Range<Int>,
    of bytes: Span<UInt8>
  ) -> Range<Int>? {
    var pairs = CookiePairs(range)
    while let pair = pairs.next(in: bytes) {
      guard pair.name.count == name.count else { continue }
      var isEqual = true
      for step in name.indices where bytes[pair.name.lowerBound + step] != name[step] {
        isEqual = false
        break
      }
      if isEqual { return pair.value }
    }
    return nil
  }
}
