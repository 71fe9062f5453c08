import MartletBytes

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
  private var lines: Frames

  /// Creates a reader that stands before a message of at most so many bytes.
  public init(byteLimit: Int = 1 << 20) {
    self.byteLimit = byteLimit
    // One byte more may be the carriage return.
    lines = Frames(.lines, limit: byteLimit + 1)
  }

  /// Whether a part of a message has come, or one that was not taken out.
  public var isWithinMessage: Bool { lines.isWithinFrame || lines.hasFrame }

  /// Takes in bytes that came.
  public mutating func receive(_ more: Span<UInt8>) { lines.receive(more) }

  /// The next message, without its line end; nil when its end has not come yet.
  ///
  /// - Throws: ``Failure/tooLong``, as soon as it can be known.
  public mutating func next() throws(Failure) -> [UInt8]? {
    do throws(FramingError) {
      while var line = try lines.next() {
        if line.last == 0x0D { line.removeLast() }
        guard line.count <= byteLimit else { throw FramingError.tooLong(limit: byteLimit) }
        if !line.isEmpty { return line }
      }
      return nil
    } catch {
      throw .tooLong
    }
  }
}
