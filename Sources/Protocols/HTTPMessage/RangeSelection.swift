import MartletBytes

/// Which bytes of a representation a request wants.
///
/// - Source: RFC 9110, sections 14.1.2 and 14.2.
public enum RangeSelection: Hashable, Sendable {
  /// All of them: the field is not one of byte ranges, breaks its grammar, or asks for more than is
  /// sensible.
  case whole
  /// One range, which is not empty.
  case single(Range<Int64>)
  /// Several ranges in the order asked for, none of which is empty.
  case several([Range<Int64>])
  /// Bytes that are not there: 416.
  case unsatisfiable

  /// How many ranges a request may ask for; more are answered as if none had been.
  public static let rangeCount = 16
  /// How many of them may lie in others, at least in part.
  public static let overlapCount = 2

  /// Reads `Range` for a representation of `length` bytes.
  ///
  /// A request for more than ``rangeCount`` ranges, for ranges of which more than ``overlapCount``
  /// overlap others, or for more bytes than there are, is answered whole, as RFC 9110, section 14.2,
  /// allows: it costs more than it saves.
  ///
  /// - Complexity: O(*n*) in the value's bytes; one allocation for several ranges.
  public init(_ value: Span<UInt8>, length: Int64) {
    guard let set = Self.rangeSet(of: value) else {
      self = .whole
      return
    }
    var count = 0
    var first: Range<Int64>?
    var several: [Range<Int64>] = []
    var elements = ListElements(set)
    while let element = elements.next(in: value) {
      guard let specification = Specification(value, element) else {
        self = .whole
        return
      }
      count += 1
      guard count <= Self.rangeCount else {
        self = .whole
        return
      }
      guard let range = specification.range(in: length) else { continue }
      // An empty representation has no part that could be named.
      guard !range.isEmpty else {
        self = .whole
        return
      }
      if let first, several.isEmpty { several = [first] }
      if first == nil { first = range } else { several.append(range) }
    }
    guard count > 0 else {
      self = .whole
      return
    }
    guard let first else {
      self = .unsatisfiable
      return
    }
    guard !several.isEmpty else {
      self = .single(first)
      return
    }
    self = Self.isSensible(several, length: length) ? .several(several) : .whole
  }

  /// What stands behind `bytes=`, in any case.
  private static func rangeSet(of value: Span<UInt8>) -> Range<Int>? {
    guard value.count > 6, value[5] == 0x3D,
      equalIgnoringCase(value.extracting(0..<5), unit.span)
    else { return nil }
    return 6..<value.count
  }

  private static let unit = Array("bytes".utf8)

  private static func isSensible(_ ranges: [Range<Int64>], length: Int64) -> Bool {
    var total: Int64 = 0
    var overlaps = 0
    for (index, range) in ranges.enumerated() {
      // Nobody can have so many bytes.
      let (sum, overflows) = total.addingReportingOverflow(Int64(range.count))
      guard !overflows else { return false }
      total = sum
      if ranges[..<index].contains(where: { $0.overlaps(range) }) { overlaps += 1 }
    }
    return overlaps <= overlapCount && total <= length
  }

  /// One element of the set: `0-99`, `100-` or `-100`.
  private struct Specification {
    private let first: Int64?
    private let last: Int64?

    init?(_ value: Span<UInt8>, _ element: Range<Int>) {
      guard let dash = element.first(where: { value[$0] == 0x2D }) else { return nil }
      let before = element.lowerBound..<dash
      let after = dash + 1..<element.upperBound
      guard !before.isEmpty || !after.isEmpty else { return nil }
      first = Self.number(value, before)
      last = Self.number(value, after)
      if first == nil, !before.isEmpty { return nil }
      if last == nil, !after.isEmpty { return nil }
      // RFC 9110, section 14.1.1: such a specification is invalid.
      if let first, let last, last < first { return nil }
    }

    /// A decimal number; one beyond what a file can have counts as the largest.
    private static func number(_ value: Span<UInt8>, _ digits: Range<Int>) -> Int64? {
      guard !digits.isEmpty else { return nil }
      var number: Int64 = 0
      for index in digits {
        let digit = value[index] &- 0x30
        guard digit < 10 else { return nil }
        let (tenfold, overflows) = number.multipliedReportingOverflow(by: 10)
        let (sum, overflowsToo) = tenfold.addingReportingOverflow(Int64(digit))
        number = overflows || overflowsToo ? .max : sum
      }
      return number
    }

    /// The bytes that are meant; nil when there are none, empty for all of an empty representation.
    func range(in length: Int64) -> Range<Int64>? {
      if let first {
        guard first < length else { return nil }
        return first..<min(length, last.map { $0 == .max ? $0 : $0 + 1 } ?? length)
      }
      guard let suffix = last, suffix > 0 else { return nil }
      return max(0, length - suffix)..<length
    }
  }
}
