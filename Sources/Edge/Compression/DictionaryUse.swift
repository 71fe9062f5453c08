public import HTTPMessage
import MartletBytes

/// What an answer says by `Use-As-Dictionary`: for which requests its body may be used as a dictionary.
///
/// - Source: RFC 9842, section 2.1.
public struct DictionaryUse: Hashable, Sendable {
  /// The URLs, as a URL pattern.
  public var match: String
  /// The destinations of requests that it is for, as browsers have them; none: all.
  public var destinations: [String]
  /// What the client is to say of it besides its digest; empty: nothing.
  public var id: String

  /// Creates one.
  public init(match: String, destinations: [String] = [], id: String = "") {
    self.match = match
    self.destinations = destinations
    self.id = id
  }

  /// How many characters an `id` may have.
  public static let idLimit = 1024

  /// The value of the field.
  public var text: String {
    var text = "match=\(Self.quoted(match))"
    if !destinations.isEmpty {
      text += ", match-dest=(\(destinations.map(Self.quoted).joined(separator: " ")))"
    }
    if !id.isEmpty { text += ", id=\(Self.quoted(id))" }
    return text
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for character in text.unicodeScalars {
      if character == "\"" || character == "\\" { quoted.unicodeScalars.append("\\") }
      quoted.unicodeScalars.append(character)
    }
    return quoted + "\""
  }

  /// Whether an answer can be used as a dictionary: the field is in form, its pattern is one that clients take, and
  /// the bytes are just bytes.
  public static func isOffered(by response: ResponseHead, in bytes: Span<UInt8>) -> Bool {
    var found: FieldLine?
    for line in response.fields
    where equalIgnoringCase(bytes.extracting(line.nameRange.range), fieldName.span) {
      guard found == nil else { return false }
      found = line
    }
    guard let found else { return false }
    var walk = DictionaryWalk(found.valueRange.range)
    var hasMatch = false
    while let (name, value) = walk.next(in: bytes) {
      switch (String(decoding: bytes.extracting(name)), value) {
      case ("match", .string(let range)):
        hasMatch = problem(ofMatch: unquoted(bytes.extracting(range))) == nil
        if !hasMatch { return false }
      case ("id", .string(let range)):
        if unquoted(bytes.extracting(range)).utf8.count > idLimit { return false }
      case ("type", .token(let range)):
        if String(decoding: bytes.extracting(range)) != "raw" { return false }
      case ("match-dest", .other): break
      case ("match", _), ("id", _), ("type", _), ("match-dest", _): return false
      default: break
      }
    }
    return hasMatch && !walk.isBroken
  }

  private static func unquoted(_ bytes: Span<UInt8>) -> String {
    var text: [UInt8] = []
    var isEscaped = false
    for index in bytes.indices {
      isEscaped = !isEscaped && bytes[index] == 0x5C
      if !isEscaped { text.append(bytes[index]) }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// What is wrong with a pattern of URLs; nil: nothing.
  ///
  /// Regular expressions may not stand in it, and it must be of the dictionary's own origin: it is a path here.
  public static func problem(ofMatch pattern: String) -> String? {
    guard pattern.hasPrefix("/"), !pattern.hasPrefix("//") else {
      return "it does not begin with the `/` of a path"
    }
    var isInGroup = false
    var bytes = pattern.utf8[...]
    while let byte = bytes.popFirst() {
      switch byte {
      case 0x5C:
        if bytes.popFirst() == nil { return "there is nothing behind its last `\\`" }
      case 0x28, 0x29: return "regular expressions may not stand in it"
      case 0x7B:
        if isInGroup { return "a group stands within another one" }
        isInGroup = true
      case 0x7D:
        if !isInGroup { return "a `}` ends no group" }
        isInGroup = false
      case 0x3A:
        guard let first = bytes.first, isNameStart(first) else {
          return "there is no name behind a `:`"
        }
      case 0x23: return "fragments are no part of requests"
      case 0x21...0x7E: break
      default: return "it has characters that stand in no URL; write them as `%C3%BC`"
      }
    }
    return isInGroup ? "a group has no end" : nil
  }

  private static func isNameStart(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x41...0x5A, 0x61...0x7A, 0x24, 0x5F: true
    default: false
    }
  }

  private static let fieldName = Array("use-as-dictionary".utf8)
}
