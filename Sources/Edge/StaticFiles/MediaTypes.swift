import MartletBytes

/// Which media type a file has, by the ending of its name.
///
/// - Source: RFC 9110, section 8.3; RFC 9239 for JavaScript.
public struct MediaTypes: Hashable, Sendable {
  /// What is said of files whose ending is not known; nil: nothing.
  private let fallback: String?
  /// What is said of the characters of texts; nil: nothing.
  private let charset: String?
  /// The types by ending, in lower case; an empty one means that nothing is said.
  private var types: [String: String]

  private static let knownTypes: [String: String] = {
    var types: [String: String] = [:]
    for (type, endings) in known {
      for ending in endings.split(separator: " ") { types[String(ending)] = type }
    }
    return types
  }()

  /// Creates a table.
  ///
  /// - Parameters:
  ///   - added: Endings without their dot and their types, which come before those that are known.
  ///   - fallback: The type of everything else; nil: it is not said.
  ///   - charset: What texts are written in; nil: it is not said.
  public init(
    adding added: [(ending: String, type: String)] = [],
    fallback: String? = "application/octet-stream",
    charset: String? = "utf-8"
  ) {
    self.fallback = fallback
    self.charset = charset
    types = Self.knownTypes
    for (ending, type) in added { types[ending.lowercased()] = type }
  }

  /// The value of `Content-Type` for a file with this name; nil: none is sent.
  ///
  /// The longest ending that is known counts: of `a.tar.gz` first `tar.gz`, then `gz`.
  public func type(ofName name: some BidirectionalCollection<UInt8>) -> String? {
    let text = String(decoding: name, as: UTF8.self).lowercased()
    var rest = text[...]
    while let dot = rest.firstIndex(of: ".") {
      rest = rest[rest.index(after: dot)...]
      if let type = types[String(rest)] { return type.isEmpty ? nil : withCharset(type) }
    }
    return fallback.map(withCharset)
  }

  /// A type that has a charset already keeps it; only texts get one.
  ///
  /// XML says by itself what it is written in, and JSON is UTF-8 always (RFC 8259, section 8.1).
  private func withCharset(_ type: String) -> String {
    guard let charset, type.hasPrefix("text/"), !type.contains(";") else { return type }
    return "\(type); charset=\(charset)"
  }
}
