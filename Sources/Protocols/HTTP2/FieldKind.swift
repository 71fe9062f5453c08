import HTTPMessage
import MartletBytes

/// What a field's name makes of it.
enum FieldKind: UInt8, Sendable {
  /// A field like any other.
  case regular
  case method
  case scheme
  case authority
  case path
  /// `:protocol`, RFC 8441.
  case protocolName
  case status
  /// A name with a colon in front that nobody knows.
  case unknownPseudo
  case cookie
  case contentLength
  case host
  case te
  case priority
  /// A field of one connection, which HTTP/2 has not. RFC 9113, section 8.2.2.
  case connectionSpecific
  /// A name that is no name, or has an upper-case letter. RFC 9113, section 8.2.1.
  case malformedName
  /// A value with a control byte, or with whitespace at its ends. RFC 9113, section 8.2.1.
  case malformedValue

  /// The kind of a field by its name, which lies in `name` of `bytes`.
  init(_ bytes: Span<UInt8>, name: Range<Int>) {
    let text = bytes.extracting(name)
    guard let first = text.isEmpty ? nil : text[0] else {
      self = .malformedName
      return
    }
    if first == 0x3A {
      self = Self.pseudo(text)
      return
    }
    let token = HTTPGrammar.token
    for index in text.indices {
      let byte = text[index]
      guard token.contains(byte), byte &- 0x41 >= 26 else {
        self = .malformedName
        return
      }
    }
    switch FieldName(text) {
    case .host: self = .host
    case .te: self = .te
    case .cookie: self = .cookie
    case .contentLength: self = .contentLength
    case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade:
      self = .connectionSpecific
    default: self = text.isText("priority") ? .priority : .regular
    }
  }

  private static func pseudo(_ text: Span<UInt8>) -> FieldKind {
    if text.isText(":method") { return .method }
    if text.isText(":path") { return .path }
    if text.isText(":scheme") { return .scheme }
    if text.isText(":authority") { return .authority }
    if text.isText(":status") { return .status }
    return text.isText(":protocol") ? .protocolName : .unknownPseudo
  }

  var isPseudo: Bool {
    switch self {
    case .method, .scheme, .authority, .path, .protocolName, .status, .unknownPseudo: true
    default: false
    }
  }

  /// Whether a value may stand in a line: no control byte but tabs, no whitespace at its ends.
  static func isValue(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard !range.isEmpty else { return true }
    return !HTTPGrammar.isWhitespace(bytes[range.lowerBound])
      && !HTTPGrammar.isWhitespace(bytes[range.upperBound - 1])
      && ByteSearch.firstControl(in: bytes, from: range.lowerBound, to: range.upperBound) == nil
  }
}

extension Span<UInt8> {
  /// Whether the bytes are those of a constant, which has sixteen at most.
  func isText(_ text: StaticString) -> Bool {
    let length = text.utf8CodeUnitCount
    precondition(length <= 16, "a longer constant cannot be compared at once")
    guard count == length else { return false }
    return SixteenBytes(self, at: 0).first(length) == SixteenBytes(text).first(length)
  }
}
