/// How urgent an answer is, and whether it is of use in parts.
///
/// - Source: RFC 9218, section 4.
public struct Priority: Hashable, Sendable {
  /// From 0, the most urgent, to 7.
  public var urgency: UInt8 = 3
  /// Whether a part of it is of use already, so that answers of one urgency may take turns.
  public var isIncremental = false

  /// The priority of those who say nothing.
  public init() {}

  /// Reads the value of Priority; what is not understood counts as not said.
  public init(_ text: Span<UInt8>) {
    var index = 0
    while index < text.count {
      var end = index
      while end < text.count, text[end] != 0x2C { end += 1 }
      take(text, index..<end)
      index = end + 1
    }
  }

  /// Takes one member of the dictionary: `u=3`, `i`, `i=?0`.
  private mutating func take(_ text: Span<UInt8>, _ range: Range<Int>) {
    var start = range.lowerBound
    while start < range.upperBound, text[start] == 0x20 || text[start] == 0x09 { start += 1 }
    var end = start
    // Parameters say nothing that is known.
    while end < range.upperBound, text[end] != 0x3B, text[end] != 0x20 { end += 1 }
    let member = text.extracting(start..<end)
    if member.count == 3, member[0] == 0x75, member[1] == 0x3D, member[2] &- 0x30 < 8 {
      urgency = member[2] &- 0x30
    } else if member.isText("i") || member.isText("i=?1") {
      isIncremental = true
    } else if member.isText("i=?0") {
      isIncremental = false
    }
  }
}
