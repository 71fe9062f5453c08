/// Takes messages out of a stream: each is one line.
///
/// JSON has no line end inside of a text, so a message written on one line needs no length before it:
/// it can be typed, and read by any program that reads lines. Empty lines are passed over; a carriage
/// return before the line end belongs to the line end.
public struct MessageLines: Sendable {
  /// Why no further message can be found.
  public enum Failure: Error, Hashable, Sendable {
    /// A line is longer than the limit, so where it ends is not awaited.
    case tooLong
  }

  private let byteLimit: Int
  private var bytes: [UInt8] = []
  /// Where the next message begins, and up to where no line end was found.
  private var start = 0
  private var searched = 0

  /// Creates a reader that stands before a message of at most so many bytes.
  public init(byteLimit: Int = 1 << 20) { self.byteLimit = byteLimit }

  /// Whether a part of a message has come.
  public var isWithinMessage: Bool { start < bytes.count }

  /// Takes in bytes that came.
  public mutating func receive(_ more: some Sequence<UInt8>) {
    if start > 0 {
      bytes.removeFirst(start)
      searched -= start
      start = 0
    }
    bytes += more
  }

  /// The next message, without its line end; nil when its end has not come yet.
  ///
  /// - Throws: ``Failure/tooLong``, as soon as it can be known.
  public mutating func next() throws(Failure) -> ArraySlice<UInt8>? {
    while let end = bytes[searched...].firstIndex(of: 0x0A) {
      var line = bytes[start..<end]
      start = end + 1
      searched = start
      if line.last == 0x0D { line.removeLast() }
      guard line.count <= byteLimit else { throw .tooLong }
      if !line.isEmpty { return line }
    }
    searched = bytes.count
    // One byte more may be the carriage return.
    guard searched - start <= byteLimit + 1 else { throw .tooLong }
    return nil
  }
}
