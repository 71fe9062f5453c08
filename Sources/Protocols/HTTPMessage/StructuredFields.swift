import MartletBytes

/// The value of a structured field or of one of its members, as far as fields here have it.
///
/// - Source: RFC 9651, section 3.3.
public enum StructuredValue: Hashable, Sendable {
  /// An integer.
  case integer(Int64)
  /// A Boolean.
  case truth(Bool)
  /// What stands between the quotes of a string, with its escapes.
  case string(Range<Int>)
  /// A token.
  case token(Range<Int>)
  /// What stands between the colons of a byte sequence: Base64.
  case bytes(Range<Int>)
  /// Any other type, or a list of values.
  case other
}

extension FieldLines {
  /// The value of a field that is an item; nil where it is missing, broken, or there twice.
  ///
  /// - Complexity: O(*n*) in the lines, with no allocation.
  /// - Source: RFC 9651, section 4.2: such a field is ignored, whatever else it says.
  public func item(named name: Span<UInt8>, in bytes: Span<UInt8>) -> StructuredValue? {
    let known = FieldName(name)
    var found: FieldLine?
    for line in self where line.name == known {
      guard known != .other || equalIgnoringCase(bytes.extracting(line.nameRange.range), name)
      else { continue }
      // Two lines are one value with a comma in it, which no item has.
      guard found == nil else { return nil }
      found = line
    }
    guard let found else { return nil }
    var reader = StructuredReader(found.valueRange.range)
    reader.skipSpaces(in: bytes)
    guard let value = reader.bareItem(in: bytes), reader.passParameters(in: bytes) else {
      return nil
    }
    reader.skipSpaces(in: bytes)
    return reader.isAtEnd ? value : nil
  }
}

/// A walk over the members of a dictionary: `max-age=60, must-revalidate`.
///
/// - Source: RFC 9651, sections 3.2 and 4.2.2.
public struct DictionaryWalk: Sendable {
  private var reader: StructuredReader
  private var isFirst = true
  /// Whether something broke the grammar: then the whole field is to be ignored.
  public private(set) var isBroken = false

  /// Starts before the first member of the value that lies in `range`.
  public init(_ range: Range<Int>) { reader = StructuredReader(range) }

  /// The next member, nil behind the last one and where the grammar is broken.
  ///
  /// - Complexity: O(*n*) in the member's bytes, with no allocation.
  public mutating func next(
    in bytes: Span<UInt8>
  ) -> (name: Range<Int>, value: StructuredValue)? {
    guard !isBroken else { return nil }
    if !isFirst {
      reader.skipWhitespace(in: bytes)
      guard !reader.isAtEnd else { return nil }
      guard reader.take(0x2C, in: bytes) else { return broken() }
      reader.skipWhitespace(in: bytes)
      // A comma with nothing behind it.
      guard !reader.isAtEnd else { return broken() }
    }
    isFirst = false
    guard !reader.isAtEnd else { return nil }
    guard let name = reader.key(in: bytes) else { return broken() }
    var value = StructuredValue.truth(true)
    if reader.take(0x3D, in: bytes) {
      guard let read = reader.member(in: bytes) else { return broken() }
      value = read
    }
    guard reader.passParameters(in: bytes) else { return broken() }
    return (name, value)
  }

  private mutating func broken() -> (name: Range<Int>, value: StructuredValue)? {
    isBroken = true
    return nil
  }
}

/// Reads the parts that structured fields are made of, one after the other.
///
/// - Source: RFC 9651, section 4.2.
private struct StructuredReader {
  private var offset: Int
  private let end: Int

  init(_ range: Range<Int>) {
    offset = range.lowerBound
    end = range.upperBound
  }

  var isAtEnd: Bool { offset == end }

  /// Passes a byte, if it is this one.
  mutating func take(_ byte: UInt8, in bytes: Span<UInt8>) -> Bool {
    guard offset < end, bytes[offset] == byte else { return false }
    offset += 1
    return true
  }

  mutating func skipWhitespace(in bytes: Span<UInt8>) {
    while offset < end, HTTPGrammar.isWhitespace(bytes[offset]) { offset += 1 }
  }

  mutating func skipSpaces(in bytes: Span<UInt8>) {
    while offset < end, bytes[offset] == 0x20 { offset += 1 }
  }

