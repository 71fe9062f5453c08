public import Configuration
import MartletBytes

/// A pattern of text that is asked with bytes.
///
/// It means what ``TextPattern/matches(_:)`` says. A hostile value cannot make it slow: each piece
/// between two stars is searched without ever going back.
public struct TextMatcher: Sendable {
  private struct Piece: Sendable {
    let bytes: [UInt8]
    // For each length: the longest beginning of the piece that also ends its first `length` bytes.
    let borders: [Int]

    init(_ text: String) {
      bytes = Array(text.utf8)
      var borders = Array(repeating: 0, count: bytes.count + 1)
      var border = 0
      for index in bytes.indices.dropFirst() {
        while border > 0, bytes[border] != bytes[index] { border = borders[border] }
        if bytes[border] == bytes[index] { border += 1 }
        borders[index + 1] = border
      }
      self.borders = borders
    }
  }

  private let first: [UInt8]
  private let last: [UInt8]
  private let middle: [Piece]
  private let isExact: Bool

  /// Compiles the pattern.
  public init(_ pattern: TextPattern) {
    first = Array((pattern.pieces.first ?? "").utf8)
    last = Array((pattern.pieces.last ?? "").utf8)
    middle = pattern.pieces.dropFirst().dropLast().filter { !$0.isEmpty }.map(Piece.init)
    isExact = pattern.pieces.count < 2
  }

  /// Whether `value` is meant, letter case included.
  ///
  /// - Complexity: O(*n*) in the bytes of the value and of the pattern, with no allocation.
  public func matches(_ value: Span<UInt8>) -> Bool {
    guard value.count >= first.count, Self.has(first, value, at: 0) else { return false }
    if isExact { return value.count == first.count }
    let end = value.count &- last.count
    guard end >= first.count, Self.has(last, value, at: end) else { return false }
    var offset = first.count
    for piece in middle {
      guard let next = Self.end(of: piece, in: value, from: offset, to: end) else { return false }
      offset = next
    }
    return true
  }

  private static func has(_ piece: [UInt8], _ value: Span<UInt8>, at offset: Int) -> Bool {
    for index in piece.indices where value[offset &+ index] != piece[index] { return false }
    return true
  }

  /// The offset behind the first place of the piece between `start` and `end`.
  private static func end(
    of piece: Piece,
    in value: Span<UInt8>,
    from start: Int,
    to end: Int
  ) -> Int? {
    var length = 0
    var offset = start
    while offset < end {
      if length == 0 {
        // Most bytes do not begin the piece: skip them sixteen at a time.
        guard
          let next = ByteSearch.firstIndex(of: piece.bytes[0], in: value, from: offset, to: end)
        else { return nil }
        offset = next
      }
      let byte = value[offset]
      while length > 0, piece.bytes[length] != byte { length = piece.borders[length] }
      if piece.bytes[length] == byte { length &+= 1 }
      offset &+= 1
      if length == piece.bytes.count { return offset }
    }
    return nil
  }
}
