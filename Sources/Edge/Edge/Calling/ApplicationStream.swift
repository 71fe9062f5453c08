import Applications
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// An exchange with an application as the other end of an inner socket: what is written there is the
/// request as HTTP/1.1 would send it, and what is read there is the answer.
///
/// A worker gets the request when all of its body has come, unless the application wants to read it while it
/// comes, and is free again when it has given all of its answer, as far as ``aheadBytes`` reach; how fast the
/// client sends and takes is no matter of its.
final class ApplicationStream: InnerSocket {
  unowned let client: ApplicationClient
  private(set) var descriptor: Int32 = -1
  /// What is known of the request besides its head.
  var context = WorkerRequest.Context()
  /// What the record of the request is told by.
  var exchange: Exchange?
  /// When the request was given away.
  private var submittedAt: Int64 = 0
  /// Why there is no answer.
  private(set) var failure: ExchangeError?
  private var request = StreamFraming()
  private var answer = StreamText()
  private var head: [UInt8] = []
  private var body: [UInt8] = []
  /// Where a body lies that is long.
  private var file: OpenFile?
  private var bodyLength: UInt64 = 0
  /// How long the head says that the body is; nil: it does not say.
  private var contentLength: UInt64?
  /// The way of a body that the application reads while it comes; nil: it gets all of it at once.
  private var streamed: StreamedBody?
  private var isToHead = false
  /// By what the answer is known; nil: the request was not given away, or all of the answer has come.
  private var number: UInt64?
  /// Where the rest of the answer comes from, and whether its end was told of.
  private var rest: OpenFile?
  private var isEndTold = false
  private var room: Signal?
  /// The socket through which a WebSocket passes; nil: it is none.
  private var tunnel: OpenFile?
  private var isTunnel = false
  private var awaitsRoom = false
  /// How much of the content was not read yet.
  private var heldBytes = 0
  private(set) var isBroken = false
  private var isClosed = false

  /// How much of an answer is held for a client that takes it slowly.
  static let aheadBytes = 256 << 10
  private static let pieceBytes = 64 << 10

  init(on client: ApplicationClient) { self.client = client }

  /// Tells it the number of its socket.
  func opened(as number: Int32) { descriptor = number }

  private var loop: EventLoop { client.loop }

  /// Makes it ready for an exchange.
  func prepare() {
    request.reset()
    answer.reset()
    head = []
    body = []
    file = nil
    bodyLength = 0
    contentLength = nil
    streamed = nil
    failure = nil
    exchange = nil
    number = nil
    rest = nil
    tunnel = nil
    isTunnel = false
    isEndTold = false
    heldBytes = 0
    loop.clearReadiness(descriptor)
  }

  /// Whether it can carry another exchange, now that one has ended in order.
  func comesFree() -> Bool {
    exchange = nil
    return !isBroken && tunnel == nil && number == nil && rest == nil && request.isOver
      && streamed?.isOver != false && !answer.hasMore
  }

  // MARK: The request

  func send(_ bytes: Span<UInt8>) -> Int? {
    guard !isBroken else { return nil }
    guard let (all, keptCount) = request.joined(with: bytes) else { return take(bytes) }
    return take(all.span).map { max(0, $0 - keptCount) }
  }

  private func take(_ bytes: Span<UInt8>) -> Int? {
    var offset = 0
    while true {
      switch request.next(in: bytes, at: &offset) {
      case .needsBytes:
        if !request.awaitsHead, !request.isOver { streamIfWanted() }
        return offset
      case .head(let range):
        head = Array(copying: bytes.extracting(range))
        request.follow(framing())
        if tunnel != nil { submit() }
      case .content(let range):
        if let tunnel {
          guard let count = pass(bytes.extracting(range), to: tunnel) else { return nil }
          request.sent(count)
          offset += count
          if count < range.count { return offset }
          continue
        }
        if body.count + range.count > WorkerRequest.inlineLimit { streamIfWanted() }
        let count = take(body: bytes.extracting(range))
        request.sent(count)
        offset += count
        if count < range.count { return offset }
      case .end:
        if let streamed { streamed.end() } else { submit() }
      case .broken: return nil
      }
    }
  }