  /// Lower-case letters, digits and `_-.*`, of which a letter or `*` comes first.
  mutating func key(in bytes: Span<UInt8>) -> Range<Int>? {
    let start = offset
    while offset < end {
      switch bytes[offset] {
      case 0x61...0x7A, 0x2A: break
      case 0x30...0x39, 0x5F, 0x2D, 0x2E:
        guard offset > start else { return nil }
      default: return offset > start ? start..<offset : nil
      }
      offset += 1
    }
    return offset > start ? start..<offset : nil
  }

  /// `;a;b=1` behind a value: read and ignored.
  mutating func passParameters(in bytes: Span<UInt8>) -> Bool {
    while offset < end, bytes[offset] == 0x3B {
      offset += 1
      skipSpaces(in: bytes)
      guard key(in: bytes) != nil else { return false }
      if offset < end, bytes[offset] == 0x3D {
        offset += 1
        guard bareItem(in: bytes) != nil else { return false }
      }
    }
    return true
  }

  mutating func member(in bytes: Span<UInt8>) -> StructuredValue? {
    guard offset < end, bytes[offset] == 0x28 else { return bareItem(in: bytes) }
    offset += 1
    while true {
      skipSpaces(in: bytes)
      guard offset < end else { return nil }
      if bytes[offset] == 0x29 {
        offset += 1
        return .other
      }
      guard bareItem(in: bytes) != nil, passParameters(in: bytes), offset < end,
        bytes[offset] == 0x20 || bytes[offset] == 0x29
      else { return nil }
    }
  }

  mutating func bareItem(in bytes: Span<UInt8>) -> StructuredValue? {
    guard offset < end else { return nil }
    switch bytes[offset] {
    case 0x2D, 0x30...0x39: return number(in: bytes)
    case 0x22: return string(in: bytes)
    case 0x2A, 0x41...0x5A, 0x61...0x7A:
      let start = offset
      let token = HTTPGrammar.token
      while offset < end,
        token.contains(bytes[offset]) || bytes[offset] == 0x3A || bytes[offset] == 0x2F
      { offset += 1 }
      return .token(start..<offset)
    case 0x3F:
      guard offset + 1 < end, bytes[offset + 1] & 0xFE == 0x30 else { return nil }
      offset += 2
      return .truth(bytes[offset - 1] == 0x31)
    case 0x3A: return enclosed(in: bytes, by: 0x3A).map { .bytes($0) }
    case 0x40:
      offset += 1
      guard case .integer? = number(in: bytes) else { return nil }
      return .other
    case 0x25:
      offset += 1
      guard offset < end, bytes[offset] == 0x22 else { return nil }
      return enclosed(in: bytes, by: 0x22).map { _ in .other }
    default: return nil
    }
  }

  /// Up to fifteen digits; with a point, up to twelve and three.
  mutating func number(in bytes: Span<UInt8>) -> StructuredValue? {
    let isNegative = offset < end && bytes[offset] == 0x2D
    if isNegative { offset += 1 }
    var number: Int64 = 0
    var digits = 0
    while offset < end, bytes[offset] &- 0x30 < 10 {
      digits += 1
      guard digits <= 15 else { return nil }
      number = number * 10 + Int64(bytes[offset] - 0x30)
      offset += 1
    }
    guard digits > 0 else { return nil }
    guard offset < end, bytes[offset] == 0x2E else {
      return .integer(isNegative ? -number : number)
    }
    offset += 1
    let start = offset
    while offset < end, bytes[offset] &- 0x30 < 10 { offset += 1 }
    return digits <= 12 && 1...3 ~= offset - start ? .other : nil
  }

  mutating func string(in bytes: Span<UInt8>) -> StructuredValue? {
    let start = offset + 1
    offset = start
    while offset < end, bytes[offset] != 0x22 {
      guard 0x20..<0x7F ~= bytes[offset] else { return nil }
      if bytes[offset] == 0x5C {
        offset += 1
        guard offset < end, bytes[offset] == 0x22 || bytes[offset] == 0x5C else { return nil }
      }
      offset += 1
    }
    guard offset < end else { return nil }
    offset += 1
    return .string(start..<offset - 1)
  }

  /// Bytes in Base64 between colons, or escaped text between quotes.
  mutating func enclosed(in bytes: Span<UInt8>, by mark: UInt8) -> Range<Int>? {
    offset += 1
    let start = offset
    while offset < end, bytes[offset] != mark {
      guard 0x20..<0x7F ~= bytes[offset] else { return nil }
      offset += 1
    }
    guard offset < end else { return nil }
    offset += 1
    return start..<offset - 1
  }
}
