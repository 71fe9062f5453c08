/// One text of a configuration, with the name that people know it by.
public struct SourceText: Sendable {
  /// The name: the path of a file, or `embedded`.
  public let name: String
  /// The text as it was read; it need not be valid UTF-8.
  public let bytes: [UInt8]

  private let lineStarts: [Int]

  /// Creates a text of these bytes.
  ///
  /// - Complexity: O(*n*) in the bytes.
  public init(name: String, bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
    var starts = [0]
    for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") {
      starts.append(index + 1)
    }
    lineStarts = starts
  }

  /// Creates a text of a string.
  public init(name: String, _ text: String) {
    self.init(name: name, bytes: Array(text.utf8))
  }

  /// The text between two offsets, as far as they lie in it.
  public func text(from start: Int, to end: Int) -> String {
    let end = min(end, bytes.count)
    return String(decoding: bytes[min(start, end)..<end], as: UTF8.self)
  }

  /// Where an offset is, for people.
  ///
  /// - Parameters:
  ///   - start: The first byte meant; the end of the text at most.
  ///   - end: The byte behind the last one meant.
  /// - Returns: The place, with the line it is on.
  /// - Complexity: O(log *n*) in the lines, and O(*m*) in the length of the line.
  public func place(from start: Int, to end: Int) -> Place {
    let start = min(start, bytes.count)
    var low = 0
    var high = lineStarts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if lineStarts[middle] <= start { low = middle } else { high = middle }
    }
    let lineStart = lineStarts[low]
    var lineEnd = low + 1 < lineStarts.count ? lineStarts[low + 1] - 1 : bytes.count
    if lineEnd > lineStart, bytes[lineEnd - 1] == UInt8(ascii: "\r") { lineEnd -= 1 }
    return Place(
      file: name,
      line: low + 1,
      column: text(from: lineStart, to: min(start, lineEnd)).count + 1,
      length: max(1, text(from: start, to: min(max(start, end), lineEnd)).count),
      text: text(from: lineStart, to: lineEnd)
    )
  }
}

/// A part of one of the texts that a ``Reading`` has.
public struct SourceRange: Hashable, Sendable {
  /// The text, by its place among the texts.
  public var source: Int
  /// The first byte.
  public var start: Int
  /// The byte behind the last one.
  public var end: Int

  /// Creates a range.
  public init(source: Int, start: Int, end: Int) {
    self.source = source
    self.start = start
    self.end = end
  }

  /// From the start of this range to the end of `other`.
  func through(_ other: SourceRange) -> SourceRange {
    SourceRange(source: source, start: start, end: max(end, other.end))
  }
}

/// A place in a text as people and editors name it.
public struct Place: Hashable, Sendable {
  /// The name of the text.
  public var file: String
  /// The line, from 1.
  public var line: Int
  /// The column in characters, from 1.
  public var column: Int
  /// How many characters are meant, at least 1.
  public var length: Int
  /// The whole line, without its end.
  public var text: String

  /// Creates a place.
  public init(file: String, line: Int, column: Int, length: Int, text: String) {
    self.file = file
    self.line = line
    self.column = column
    self.length = length
    self.text = text
  }
}

extension Place: CustomStringConvertible {
  /// The place as `file:line:column`.
  public var description: String { "\(file):\(line):\(column)" }
}
