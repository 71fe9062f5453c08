/// Messages of WebSocket from bytes and to bytes, for whoever is one end of it; no I/O.
///
/// The one difficulty is that a message may come in frames, with pings between them: what is kept of it is
/// bounded, and a text is looked at as a whole.
///
/// ```swift
/// var reader = WebSocketReader(messageByteLimit: 1 << 20)
/// reader.receive(bytes)
/// while let event = try reader.next() { … }
/// ```
///
/// - Source: RFC 6455.
public enum WebSocketFault: Error, Hashable, Sendable {
  /// The other end breaks the protocol.
  case malformed(String)
  /// A text is not UTF-8 (section 8.1).
  case notText
  /// A message is longer than is taken.
  case tooLong

  /// The code with which the WebSocket is closed (section 7.4.1).
  public var code: UInt16 {
    switch self {
    case .malformed: 1002
    case .notText: 1007
    case .tooLong: 1009
    }
  }
}

/// What a frame is (section 5.2).
public enum WebSocketKind: UInt8, Hashable, Sendable {
  /// More of a message.
  case continuation = 0
  /// A text.
  case text = 1
  /// Bytes.
  case binary = 2
  /// The end, with a code and a reason.
  case close = 8
  /// A question whether somebody is there.
  case ping = 9
  /// The answer to it.
  case pong = 10

  var isControl: Bool { rawValue >= 8 }
}

/// Frames as they are sent (section 5.2).
public enum WebSocketFrame {
  /// A message in one frame; `mask` is of clients, whose frames must have one.
  public static func bytes(
    _ kind: WebSocketKind,
    _ content: Span<UInt8>,
    mask: UInt32? = nil
  ) -> [UInt8] {
    var bytes: [UInt8] = [0x80 | kind.rawValue]
    bytes.reserveCapacity(content.count + 14)
    let masked: UInt8 = mask == nil ? 0 : 0x80
    let count = content.count
    if count < 126 {
      bytes.append(masked | UInt8(count))
    } else {
      let isShort = count <= 0xFFFF
      bytes.append(masked | (isShort ? 126 : 127))
      for shift in stride(from: isShort ? 8 : 56, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: count >> shift))
      }
    }
    guard let mask else {
      for index in content.indices { bytes.append(content[index]) }
      return bytes
    }
    for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: mask >> shift)) }
    for index in content.indices {
      bytes.append(content[index] ^ UInt8(truncatingIfNeeded: mask >> ((3 - index & 3) * 8)))
    }
    return bytes
  }

  /// A frame that ends the WebSocket; of the reason go as many bytes as may (section 5.5.1).
  public static func close(_ code: UInt16, _ reason: String = "", mask: UInt32? = nil) -> [UInt8] {
    var content = [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)]
    for character in reason where content.count + character.utf8.count <= 125 {
      content += character.utf8
    }
    return bytes(.close, content.span, mask: mask)
  }
}
