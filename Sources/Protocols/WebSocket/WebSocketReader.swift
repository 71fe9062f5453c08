/// What comes from the other end, message by message.
///
/// - Source: RFC 6455, sections 5 and 7.
public struct WebSocketReader: Sendable {
  /// What has come.
  public enum Event: Hashable, Sendable {
    /// A text.
    case text(String)
    /// Bytes.
    case binary([UInt8])
    /// A question that is answered by a pong with the same bytes.
    case ping([UInt8])
    /// The answer to a ping.
    case pong([UInt8])
    /// The other end wants no more; without a code: it says none.
    case close(code: UInt16?, reason: String)
  }

  private let messageByteLimit: Int
  private let isServer: Bool
  private var buffer: [UInt8] = []
  private var offset = 0
  private var message: [UInt8] = []
  private var messageKind: WebSocketKind?
  private var hasEnded = false

  /// Reads messages of at most `messageByteLimit` bytes; a server's clients must mask their frames, and a
  /// client's server must not.
  public init(messageByteLimit: Int, isServer: Bool = true) {
    self.messageByteLimit = messageByteLimit
    self.isServer = isServer
  }

  /// Takes bytes that came.
  public mutating func receive(_ bytes: Span<UInt8>) {
    if offset > 0 {
      buffer.removeFirst(offset)
      offset = 0
    }
    buffer.reserveCapacity(buffer.count + bytes.count)
    for index in bytes.indices { buffer.append(bytes[index]) }
  }

  /// The next thing that has come whole, or nil: more bytes are needed, or the end has come.
  ///
  /// - Throws: ``WebSocketFault``; nothing behind it can be read.
  /// - Complexity: O(*n*) in the bytes of the message.
  public mutating func next() throws(WebSocketFault) -> Event? {
    while !hasEnded, let frame = try frame() {
      if frame.kind.isControl { return try control(frame) }
      guard (frame.kind == .continuation) == (messageKind != nil) else {
        throw .malformed("a frame continues nothing, or a message begins in another")
      }
      guard message.count + frame.content.count <= messageByteLimit else { throw .tooLong }
      if frame.kind != .continuation { messageKind = frame.kind }
      message += frame.content
      guard frame.isLast else { continue }
      let isText = messageKind == .text
      messageKind = nil
      defer { message = [] }
      guard isText else { return .binary(message) }
      guard let text = String(validating: message, as: UTF8.self) else { throw .notText }
      return .text(text)
    }
    return nil
  }

  private struct Frame {
    let kind: WebSocketKind
    let isLast: Bool
    var content: [UInt8]
  }

  private mutating func frame() throws(WebSocketFault) -> Frame? {
    guard buffer.count - offset >= 2 else { return nil }
    let (first, second) = (buffer[offset], buffer[offset + 1])
    guard first & 0x70 == 0, let kind = WebSocketKind(rawValue: first & 0x0F) else {
      throw .malformed("a frame of a kind that was not agreed on")
    }
    guard (second & 0x80 != 0) == isServer else {
      throw .malformed("a frame is masked by the wrong end")
    }
    let isLast = first & 0x80 != 0
    var length = Int(second & 0x7F)
    if kind.isControl, !isLast || length > 125 {
      throw .malformed("a control frame in parts, or of more than 125 bytes")
    }
    var start = offset + 2
    if length >= 126 {
      let count = length == 126 ? 2 : 8
      guard buffer.count >= start + count else { return nil }
      var wide: UInt64 = 0
      for index in start..<start + count { wide = wide << 8 | UInt64(buffer[index]) }
      guard wide >= (count == 2 ? 126 : 0x1_0000) else {
        throw .malformed("a length is written longer than it is")
      }
      guard wide <= UInt64(messageByteLimit) else { throw .tooLong }
      length = Int(wide)
      start += count
    }
    guard length <= messageByteLimit || kind.isControl else { throw .tooLong }
    let maskStart = start
    if isServer { start += 4 }
    guard buffer.count >= start + length else { return nil }
    var content = Array(buffer[start..<start + length])
    if isServer {
      for index in content.indices { content[index] ^= buffer[maskStart + index & 3] }
    }
    offset = start + length
    return Frame(kind: kind, isLast: isLast, content: content)
  }

  private mutating func control(_ frame: Frame) throws(WebSocketFault) -> Event {
    switch frame.kind {
    case .ping: return .ping(frame.content)
    case .pong: return .pong(frame.content)
    default: break
    }
    hasEnded = true
    guard !frame.content.isEmpty else { return .close(code: nil, reason: "") }
    guard frame.content.count >= 2 else { throw .malformed("a code of one byte") }
    let code = UInt16(frame.content[0]) << 8 | UInt16(frame.content[1])
    guard Self.mayBeSent(code) else { throw .malformed("the code \(code) is never sent") }
    guard let reason = String(validating: frame.content[2...], as: UTF8.self) else {
      throw .notText
    }
    return .close(code: code, reason: reason)
  }

  /// Section 7.4: which codes stand in frames.
  private static func mayBeSent(_ code: UInt16) -> Bool {
    switch code {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }
}
