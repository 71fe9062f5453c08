/// How a call comes from a browser, which sees no trailers: they stand in a last message.
///
/// - Source: PROTOCOL-WEB of the gRPC project.
public enum WebForm: Sendable {
  /// Messages as they are: `application/grpc-web`.
  case binary
  /// Messages in base64: `application/grpc-web-text`.
  case text

  /// The form that a value of Content-Type names; nil: it is none of these.
  public init?(contentType text: Span<UInt8>) {
    guard let end = Self.end(of: Self.name, in: text) else { return nil }
    let rest = text.extracting(end..<text.count)
    if let end = Self.end(of: Self.suffix, in: rest) {
      guard Self.isEnd(rest, end) else { return nil }
      self = .text
    } else {
      guard Self.isEnd(rest, 0) else { return nil }
      self = .binary
    }
  }

  private static let name = Array("application/grpc-web".utf8)
  private static let suffix = Array("-text".utf8)
  private static let callType = Array("application/grpc".utf8)

  /// Where `text` goes on behind `start`, if it begins with it in any case.
  private static func end(of start: [UInt8], in text: Span<UInt8>) -> Int? {
    guard text.count >= start.count else { return nil }
    for index in start.indices where text[index] | 0x20 != start[index] | 0x20 { return nil }
    return start.count
  }

  private static func isEnd(_ text: Span<UInt8>, _ offset: Int) -> Bool {
    guard offset < text.count else { return true }
    switch text[offset] {
    case 0x2B, 0x3B, 0x20, 0x09: return true
    default: return false
    }
  }

  /// The bytes of the name that stand behind `application/grpc`.
  private var mark: [UInt8] { self == .text ? Array("-web-text".utf8) : Array("-web".utf8) }

  /// The type of a call as servers know it, from that of a browser.
  public func callType(of contentType: [UInt8]) -> [UInt8] {
    Self.callType + contentType.dropFirst(Self.callType.count + mark.count)
  }

  /// The type that a browser is told, from that of a server's answer; what is no answer to a call stays.
  public func webType(of contentType: [UInt8]) -> [UInt8] {
    guard CallStatus.isCall(contentType: contentType.span) else { return contentType }
    return Self.callType + mark + contentType.dropFirst(Self.callType.count)
  }

  /// The last message: the trailers, each as a line.
  public static func message(of trailers: [UInt8]) -> [UInt8] {
    let count = trailers.count
    return [0x80] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - $0 * 8)) } + trailers
  }

  /// A part of an answer in this form; in base64 it is padded, as any part may be.
  public func encoded(_ bytes: [UInt8]) -> [UInt8] {
    guard self == .text else { return bytes }
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      let word =
        UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
        | (left > 2 ? UInt32(bytes[index + 2]) : 0)
      text.append(Self.letters[Int(word >> 18)])
      text.append(Self.letters[Int(word >> 12 & 63)])
      text.append(left > 1 ? Self.letters[Int(word >> 6 & 63)] : 0x3D)
      text.append(left > 2 ? Self.letters[Int(word & 63)] : 0x3D)
      index += 3
    }
    return text
  }

  private static let letters = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
  )
}

/// Takes base64 apart as it comes: parts that are padded may follow each other.
public struct WebTextDecoder: Sendable {
  private var word: UInt32 = 0
  private var count = 0
  private var padding = 0

  /// Creates a decoder that stands before the first character.
  public init() {}

  /// Whether all characters were used.
  public var isWhole: Bool { count == 0 }

  /// Appends what `text` means to `bytes`; up to three characters are kept for the next call.
  ///
  /// - Returns: Whether it means something.
  public mutating func decode(_ text: Span<UInt8>, into bytes: inout [UInt8]) -> Bool {
    for index in text.indices {
      if text[index] == 0x3D {
        guard count >= 2 else { return false }
        padding += 1
        word <<= 6
      } else {
        guard padding == 0, let value = Self.value(text[index]) else { return false }
        word = word << 6 | value
      }
      count += 1
      guard count == 4 else { continue }
      bytes.append(UInt8(truncatingIfNeeded: word >> 16))
      if padding < 2 { bytes.append(UInt8(truncatingIfNeeded: word >> 8)) }
      if padding < 1 { bytes.append(UInt8(truncatingIfNeeded: word)) }
      (word, count, padding) = (0, 0, 0)
    }
    return true
  }

  private static func value(_ letter: UInt8) -> UInt32? {
    switch letter {
    case 0x41...0x5A: UInt32(letter - 0x41)
    case 0x61...0x7A: UInt32(letter - 0x61) + 26
    case 0x30...0x39: UInt32(letter - 0x30) + 52
    case 0x2B: 62
    case 0x2F: 63
    default: nil
    }
  }
}