  /// What comes behind the head, which was composed here.
  private func framing() -> StreamFraming.Body {
    let head = head
    let bytes = head.span
    isToHead = head.starts(with: Self.headMethod)
    var start = 0
    while let end = ByteSearch.firstIndex(of: 0x0A, in: bytes, from: start) {
      let line = bytes.extracting(start..<end)
      start = end + 1
      // Few begin like those that matter.
      guard line.count > 15, let letter = Letter(rawValue: line[0] | 0x20) else { continue }
      if letter == .c, equalIgnoringCase(line.extracting(0..<15), Self.length.span) {
        var value: UInt64 = 0
        for index in 15..<line.count where (0x30...0x39).contains(line[index]) {
          value = value &* 10 &+ UInt64(line[index] - 0x30)
        }
        contentLength = value
        return value == 0 ? .empty : .fixed(value)
      }
      if letter == .t, line.count > 18,
        equalIgnoringCase(line.extracting(0..<18), Self.coding.span)
      {
        return .chunks
      }
      if letter == .u, line.count > 17, client.application.takesWebSockets,
        equalIgnoringCase(line.extracting(0..<18), Self.upgrade.span)
      {
        return openTunnel()
      }
    }
    return .empty
  }

  /// How lines begin that say what follows the head.
  private enum Letter: UInt8 {
    case c = 0x63
    case t = 0x74
    case u = 0x75
  }

  private static let headMethod = Array("HEAD ".utf8)
  private static let length = Array("content-length:".utf8)
  private static let coding = Array("transfer-encoding:".utf8)
  private static let upgrade = Array("upgrade: websocket".utf8)

  private func openTunnel() -> StreamFraming.Body {
    do throws(SystemError) {
      let (own, its) = try OpenFile.socketPair()
      (tunnel, file) = (own, its)
      return .open
    } catch {
      fail(ExchangeError(.internalError, detail: "no socket for a WebSocket: \(error)"))
      return .empty
    }
  }

  /// Passes bytes of a WebSocket on, as many as there is room for; nil: nobody takes them.
  private func pass(_ piece: Span<UInt8>, to tunnel: OpenFile) -> Int? {
    do throws(SystemError) {
      return try tunnel.descriptor.send(piece, descriptors: [])
    } catch {
      guard error.wouldBlock, isTunnel else { return nil }
      if !awaitsRoom {
        awaitsRoom = true
        let stream = self
        loop.spawn(named: "wait for room in a tunnel to an application") {
          await stream.awaitRoom(in: tunnel)
        }
      }
      return 0
    }
  }

  private func awaitRoom(in tunnel: OpenFile) async {
    do throws(WaitError) { try await loop.writable(tunnel.number, by: .never) } catch {}
    awaitsRoom = false
    if !isClosed { loop.signalRoom(descriptor) }
  }

  /// Passes a piece of the body on, or keeps it, in memory as long as it is short.
  ///
  /// - Returns: How much of it there was room for.
  private func take(body piece: Span<UInt8>) -> Int {
    if let streamed { return streamed.pass(piece) }
    bodyLength += UInt64(piece.count)
    body.append(copying: piece)
    guard body.count > WorkerRequest.inlineLimit else { return piece.count }
    do throws(SystemError) {
      if file == nil { file = OpenFile(try Descriptor.unnamedFile(in: "/tmp")) }
      try file?.descriptor.writeAll(body)
      body.removeAll(keepingCapacity: true)
    } catch {
      fail(ExchangeError(.internalError, detail: "a request's body cannot be kept: \(error)"))
    }
    return piece.count
  }

