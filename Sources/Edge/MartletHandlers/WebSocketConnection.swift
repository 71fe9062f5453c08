import WebSocket

/// A WebSocket, as a handler sees it; it belongs to one loop.
///
/// A silent client is asked whether it is there, by `websocket_ping` of the route, and pings are answered, both
/// while somebody waits in ``receive()``.
public final class WebSocketConnection {
  /// What a client says.
  public enum Message: Hashable, Sendable {
    /// A text.
    case text(String)
    /// Bytes.
    case binary([UInt8])
  }

  private let carrier: any RequestCarrier
  private var reader: WebSocketReader
  private var isOver = false
  private var isAsked = false
  /// With which code the client has closed; nil: it has not, or says none.
  public private(set) var closeCode: UInt16?

  init(over carrier: any RequestCarrier, messageByteLimit: Int) {
    self.carrier = carrier
    reader = WebSocketReader(messageByteLimit: messageByteLimit)
  }

  /// The next message, or nil: the client has closed, or has gone without saying so.
  ///
  /// - Throws: ``HandlerFault/client(_:)`` when the client breaks the rules; it was told so.
  public func receive() async throws(HandlerFault) -> Message? {
    while !isOver {
      let event: WebSocketReader.Event?
      do throws(WebSocketFault) {
        event = try reader.next()
      } catch {
        isOver = true
        try await carrier.write(WebSocketFrame.close(error.code))
        throw .client("a WebSocket breaks the rules: \(error)")
      }
      switch event {
      case .text(let text): return .text(text)
      case .binary(let bytes): return .binary(bytes)
      case .ping(let bytes): try await carrier.write(WebSocketFrame.bytes(.pong, bytes.span))
      case .pong: break
      case .close(let code, _):
        isOver = true
        closeCode = code
        try await carrier.write(WebSocketFrame.close(code ?? 1000))
      case nil: try await readMore()
      }
    }
    return nil
  }

  private func readMore() async throws(HandlerFault) {
    guard let bytes = try await carrier.read() else {
      // Who was asked and has said nothing is gone.
      if isAsked { isOver = true }
      isAsked = true
      if !isOver {
        let nothing: [UInt8] = []
        try await carrier.write(WebSocketFrame.bytes(.ping, nothing.span))
      }
      return
    }
    isAsked = false
    if bytes.isEmpty { isOver = true }
    reader.receive(bytes.span)
  }

  /// Sends a text.
  ///
  /// - Throws: ``HandlerFault``.
  public func send(_ text: String) async throws(HandlerFault) {
    let bytes = Array(text.utf8)
    try await carrier.write(WebSocketFrame.bytes(.text, bytes.span))
  }

  /// Sends bytes.
  ///
  /// - Throws: ``HandlerFault``.
  public func send(bytes: [UInt8]) async throws(HandlerFault) {
    try await carrier.write(WebSocketFrame.bytes(.binary, bytes.span))
  }

  /// Closes it.
  ///
  /// - Throws: ``HandlerFault``.
  public func close(_ code: UInt16 = 1000, _ reason: String = "") async throws(HandlerFault) {
    guard !isOver else { return }
    isOver = true
    try await carrier.write(WebSocketFrame.close(code, reason))
  }
}
