/// The lines of what a program prints, however its pieces come.
///
/// Unlike ``Frames`` it refuses nothing, for a log is to lose nothing: a line that is longer than the
/// limit goes on as the next one. A carriage return before a line's end belongs to that end.
public struct PrintedLines: Sendable {
  private let byteLimit: Int
  private var line: [UInt8] = []

  /// Creates a reader that stands before a line, and holds at most so many bytes of one.
  public init(byteLimit: Int) {
    precondition(byteLimit > 0, "a line holds a byte at least")
    self.byteLimit = byteLimit
  }

  /// Takes in bytes that came, and gives each line that they end.
  public mutating func receive(_ more: Span<UInt8>, _ take: ([UInt8]) -> Void) {
    var start = 0
    while start < more.count {
      let end = ByteSearch.firstIndex(of: 0x0A, in: more, from: start) ?? more.count
      if line.count == byteLimit, start < end { give(take) }
      let stop = min(end, start + byteLimit - line.count)
      for index in start..<stop { line.append(more[index]) }
      start = stop
      guard start == end, start < more.count else { continue }
      if line.last == 0x0D { line.removeLast() }
      give(take)
      start += 1
    }
  }

  /// Gives what came behind the last line's end, if anything did.
  public mutating func end(_ take: ([UInt8]) -> Void) {
    if !line.isEmpty { give(take) }
  }

  private mutating func give(_ take: ([UInt8]) -> Void) {
    take(line)
    line.removeAll(keepingCapacity: true)
  }
}
