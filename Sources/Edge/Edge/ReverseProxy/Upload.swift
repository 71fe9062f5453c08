import HTTPMessage
import MartletLoop
import MartletNet
import MartletTelemetry

/// Passes the rest of a request's body on while its answer is awaited.
///
/// It runs as a coroutine of its own and is over before its exchange is: see ``end()``.
final class Upload {
  let client: HTTP1Connection
  let exchange: Exchange
  let route: Route
  let connection: UpstreamConnection
  private let signal: Signal
  /// Whether it is over, for better or worse.
  private(set) var isDone = false
  /// Whether it is being cut short, which is nobody's fault.
  private var isEnding = false
  /// What the client did wrong.
  private(set) var failure: ExchangeError?

  /// - Throws: ``EndReason/overloaded`` when the loop has no timer left.
  init(
    client: HTTP1Connection,
    exchange: Exchange,
    route: Route,
    to connection: UpstreamConnection
  ) throws(ExchangeError) {
    guard let signal = Signal(on: client.loop) else { throw ExchangeError(.overloaded) }
    self.client = client
    self.exchange = exchange
    self.route = route
    self.connection = connection
    self.signal = signal
  }

  /// Passes on what comes until the body has ended.
  func run() async {
    do throws(ExchangeError) {
      try await pass()
    } catch {
      if !isEnding { failure = error }
      // Whoever waits for the answer waits in vain.
      connection.stream.cancel()
    }
    isDone = true
    signal.set()
  }

  /// Waits until ``run()`` is over, and cuts it short if it is not.
  func end() async {
    if !isDone {
      isEnding = true
      client.loop.cancelPresentRead(of: client.stream.descriptor)
      client.loop.cancelPresentWrite(of: connection.stream.descriptor)
    }
    while !isDone { await signal.untilSet() }
  }

  private func pass() async throws(ExchangeError) {
    let isChunked = exchange.sendsChunks
    let replay = exchange.hand.replay
    if let replay, !replay.bytes.isEmpty {
      guard await passAgain(replay.bytes, isChunked: isChunked) else { return }
    } else if exchange.body.expectsContinue, !exchange.responseStarted {
      try await sendContinue()
    }
    var bulk = Bulk(remaining: exchange.body.fixedRemaining)
    while !exchange.body.hasEnded {
      if bulk.isOn, client.carrier == nil, !connection.isInner, exchange.decoding == nil,
        !(replay?.isComplete ?? false)
      {
        guard let count = try await splice(exchange.body.fixedRemaining) else { return }
        bulk.took(count)
        continue
      }
      var block = try await next(replay)
      bulk.took(block, remaining: exchange.body.fixedRemaining)
      let passed = await pass(&block, keptBy: replay, isChunked: isChunked)
      // All of it may be there, and yet not be what its coding says.
      if case .failed(let error) = passed, exchange.decoding != nil { throw error }
      if exchange.body.hasEnded {
        if !block.isEmpty { client.carried = consume block }
        return
      }
      switch passed {
      case .all: continue
      case .refused:
        replay?.keepRest(block)
        return
      case .failed(let error):
        replay?.keepRest(block)
        throw error
      }
    }
  }

  /// What became of a block.
  private enum Passed {
    /// All of it was passed on.
    case all
    /// The member takes no more: its answer says why, or its silence does.
    case refused
    /// What came is no body, or no more came.
    case failed(ExchangeError)
  }

  /// Passes on what `block` has, and what is missing of its last line; what is left stays in it.
  private func pass(
    _ block: inout Lent,
    keptBy replay: Replay?,
    isChunked: Bool
  ) async -> Passed {
    while true {
      do throws(ExchangeError) {
        let part = try exchange.body.take(from: &block, at: 0)
        exchange.bytesReceived &+= UInt64(part.end)
        let isLast = exchange.body.hasEnded
        let isSent: Bool
        if let decoding = exchange.decoding {
          isSent = try await writeDecoded(block, part, by: decoding, keptBy: replay, isLast: isLast)
        } else {
          replay?.keep(block.bytes.extracting(part.data))
          isSent = await write(block, part, isChunked: isChunked, isLast: isLast)
        }
        block.removeFirst(part.end)
        if isLast { return .all }
        guard isSent else { return .refused }
        if block.isEmpty { return .all }
        // The beginning of a line that is not complete yet.
        try await more(&block)
      } catch {
        return .failed(error)
      }
    }
  }

