import MartletBytes

/// Which media types are meant: one of them, or all with a certain beginning or ending.
///
/// - Source: RFC 9110, section 8.3.1; RFC 6839 for endings such as `+json`.
public struct MediaPattern: Hashable, Sendable {
  private let prefix: [UInt8]
  private let suffix: [UInt8]
  private let isExact: Bool

  /// Reads `text/html`, `text/*`, `*+json` or `*/*`.
  ///
  /// nil for what is none of these.
  public init?(_ text: String) {
    let bytes = Array(text.lowercased().utf8)
    guard !bytes.isEmpty, bytes.count <= 128,
      bytes.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x3B && $0 != 0x2C })
    else { return nil }
    let stars = bytes.indices.filter { bytes[$0] == 0x2A }
    switch stars.count {
    case 0:
      let slashes = bytes.filter { $0 == 0x2F }.count
      guard slashes == 1, bytes.first != 0x2F, bytes.last != 0x2F else { return nil }
      (prefix, suffix, isExact) = (bytes, [], true)
    case 1:
      let star = stars[0]
      let (before, after) = (Array(bytes[..<star]), Array(bytes[(star + 1)...]))
      guard before.isEmpty && after.first == 0x2B || after.isEmpty && before.last == 0x2F else {
        return nil
      }
      (prefix, suffix, isExact) = (before, after, false)
    case 2 where bytes == Array("*/*".utf8): (prefix, suffix, isExact) = ([], [], false)
    default: return nil
    }
  }

  /// Whether the value of a Content-Type is meant, whatever its parameters are.
  public func matches(_ contentType: Span<UInt8>) -> Bool {
    var end = 0
    while end < contentType.count, contentType[end] != 0x3B { end += 1 }
    while end > 0, contentType[end - 1] == 0x20 || contentType[end - 1] == 0x09 { end -= 1 }
    guard end >= prefix.count + suffix.count else { return false }
    if isExact { return end == prefix.count && equal(contentType, 0, prefix) }
    return equal(contentType, 0, prefix) && equal(contentType, end - suffix.count, suffix)
  }

  private func equal(_ bytes: Span<UInt8>, _ start: Int, _ pattern: [UInt8]) -> Bool {
    for index in pattern.indices where lowercased(bytes[start + index]) != pattern[index] {
      return false
    }
    return true
  }

  /// The types that become smaller: texts, programs, and fonts and images that are not compressed.
  ///
  /// The most frequent ones first.
  public static let usual: [MediaPattern] = usualNames.compactMap { MediaPattern($0) }

  /// What ``usual`` is made of.
  public static let usualNames = [
    "text/*", "application/json", "application/javascript", "*+json", "*+xml",
    "application/xml", "application/wasm", "application/x-javascript", "application/ecmascript",
    "application/x-ndjson", "application/jsonl", "application/json-seq", "application/yaml",
    "application/x-yaml", "application/toml", "application/sql", "application/rtf",
    "application/graphql", "application/x-www-form-urlencoded", "application/postscript",
    "application/vnd.apple.mpegurl", "application/x-mpegurl", "application/vnd.ms-fontobject",
    "font/ttf", "font/otf", "font/collection", "application/x-font-ttf",
    "application/x-font-opentype", "application/font-sfnt", "image/bmp", "image/x-icon",
    "image/vnd.microsoft.icon",
  ]
}