  /// Gives a request away of which only the beginning has come, if the application wants that.
  private func streamIfWanted() {
    guard streamed == nil, !request.isOpen, file == nil, failure == nil,
      client.application.streamsBodies
    else { return }
    do throws(SystemError) {
      let (way, its) = try StreamedBody.open(on: loop) { [unowned self] in
        loop.signalRoom(descriptor)
      }
      (streamed, file) = (way, its)
    } catch {
      return fail(ExchangeError(.internalError, detail: "no socket for a body: \(error)"))
    }
    submit()
  }

  /// Gives the request away: all of it has come, or is going to come in another way.
  private func submit() {
    guard failure == nil else { return }
    do throws(SystemError) {
      if let file, streamed == nil, !body.isEmpty {
        try file.descriptor.writeAll(body)
        body = []
      }
    } catch {
      return fail(
        ExchangeError(.internalError, detail: "a request's body cannot be kept: \(error)")
      )
    }
    let number = client.nextNumber()
    submittedAt = loop.now
    let use: WorkerRequest.Attachment.Use =
      tunnel != nil ? .webSocket : streamed != nil ? .stream : .body
    let made: WorkerRequest
    // Bytes are lent by what stays for the whole call, which a property of a class may not.
    let head = head
    do throws(WorkerRequestError) {
      made = try WorkerRequest(
        number: number,
        loop: UInt8(client.worker.index),
        head: head.span,
        context: context,
        body: body,
        attachment: file.map { WorkerRequest.Attachment($0, for: use) },
        contentLength: streamed == nil ? bodyLength : contentLength,
        known: client.knownFields
      )
    } catch {
      switch error {
      case .tooLarge: return fail(ExchangeError(.headTooLarge, status: 431))
      case .zeroByte: return fail(ExchangeError(.refused, detail: "a zero byte in the path"))
      }
    }
    (self.head, body, file) = ([], [], nil)
    switch client.submit(made, of: self) {
    case .given, .waits: self.number = number
    case .isFull: fail(ExchangeError(.queueFull, detail: "too many requests wait for a worker"))
    }
  }

  // MARK: The answer

  /// Takes in what a worker has sent.
  func take(
    _ message: WorkerAnswer,
    _ bytes: Span<UInt8>,
    _ source: OpenFile?
  ) {
    let content = bytes.extracting(message.content)
    switch message.kind {
    case .whole:
      number = nil
      begin(bytes.extracting(message.head), message, length: content.count)
      if let tunnel, isTunnel {
        rest = tunnel
        isEndTold = true
        let stream = self
        loop.spawn(named: "pass on what an application sends in a tunnel") {
          await stream.relay(from: tunnel)
        }
        break
      }
      tunnel = nil
      if !isToHead, !content.isEmpty { answer.add(content, isLast: true) }
    case .head:
      begin(bytes.extracting(message.head), message, length: nil)
      hold(content)
    case .data: hold(content)
    case .end:
      number = nil
      isEndTold = true
      if rest == nil { finish() }
    case .cut:
      number = nil
      isBroken = true
    case .rest:
      guard let source else { break }
      rest = source
      let stream = self
      loop.spawn(named: "pass on what an application answers") { await stream.relay(from: source) }
    case .ready, .lock: break
    }
    signal()
  }

  private func begin(_ text: Span<UInt8>, _ message: WorkerAnswer, length: Int?) {
    // What is not the application's is the wait for a process.
    let waited = loop.now - submittedAt - message.applicationTime
    if waited > 0 { exchange?.queuedNanoseconds = UInt64(waited) }
    exchange = nil
    var head: [UInt8] = []
    head.reserveCapacity(text.count + 96)
    head += Self.version
    head.append(copying: text)
    let code = text.count > 2 ? text.extracting(0..<3) : text
    if tunnel != nil, code.count == 3, code[0] == 0x31 {
      (isTunnel, hasContent) = (true, true)
      head += Self.lineEnd
      return answer.add(head: &head, isChunked: false, hasEnded: false)
    }
    let isEmpty = isToHead || Self.hasNoContent(code)
    if !message.hasLength, !isEmpty {
      if let length {
        head += Self.lengthName
        head += String(length).utf8
        head += Self.lineEnd
      } else {
        head += Self.chunked
      }
    }
    head += Self.lineEnd
    let isChunked = length == nil && !message.hasLength && !isEmpty
    hasContent = !isEmpty
    answer.add(head: &head, isChunked: isChunked, hasEnded: isEmpty || length == 0)
  }

