import HTTPMessage
import MartletBytes

/// The proof of WebSocket that a server has read the request, which HTTP/2 does without.
///
/// - Source: RFC 6455, section 4.2.2; RFC 8441, section 5.
enum WebSocketAccept {
  /// The key in the head of a request; empty: there is none.
  static func key(in head: Span<UInt8>) -> [UInt8] {
    var line = 0
    while let end = ByteSearch.firstIndex(of: 0x0A, in: head, from: line) {
      defer { line = end + 1 }
      guard let colon = ByteSearch.firstIndex(of: 0x3A, in: head, from: line, to: end),
        FieldName(head.extracting(line..<colon)) == .secWebSocketKey
      else { continue }
      let value = HTTPGrammar.trimmed(colon + 1..<max(colon + 1, end - 1), in: head)
      return Array(copying: head.extracting(value))
    }
    return []
  }

  /// The line that answers a key.
  static func line(for key: [UInt8]) -> [UInt8] {
    let digest = SHA1.digest(of: key + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
    return Array("Sec-WebSocket-Accept: ".utf8) + Base64.encoded(digest.span) + [0x0D, 0x0A]
  }
}