  /// The next block of the body; it begins with what an earlier try has left.
  private func next(_ replay: Replay?) async throws(ExchangeError) -> Lent {
    guard var rest = replay?.takeRest() else { return try await read() }
    try await more(&rest)
    return rest
  }

  /// Passes on what an earlier try has passed on already.
  ///
  /// - Returns: False when the member takes no more.
  private func passAgain(_ bytes: [UInt8], isChunked: Bool) async -> Bool {
    let deadline = client.loop.deadline(after: route.timeouts.write)
    var frame = client.loop.lend(.head)
    do {
      if isChunked {
        try frame.putChunkSize(bytes.count)
        try await connection.stream.write(frame, by: deadline)
        frame.truncate(to: 0)
      }
      try await connection.stream.write(bytes, by: deadline)
      if isChunked {
        frame.append("\r\n")
        if exchange.body.hasEnded { try frame.putLastChunk(exchange.body.trailers) }
        try await connection.stream.write(frame, by: deadline)
      }
      return true
    } catch {
      return false
    }
  }

  /// Reads more of a line that is not complete.
  private func more(_ block: inout Lent) async throws(ExchangeError) {
    do throws(StreamError) {
      guard try await client.stream.more(&block, by: readLimit) > 0 else {
        throw StreamError.cancelled
      }
    } catch {
      throw ExchangeError(receiving: error)
    }
  }

  /// Until when more is to come: a call of gRPC may be silent for as long as it lasts.
  private var readLimit: Deadline {
    connection.carrier != nil && exchange.hand.isCall
      ? exchange.hand.total : client.loop.deadline(after: route.timeouts.body)
  }

  private func read() async throws(ExchangeError) -> Lent {
    do throws(StreamError) {
      let block = try await client.stream.read(.body, by: readLimit)
      guard block.isEmpty else { return block }
    } catch {
      throw ExchangeError(receiving: error)
    }
    throw ExchangeError(.clientClosed)
  }

  /// Tells the client to send its body.
  ///
  /// RFC 9110, section 10.1.1.
  private func sendContinue() async throws(ExchangeError) {
    var out = client.loop.lend(.head)
    out.append("HTTP/1.1 100 Continue\r\n\r\n")
    do throws(StreamError) {
      try await client.stream.write(out, by: client.loop.deadline(after: route.timeouts.send))
    } catch {
      throw ExchangeError(sending: error)
    }
  }

  /// Passes a part on.
  ///
  /// - Returns: False when the member takes no more: its answer says why, or its silence does.
  private func write(
    _ block: borrowing Lent,
    _ part: MessageBody.Part,
    isChunked: Bool,
    isLast: Bool
  ) async -> Bool {
    let deadline = client.loop.deadline(after: route.timeouts.write)
    do {
      guard isChunked else {
        if !part.data.isEmpty { try await connection.stream.write(block, part.data, by: deadline) }
        return true
      }
      var frame = client.loop.lend(.head)
      if !part.data.isEmpty {
        try frame.putChunkSize(part.data.count)
        try await connection.stream.write(frame, block, part.data, tail: "\r\n", by: deadline)
      }
      if isLast {
        frame.truncate(to: 0)
        try frame.putLastChunk(exchange.body.trailers)
        try await connection.stream.write(frame, by: deadline)
      }
      return true
    } catch {
      return false
    }
  }
}

extension ExchangeError {
  /// The failure of a read from the client.
  init(receiving error: StreamError) {
    switch error {
    case .timedOut: self.init(.clientTimeout)
    case .cancelled, .failed: self.init(.clientClosed)
    }
  }
}