  /// Whether the answer may have content.
  private var hasContent = false

  private static let version = Array("HTTP/1.1 ".utf8)
  private static let lengthName = Array("Content-Length: ".utf8)
  private static let chunked = Array("Transfer-Encoding: chunked\r\n".utf8)
  private static let lineEnd: [UInt8] = [0x0D, 0x0A]

  private static func hasNoContent(_ code: Span<UInt8>) -> Bool {
    guard code.count == 3 else { return false }
    return code[0] == 0x31 || code[0] == 0x32 && code[1] == 0x30 && code[2] == 0x34
      || code[0] == 0x33 && code[1] == 0x30 && code[2] == 0x34
  }

  private func hold(_ content: Span<UInt8>) {
    guard hasContent, !content.isEmpty else { return }
    heldBytes += content.count
    answer.add(content, isLast: false)
  }

  private func finish() {
    if hasContent { answer.end() }
    rest = nil
  }

  /// Takes the rest of a long answer, as fast as the client takes it.
  private func relay(from source: OpenFile) async {
    do throws(SystemError) {
      try source.descriptor.setNonblocking()
      try loop.watch(source.number, assumesReady: true)
    } catch {
      isBroken = true
      return signal()
    }
    defer {
      if awaitsRoom { loop.cancelPresentWrite(of: source.number) }
      loop.forget(source.number, staysOpen: true)
    }
    while !isClosed {
      if heldBytes >= Self.aheadBytes {
        if room == nil { room = Signal(on: loop) }
        guard let room else { break }
        do throws(WaitError) { try await room.wait() } catch { break }
        continue
      }
      do throws(SystemError) {
        let bytes = try source.descriptor.read(upTo: Self.pieceBytes)
        guard !bytes.isEmpty else { break }
        hold(bytes.span)
        signal()
      } catch {
        guard error.wouldBlock else { break }
        loop.clearReadiness(source.number)
        do throws(WaitError) { try await loop.readable(source.number, by: .never) } catch { break }
      }
    }
    guard rest === source else { return }
    rest = nil
    if isEndTold { finish() }
    signal()
  }

  /// Ends the exchange: there will be no answer, or no rest of it.
  func fail(_ error: ExchangeError) {
    guard !isClosed else { return }
    number = nil
    failure = error
    isBroken = true
    signal()
  }

  private func signal() {
    guard !isClosed else { return }
    if isBroken || isTunnel && answer.hasEnded {
      loop.signalClose(descriptor)
    } else {
      loop.signalInput(descriptor)
    }
  }

  // MARK: The inner socket

  var hasInput: Bool { isBroken || answer.hasMore || isTunnel && answer.hasEnded }

  func receive(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> InnerInput {
    let (count, content) = answer.read(upTo: limit, take)
    heldBytes = max(0, heldBytes - content)
    if rest != nil, heldBytes < Self.aheadBytes { room?.set() }
    return (isBroken || isTunnel && answer.hasEnded) && count < limit ? .ended : .open
  }

  func endOfOutput() {
    if let tunnel { loop.withKernel { $0.shutdownWrite(tunnel.number) } }
  }

  func willBreak() { isBroken = true }

  func close() {
    isClosed = true
    isBroken = true
    exchange = nil
    if let number { client.forget(number) }
    number = nil
    if let rest { loop.cancelWaits(of: rest.number) }
    room?.set()
    streamed?.close()
    streamed = nil
    rest = nil
    tunnel = nil
  }
}
