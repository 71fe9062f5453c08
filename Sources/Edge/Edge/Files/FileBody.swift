import MartletLoop
import MartletNet
import MartletSystem
import StaticFiles

/// What is still to be sent of a file behind what lies in the buffer: one range, or several with a few lines
/// before each.
struct FileBody {
  let representation: Representation
  /// What is left of the range at hand.
  private(set) var offset: Int64
  private(set) var end: Int64
  /// The ranges behind it; nil where there was one alone.
  private let parts: FileParts?
  private var nextPart = 0

  init(_ representation: Representation, _ range: Range<Int64>) {
    self.representation = representation
    offset = range.lowerBound
    end = range.upperBound
    parts = nil
  }

  init(_ representation: Representation, _ parts: FileParts) {
    self.representation = representation
    self.parts = parts
    offset = 0
    end = 0
  }

  /// How many bytes are left of the range at hand.
  var count: Int { Int(end - offset) }

  /// Notes that so many bytes were sent or copied.
  mutating func take(_ count: Int) { offset += Int64(count) }

  /// The part of the file's kept bytes that is left of the range; nil where they are not kept.
  var keptRange: Range<Int>? {
    representation.bytes == nil ? nil : Int(offset)..<Int(end)
  }

  /// Goes on to the next range, whose lines are written to `out`.
  ///
  /// - Returns: False behind the last one.
  mutating func advance(_ out: inout Lent) throws(ExchangeError) -> Bool {
    guard let parts, nextPart <= parts.ranges.count else { return false }
    if nextPart == parts.ranges.count {
      try parts.putEnd(to: &out)
      nextPart += 1
      return true
    }
    try parts.putLines(of: nextPart, representation, to: &out)
    offset = parts.ranges[nextPart].lowerBound
    end = parts.ranges[nextPart].upperBound
    nextPart += 1
    return true
  }
}

/// Several ranges of a file as one body.
///
/// - Source: RFC 9110, section 14.6; RFC 2046, section 5.1.1.
final class FileParts {
  let ranges: [Range<Int64>]
  /// A text that no file is likely to have.
  let boundary: [UInt8]

  init(_ ranges: [Range<Int64>], boundary: [UInt8]) {
    self.ranges = ranges
    self.boundary = boundary
  }

  /// How long the body is, with its lines.
  func byteCount(of representation: Representation) -> Int64 {
    var count = Int64(boundary.count + Self.endBytes)
    for range in ranges {
      count += Int64(range.count) + Int64(lines(of: range, representation).count)
    }
    return count
  }

  // Two line ends and two pairs of hyphens.
  private static let endBytes = 8

  func putLines(
    of index: Int,
    _ representation: Representation,
    to out: inout Lent
  ) throws(ExchangeError) {
    try out.put(lines(of: ranges[index], representation))
  }

  func putEnd(to out: inout Lent) throws(ExchangeError) {
    try out.put("\r\n--")
    try out.put(boundary)
    try out.put("--\r\n")
  }

  private func lines(of range: Range<Int64>, _ representation: Representation) -> [UInt8] {
    var lines = Array("\r\n--".utf8) + boundary + [0x0D, 0x0A]
    if !representation.type.isEmpty {
      lines += Array("Content-Type: ".utf8) + representation.type + [0x0D, 0x0A]
    }
    let last = range.upperBound - 1
    lines += Array(
      "Content-Range: bytes \(range.lowerBound)-\(last)/\(representation.byteCount)\r\n\r\n".utf8
    )
    return lines
  }
}
