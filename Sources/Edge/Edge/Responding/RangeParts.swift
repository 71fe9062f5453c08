import MartletLoop

/// Several ranges of one representation as one body, with a few lines before each.
///
/// - Source: RFC 9110, sections 14.6 and 15.3.7.2; RFC 2046, section 5.1.1.
final class RangeParts: Sendable {
  let ranges: [Range<Int64>]
  /// A text that no body is likely to have.
  private let boundary: [UInt8]
  /// The value of `Content-Type` of the whole; empty: none is sent.
  private let type: [UInt8]
  /// How long the whole is.
  private let length: Int64

  init(_ ranges: [Range<Int64>], of type: [UInt8], length: Int64, boundary: [UInt8]) {
    self.ranges = ranges
    self.boundary = boundary
    self.type = type
    self.length = length
  }

  /// How long the body is, with its lines.
  var byteCount: Int64 {
    var count = Int64(boundary.count + Self.endBytes)
    for range in ranges { count += Int64(range.count) + Int64(lines(of: range).count) }
    return count
  }

  /// How many bytes of the whole are in it.
  var contentCount: Int64 { ranges.reduce(0) { $0 + Int64($1.count) } }

  /// Whether each range begins where the one before it has ended, or behind that.
  var isAscending: Bool {
    zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound }
  }

  // Two line ends and two pairs of hyphens.
  private static let endBytes = 8

  /// Writes the fields that say what the body is.
  func putFields(to out: inout Lent) throws(ExchangeError) {
    try out.put("Content-Type: multipart/byteranges; boundary=")
    try out.put(boundary)
    try out.put("\r\nContent-Length: ")
    try out.put(decimal: UInt64(byteCount))
    try out.put("\r\n")
  }

  /// Writes the lines before a range.
  func putLines(of index: Int, to out: inout Lent) throws(ExchangeError) {
    try out.put(lines(of: ranges[index]))
  }

  /// Writes what stands behind the last range.
  func putEnd(to out: inout Lent) throws(ExchangeError) {
    try out.put("\r\n--")
    try out.put(boundary)
    try out.put("--\r\n")
  }

  private func lines(of range: Range<Int64>) -> [UInt8] {
    var lines = Array("\r\n--".utf8) + boundary + [0x0D, 0x0A]
    if !type.isEmpty { lines += Array("Content-Type: ".utf8) + type + [0x0D, 0x0A] }
    let last = range.upperBound - 1
    lines += Array("Content-Range: bytes \(range.lowerBound)-\(last)/\(length)\r\n\r\n".utf8)
    return lines
  }
}

extension Worker {
  /// A boundary of 32 digits that nobody can foresee.
  func boundary() -> [UInt8] {
    var text: [UInt8] = []
    for _ in 0..<2 {
      let word = random.next()
      for shift in stride(from: 60, through: 0, by: -4) {
        let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
        text.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
      }
    }
    return text
  }
}
