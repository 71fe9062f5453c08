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
  private let parts: RangeParts?
  private var nextPart = 0

  init(_ representation: Representation, _ range: Range<Int64>) {
    self.representation = representation
    offset = range.lowerBound
    end = range.upperBound
    parts = nil
  }

  init(_ representation: Representation, _ parts: RangeParts) {
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
    try parts.putLines(of: nextPart, to: &out)
    offset = parts.ranges[nextPart].lowerBound
    end = parts.ranges[nextPart].upperBound
    nextPart += 1
    return true
  }
}
