import HTTPMessage
import MartletBytes
import MartletHandlers
import MartletLoop
import MartletNet
import MartletTelemetry

/// What brings a request to a handler, and its answer to the client.
final class HandlerCarrier: RequestCarrier {
  let connection: HTTP1Connection
  let exchange: Exchange
  /// The head of the request, and what came behind it.
  var head: Lent
  /// What has come of the body behind the head's buffer.
  var block: Lent?
  var hasBegunBody = false
  /// Why it cannot go on, in the exchange's terms.
  private(set) var failure: ExchangeError?
  private var isChunked = false
  private var isUpgraded = false

  init(_ connection: HTTP1Connection, _ exchange: Exchange, head: consuming Lent) {
    (self.connection, self.exchange) = (connection, exchange)
    self.head = head
  }

  private var loop: EventLoop { connection.loop }

  /// Does something in the exchange's terms.
  private func trying<Result>(
    _ body: () async throws(ExchangeError) -> Result
  ) async throws(HandlerFault) -> Result {
    do throws(ExchangeError) {
      return try await body()
    } catch {
      failure = error
      throw .client("\(error.reason.rawValue) \(error.detail)")
    }
  }

  func receive() async throws(HandlerFault) -> [UInt8]? {
    try await trying { () async throws(ExchangeError) in
      try await connection.nextPiece(of: exchange, self)
    }
  }

  func send(_ head: AnswerHead, _ body: [UInt8]) async throws(HandlerFault) {
    try await trying { () async throws(ExchangeError) in
      exchange.status = head.status
      try await connection.commitSession(exchange)
      let addFields: (inout Lent) throws(ExchangeError) -> Void = {
        (out: inout Lent) throws(ExchangeError) in
        try Self.put(head.fields, into: &out)
      }
      try await connection.sendAnswer(exchange, [], body, self.head, addFields)
    }
  }

  func begin(_ head: AnswerHead) async throws(HandlerFault) {
    try await trying { () async throws(ExchangeError) in
      exchange.status = head.status
      try await connection.commitSession(exchange)
      isChunked = try await connection.beginAnswer(exchange, self.head) {
        (out: inout Lent) throws(ExchangeError) in
        try Self.put(head.fields, into: &out)
      }
    }
  }

  func send(piece: [UInt8], isLast: Bool) async throws(HandlerFault) {
    guard exchange.request.method != .head, exchange.status != 204, exchange.status != 304 else {
      return
    }
    try await trying { () async throws(ExchangeError) in
      if let coding = exchange.coding {
        coding.isEnding = isLast
        if !piece.isEmpty { try await connection.send(piece, exchange) }
        if isLast { try await connection.finishCoding(exchange) }
        return
      }
      guard isChunked else {
        if !piece.isEmpty { try await connection.send(piece, exchange) }
        return
      }
      var bytes: [UInt8] = []
      bytes.reserveCapacity(piece.count + 24)
      if !piece.isEmpty {
        bytes += String(piece.count, radix: 16).utf8
        bytes += [0x0D, 0x0A]
        bytes += piece
        bytes += [0x0D, 0x0A]
      }
      if isLast { bytes += "0\r\n\r\n".utf8 }
      try await connection.send(bytes, exchange)
    }
  }

  private static func put(
    _ fields: [(name: String, value: String)],
    into out: inout Lent
  ) throws(ExchangeError) {
    for (name, value) in fields { try out.put("\(name): \(value)\r\n") }
  }

  // A span of a property of an object would not outlive the access to it; that of an argument does.

  static func bytes(of head: borrowing Lent, _ range: Range<Int>) -> [UInt8] {
    Array(copying: head.bytes.extracting(range))
  }

  static func append(_ head: borrowing Lent, _ range: Range<Int>, to block: inout Lent) {
    block.append(head.bytes.extracting(range))
  }

  private static func webSocketKey(in head: borrowing Lent) -> [UInt8] {
    WebSocketAccept.key(in: head.bytes)
  }

  // MARK: WebSockets

  func upgrade(_ fields: [(name: String, value: String)]) async throws(HandlerFault) {
    try await trying { () async throws(ExchangeError) in
      exchange.status = 101
      var out = loop.lend(.head)
      try out.put(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      )
      let key = Self.webSocketKey(in: head)
      if !key.isEmpty { try out.put(WebSocketAccept.line(for: key)) }
      try Self.put(fields, into: &out)
      try out.put("\r\n")
      exchange.headBytesSent = out.count
      try await connection.send(out, exchange)
      exchange.closesClient = true
      isUpgraded = true
      if head.count > exchange.requestEnd {
        var early = loop.lend(.body)
        Self.append(head, exchange.requestEnd..<head.count, to: &early)
        exchange.requestEnd = head.count
        block = consume early
      }
    }
  }

  func read() async throws(HandlerFault) -> [UInt8]? {
    if let early = block.take() { return Array(copying: early.bytes) }
    guard let timeouts = exchange.route?.timeouts else { return [] }
    do throws(StreamError) {
      let limit = loop.deadline(after: Timeout(timeouts.ping ?? timeouts.tunnel))
      let bytes = try await connection.stream.read(.body, by: limit)
      exchange.bytesReceived &+= UInt64(bytes.count)
      return Array(copying: bytes.bytes)
    } catch {
      if error == .timedOut { return nil }
      throw .client("the client has gone")
    }
  }

  func write(_ bytes: [UInt8]) async throws(HandlerFault) {
    try await trying { () async throws(ExchangeError) in
      do throws(StreamError) {
        try await connection.stream.write(bytes, by: connection.sendDeadline(exchange))
      } catch {
        throw ExchangeError(sending: error)
      }
      exchange.bytesSent &+= UInt64(bytes.count)
    }
  }

  /// Whether the client's part of a WebSocket is over, whatever became of it.
  var hasBecomeWebSocket: Bool { isUpgraded }
}
