import MartletBytes

/// The path of a request, taken apart into the script that it names and what is left for the script.
///
/// The script is the first segment with one of the endings: `/shop/index.php/cart/7` is the script
/// `/shop/index.php` with the path `/cart/7`. So `/pictures/a.jpg/x.php` names the script
/// `/pictures/a.jpg/x.php`, and nothing else: who takes a file that is there for the script, and the rest for a
/// path, runs what somebody has uploaded as a picture.
///
/// - Source: RFC 3875, sections 3.3 and 4.1.5.
public struct ScriptPath: Hashable, Sendable {
  /// The script, without escapes; it begins with a slash.
  public var script: [UInt8]
  /// What is left for the script, without escapes: empty, or it begins with a slash.
  public var rest: [UInt8]

  /// Creates a path from its parts.
  public init(script: [UInt8], rest: [UInt8]) {
    self.script = script
    self.rest = rest
  }

  /// What a path has that keeps it from naming a script.
  public enum Problem: Error, Hashable, Sendable {
    /// An escaped slash or zero byte, or a dot segment: who decodes it sees other segments.
    case ambiguous
    /// No segment has one of the endings.
    case noScript
  }

  /// Takes `path` apart, which may have escapes; `index` is the script of a path that ends with a slash.
  ///
  /// - Throws: ``Problem``.
  /// - Complexity: O(*n*).
  public init(
    _ path: Span<UInt8>,
    endings: [[UInt8]],
    index: [UInt8]
  ) throws(Problem) {
    let decoded = try Self.decoded(path)
    var start = 1
    var offset = 1
    while offset <= decoded.count {
      if offset == decoded.count || decoded[offset] == 0x2F {
        if Self.has(decoded, start..<offset, endings) {
          script = Array(decoded[..<offset])
          rest = Array(decoded[offset...])
          return
        }
        start = offset + 1
      }
      offset += 1
    }
    guard decoded.last == 0x2F, !index.isEmpty else { throw .noScript }
    script = decoded + index
    rest = []
  }

  /// The path without its escapes.
  ///
  /// - Throws: ``Problem/ambiguous``.
  public static func decoded(_ path: Span<UInt8>) throws(Problem) -> [UInt8] {
    guard !path.isEmpty, path[0] == 0x2F else { throw .ambiguous }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(path.count)
    var offset = 0
    while let mark = ByteSearch.firstIndex(of: 0x25, in: path, from: offset) {
      bytes.append(copying: path.extracting(offset..<mark))
      guard mark + 2 < path.count, let high = hexDigit(path[mark + 1]),
        let low = hexDigit(path[mark + 2]), high << 4 | low != 0x2F
      else { throw .ambiguous }
      bytes.append(high << 4 | low)
      offset = mark + 3
    }
    bytes.append(copying: path.extracting(offset..<path.count))
    guard ByteSearch.firstIndex(of: 0, in: bytes.span, from: 0) == nil else { throw .ambiguous }
    try refuseDots(bytes)
    return bytes
  }

  /// Refuses segments that mean another place.
  private static func refuseDots(_ bytes: [UInt8]) throws(Problem) {
    let bytes = bytes.span
    var slash: Int? = 0
    while let start = slash {
      var end = start + 1
      while end < bytes.count, bytes[end] == 0x2E { end += 1 }
      if (2...3).contains(end - start), end == bytes.count || bytes[end] == 0x2F {
        throw .ambiguous
      }
      slash = ByteSearch.firstIndex(of: 0x2F, in: bytes, from: end)
    }
  }

  private static func has(
    _ bytes: [UInt8],
    _ segment: Range<Int>,
    _ endings: [[UInt8]]
  ) -> Bool {
    endings.contains { ending in
      // The ending alone is no name.
      segment.count > ending.count && bytes[segment].suffix(ending.count).elementsEqual(ending)
    }
  }

  /// Whether the name of a file has one of the endings anywhere, in any case, as a copy of a script has:
  /// `index.php~`, `index.PHP.bak`.
  public static func isLikeScript(_ path: Span<UInt8>, endings: [[UInt8]]) -> Bool {
    endings.contains { ending in
      guard path.count >= ending.count else { return false }
      for start in 0...path.count - ending.count
      where equalIgnoringCase(path.extracting(start..<start + ending.count), ending.span) {
        return true
      }
      return false
    }
  }
}
