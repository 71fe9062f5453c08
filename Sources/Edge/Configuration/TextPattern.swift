/// A text in which `*` stands for any characters, also none; every other character for itself.
public struct TextPattern: Hashable, Sendable {
  /// What stands between the stars: one piece means an exact text.
  public let pieces: [String]
  /// The longest pattern in bytes.
  public static let maxBytes = 1024

  /// Creates the pattern that `text` writes.
  public init(_ text: String) {
    pieces = text.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
  }

  /// Whether `value` is meant, letter case included.
  ///
  /// - Complexity: O(*n* · *m*) in the bytes of the value and of the pattern.
  public func matches(_ value: String) -> Bool {
    guard let first = pieces.first, let last = pieces.last, pieces.count > 1 else {
      return value == pieces.first
    }
    guard value.utf8.starts(with: first.utf8) else { return false }
    var rest = Array(value.utf8.dropFirst(first.utf8.count))[...]
    for piece in pieces.dropFirst().dropLast() {
      guard let end = Self.end(of: Array(piece.utf8), in: rest) else { return false }
      rest = rest[end...]
    }
    return rest.count >= last.utf8.count && rest.suffix(last.utf8.count).elementsEqual(last.utf8)
  }

  private static func end(of piece: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    guard !piece.isEmpty else { return bytes.startIndex }
    guard bytes.count >= piece.count else { return nil }
    for start in bytes.startIndex...(bytes.endIndex - piece.count)
    where bytes[start..<start + piece.count].elementsEqual(piece) {
      return start + piece.count
    }
    return nil
  }
}

extension TextPattern: CustomStringConvertible {
  /// The pattern as it is written in a configuration.
  public var description: String { pieces.joined(separator: "*") }
}
