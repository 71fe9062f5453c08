import HTTPMessage
public import JSON

/// The answer to a request: as a whole, or piece by piece; it belongs to one loop.
public final class Response {
  /// The status; 200 if nothing is said.
  public var status: UInt16 = 200
  private var fields: [(name: String, value: String)] = []
  private let carrier: any RequestCarrier
  private enum State { case before, within, behind }
  private var state = State.before

  /// An answer that goes to a carrier.
  public init(to carrier: any RequestCarrier) { self.carrier = carrier }

  /// Whether something of it was sent.
  public var hasBegun: Bool { state != .before }
  /// Whether all of it was.
  public var hasEnded: Bool { state == .behind }

  /// Sets a field, in the place of those of its name.
  public func set(_ name: String, _ value: String) {
    let lower = name.lowercased()
    fields.removeAll { $0.name.lowercased() == lower }
    fields.append((name, value))
  }

  /// Adds a field to those of its name.
  public func add(_ name: String, _ value: String) { fields.append((name, value)) }

  // MARK: As a whole

  /// Sends a text.
  ///
  /// - Throws: ``HandlerFault``.
  public func send(
    _ text: String,
    type: String = "text/plain; charset=utf-8"
  ) async throws(HandlerFault) {
    try await send(bytes: Array(text.utf8), type: type)
  }

  /// Sends a value of JSON.
  ///
  /// - Throws: ``HandlerFault``.
  public func send(json value: JSONValue) async throws(HandlerFault) {
    try await send(bytes: Array(value.compact.utf8), type: "application/json")
  }

  /// Sends bytes.
  ///
  /// - Throws: ``HandlerFault``.
  public func send(bytes: [UInt8], type: String) async throws(HandlerFault) {
    guard state == .before else { throw .misuse("an answer that has begun is sent as a whole") }
    if !type.isEmpty { setIfMissing("Content-Type", type) }
    let head = try head(length: bytes.count)
    state = .behind
    try await carrier.send(head, bytes)
  }

  /// Sends the client to another place.
  ///
  /// - Throws: ``HandlerFault``.
  public func redirect(to target: String, status: UInt16 = 303) async throws(HandlerFault) {
    self.status = status
    set("Location", target)
    try await send(bytes: [], type: "")
  }

  // MARK: Piece by piece

  /// Sends a piece of a text.
  ///
  /// - Throws: ``HandlerFault``.
  public func write(_ text: String) async throws(HandlerFault) {
    try await write(bytes: Array(text.utf8))
  }

  /// Sends a piece, and waits until the client can take more.
  ///
  /// - Throws: ``HandlerFault``.
  public func write(bytes: [UInt8]) async throws(HandlerFault) {
    guard state != .behind else { throw .misuse("more is written behind the end of the answer") }
    if state == .before {
      let head = try head(length: nil)
      state = .within
      try await carrier.begin(head)
    }
    if !bytes.isEmpty { try await carrier.send(piece: bytes, isLast: false) }
  }

  /// Ends an answer that was sent piece by piece; when the handler returns, it ends by itself.
  ///
  /// - Throws: ``HandlerFault``.
  public func end() async throws(HandlerFault) {
    guard state == .within else { return }
    state = .behind
    try await carrier.send(piece: [], isLast: true)
  }

  // MARK: The head

  private func setIfMissing(_ name: String, _ value: String) {
    let lower = name.lowercased()
    if !fields.contains(where: { $0.name.lowercased() == lower }) { fields.append((name, value)) }
  }

  /// Fields about the connection and the end of the body are Martlet's.
  private static let ownFields: Set<String> = [
    "connection", "content-length", "date", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
  ]

  private func head(length: Int?) throws(HandlerFault) -> AnswerHead {
    guard (200...599).contains(status) else { throw .misuse("the status \(status)") }
    return AnswerHead(status: status, fields: try checkedFields(), length: length)
  }

  private func checkedFields() throws(HandlerFault) -> [(name: String, value: String)] {
    for (name, value) in fields {
      guard SetCookie.isToken(name), !Self.ownFields.contains(name.lowercased()),
        value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
      else { throw .misuse("the field `\(name)`: `\(value)`") }
    }
    return fields
  }

  // MARK: WebSockets

  /// Makes the connection of a request a WebSocket.
  ///
  /// - Throws: ``Refusal`` with 426 when the client has not asked for one, or ``HandlerFault``.
  public func webSocket(
    for request: Request,
    messageByteLimit: Int = 1 << 20
  ) async throws -> WebSocketConnection {
    guard state == .before else { throw HandlerFault.misuse("an answer that has begun") }
    guard request.facts.wantsWebSocket else { throw Refusal(426, "no WebSocket was asked for") }
    let fields = try checkedFields()
    state = .behind
    try await carrier.upgrade(fields)
    return WebSocketConnection(over: carrier, messageByteLimit: messageByteLimit)
  }
}
