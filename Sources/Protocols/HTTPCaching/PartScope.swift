public import HTTPMessage
import MartletBytes

/// Which bytes of a representation an origin is asked for, whose length need not be known.
///
/// - Source: RFC 9110, section 14.1.2.
public enum PartScope: Hashable, Sendable {
  /// All of them, without Range.
  case whole
  /// Those from one on, up to another one, which belongs to them; nil: up to the end.
  case bytes(first: Int64, last: Int64?)
  /// So many at the end.
  case suffix(Int64)

  /// These bytes; they are not empty.
  public init(_ range: Range<Int64>) {
    self = .bytes(first: range.lowerBound, last: range.upperBound - 1)
  }

  /// Reads the only Range of a request, whose bytes are `bytes`.
  ///
  /// Nil for one that is not about a single range of bytes, or that no representation could have.
  public init?(of request: RequestHead, in bytes: Span<UInt8>) {
    var value: Range<Int>?
    for line in request.fields where line.name == .range {
      guard value == nil else { return nil }
      value = line.valueRange.range
    }
    guard let value else { return nil }
    self.init(bytes.extracting(value))
  }

  /// Reads a value: `bytes=0-99`, `bytes=100-` or `bytes=-100`.
  init?(_ value: Span<UInt8>) {
    let start = Self.unit.count
    guard value.count > start, equalIgnoringCase(value.extracting(0..<start), Self.unit.span),
      let dash = (start..<value.count).first(where: { value[$0] == 0x2D })
    else { return nil }
    let first = ContentRange.number(value, start..<dash)
    let last = ContentRange.number(value, dash + 1..<value.count)
    switch (first, last) {
    case (let first?, let last?) where first <= last: self = .bytes(first: first, last: last)
    case (let first?, nil) where dash + 1 == value.count: self = .bytes(first: first, last: nil)
    case (nil, let count?) where dash == start && count > 0: self = .suffix(count)
    default: return nil
    }
  }

  private static let unit = Array("bytes=".utf8)

  /// The value of Range that asks for it; nil for the whole.
  public var value: String? {
    switch self {
    case .whole: nil
    case .bytes(let first, let last): "bytes=\(first)-\(last.map { "\($0)" } ?? "")"
    case .suffix(let count): "bytes=-\(count)"
    }
  }

  /// The same, grown to begin and end where slices of so many bytes do.
  public func grown(to sliceBytes: Int64) -> PartScope {
    guard case .bytes(let first, let last) = self, sliceBytes > 0 else { return self }
    return .bytes(
      first: first / sliceBytes * sliceBytes,
      last: last.map { ($0 / sliceBytes + 1) * sliceBytes - 1 }
    )
  }

  /// Whether all of `other` is in it, however long the representation is.
  public func contains(_ other: PartScope) -> Bool {
    switch (self, other) {
    case (.whole, _): true
    case (.bytes(let first, let last), .bytes(let otherFirst, let otherLast)):
      first <= otherFirst
        && (last.map { last in otherLast.map { $0 <= last } ?? false } ?? true)
    case (.bytes(first: 0, last: nil), _): true
    case (.suffix(let count), .suffix(let other)): other <= count
    default: false
    }
  }
}
