/// The parameters of a query, one after the other: `name=value&name=value`.
///
/// They are the bytes as they came; ``QueryText`` tells what they mean. Between two `&` with nothing in between there
/// is no parameter; one without `=` has an empty value.
public struct QueryParameters: Sendable {
  private var rest: Range<Int>

  /// Begins at the front of a query, which is this range of the bytes, without the `?`.
  public init(_ query: Range<Int>) {
    rest = query
  }

  /// The next parameter in `bytes`, which must be those that the range was meant for; nil at the end.
  ///
  /// - Complexity: O(*n*) in the bytes passed, with no allocation.
  public mutating func next(in bytes: Span<UInt8>) -> (name: Range<Int>, value: Range<Int>)? {
    var start = rest.lowerBound
    let end = rest.upperBound
    while start < end, bytes[start] == UInt8(ascii: "&") { start &+= 1 }
    var nameEnd: Int?
    var offset = start
    while offset < end, bytes[offset] != UInt8(ascii: "&") {
      if nameEnd == nil, bytes[offset] == UInt8(ascii: "=") { nameEnd = offset }
      offset &+= 1
    }
    rest = min(offset &+ 1, end)..<end
    guard offset > start else { return nil }
    guard let nameEnd else { return (start..<offset, offset..<offset) }
    return (start..<nameEnd, nameEnd &+ 1..<offset)
  }
}
