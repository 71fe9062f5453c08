public import HTTPMessage
import MartletBytes

/// Which part of a representation a response holds.
///
/// - Source: RFC 9110, section 14.4.
public struct ContentRange: Hashable, Sendable {
  /// Which bytes; nil: none, of a 416.
  public let range: Range<Int64>?
  /// How many bytes there are in all; nil: not known.
  public let length: Int64?

  private static let unit = Array("bytes ".utf8)

  /// Reads a value: `bytes 0-99/1000`, `bytes 0-99/*` or `bytes */1000`.
  ///
  /// Nil where it breaks the grammar or contradicts itself: such a response is not to be combined with
  /// anything.
  public init?(_ value: Span<UInt8>) {
    let start = Self.unit.count
    guard value.count > start, equalIgnoringCase(value.extracting(0..<start), Self.unit.span),
      let slash = (start..<value.count).first(where: { value[$0] == 0x2F })
    else { return nil }
    let isUnknown = value.count == slash + 2 && value[slash + 1] == 0x2A
    let length = isUnknown ? nil : Self.number(value, slash + 1..<value.count)
    guard isUnknown || length != nil else { return nil }
    self.length = length
    if slash == start + 1, value[start] == 0x2A {
      guard !isUnknown else { return nil }
      range = nil
      return
    }
    guard let dash = (start..<slash).first(where: { value[$0] == 0x2D }),
      let first = Self.number(value, start..<dash), let last = Self.number(value, dash + 1..<slash),
      first <= last, last < length ?? .max
    else { return nil }
    range = first..<last + 1
  }

  /// Reads the only Content-Range of a response; `bytes` are those that it was read from.
  public init?(of response: ResponseHead, in bytes: Span<UInt8>) {
    var value: Range<Int>?
    for line in response.fields where line.name == .contentRange {
      guard value == nil else { return nil }
      value = line.valueRange.range
    }
    guard let value else { return nil }
    self.init(bytes.extracting(value))
  }

  /// Digits alone, below 2^62.
  static func number(_ value: Span<UInt8>, _ digits: Range<Int>) -> Int64? {
    guard 1...18 ~= digits.count else { return nil }
    var number: Int64 = 0
    for index in digits {
      let digit = value[index] &- 0x30
      guard digit < 10 else { return nil }
      number = number * 10 + Int64(digit)
    }
    return number
  }
}

/// Which bytes of a representation are there, of those that came in parts.
///
/// Parts belong together only if they have the same strong tag: ``mayCombine(_:_:)``.
///
/// - Source: RFC 9111, sections 3.3 and 3.4; RFC 9110, section 15.3.7.3.
public struct PartSet: Hashable, Sendable {
  /// How many parts with something missing between them are kept.
  public static let limit = 32

  /// The parts in order; no two touch.
  public private(set) var ranges: [Range<Int64>] = []

  /// Creates a set without parts.
  public init() {}

  /// Adds a part.
  ///
  /// - Returns: False where that makes too many; the set is then as it was.
  public mutating func insert(_ part: Range<Int64>) -> Bool {
    guard !part.isEmpty else { return true }
    var merged = part
    var kept: [Range<Int64>] = []
    var place = 0
    for range in ranges {
      if range.upperBound < merged.lowerBound {
        kept.append(range)
        place = kept.count
      } else if range.lowerBound > merged.upperBound {
        kept.append(range)
      } else {
        merged =
          min(range.lowerBound, merged.lowerBound)..<max(range.upperBound, merged.upperBound)
      }
    }
    guard kept.count < Self.limit else { return false }
    kept.insert(merged, at: place)
    ranges = kept
    return true
  }

  /// Whether all of these bytes are there.
  public func contains(_ wanted: Range<Int64>) -> Bool {
    wanted.isEmpty
      || ranges.contains {
        $0.lowerBound <= wanted.lowerBound && wanted.upperBound <= $0.upperBound
      }
  }

  /// Which of these bytes are not there, in order.
  public func missing(of wanted: Range<Int64>) -> [Range<Int64>] {
    var missing: [Range<Int64>] = []
    var next = wanted.lowerBound
    for range in ranges where range.upperBound > next && range.lowerBound < wanted.upperBound {
      if range.lowerBound > next { missing.append(next..<range.lowerBound) }
      next = range.upperBound
    }
    if next < wanted.upperBound { missing.append(next..<wanted.upperBound) }
    return missing
  }

  /// Whether parts with these tags are of one representation: both are strong, and the same.
  public static func mayCombine(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    guard StoredTag(left) == .strong, left.count == right.count else { return false }
    for index in left.indices where left[index] != right[index] { return false }
    return true
  }
}
