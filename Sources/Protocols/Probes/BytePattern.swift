/// A text that is to stand somewhere among bytes; `*` in it stands for any bytes, also none.
public struct BytePattern: Hashable, Sendable {
  /// What stands between the stars, in order; none of them is empty.
  public let pieces: [[UInt8]]

  /// Creates the pattern that `text` writes.
  public init(_ text: String) {
    pieces = text.utf8.split(separator: UInt8(ascii: "*")).map(Array.init)
  }
}

/// Looks for a pattern in bytes that come in pieces, keeping only what may be its beginning.
struct PatternSearch: Sendable {
  private let pieces: [[UInt8]]
  private var next = 0
  private var held: [UInt8] = []

  init(_ pattern: BytePattern) { pieces = pattern.pieces }

  /// Whether all pieces were found in order.
  var isFound: Bool { next == pieces.count }

  /// Reads on.
  ///
  /// - Complexity: O(*n* · *m*) in the new bytes and the longest piece.
  mutating func take(_ bytes: Span<UInt8>) {
    guard !isFound else { return }
    for index in bytes.indices { held.append(bytes[index]) }
    var start = 0
    while next < pieces.count {
      guard let end = Self.end(of: pieces[next], in: held, from: start) else {
        // The piece may have begun in the last bytes.
        let kept = min(held.count - start, pieces[next].count - 1)
        held.removeFirst(held.count - kept)
        return
      }
      start = end
      next += 1
    }
    held = []
  }

  private static func end(of piece: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
    guard let first = piece.first, bytes.count - start >= piece.count else { return nil }
    for index in start...(bytes.count - piece.count)
    where bytes[index] == first && bytes[index..<index + piece.count].elementsEqual(piece) {
      return index + piece.count
    }
    return nil
  }
}
